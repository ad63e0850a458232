"""Performance DAG: where time went, in drawn microseconds."""

import pytest

from elixirscope.errors import NotFoundError
from elixirscope.recording.format import Kind
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def test_self_time_leaves_out_callees(sale: Drawn) -> None:
    spent = sale.dags.performance.spent(sale.event("seats", Kind.CALL, 1))
    assert (spent.span_ns, spent.self_ns, spent.wait_reply_ns) == (11_000, 7_000, 0)


def test_waiting_in_the_mailbox_is_before_the_span(sale: Drawn) -> None:
    spent = sale.dags.performance.spent(sale.event("seats", Kind.CALL, 1))
    assert spent.wait_mailbox_ns == 2_000


def test_waiting_for_a_reply_is_not_self_time(sale: Drawn) -> None:
    spent = sale.dags.performance.spent(sale.event("client", Kind.CALL))
    assert (spent.span_ns, spent.wait_reply_ns, spent.self_ns) == (23_000, 18_000, 5_000)


def test_scheduled_out_only_when_scheduling_was_recorded(sale: Drawn, drawn: Draw) -> None:
    assert sale.dags.performance.spent(sale.event("client", Kind.CALL)).scheduled_out_ns is None
    film = drawn("""
        processes: worker
         1 worker call Shop.run()
         3 worker scheduled out
         7 worker scheduled in
         9 worker return :ok
    """)
    assert film.dags.performance.spent(film.event("worker", Kind.CALL)).scheduled_out_ns == 4_000


def test_waits_for_edges_and_the_critical_path(sale: Drawn) -> None:
    buy, handle, ledger = (sale.event("client", Kind.CALL), *(sale.event("seats", Kind.CALL, n) for n in (1, 2)))
    edges = {(e["source"], e["target"], e["kind"]) for e in sale.dags.performance.edges().to_pylist()}
    assert edges == {(buy, handle, "waits-for"), (handle, ledger, "contains")}
    assert [step.event for step in sale.dags.performance.critical_path(buy)] == [handle, ledger]


def test_only_calls_have_times(sale: Drawn) -> None:
    with pytest.raises(NotFoundError, match="not a function call"):
        sale.dags.performance.spent(sale.event("client", Kind.SEND))
