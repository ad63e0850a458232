"""Data flow DAG: a value followed back to where it came from."""

import pytest

from elixirscope.dags.occurrences import _holds
from elixirscope.errors import NotFoundError
from elixirscope.recording.format import Kind
from elixirscope.recording.terms import Atom, Term
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def test_a_variable_is_followed_through_the_message_to_the_clients_argument(sale: Drawn) -> None:
    flow = sale.dags.dataflow.flow(sale.event("seats", Kind.BIND), "seat")
    assert [(hop.kind, hop.process == sale.process("seats")) for hop in flow.hops] == [
        ("binding", True),
        ("argument", True),
        ("received", True),
        ("sent", False),
        ("binding", False),
        ("argument", False),
    ]
    assert [hop.certain for hop in flow.hops] == [True, False, True, True, False, False]
    assert all(hop.value is not None and hop.value.text == '"A1"' for hop in flow.hops)
    assert flow.terminator == "input: an argument of TicketOffice.Client.buy/2, whose caller was not recorded"


def test_a_reply_is_followed_into_the_server_and_to_the_frame_that_made_it(sale: Drawn) -> None:
    flow = sale.dags.dataflow.flow(sale.event("client", Kind.BIND, 1), "receipt")
    assert [hop.kind for hop in flow.hops] == ["binding", "reply", "sent", "binding", "result"]
    assert flow.terminator == "made here: a literal or a computation in TicketOffice.Ledger.enter/2 (lib/ledger.ex:4)"


def test_a_value_out_of_the_state_is_followed_to_who_put_it_there(drawn: Draw) -> None:
    film = drawn("""
        processes: promo, client, buyer
         1 promo callback Promo.init([]) @ lib/promo.ex:1
         2 promo state %{codes: %{}}
         3 promo return :ok
         4 client call Client.load() @ lib/client.ex:1
         5 client bind rate = {:percent, nil} @ :2
         6 client -> promo cast {:put, "X", {:percent, nil}} arrives 8
         9 promo callback Promo.handle_cast({:put, "X", {:percent, nil}}) @ lib/promo.ex:5
        10 promo state before %{codes: %{}}
        11 promo state %{codes: %{"X" => {:percent, nil}}}
        12 promo return :ok
        18 buyer -> promo cast {:quote, "X"} arrives 19
        20 promo callback Promo.handle_cast({:quote, "X"}) @ lib/promo.ex:9
        21 promo state before %{codes: %{"X" => {:percent, nil}}}
        22 promo bind found = {:percent, nil} @ :10
    """)
    flow = film.dags.dataflow.flow(film.event("promo", Kind.BIND), "found")
    assert [hop.kind for hop in flow.hops] == ["binding", "state", "argument", "received", "sent", "binding"]
    assert flow.terminator == "made here: a literal or a computation in Client.load/0 (lib/client.ex:2)"


def test_a_literal_ends_where_it_is_written(drawn: Draw) -> None:
    film = drawn("""
        processes: worker
         1 worker call Shop.run() @ lib/shop.ex:1
         2 worker bind price = 4200 @ :2
         3 worker bind total = 4200 @ :3
    """)
    flow = film.dags.dataflow.flow(film.event("worker", Kind.BIND, 1), "total")
    assert [hop.label for hop in flow.hops] == ["total", "price"]
    assert flow.terminator == "made here: a literal or a computation in Shop.run/0 (lib/shop.ex:2)"


def test_common_values_say_so(drawn: Draw) -> None:
    film = drawn("""
        processes: worker
         1 worker call Shop.run(nil)
         2 worker bind price = nil
    """)
    flow = film.dags.dataflow.flow(film.event("worker", Kind.BIND), "price")
    assert flow.hops[1].reason == "equal value, but a common one"


def test_a_common_value_is_followed_by_the_field_of_its_variables_name(drawn: Draw) -> None:
    film = drawn("""
        processes: till
         1 till call Till.total(%Promo{code: "X", percent: nil}) @ lib/till.ex:3
         2 till bind promo = %Promo{code: "X", percent: nil} @ :4
         3 till call Till.discount(nil, nil) @ lib/till.ex:9
         4 till bind other = nil, percent = nil @ :10
    """)
    event = film.event("till", Kind.BIND, 1)
    percent, other = film.dags.dataflow.flow(event, "percent"), film.dags.dataflow.flow(event, "other")
    assert [hop.reason for hop in percent.hops[2:]] == ["its field percent", "equal value"]
    assert percent.hops[-1].value is not None
    assert percent.hops[-1].value.text == '%Promo{code: "X", percent: nil}'
    assert len(other.hops) == 2


def test_a_reply_to_a_tail_call_is_found_by_the_caller(drawn: Draw) -> None:
    film = drawn("""
        processes: client, server
         1 client call Client.run() @ lib/client.ex:1
         2 client call Client.ask() @ lib/client.ex:9
         3 client -> server call :ask as r1 arrives 6
         4 client tail GenServer.call/2
         7 server callback Server.handle_call(:ask, {client, #r1}) @ lib/server.ex:3
         8 server bind found = {:rare, 77} @ :4
         9 server return {:reply, {:rare, 77}, nil}
        10 server -> client reply {:rare, 77} to r1 arrives 12
        14 client bind got = {:rare, 77} @ :2
    """)
    flow = film.dags.dataflow.flow(film.event("client", Kind.BIND), "got")
    assert flow.hops[1].kind == "reply"
    assert flow.terminator.endswith("Server.handle_call/3 (lib/server.ex:4)")


def test_every_occurrence_of_a_recorded_value(sale: Drawn) -> None:
    sent = sale.query.event(sale.event("client", Kind.SEND))
    flow = sale.dags.dataflow.flow_of_value(sent["value"])
    assert [hop.event for hop in flow.hops] == [sale.event("seats", Kind.RECEIVE), sale.event("client", Kind.SEND)]


def test_carried_values_are_certain_edges(sale: Drawn) -> None:
    edges = [e for e in sale.dags.dataflow.edges().to_pylist() if e["kind"] == "carried"]
    ends = [(e["source"] // 256, e["target"] // 256, e["certain"]) for e in edges]
    send, reply = sale.event("client", Kind.SEND), sale.event("seats", Kind.SEND)
    assert ends == [(send, sale.event("seats", Kind.RECEIVE), True), (reply, sale.event("client", Kind.RECEIVE), True)]


def test_every_edge_joins_nodes(sale: Drawn) -> None:
    for dag in sale.dags.all:
        nodes = set(dag.nodes().column("node").to_pylist())
        for edge in dag.edges().to_pylist():
            assert {edge["source"], edge["target"]} <= nodes, (dag.name, edge)


def test_an_unknown_variable(sale: Drawn) -> None:
    with pytest.raises(NotFoundError, match="no variable 'nobody'"):
        sale.dags.dataflow.flow(sale.event("seats", Kind.BIND), "nobody")


def test_a_value_is_found_however_deep_it_is_in_a_large_one() -> None:
    many: list[Term] = [[number, [b"x"]] for number in range(30_000)]
    assert _holds([(Atom("deep"), [b"seat A1"]), *many], b"seat A1", None) == ("part of a value", b"seat A1")
    assert _holds(many, b"seat A1", None) is None
