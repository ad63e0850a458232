"""The correlators against their plain definitions, on arbitrary streams: sensible, damaged and absurd ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording.format import Kind
from elixirscope.recording.log import EVENT_ROW, Callee, Log, ProcessKey, Rows, Site
from elixirscope.recording.schema import TABLES
from tests.correlate import oracle
from tests.correlate.oracle import Event

PROCESSES = 3
CALLEES = {number + 2: number for number in range(1, 3)}  # site of a tail call → site of the function it calls
SITES = {number: Site(number, "function", "Shop", f"f{number}", 1) for number in range(1, 3)} | {
    tail: Site(tail, "tail", "Shop", "f", 1, callee=Callee("Shop", f"f{number}", 1)) for tail, number in CALLEES.items()
}


KINDS = [*[Kind.CALL] * 4, *oracle.CODE, Kind.EXIT, Kind.SEND, Kind.RECEIVE]
TAILS = [*[Kind.CALL] * 3, *[Kind.TAIL] * 3, Kind.BIND, Kind.RETURN]


def log_of(events: list[Event]) -> Log:
    """A log of events at 0, 1, 2 … ns."""
    rows = np.zeros(len(events), dtype=EVENT_ROW)
    for number, (row, event) in enumerate(zip(rows, events, strict=True)):
        row["event"] = row["at"] = number
        row["value"] = -1
        for name in Event._fields:
            row[name] = getattr(event, name)
    keys = [ProcessKey("n", f"#PID<0.{n}.0>", 0) for n in range(PROCESSES)]
    return Log(rows=Rows.of(rows), processes=keys, sites=SITES)


@st.composite
def streams(draw: st.DrawFn, kinds: Sequence[Kind] = KINDS, processes: Sequence[int] = (0, 0, 0, 1, 2)) -> list[Event]:
    """Mostly code events of frames that exist, with events of unknown and ended frames among them."""
    events: list[Event] = []
    frames: list[list[int]] = [[] for _ in range(PROCESSES)]
    for number in range(draw(st.integers(0, 40))):
        process = draw(st.sampled_from(processes))
        kind = draw(st.sampled_from(kinds))
        if kind == Kind.CALL:
            frames[process].append(1000 + number)
            events.append(Event(process, kind, 1000 + number, draw(st.integers(1, 2))))
        elif kind in oracle.CODE:
            names = [*frames[process][-3:], 7]  # 7: a frame whose CALL was never seen
            place = draw(st.integers(3, 4)) if kind == Kind.TAIL else 0
            events.append(Event(process, kind, draw(st.sampled_from(names)), place))
        elif kind == Kind.EXIT:
            events.append(Event(process, kind))
        else:
            other, content = draw(st.integers(0, PROCESSES - 1)), draw(st.integers(1, 2))
            events.append(Event(process, kind, peer=other, ref=content))
    return events


def correlated(events: list[Event]) -> dict[str, list[dict[str, Any]]]:
    return {name: table.to_pylist() for name, table in EventCorrelator().correlate(log_of(events)).items()}


@settings(max_examples=150)
@given(streams())
def test_frames_end_and_nest_as_defined(events: list[Event]) -> None:
    calls = correlated(events)["calls"]
    assert [row["call"] for row in calls] == [n for n, event in enumerate(events) if event.kind == Kind.CALL]
    for row in calls:
        ended = oracle.end_of(events, row["call"])
        assert (row["end_event"], row["outcome"]) == (ended or (None, "open"))
        assert row["parent"] == oracle.parent_of(events, row["call"])
        assert row["depth"] == oracle.depth_of(events, row["call"])


@settings(max_examples=300)
@given(streams(TAILS, [0]))
def test_tail_calls_are_continued_as_defined(events: list[Event]) -> None:
    for row in correlated(events)["calls"]:
        assert row["tail_of"] == oracle.continues_of(events, row["call"], CALLEES)


@settings(max_examples=100)
@given(streams())
def test_code_events_belong_to_the_frame_they_name(events: list[Event]) -> None:
    rows = correlated(events)["events"]
    for number, event in enumerate(events):
        if event.kind in oracle.CODE:
            assert rows[number]["call"] == oracle.frame_of(events, number)


@settings(max_examples=100)
@given(streams())
def test_messages_are_paired_as_defined(events: list[Event]) -> None:
    messages = correlated(events)["messages"]
    sent = {row["send_event"]: row["receive_event"] for row in messages if row["send_event"] is not None}
    assert sent == oracle.receives_of(events)
    received = [row["receive_event"] for row in messages if row["receive_event"] is not None]
    assert sorted(received) == [n for n, event in enumerate(events) if event.kind == Kind.RECEIVE]


@settings(max_examples=100)
@given(streams())
def test_causes_are_the_sends_of_receives_and_point_back(events: list[Event]) -> None:
    rows = correlated(events)["events"]
    expected = {receive: send for send, receive in oracle.receives_of(events).items() if receive is not None}
    for number, row in enumerate(rows):
        assert row["previous"] == oracle.previous_of(events, number)
        assert row["cause"] == expected.get(number)
        assert row["cause"] is None or row["cause"] < number


@settings(max_examples=30)
@given(streams())
def test_tables_have_exactly_their_schemas_and_come_out_the_same_again(events: list[Event]) -> None:
    log = log_of(events)
    tables = EventCorrelator().correlate(log)
    assert list(tables) == list(TABLES)
    for name, table in tables.items():
        assert table.schema == TABLES[name]
        table.validate(full=True)
        assert table == EventCorrelator().correlate(log)[name]
