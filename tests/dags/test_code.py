"""Code execution DAG: frames and stacks, within and across processes."""

from elixirscope.dags.code import FrameRow
from elixirscope.recording.format import Kind
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def names(rows: list[FrameRow]) -> list[str]:
    return [f"{row.module}.{row.function}" + ("*" if row.remote else "") for row in rows]


def test_the_stack_crosses_to_the_process_that_asked(sale: Drawn) -> None:
    in_ledger = sale.event("seats", Kind.CALL, 2)
    assert names(sale.dags.code.stack(in_ledger)) == [
        "TicketOffice.Ledger.enter",
        "TicketOffice.Seats.handle_call",
        "TicketOffice.Client.buy*",
    ]


def test_after_its_return_a_frame_is_gone(sale: Drawn) -> None:
    bound_after = sale.event("seats", Kind.BIND, 1)
    assert names(sale.dags.code.stack(bound_after))[0] == "TicketOffice.Seats.handle_call"


def test_outside_code_there_is_no_stack(sale: Drawn) -> None:
    assert sale.dags.code.stack(sale.event("seats", Kind.REGISTER)) == []


def test_who_sent_a_cast_is_not_on_the_stack_but_an_edge(drawn: Draw) -> None:
    film = drawn("""
        processes: client, server
         1 client call Client.tell()
         2 client -> server cast :note arrives 4
         5 client return :ok
         6 server callback Server.handle_cast(:note)
    """)
    tell, handle = film.event("client", Kind.CALL), film.event("server", Kind.CALL)
    assert names(film.dags.code.stack(handle)) == ["Server.handle_cast"]
    assert [(e["source"], e["target"]) for e in film.dags.code.edges().to_pylist()] == [(tell, handle)]


def test_edges_name_how_a_frame_was_entered(sale: Drawn) -> None:
    buy, handle, ledger = (sale.event("client", Kind.CALL), *(sale.event("seats", Kind.CALL, n) for n in (1, 2)))
    edges = {(e["source"], e["target"], e["kind"]) for e in sale.dags.code.edges().to_pylist()}
    assert edges == {(handle, ledger, "call"), (buy, handle, "remote")}
    assert names(sale.dags.code.children(buy)) == ["TicketOffice.Seats.handle_call*"]
    assert names(sale.dags.code.children(handle)) == ["TicketOffice.Ledger.enter"]


def test_a_tail_call_keeps_who_it_took_over_from(drawn: Draw) -> None:
    film = drawn("""
        processes: worker
         1 worker call Shop.run()
         2 worker call Shop.total([1, 2])
         3 worker tail Shop.total/2
         4 worker call Shop.total([1, 2], 0)
         5 worker return 3
         6 worker return 3
    """)
    run, first, second = (film.event("worker", Kind.CALL, n) for n in range(3))
    edges = {(e["source"], e["target"], e["kind"]) for e in film.dags.code.edges().to_pylist()}
    assert edges == {(run, first, "call"), (run, second, "call"), (first, second, "tail")}
    assert [row.call for row in film.dags.code.stack(second)] == [second, first, run]
    assert [row.outcome for row in film.dags.code.stack(second)] == ["returned", "tail", "returned"]
