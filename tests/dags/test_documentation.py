"""docs/dags.md: its picture is the one that tests use, and the edges it draws are those of the DAGs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.dags.drawn import SALE, Drawn, open_picture

BLOCKS = dict(
    re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs" / "dags.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """The recording of the page's own picture."""
    return open_picture(BLOCKS["picture"], tmp_path_factory.mktemp("dags") / "sale.scope")


def test_the_picture_is_the_one_that_tests_use() -> None:
    def lines(picture: str) -> list[str]:
        return [line.strip() for line in picture.strip().splitlines()]

    assert lines(BLOCKS["picture"]) == lines(SALE)


@pytest.mark.parametrize("name", ["interaction", "state", "code", "dataflow", "performance", "causality"])
def test_all_edges_are_drawn(drawn: Drawn, name: str) -> None:
    dag = next(dag for dag in drawn.dags.all if dag.name == name)
    nodes = {node["node"]: node for node in dag.nodes().to_pylist()}

    def shown(number: int) -> str:
        node = nodes[number]
        return node["label"] if name == "interaction" else f"{node['at'] // 1_000 + 1} {node['label']}"

    def line(edge: dict[str, object]) -> str:
        dash = "─" if edge["certain"] else "┄"
        source, target = (shown(int(str(edge[end]))) for end in ("source", "target"))
        return f"{source} {dash}{edge['kind']}{dash}► {target}"

    found = [line(edge) for edge in dag.edges().to_pylist() if edge["kind"] != "next"]
    assert Counter(BLOCKS[name].strip().splitlines()) == Counter(found)


def test_next_edges_are_as_many_as_told(drawn: Drawn) -> None:
    page = Path(ROOT / "docs" / "dags.md").read_text("utf-8")
    told = re.search(r"of the (\d+) events here, (\d+)\.", page)
    assert told is not None
    temporal = drawn.dags.temporal
    assert (temporal.nodes().num_rows, temporal.edges().num_rows) == (int(told[1]), int(told[2]))
