"""Process interaction DAG: lives, links, messages, exits; and the graph at a moment."""

from elixirscope.recording.format import Kind
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn

CRASH = """
    processes: sup, worker, other
     1 sup starts worker running Pool.Worker.init/1
     2 worker links other
     3 other -> worker :ping arrives 5
    10 worker exits :boom
    12 other exits :boom
"""


def test_edges_are_spawns_links_messages_and_exits(drawn: Draw) -> None:
    film = drawn(CRASH)
    sup, worker, other = (film.process(name) for name in ("sup", "worker", "other"))
    edges = {(e["source"], e["target"], e["kind"]) for e in film.dags.interaction.edges().to_pylist()}
    assert {
        (sup, worker, "spawn"),
        (worker, other, "link"),
        (other, worker, "message"),
        (worker, other, "exit"),
    } <= edges


def test_a_name_is_an_edge_to_oneself(sale: Drawn) -> None:
    seats = sale.process("seats")
    names = [e for e in sale.dags.interaction.edges().to_pylist() if e["kind"] == "name"]
    assert [(e["source"], e["target"], e["at"]) for e in names] == [(seats, seats, 1_000)]


def test_the_graph_counts_messages_in_its_window_only(sale: Drawn) -> None:
    client, seats = sale.process("client"), sale.process("seats")

    def messages(at: int) -> list[tuple[int, int, int]]:
        edges = sale.dags.interaction.graph(at, window=5_000).edges
        return [(e.source, e.target, e.count) for e in edges if e.kind == "message"]

    assert messages(12_000) == [(client, seats, 1)]
    assert messages(20_000) == []
    assert messages(28_000) == [(seats, client, 1)]


def test_the_graph_knows_who_lives_and_what_waits(sale: Drawn) -> None:
    seats = sale.process("seats")
    waiting = {node.process: node.mailbox for node in sale.dags.interaction.graph(14_000).nodes}
    handled = {node.process: node.mailbox for node in sale.dags.interaction.graph(15_000).nodes}
    assert (waiting[seats], handled[seats]) == (1, 0)


def test_the_dead_leave_the_graph(drawn: Draw) -> None:
    film = drawn(CRASH)
    worker = film.process("worker")
    at_exit = int(film.query.event(film.event("worker", Kind.EXIT))["at"])

    def alive(at: int, window: int) -> bool | None:
        return {n.process: n.alive for n in film.dags.interaction.graph(at, window).nodes}.get(worker)

    assert alive(at_exit - 1, 1_000) is True
    assert alive(at_exit + 1, 1_000) is False
    assert alive(at_exit + 1_500, 1_000) is None


def test_walks_name_processes(sale: Drawn) -> None:
    (step,) = sale.dags.interaction.backward(sale.process("seats"), limit=1)
    assert step.label == "Client.buy/2"
