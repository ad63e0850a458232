"""Space-time coordinates, and how two events stand to each other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.dags.spacetime import space_time
from elixirscope.errors import NotFoundError
from elixirscope.film import Film
from elixirscope.recording.format import Kind
from tests.dags.drawn import Drawn


def test_edges_lead_down_and_concurrent_events_may_stand_side_by_side(sale: Drawn) -> None:
    drawn = space_time(sale.query)
    names = {sale.process(name): name for name in ("top", "seats", "client")}
    assert [(names[p.process], p.step, p.label.split()[0]) for p in drawn.points] == [
        ("top", 0, "spawns"),
        ("seats", 1, "begins,"),
        ("client", 0, "sends"),
        ("seats", 2, "receives"),
        ("seats", 3, "sends"),
        ("client", 4, "receives"),
    ]
    assert (drawn.steps, drawn.total) == (5, 6)
    assert [names[process] for process in drawn.lanes] == ["top", "seats", "client"]


def test_windows_processes_and_pages(sale: Drawn) -> None:
    seats, client = sale.process("seats"), sale.process("client")
    both = space_time(sale.query, processes=[seats, client])
    assert both.total == 4
    page = space_time(sale.query, processes=[seats, client], limit=2, offset=2)
    assert page.points == both.points[2:]
    assert space_time(sale.query, 12_000, 28_000).total == 2
    assert space_time(sale.query, processes=[]).points == []


@given(st.integers(0, 40), st.integers(0, 40), st.none() | st.sets(st.integers(-1, 6)))
@settings(max_examples=80)
def test_what_crosses_in_a_window_is_what_a_walk_over_all_events_finds(
    sale: Drawn, start: int, end: int, processes: set[int] | None
) -> None:
    low, high = start * 1_000, end * 1_000
    rows = sale.query.recording.table("events").to_pylist()
    crossing = set[int]()
    for row in rows:
        if row["cause"] is not None:
            ends = {row["process"], rows[row["cause"]]["process"]}
            if processes is None or ends <= processes:
                crossing |= {row["event"], row["cause"]}
    expected = sorted(event for event in crossing if low <= rows[event]["at"] < high)
    found = space_time(sale.query, low, high, None if processes is None else sorted(processes))
    assert [point.event for point in found.points] == expected
    assert found.total == len(expected)


def test_two_events(sale: Drawn) -> None:
    dag = sale.dags.causality
    call, enter = sale.event("client", Kind.CALL), sale.event("seats", Kind.CALL, 2)
    look, send = sale.event("rival", Kind.CALL), sale.event("client", Kind.SEND)
    assert (dag.relation(call, enter).relation, dag.relation(enter, call).relation) == ("before", "after")
    assert dag.relation(enter, look).relation == "concurrent"
    assert dag.relation(enter, look).common_cause is None
    assert dag.relation(call, call).relation == "same"
    got = dag.relation(enter, sale.event("client", Kind.RECEIVE))
    assert got.common_cause == enter
    assert dag.relation(send, enter).common_cause == send
    assert (got.earliest_common_cause, got.earliest_label) == (0, dag.labels.event(0))
    assert dag.relation(enter, look).earliest_common_cause is None
    with pytest.raises(NotFoundError):
        dag.relation(0, 10**9)


def test_the_chain_between_two_events(sale: Drawn) -> None:
    dag = sale.dags.causality
    call, send = sale.event("client", Kind.CALL), sale.event("client", Kind.SEND)
    receive, enter = sale.event("seats", Kind.RECEIVE), sale.event("seats", Kind.CALL, 2)
    chain = dag.relation(enter, call).chain
    assert [(step.event, step.edge) for step in chain] == [
        (call, ""),
        (send, "next"),
        (receive, "message"),
        (enter, "next"),
    ]
    assert [step.of for step in chain] == [None, call, send, receive]
    assert dag.relation(enter, sale.event("rival", Kind.CALL)).chain == []


def test_points_beside_an_event(sale: Drawn) -> None:
    dag, seen = sale.dags.causality, set[str | None]()
    for event in (sale.event("client", Kind.SEND), sale.event("seats", Kind.RECEIVE)):
        drawn = space_time(sale.query, beside=partial(dag.beside, event))
        assert [p.beside for p in drawn.points] == [dag.relation(p.event, event).relation for p in drawn.points]
        seen |= {point.beside for point in drawn.points}
    assert seen == {"before", "same", "after", "concurrent"}


@pytest.mark.beam
def test_of_a_real_recording_every_edge_leads_down(example_recording: Path) -> None:
    drawn = space_time(Film.open(example_recording).query, limit=10_000)
    place = {point.event: point for point in drawn.points}
    assert drawn.total == len(place) > 100
    before: dict[int, int] = {}
    for point in drawn.points:
        if point.cause is not None:
            assert place[point.cause].step < point.step
        assert before.get(point.process, -1) < point.step
        before[point.process] = point.step
