"""Bad input to the commands that read a recording: one clear message, a stable exit code, no traceback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from elixirscope.pictures import record
from tests.conftest import Run

_FILM = """
processes: client, seats
 1  client call BoxOffice.sell("A1")
 2  client -> seats call {:free?, "A1"} as q
 3  seats callback Seats.handle_call({:free?, "A1"}, {client, #q})
 4  seats state %{"A1" => nil}
 5  seats return {:reply, true, %{"A1" => nil}}
 6  seats -> client reply true to q
 7  client return :sold
 8  seats exits :normal
"""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A small recording, drawn."""
    return record(_FILM, tmp_path / "small.scope")


def _refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done.stdout + done.stderr
    said = done.stderr
    assert "Traceback" not in said
    assert "→" in said, "an error names the next step"
    for word in words:
        assert word in said


def test_missing(elixirscope: Run, tmp_path: Path) -> None:
    _refused(elixirscope("info", tmp_path / "none.scope"), 4, "none.scope")


def test_empty(elixirscope: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.scope").mkdir()
    _refused(elixirscope("report", tmp_path / "empty.scope"), 4, "empty.scope")


def test_no_event_is_not_taken_for_nothing_wrong(elixirscope: Run, film: Path) -> None:
    shutil.rmtree(film / "segments", ignore_errors=True)
    for file in (film / "raw").iterdir():
        file.unlink()
    done = elixirscope("report", film)
    assert "holds no event" in done.stdout
    assert "Nothing wrong" not in done.stdout


def test_a_command_that_is_mistyped(elixirscope: Run) -> None:
    _refused(elixirscope("reprot"), 2, "'reprot'", "did you mean `elixirscope report`?")


def test_a_pack_that_is_missing(elixirscope: Run, tmp_path: Path) -> None:
    _refused(elixirscope("unpack", tmp_path / "none.scopez"), 4, "none.scopez")


def test_not_a_recording(elixirscope: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    _refused(elixirscope("processes", tmp_path / "notes.txt"), 4, "notes.txt")


def test_a_newer_format(elixirscope: Run, film: Path) -> None:
    manifest = film / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    _refused(elixirscope("info", film), 4, "99")


def test_truncated_and_damaged_open_with_what_is_left(elixirscope: Run, film: Path) -> None:
    raw = max((film / "raw").iterdir(), key=lambda path: path.stat().st_size)
    raw.write_bytes(raw.read_bytes()[:-7])
    shutil.rmtree(film / "segments", ignore_errors=True)
    done = elixirscope("info", film, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"] is False


def test_unknown_process_names_near_ones(elixirscope: Run, film: Path) -> None:
    _refused(elixirscope("state", film, "saets"), 3, "saets", "Seats")


@pytest.mark.parametrize(("at", "status"), [("soon", 2), ("9999s", 3), ("e999", 3), ("-5ns", 2)])
def test_unknown_time(elixirscope: Run, film: Path, at: str, status: int) -> None:
    _refused(elixirscope("state", film, "seats", f"--at={at}"), status)


@pytest.mark.parametrize(("event", "status"), [("e99999", 3), ("yesterday", 2)])
def test_unknown_event(elixirscope: Run, film: Path, event: str, status: int) -> None:
    _refused(elixirscope("why", film, event), status)


@pytest.mark.parametrize(
    "sql",
    [
        "selec 1",
        "select * from evnts",
        "select nothing from events",
        "select 1; select 2",
        "copy events to '{tmp}/x.csv'",
        "create table t as select 1",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "attach '{tmp}/x.db'",
        "install httpfs",
        "pragma database_list",
        "set memory_limit = '100GB'",
        "export database '{tmp}/all'",
    ],
)
def test_wrong_or_dangerous_sql(elixirscope: Run, film: Path, tmp_path: Path, sql: str) -> None:
    before = sorted(tmp_path.iterdir())
    _refused(elixirscope("query", film, sql.format(tmp=tmp_path)), 5)
    assert sorted(tmp_path.iterdir()) == before


def test_a_port_in_use(elixirscope: Run, film: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        _refused(elixirscope("open", film, "--no-browser", "--port", str(port)), 7, str(port))


def test_unknown_commands_and_options(elixirscope: Run, film: Path) -> None:
    for arguments in (("fly",), ("why",), ("info", str(film), "--colour")):
        done = elixirscope(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(elixirscope: Run, film: Path) -> None:
    done = elixirscope("query", film, "select range from range(200000)", "--json")
    assert done.returncode == 0
    script = f"'{{}}' -m elixirscope.cli.main query '{film}' 'select range from range(200000)' | head -n 1 >/dev/null"
    piped = subprocess.run(["bash", "-c", script.format(sys.executable)], capture_output=True, text=True, check=False)
    assert piped.stderr == ""
