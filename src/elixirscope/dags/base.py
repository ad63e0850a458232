"""What the seven DAGs have in common: nodes and edges as SQL, windows and pages of them, and walks along the edges.

A DAG is two SELECTs over the raw tables, registered as the views `dag_nodes` and `dag_edges`:
nodes (dag, node BIGINT, kind, process, at, label) and edges (dag, source BIGINT, target BIGINT, kind, certain,
reason, at).
An edge points from what came first to what came of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.labels import Labels


class Step(msgspec.Struct, frozen=True):
    """One step of a walk: an event, and the edge that led to it from a step nearer to the start."""

    event: int
    at: int
    process: int | None
    label: str
    edge: str
    certain: bool = True
    reason: str | None = None
    process_label: str = ""
    of: int | None = None  # the step this one explains (backward) or follows from (forward)


class Dag(Protocol):
    """The face of every DAG."""

    name: ClassVar[str]
    NODES: ClassVar[str]
    EDGES: ClassVar[str]

    def nodes(
        self,
        start: int | None = None,
        end: int | None = None,
        processes: Sequence[int] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> pa.Table: ...

    def edges(
        self,
        start: int | None = None,
        end: int | None = None,
        processes: Sequence[int] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> pa.Table: ...

    def backward(self, node: int, limit: int | None = None) -> list[Step]: ...

    def forward(self, node: int, limit: int | None = None) -> list[Step]: ...


class _Adjacency:
    """Edges grouped by one end: O(log n) to find a node's edges."""

    def __init__(self, keys: NDArray[np.int64]) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def rows(self, node: int) -> NDArray[np.int64]:
        low, high = np.searchsorted(self._keys, [node, node + 1])
        return self._order[low:high]


class SqlDag:
    """A DAG answered from its two SELECTs. Subclasses add `NODES`, `EDGES` and their own hot questions."""

    name: ClassVar[str] = ""
    NODES: ClassVar[str] = ""
    EDGES: ClassVar[str] = ""

    def __init__(self, query: QueryCoordinator) -> None:
        self.query = query
        self.labels = Labels(query)

    def nodes(
        self,
        start: int | None = None,
        end: int | None = None,
        processes: Sequence[int] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> pa.Table:
        """Nodes with `at` in [start, end) ns, of `processes`, in order of time; a page of them."""
        where, params = _window(start, end)
        if processes is not None:
            where.append("list_contains(?, process)")
            params.append([int(p) for p in processes])
        return self.query.arrow(_page(self.NODES, where, "at, node", limit, offset), params)

    def edges(
        self,
        start: int | None = None,
        end: int | None = None,
        processes: Sequence[int] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> pa.Table:
        """Edges with `at` in [start, end) ns that touch a node of `processes`, in order of time; a page of them."""
        where, params = _window(start, end)
        if processes is not None:
            mine = f"(select node from ({self.NODES}) where list_contains(?, process))"
            where.append(f"(source in {mine} or target in {mine})")
            params += [[int(p) for p in processes]] * 2
        return self.query.arrow(_page(self.EDGES, where, "at, source, target", limit, offset), params)

    def backward(self, node: int, limit: int | None = None) -> list[Step]:
        """Everything `node` follows from, the nearest first, without itself; at most `limit` steps."""
        return self._walk(node, limit, backward=True)

    def forward(self, node: int, limit: int | None = None) -> list[Step]:
        """Everything that follows from `node`, the nearest first, without itself; at most `limit` steps."""
        return self._walk(node, limit, backward=False)

    def event_of(self, node: int) -> int | None:
        """The event that shows a node. For most DAGs the node is the event."""
        return node

    def label_of(self, node: int) -> str:
        """A node in a few words."""
        event = self.event_of(node)
        return "" if event is None else self.labels.event(event)

    @cached_property
    def _edge_table(self) -> pa.Table:
        return self.query.arrow(f"select source, target, kind, certain, reason from ({self.EDGES})")

    @cached_property
    def _ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        table = self._edge_table
        return table.column("source").to_numpy(), table.column("target").to_numpy()

    @cached_property
    def _into(self) -> _Adjacency:
        return _Adjacency(self._ends[1])

    @cached_property
    def _out_of(self) -> _Adjacency:
        return _Adjacency(self._ends[0])

    def _walk(self, node: int, limit: int | None, *, backward: bool) -> list[Step]:
        adjacency, far = (self._into, self._ends[0]) if backward else (self._out_of, self._ends[1])
        sign = -1 if backward else 1
        seen, steps = {node}, list[Step]()
        heap: list[tuple[int, int, int]] = []  # (order, node, edge row)

        def push(of: int) -> None:
            for row in adjacency.rows(of).tolist():
                heapq.heappush(heap, (sign * int(far[row]), int(far[row]), row))

        push(node)
        while heap and (limit is None or len(steps) < limit):
            _, found, row = heapq.heappop(heap)
            if found in seen:
                continue
            seen.add(found)
            edge: dict[str, Any] = self._edge_table.slice(row, 1).to_pylist()[0]
            of = edge["target"] if backward else edge["source"]
            steps.append(self.step(found, edge["kind"], edge["certain"], edge["reason"], of))
            push(found)
        return steps

    def step(self, node: int, edge: str, certain: bool, reason: str | None, of: int | None) -> Step:
        """The step of a walk that reaches `node` from `of`."""
        event = self.event_of(node)
        row = self.query.event(event) if event is not None else None
        process = row["process"] if row else None
        return Step(
            event if event is not None else -1,
            row["at"] if row else 0,
            process,
            self.label_of(node),
            edge,
            certain,
            reason,
            self.labels.process(process) if process is not None else "",
            of,
        )


def _window(start: int | None, end: int | None) -> tuple[list[str], list[Any]]:
    where, params = list[str](), list[Any]()
    if start is not None:
        where.append("at >= ?")
        params.append(start)
    if end is not None:
        where.append("at < ?")
        params.append(end)
    return where, params


def _page(select: str, where: list[str], order: str, limit: int | None, offset: int) -> str:
    condition = f" where {' and '.join(where)}" if where else ""
    bounds = ("" if limit is None else f" limit {int(limit)}") + (f" offset {int(offset)}" if offset else "")
    return f"select * from ({select}){condition} order by {order}{bounds}"
