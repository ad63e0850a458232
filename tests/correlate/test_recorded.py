"""What must hold of every recording, on a real one: the example's test run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording.log import read_log

Tables = dict[str, list[dict[str, Any]]]

pytestmark = pytest.mark.beam


@pytest.fixture(scope="module")
def tables(example_recording: Path) -> Tables:
    log = read_log(example_recording / "raw")
    return {name: table.to_pylist() for name, table in EventCorrelator().correlate(log).items()}


def of_the_application(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if (row["module"] or "").startswith("TicketOffice.")]


def test_causes_come_before_their_effects(tables: Tables) -> None:
    events = tables["events"]
    assert sum(row["cause"] is not None for row in events) > 500
    for row in events:
        for before in (row["cause"], row["previous"]):
            assert before is None or before < row["event"]
        assert row["cause"] is None or events[row["cause"]]["process"] != row["process"]


def test_every_callback_knows_its_message_and_who_sent_it(tables: Tables) -> None:
    sites = {row["site"]: row for row in tables["sites"]}
    handlers = [
        row
        for row in of_the_application(tables["calls"])
        if (sites[row["site"]]["callback"] or "").startswith(("handle_call", "handle_cast"))
    ]
    assert len(handlers) > 100
    for row in handlers:
        assert row["message"] is not None
        assert row["remote_parent"] is not None


def test_frames_lie_within_their_parents(tables: Tables) -> None:
    calls = {row["call"]: row for row in tables["calls"]}
    for row in calls.values():
        parent = calls.get(row["parent"])
        assert row["depth"] == (0 if parent is None else parent["depth"] + 1)
        if parent is not None:
            assert parent["process"] == row["process"]
            assert parent["start"] < row["start"]
            assert parent["end"] is None or row["end"] <= parent["end"]


def test_the_restarted_checkout_follows_the_one_that_crashed(tables: Tables) -> None:
    processes = tables["processes"]
    (checkout,) = [row for row in processes if row["incarnation"] and row["module"] == "TicketOffice.Checkout"]
    before = processes[checkout["predecessor"]]
    assert (before["module"], before["exit_kind"]) == ("TicketOffice.Checkout", "crash")
    assert processes[checkout["supervisor"]]["name"] == "TicketOffice.Checkouts"


def test_the_tests_of_the_run(tables: Tables) -> None:
    results = [row["result"] for row in tables["tests"]]
    assert len(results) >= 8
    assert set(results) <= {"passed", "failed"}
    assert all(row["process"] is not None and row["call"] is not None for row in tables["tests"])


def test_the_one_exception_of_the_application(tables: Tables) -> None:
    (crash,) = of_the_application(tables["exceptions"])
    assert (crash["type"], crash["module"], crash["caught"]) == ("ArithmeticError", "TicketOffice.Till", False)
    assert crash["file"].endswith("lib/ticket_office/till.ex")
