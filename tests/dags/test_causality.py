"""Causality DAG: slices against a plain search, concurrency, and the chain that a person wants."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.dags import crossings
from elixirscope.dags.base import Step
from elixirscope.errors import NotFoundError
from elixirscope.recording.format import Kind
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn, open_picture

PROCESSES = ["p", "q", "r"]
ACTIONS = st.lists(
    st.tuples(st.sampled_from(PROCESSES), st.sampled_from([*PROCESSES, "mark"])).filter(lambda a: a[0] != a[1]),
    min_size=1,
    max_size=25,
)


def picture(actions: list[tuple[str, str]]) -> str:
    lines = [
        f"  {n * 10 + 1} {who} mark {n}"
        if what == "mark"
        else f"  {n * 10 + 1} {who} -> {what} {{:m, {n}}} arrives {n * 10 + 15}"
        for n, (who, what) in enumerate(actions)
    ]
    return "processes: p, q, r\n" + "\n".join(lines)


def ancestors(film: Drawn, event: int) -> set[int]:
    """The obvious way: follow `previous` and `cause` until nothing is new."""
    found, pending = set[int](), [event]
    while pending:
        row = film.query.event(pending.pop())
        for before in (row["previous"], row["cause"]):
            if before is not None and before not in found:
                found.add(before)
                pending.append(before)
    return found


@settings(max_examples=25)
@given(ACTIONS, st.integers(1, 20), st.integers(1, 3), st.integers(0, 3))
def test_bounds_from_a_floor_on_are_those_of_all_edges(
    actions: list[tuple[str, str]], depth: int, look: int, few: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        film = open_picture(picture(actions), Path(folder) / "a.scope")
        expected = {event: ancestors(film, event) for event in range(film.query.event_count)}
        patch.setattr(crossings, "_DEPTH", depth)
        patch.setattr(crossings, "_LOOK", look)
        patch.setattr(crossings, "_FEW", few)
        for event, before in expected.items():
            past = film.dags.causality.past(event)
            assert set(past.events().tolist()) == before
            assert len(past) == len(before)
            assert {other for other in expected if other in past} == before
            assert past.latest(4).tolist() == sorted(before, reverse=True)[:4]
            if len(before) > 4:
                assert past.latest(4, past.latest(4).tolist()[-1]).tolist() == sorted(before, reverse=True)[4:8]


def leads(film: Drawn, chain: list[Step]) -> None:
    """Each step of a chain follows from the one before it, and no way changes process more seldom."""
    rows = [film.query.event(step.event) for step in chain]
    for before, here, step in zip(rows, rows[1:], chain[1:], strict=False):
        assert (
            here["process"] == before["process"] and here["event"] > before["event"]
            if step.edge == "next"
            else here["cause"] == before["event"]
        )
    first, last = chain[0].event, chain[-1].event
    changes, level, seen = 0, {last}, set[int]()
    while True:
        while grown := {film.query.event(e)["previous"] for e in level} - level - {None}:
            level |= grown
        if first in level:
            break
        seen |= level
        level = {film.query.event(e)["cause"] for e in level} - seen - {None}
        changes += 1
    assert sum(step.edge != "next" for step in chain[1:]) == changes


@settings(max_examples=25)
@given(ACTIONS)
def test_slices_and_cones_are_what_a_plain_search_finds(actions: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        film = open_picture(picture(actions), Path(folder) / "a.scope")
        causality, events = film.dags.causality, range(film.query.event_count)
        before = {event: ancestors(film, event) for event in events}
        for event in events:
            assert set(causality.slice(event).tolist()) == before[event]
            assert {step.event for step in causality.backward(event)} == before[event]
            after = {other for other in events if event in before[other]}
            assert set(causality.effects(event).tolist()) == after
            assert {step.event for step in causality.forward(event)} == after
            concurrent = {e for e in events if e != event and e not in before[event] and e not in after}
            assert set(causality.concurrent_with(event).tolist()) == concurrent
            spans = causality.concurrent_spans(event)
            assert sum(span.events for span in spans) == len(concurrent)
            assert all({span.first, span.last} <= concurrent for span in spans)
            for other in events:
                shared = (before[event] | {event}) & (before[other] | {other})
                assert causality.common_cause(event, other) == max(shared, default=None)
                assert causality.earliest_common_cause(event, other) == min(shared, default=None)
            for other in before[event]:
                leads(film, causality.chain(other, event))


def test_what_two_processes_do_without_a_message_is_concurrent(sale: Drawn) -> None:
    look, receive = sale.event("rival", Kind.CALL), sale.event("seats", Kind.RECEIVE)
    send, handled = sale.event("client", Kind.SEND), sale.event("seats", Kind.CALL, 1)
    causality = sale.dags.causality
    assert causality.concurrent(look, receive)
    assert causality.before(send, handled)
    assert not causality.before(handled, send)
    assert look in causality.concurrent_with(receive, sale.process("rival"))


def test_the_latest_and_the_earliest_common_cause(drawn: Draw) -> None:
    film = drawn("""
        processes: top, left, right
         1 top spawns left
         2 top mark 1
         3 top spawns right
         4 left mark 2
         5 right mark 3
    """)
    left, right = film.event("left", Kind.MARK), film.event("right", Kind.MARK)
    assert film.dags.causality.common_cause(left, right) == film.event("top", Kind.SPAWN)
    relation = film.dags.causality.relation(left, right)
    assert (relation.relation, relation.earliest_common_cause) == ("concurrent", film.event("top", Kind.SPAWN))
    later = film.dags.causality.relation(right, film.event("right", Kind.SPAWNED))
    assert later.common_cause == film.event("right", Kind.SPAWNED)
    assert later.earliest_common_cause == film.event("top", Kind.SPAWN)


def test_backward_is_nearest_first_and_limited(sale: Drawn) -> None:
    steps = sale.dags.causality.backward(sale.event("seats", Kind.CALL, 1), limit=3)
    assert [(step.event, step.edge) for step in steps] == [
        (sale.event("seats", Kind.RECEIVE), "next"),
        (sale.event("client", Kind.SEND), "message"),
        (sale.event("client", Kind.BIND), "next"),
    ]


def test_edges_tell_messages_from_spawns(sale: Drawn) -> None:
    kinds = [e["kind"] for e in sale.dags.causality.edges().to_pylist() if e["kind"] != "next"]
    assert sorted(kinds) == ["message", "message", "spawn"]


def test_why_leads_from_the_inner_frame_to_the_client(sale: Drawn) -> None:
    steps = sale.dags.causality.why(sale.event("seats", Kind.CALL, 2))
    assert [(step.edge, step.process_label) for step in steps[:4]] == [
        ("called by", "Seats"),
        ("handles", "Seats"),
        ("message", "Client.buy/2"),
        ("in", "Client.buy/2"),
    ]
    assert steps[3].label == "calls TicketOffice.Client.buy/2"


def test_why_meets_the_state_once(sale: Drawn) -> None:
    steps = sale.dags.causality.why(sale.event("seats", Kind.CALL, 2))
    assert [step.event for step in steps if step.edge == "state"] == [sale.event("seats", Kind.STATE)]


def test_why_follows_an_exit_along_links_to_the_exception(drawn: Draw) -> None:
    film = drawn("""
        processes: shop, cart, client
         1 cart links shop
         2 client -> cart cast {:pay, nil} arrives 4
         5 cart callback Shop.Cart.handle_cast({:pay, nil}) @ lib/cart.ex:8
         6 cart call Shop.Price.total(nil) @ lib/price.ex:3
         7 cart raise :error, :badarith @ :4
         8 cart exits {:badarith, [{Shop.Price, :total, 1, []}]}
        10 shop exits {:badarith, [{Shop.Price, :total, 1, []}]}
    """)
    steps = film.dags.causality.why(film.event("shop", Kind.EXIT))
    events = [step.event for step in steps]
    wanted = [
        film.event("cart", Kind.EXIT),
        film.event("cart", Kind.RAISE),
        film.event("cart", Kind.CALL, 1),
        film.event("cart", Kind.CALL, 0),
        film.event("cart", Kind.RECEIVE),
        film.event("client", Kind.SEND),
    ]
    assert events[: len(wanted)] == wanted
    assert steps[0].edge == "exit"


def test_why_of_an_unknown_event(sale: Drawn) -> None:
    with pytest.raises(NotFoundError, match="no event e9999"):
        sale.dags.causality.why(9999)
