"""Recordings in Python: the examples of docs/python.md, and how objects show themselves in a notebook."""

from __future__ import annotations

import builtins
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import elixirscope
from elixirscope.errors import EnvironmentProblem, NotFoundError, RecordingError, UsageError
from elixirscope.growing import Growing
from elixirscope.pictures import record
from elixirscope.recorded import Recorded
from tests.conftest import ROOT
from tests.dags.drawn import SALE
from tests.growing import counting


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The drawn sale."""
    return elixirscope.open(record(SALE, tmp_path_factory.mktemp("python") / "sale.scope"))


@pytest.mark.beam
def test_the_examples_of_the_documentation_run(example_recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(example_recording.parent)
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)


def test_tables_are_views(rec: Recorded) -> None:
    assert len(rec.calls) == rec.calls.arrow().num_rows == 5
    bound = rec.bindings.arrow(columns=["name", "value"], where="name = 'seat'")
    assert bound.to_pylist() == [{"name": "seat", "value": '"A1"'}] * 2
    assert [row["kind"] for row in rec.messages] == ["call", "reply"]
    for name in ("events", "states", "processes", "exceptions", "tests", "links", "sites"):
        assert len(getattr(rec, name)) == getattr(rec, name).arrow().num_rows
    with pytest.raises(UsageError, match="no column 'colour'"):
        rec.calls.arrow(columns=["colour"])


def test_rows_are_taken_some_at_a_time(rec: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elixirscope.recorded._TAKEN", 2)
    for name in (
        *("events", "calls", "messages", "states", "processes"),
        *("exceptions", "bindings", "tests", "links", "sites"),
    ):
        view = getattr(rec, name)
        rows, numbers = list(view), [row[view.columns[0]] for row in view]
        assert numbers == sorted(numbers)
        assert sorted(map(repr, rows)) == sorted(map(repr, view.arrow().to_pylist())), name


def test_states_and_who_changed_them(rec: Recorded) -> None:
    state = rec.state("Seats")
    assert state.value["sold"] == {b"A1": "ann"}
    assert state.changed('.sold["A1"]').version == 1
    before = rec.state("Seats", at="e5")
    assert [change.path for change in before.diff(state)] == [".free[0]", '.sold["A1"]']
    assert [version.version for version in state.history] == [0, 1]
    with pytest.raises(NotFoundError):
        rec.state("Nobody")


def test_causes_moments_and_search(rec: Recorded) -> None:
    (event,) = [row["event"] for row in rec.events if row["kind"] == "call" and row["function"] == "enter"]
    assert rec.why(event)[0].edge == "called by"
    assert rec.why(f"e{event}") == rec.why(event)
    assert rec.moment(f"e{event}").stack[0].function == "enter"
    assert rec.moment("end").moment.at == rec.query.at("end")
    hits = rec.search("{:sold, _, _}", limit=2)
    assert (len(hits), hits.total) == (2, 6)
    assert rec.term(hits[0].id) == ("sold", b"A1", 1)
    with pytest.raises(UsageError):
        rec.why("soon")


def test_without_pandas_it_says_what_to_install(rec: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(EnvironmentProblem, match="pandas") as error:
        rec.calls.df()
    assert "pip install pandas" in error.value.hint


def test_recorded_values_cannot_reach_the_notebook_as_markup(tmp_path: Path) -> None:
    rec = elixirscope.open(
        record(
            """
            processes: evil
             1 evil registers :"<script>alert(1)</script>"
             2 evil callback Evil.init("<img src=x onerror=alert(1)>")
             3 evil state %{"<b>" => "<script>alert(2)</script>"}
             4 evil bind x = "<script>alert(3)</script>"
             5 evil return :ok
            """.replace(':"<script>alert(1)</script>"', "Evil"),
            tmp_path / "evil.scope",
        )
    )
    shown: list[Any] = [
        rec,
        rec.events,
        rec.calls,
        rec.bindings,
        rec.states,
        rec.sql("select '<script>' as \"<i>\""),
        rec.state("Evil"),
        rec.state("Evil").history,
        rec.moment("e3"),
        rec.why(3),
        rec.search('"<script>" <> _'),
        rec.findings,
    ]
    for thing in shown:
        markup = thing._repr_html_()
        assert "<table" in markup
        plain = re.sub(r'<(div|table|caption) style="[a-z:;-]+">', "", markup)  # our own
        assert not re.search(r"<(?!/?(div|table|caption|tr|th|td|pre|p)>)", plain), markup
    assert "&lt;script&gt;" in rec.states._repr_html_()


def refreshed(rec: Growing, until: Callable[[], bool]) -> None:
    """Refresh until something holds."""
    ends = time.monotonic() + 60
    while not until():
        assert time.monotonic() < ends, "it did not come"
        rec.refresh()
        time.sleep(0.02)


@pytest.mark.beam
def test_a_recording_that_grows_is_asked_while_it_does(tmp_path: Path) -> None:
    with counting(tmp_path) as (path, stop):
        rec = elixirscope.open(path, live=True)
        assert rec.growing
        refreshed(rec, lambda: any(row["label"] == "Counter" for row in rec.processes))
        refreshed(rec, lambda: rec.state("Counter").version >= 2)
        script = tmp_path / "counts.exs"
        as_run = script.read_text().splitlines()
        refreshed(rec, lambda: rec.recording.source("counts.exs") == as_run)
        script.write_text("edited while it runs")
        before, early, seen = rec.events, rec.state("Counter"), rec.info.events
        assert len(before) == seen, "answers belong together until the next refresh"
        refreshed(rec, lambda: rec.info.events > seen)
        refreshed(rec, lambda: rec.state("Counter").version > early.version)
        assert len(before) == seen
        assert rec.state("Counter").value > early.value
        assert rec.sql("select count(*) as n from events").arrow()["n"][0].as_py() == rec.info.events
        assert "events" in rec._repr_html_()
        stop.touch()
        refreshed(rec, lambda: not rec.growing)
        assert not rec.refresh()
        assert rec.info.complete
        assert rec.findings == []
        sealed = elixirscope.open(path)
        assert rec.calls.arrow().equals(sealed.calls.arrow())
        assert sealed.recording.source("counts.exs") == as_run


def test_one_that_has_ended_is_opened_as_ever(tmp_path: Path) -> None:
    rec = elixirscope.open(record(SALE, tmp_path / "sale.scope"), live=True)
    assert not rec.growing
    assert not rec.refresh()
    assert rec.state("Seats").version == 1
    with pytest.raises(RecordingError, match="no recording"):
        elixirscope.open(tmp_path / "none.scope", live=True)
