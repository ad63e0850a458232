"""Temporal DAG: program order, and nothing between processes."""

from tests.dags.drawn import Drawn


def test_each_event_is_a_node_with_its_kind_and_place(sale: Drawn) -> None:
    nodes = sale.dags.temporal.nodes().to_pylist()
    assert [node["node"] for node in nodes] == list(range(sale.query.event_count))
    assert nodes[14] == {
        "dag": "temporal",
        "node": 14,
        "kind": "call",
        "process": sale.process("seats"),
        "at": 19_000,
        "label": "TicketOffice.Ledger.enter/2",
    }


def test_edges_stay_within_a_process(sale: Drawn) -> None:
    process = {node["node"]: node["process"] for node in sale.dags.temporal.nodes().to_pylist()}
    edges = sale.dags.temporal.edges().to_pylist()
    assert all(process[edge["source"]] == process[edge["target"]] for edge in edges)
    assert len(edges) == sale.query.event_count - len(set(process.values()))


def test_windows_and_pages(sale: Drawn) -> None:
    temporal = sale.dags.temporal
    assert temporal.nodes(start=9_000, end=11_000).column("node").to_pylist() == [6, 7]
    assert temporal.nodes(processes=[sale.process("rival")]).column("node").to_pylist() == [9, 23]
    assert temporal.nodes(limit=2, offset=3).column("node").to_pylist() == [3, 4]
    assert temporal.edges(processes=[sale.process("rival")]).to_pylist()[0]["source"] == 9


def test_walks_along_the_film(sale: Drawn) -> None:
    assert [step.event for step in sale.dags.temporal.backward(23)] == [9]
    assert [step.event for step in sale.dags.temporal.forward(6, limit=2)] == [7, 8]
