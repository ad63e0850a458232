"""The JSON that programs rely on: exactly these keys, and true of a real recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run

pytestmark = pytest.mark.beam


@pytest.fixture(scope="module")
def ask(elixirscope: Run, example_recording: Path) -> Any:
    """Runs a subcommand on the example's recording and reads its JSON."""

    def run(name: str, *arguments: str) -> Any:
        done = elixirscope(name, example_recording, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_info(ask: Any) -> None:
    info = ask("info")
    assert {
        "format_version",
        "events",
        "processes",
        "calls",
        "messages",
        "states",
        "lost",
        "truncated",
        "duration_ns",
        "bytes",
        "complete",
        "coverage",
    } <= info.keys()
    assert info["complete"] is True
    assert info["lost"] == 0
    assert info["events"] > info["calls"] > 0
    assert min(info["messages"], info["states"], info["processes"], info["bytes"], info["duration_ns"]) > 0
    for gap in info["coverage"]:
        assert gap.keys() == {"subject", "reason", "function", "calls"}


def test_state(ask: Any) -> None:
    state = ask("state", "Promotions", "--at", "end")
    assert state.keys() == {"process", "name", "version", "at", "value", "changed_by"}
    assert "percent: nil" in state["value"]
    assert "of call" in state["changed_by"]
    first = ask("state", "Promotions", "--at", f"{state['at'] - 1}ns")
    assert first["version"] == state["version"] - 1
    assert first["value"] != state["value"]


def test_report_finds_both_causes(ask: Any) -> None:
    findings = ask("report")["findings"]
    for finding in findings:
        assert finding.keys() == {
            "kind",
            "title",
            "confidence",
            "location",
            "evidence",
            "explanation",
            "suggestion",
        }
        assert 0 < finding["confidence"] <= 1
    race = next(f for f in findings if f["kind"] == "race")
    crash = next(f for f in findings if f["kind"] == "crash")
    assert race["location"]["file"] == "lib/ticket_office/box_office.ex"
    assert crash["location"]["file"] == "lib/ticket_office/promo_code.ex"
    for finding in (race, crash):
        assert finding["location"].keys() == {"module", "function", "arity", "file", "line"}
        assert finding["location"]["line"] > 0
        assert len(finding["evidence"]) >= 4
        for step in finding["evidence"]:
            assert step.keys() == {"moment", "text"}
    # What the example is about comes before anything else
    assert {findings[0]["kind"], findings[1]["kind"]} == {"race", "crash"}


def test_the_guilty_lines_are_the_guilty_lines(ask: Any, example_project: Path) -> None:
    guilty = {"race": "free?", "crash": "nil"}
    for finding in ask("report")["findings"][:2]:
        place = finding["location"]
        line = (example_project / place["file"]).read_text().splitlines()[place["line"] - 1]
        assert guilty[finding["kind"]] in line


def test_why_leads_from_the_crash_back_to_another_process(ask: Any) -> None:
    exits = ask("query", "select event, process from exceptions where type = 'ArithmeticError' and not caught")
    steps = ask("why", f"e{exits[0]['event']}")
    assert {"event", "at", "process", "label", "edge", "certain", "reason"} <= steps[0].keys()
    assert all(step["event"] < exits[0]["event"] for step in steps)
    assert len({step["process"] for step in steps}) > 1


def test_why_tells_how_another_event_stands_to_it_and_what_happened_beside(ask: Any) -> None:
    exits = ask("query", "select event, process from exceptions where type = 'ArithmeticError' and not caught")
    crash = exits[0]["event"]
    cause = ask("why", f"e{crash}")[0]["event"]
    found = ask("why", f"e{crash}", "--beside", f"e{cause}")
    assert (found["relation"], found["common_cause"]) == ("before", cause)
    assert found["earliest_common_cause"] <= cause
    assert [found["chain"][0]["event"], found["chain"][-1]["event"]] == [cause, crash]
    beside = ask("why", f"e{crash}", "--concurrent")
    assert beside
    assert all(span["process"] != exits[0]["process"] and span["first"] <= span["last"] for span in beside)


@pytest.mark.parametrize(
    "view",
    ["events", "calls", "messages", "states", "processes", "exceptions", "bindings", "sites", "dag_nodes", "dag_edges"],
)
def test_every_view_answers(ask: Any, view: str) -> None:
    assert ask("query", f"select count(*) as n from {view}")[0]["n"] > 0


def test_seven_dags_have_nodes_and_edges(ask: Any) -> None:
    dags = {"temporal", "interaction", "state", "code", "dataflow", "performance", "causality"}
    for view in ("dag_nodes", "dag_edges"):
        found = {row["dag"]: row["n"] for row in ask("query", f"select dag, count(*) as n from {view} group by dag")}
        assert found.keys() == dags
        assert min(found.values()) > 0


def test_processes(ask: Any) -> None:
    by_label = {row["label"]: row for row in ask("processes")}
    assert by_label["Promotions"]["kind"] == "gen_server"
    assert any(row["exit_kind"] == "crash" for row in by_label.values())
