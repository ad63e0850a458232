"""Rows in every format, on standard output and in files; and search at the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.ipc
import pyarrow.parquet
import pytest

from elixirscope.pictures import record
from tests.conftest import Run, environment
from tests.dags.drawn import SALE

_SQL = "select event, kind, value from events where kind = 'bind' order by event"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn sale."""
    return record(SALE, tmp_path_factory.mktemp("formats") / "sale.scope")


def test_every_format_holds_the_same_rows(elixirscope: Run, film: Path) -> None:
    rows = json.loads(elixirscope("query", film, _SQL, "--format", "json").stdout)
    assert rows[0] == {"event": 7, "kind": "bind", "value": '{"A1"}'}
    assert rows == json.loads(elixirscope("query", film, _SQL, "--json").stdout)
    found = list(csv.DictReader(io.StringIO(elixirscope("query", film, _SQL, "--format", "csv").stdout)))
    assert [{**row, "event": int(row["event"])} for row in found] == rows
    parquet: Any = elixirscope("query", film, _SQL, "--format", "parquet", text=False).stdout
    assert pyarrow.parquet.read_table(io.BytesIO(parquet)).to_pylist() == rows
    arrow: Any = elixirscope("query", film, _SQL, "--format", "arrow", text=False).stdout
    assert pyarrow.ipc.open_stream(arrow).read_all().to_pylist() == rows
    assert "bind" in elixirscope("query", film, _SQL).stdout


def test_a_row_is_a_line_in_a_pipe(elixirscope: Run, film: Path) -> None:
    header, *lines = elixirscope("query", film, "select *, repeat('x', 500) as much from calls").stdout.splitlines()
    rows = json.loads(elixirscope("query", film, "select call from calls", "--json").stdout)
    assert len(lines) == len(rows) > 1
    assert header.split()[-1] == "much"
    assert all(line.rstrip().endswith("x" * 500) for line in lines)


def test_rows_that_a_terminal_has_no_room_for_are_told_by_cell(film: Path) -> None:
    shown = _on_a_terminal("query", str(film), "select * from calls limit 2")
    assert [line for line in shown if line.startswith("row ")] == ["row 1", "row 2"]
    assert "outcome returned" in [" ".join(line.split()) for line in shown]


def _on_a_terminal(*arguments: str) -> list[str]:
    """The lines that a command writes to a terminal of 80 columns."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "elixirscope.cli.main", *arguments]
    env = environment() | {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    with subprocess.Popen(command, stdout=follower, stderr=subprocess.STDOUT, env=env) as process:
        os.close(follower)
        written = b""
        with suppress(OSError):  # the terminal is gone with its last writer
            while part := os.read(leader, 65_536):
                written += part
        assert process.wait(60) == 0
    os.close(leader)
    return written.decode().splitlines()


def test_a_files_ending_chooses_the_format(elixirscope: Run, film: Path, tmp_path: Path) -> None:
    done = elixirscope("query", film, _SQL, "-o", tmp_path / "rows.parquet")
    assert (done.returncode, done.stdout) == (0, "")
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").num_rows == 4
    elixirscope("query", film, "select vars from sites limit 3", "-o", tmp_path / "rows.csv")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 4
    refused = elixirscope("query", film, _SQL, "-o", tmp_path / "no" / "rows.csv")
    assert refused.returncode == 7
    assert "rows.csv" in refused.stderr
    both = elixirscope("query", film, _SQL, "--json", "--format", "csv")
    assert both.returncode == 2


def test_no_bytes_on_a_terminal(film: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "elixirscope.cli.main", "query", str(film), _SQL, "--format", "parquet"]
    try:
        done = subprocess.run(
            command, check=False, stdout=follower, stderr=subprocess.PIPE, text=True, timeout=150, env=environment()
        )
    finally:
        os.close(follower)
        os.close(leader)
    assert done.returncode == 2
    assert "-o rows.parquet" in done.stderr


def test_a_cut_answer_says_so(elixirscope: Run, film: Path) -> None:
    done = elixirscope("query", film, _SQL, "--limit", "2", "--json")
    assert len(json.loads(done.stdout)) == 2
    assert "only the first 2 rows" in done.stderr


def test_search_by_pattern_and_by_name(elixirscope: Run, film: Path) -> None:
    done = elixirscope("search", film, "{:sold, _, n} when n > 0", "--kind", "message", "--json")
    answer = json.loads(done.stdout)
    assert answer["names"] == []
    assert answer["values"]["total"] == 1
    assert answer["values"]["hits"][0]["where"] == "{1}"
    named = json.loads(elixirscope("search", film, "ledger", "--json").stdout)
    assert [hit["label"] for hit in named["names"]] == ["TicketOffice.Ledger.enter/2"]
    shown = elixirscope("search", film, "seats")
    assert "TicketOffice.Seats.init/1" in shown.stdout
    assert "names" in shown.stderr
    wrong = elixirscope("search", film, "{:sold, ")
    assert wrong.returncode == 2
    assert "column" in wrong.stderr
    assert elixirscope("search", film, " ").returncode == 2


def test_who_changed_a_part_of_a_state_and_what_changed_since(elixirscope: Run, film: Path) -> None:
    who = json.loads(elixirscope("state", film, "Seats", "--who", '.sold["A1"]', "--json").stdout)
    assert (who["version"], who["changed_by"]) == (1, "handle_call/3 of call {:reserve, _, _} from Client.buy/2")
    changes = json.loads(elixirscope("state", film, "Seats", "--since", "3µs", "--json").stdout)
    assert [change["path"] for change in changes] == [".free[0]", '.sold["A1"]']
    assert '.sold["A1"]' in elixirscope("state", film, "Seats", "--since", "3µs").stdout
    early = elixirscope("state", film, "Seats", "--since", "0ns")
    assert early.returncode == 3
    assert "its first is at" in early.stderr
