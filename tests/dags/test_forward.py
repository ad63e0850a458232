"""Data flow DAG, forwards: where a value went, and ETS tables in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest

from elixirscope.dags import forward
from elixirscope.errors import NotFoundError
from elixirscope.film import Film
from elixirscope.query.search import find
from elixirscope.recording.format import Kind
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def told(film: Drawn, event: int, name: str | None = None) -> list[tuple[object, ...]]:
    """(kind, label, number of the hop it came from, certain)."""
    flow = film.dags.dataflow.forwards(event, name)
    assert [hop.at for hop in flow.hops] == sorted(hop.at for hop in flow.hops)
    return [(hop.kind, hop.label, hop.of, hop.certain) for hop in flow.hops]


def test_an_argument_is_followed_through_the_message_into_the_servers_state(sale: Drawn) -> None:
    hops = told(sale, sale.event("client", Kind.BIND), "seat")
    assert hops == [
        ("binding", "seat", None, True),
        ("sent", "sent call {:reserve, _, _}", 0, False),
        ("received", "received call {:reserve, _, _}", 1, True),
        ("argument", "argument of TicketOffice.Seats.handle_call/3", 2, True),
        ("binding", "seat", 3, False),
        ("argument", "argument of TicketOffice.Ledger.enter/2", 3, False),
        *hops[6:],
    ]
    kinds = [(kind, label) for kind, label, *_ in hops]
    assert ("returned", "result of TicketOffice.Ledger.enter/2") in kinds
    assert ("state", "state 1") in kinds
    assert kinds.index(("binding", "receipt")) > kinds.index(("returned", "result of TicketOffice.Ledger.enter/2"))


def test_a_result_is_followed_into_the_reply_and_the_clients_variable(sale: Drawn) -> None:
    kinds = [kind for kind, *_ in told(sale, sale.event("seats", Kind.RETURN, 1))]
    assert kinds[:3] == ["returned", "binding", "returned"]
    assert kinds[-4:] == ["sent", "received", "binding", "returned"]


def test_out_of_the_state_into_a_later_reply(drawn: Draw) -> None:
    film = drawn("""
        processes: box, putter, getter
         1 putter call Putter.run({:rare, 77})
         2 putter -> box cast {:put, {:rare, 77}} arrives 3
         4 box callback Box.handle_cast({:put, {:rare, 77}})
         5 box state before []
         6 box state [{:rare, 77}]
         7 box return :ok
         8 getter call Getter.run()
         9 getter -> box call :get as q arrives 10
        11 box callback Box.handle_call(:get, {getter, #q})
        12 box state before [{:rare, 77}]
        13 box bind found = {:rare, 77}
        14 box return {:reply, {:rare, 77}, []}
        15 box -> getter reply {:rare, 77} to q arrives 16
        17 getter bind got = {:rare, 77}
        18 getter return {:rare, 77}
    """)
    hops = told(film, film.event("putter", Kind.CALL))
    assert [kind for kind, *_ in hops] == [
        *("argument", "sent", "received", "argument", "state", "binding"),
        *("returned", "sent", "received", "binding", "returned"),
    ]
    assert [label for kind, label, *_ in hops if kind == "binding"] == ["found", "got"]


ETS = """
    processes: writer, reader
     0 writer call Cache.put(:k, {:rare, 77})
     1 writer bind v = {:rare, 77}
     2 writer external :ets.insert(:cache, {:k, {:rare, 77}})
     3 writer return true
     4 writer return :ok
     5 reader call Cache.get(:k)
     6 reader external :ets.lookup(:other, :k)
     7 reader return [{:k, {:rare, 77}}]
     8 reader external :ets.lookup(:cache, :k)
     9 reader return [{:k, {:rare, 77}}]
    10 reader bind value = {:rare, 77}
    11 reader return {:rare, 77}
"""


def test_through_a_table_forwards(drawn: Draw) -> None:
    film = drawn(ETS)
    hops = told(film, film.event("writer", Kind.BIND), "v")
    assert [(kind, label) for kind, label, *_ in hops[1:4]] == [
        ("stored", "ETS table :cache"),
        ("read", "ETS table :cache"),
        ("binding", "value"),
    ]


def test_through_a_table_backwards(drawn: Draw) -> None:
    film = drawn(ETS)
    flow = film.dags.dataflow.flow(film.event("reader", Kind.BIND), "value")
    assert [hop.kind for hop in flow.hops] == ["binding", "result", "stored", "binding", "argument"]
    assert flow.hops[2].label == "stored by :ets.insert/2"
    assert flow.terminator.startswith("input: an argument of Cache.put/2")


def test_callbacks_that_were_not_looked_at_are_told(drawn: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    film = drawn("""
        processes: box
         1 box callback Box.init({:rare, 77})
         2 box state {:rare, 77}
         3 box return :ok
         4 box callback Box.handle_info(:one)
         5 box return {:noreply, 1}
         6 box callback Box.handle_info(:two)
         7 box return {:noreply, 1}
    """)
    call = film.event("box", Kind.CALL)
    assert film.dags.dataflow.forwards(call).terminator == "it goes no further in what was recorded"
    monkeypatch.setattr(forward, "CALLBACKS", 1)
    assert film.dags.dataflow.forwards(call).terminator.startswith("not followed into all that met it in a state")


def test_a_table_is_followed_however_much_happened_in_between(drawn: Draw) -> None:
    lines = ETS.strip("\n").splitlines()
    between = [
        f"    {5 + 2 * n} writer external :ets.lookup(:other, {n})\n    {6 + 2 * n} writer return []"
        for n in range(1_100)
    ]
    later = [f"    {3_000 + n}{line[6:]}" for n, line in enumerate(lines[6:])]
    film = drawn("\n".join([*lines[:6], *between, *later]))
    flow = film.dags.dataflow.flow(film.event("reader", Kind.BIND), "value")
    assert [hop.kind for hop in flow.hops] == ["binding", "result", "stored", "binding", "argument"]
    hops = told(film, film.event("writer", Kind.BIND), "v")
    assert [kind for kind, *_ in hops[1:4]] == ["stored", "read", "binding"]


def test_what_is_cut_says_so_and_what_ends_says_so(sale: Drawn) -> None:
    event = sale.event("client", Kind.BIND)
    cut = sale.dags.dataflow.forwards(event, "seat", limit=3)
    assert (len(cut.hops), cut.terminator) == (3, "not followed beyond 3 places")
    assert sale.dags.dataflow.forwards(event, "seat").terminator == "it goes no further in what was recorded"
    with pytest.raises(NotFoundError):
        sale.dags.dataflow.forwards(event, "nobody")


@pytest.mark.beam
def test_the_bad_value_is_followed_from_its_making_to_the_crash(example_recording: Path) -> None:
    film = Film.open(example_recording)
    (made, *_) = find(film.query, "%TicketOffice.PromoCode{percent: nil}", ["result"]).hits
    assert made.moment.event is not None
    flow = film.dags.dataflow.forwards(made.moment.event, limit=500)
    assert len({hop.process for hop in flow.hops}) >= 3
    assert {"returned", "sent", "received", "state"} <= {hop.kind for hop in flow.hops}
