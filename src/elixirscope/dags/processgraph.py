"""The processes at a moment, and what passed between them lately: found by index, for a page that scrubs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.recording.format import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.query.coordinator import QueryCoordinator

    Numbers = NDArray[np.int64]

_NONE = -1  # null, in columns of the query layer


class GraphNode(msgspec.Struct, frozen=True):
    """A process at a moment. `activity` counts its events in the window, `mailbox` the messages waiting; `memory` is
    its own, in bytes, None where it was not looked at."""

    process: int
    label: str
    kind: str | None
    alive: bool
    activity: int
    mailbox: int
    memory: int | None


class GraphEdge(msgspec.Struct, frozen=True):
    """supervises, link, monitor, spawn, message or exit; `count` of messages in the window, else 1."""

    source: int
    target: int
    kind: str
    count: int
    certain: bool
    reason: str | None


class Graph(msgspec.Struct, frozen=True):
    """The processes and their relations at a moment. `pairs`: how many pairs of sender and receiver there were, of
    which `edges` may have the busiest alone."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    pairs: int


def process_graph(
    query: QueryCoordinator,
    at: int,
    since: int,
    *,
    until: int | None = None,
    process: int | None = None,
    most: int | None = None,
) -> Graph:
    """Who lived at `at` (ns) or in (since, until], and what passed then: messages between the `most` busiest pairs, and
    all to and from `process`. `until` is `at` unless given: who is linked and what waits is always told of `at`."""
    until = at if until is None else until
    times = query.column("events", "at")
    first, last = (int(n) for n in np.searchsorted(times, [since, until], side="right"))
    active = np.bincount(query.column("events", "process")[first:last])
    waiting = np.bincount(_receivers(query)[mailboxes(query, at)])
    memory = _memory(query, at)
    shown = [row for row in query.processes if _lived(row, at, at) or _lived(row, since, until)]
    known = {row["process"] for row in shown}
    nodes = [
        GraphNode(
            row["process"],
            str(row["label"] or row["pid"]),
            row["kind"],
            row["start"] <= at and (row["end"] is None or row["end"] > at),
            _of(active, row["process"]),
            _of(waiting, row["process"]),
            memory.get(row["process"]),
        )
        for row in shown
    ]
    messages, pairs = _messages(query, first, last, process, most)
    edges = [
        *_family(query, since, until),
        *_links(query, at),
        *messages,
        *_exits(query, first, last),
    ]
    return Graph(nodes, [edge for edge in edges if edge.source in known and edge.target in known], pairs)


def mailboxes(query: QueryCoordinator, at: int) -> Numbers:
    """The rows of the table `messages` that were in a mailbox at `at` (ns), in order.

    A message that no callback is known to have handled counts as waiting only when it is a call or a cast, since plain
    receives are not seen.
    """
    received, handled = query.column("messages", "received_at"), query.column("messages", "handled_at")
    # Messages are in order of time: none before `low` was handled later than `at`, none from `high` on was sent.
    ends = query.memo(("messages", "handled until"), lambda: np.maximum.accumulate(handled.astype(np.int64)))
    low = int(np.searchsorted(ends, at, side="right"))
    high = int(np.searchsorted(query.column("messages", "message"), _events_until(query, at)))
    between = np.arange(low, max(low, high))
    queued = between[(handled[between] > at) & (received[between] != _NONE) & (received[between] <= at)]
    never = query.memo(("messages", "never handled"), lambda: _never_handled(query, received, handled))
    left = never[: int(np.searchsorted(never, high))]
    return np.union1d(queued, left[received[left] <= at])


def _events_until(query: QueryCoordinator, at: int) -> int:
    return int(np.searchsorted(query.column("events", "at"), at, side="right"))


def _never_handled(query: QueryCoordinator, received: Numbers, handled: Numbers) -> Numbers:
    """Calls and casts that arrived, and that no callback is known to have handled."""
    asked = pc.is_in(_texts(query.recording.table("messages").column("kind")), pa.array(["call", "cast"]))
    asks = asked.to_numpy() if isinstance(asked, pa.ChunkedArray) else asked.to_numpy(zero_copy_only=False)
    return np.flatnonzero(asks.astype(bool) & (received != _NONE) & (handled == _NONE)).astype(np.int64)


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _receivers(query: QueryCoordinator) -> Numbers:
    receivers: Numbers = np.maximum(query.column("messages", "to_process"), 0)
    return receivers


def _memory(query: QueryCoordinator, at: int) -> dict[int, int]:
    """What each process had when it was last looked at, in bytes."""
    seen = int(np.searchsorted(query.column("memory", "at"), at, side="right"))
    processes = query.column("memory", "process")[:seen]
    last = np.full(int(processes.max(initial=-1)) + 1, _NONE)
    last[processes] = np.arange(seen)  # of rows of the same process the last stays
    found = np.flatnonzero(last != _NONE)
    return dict(zip(found.tolist(), query.column("memory", "bytes")[last[found]].tolist(), strict=True))


def _of(counts: Numbers, process: int) -> int:
    return int(counts[process]) if process < len(counts) else 0


def _lived(row: dict[str, Any], since: int, until: int) -> bool:
    """Whether some of its life is in (since, until]: at least its end is part of the picture."""
    return row["start"] <= until and (row["end"] is None or row["end"] > since)


def _family(query: QueryCoordinator, since: int, until: int) -> list[GraphEdge]:
    edges = []
    for row in query.processes:
        if row["supervisor"] is not None:
            edges.append(GraphEdge(row["supervisor"], row["process"], "supervises", 1, True, None))
        if row["parent"] is not None and since < row["start"] <= until:
            edges.append(GraphEdge(row["parent"], row["process"], "spawn", 1, True, None))
    return edges


def _links(query: QueryCoordinator, at: int) -> list[GraphEdge]:
    start, until = query.column("links", "at"), query.column("links", "until")
    ends = query.column("links", "process"), query.column("links", "peer")
    there = (start <= at) & ((until == _NONE) | (until > at)) & (ends[0] != _NONE) & (ends[1] != _NONE)
    rows = query.recording.table("links").take(np.flatnonzero(there)).to_pylist()
    return [GraphEdge(r["process"], r["peer"], r["kind"], 1, r["certain"], r["reason"]) for r in rows]


def _messages(
    query: QueryCoordinator, first: int, last: int, process: int | None, most: int | None
) -> tuple[list[GraphEdge], int]:
    """Of the events [first, last): an edge for all messages from one process to another, and how many such pairs there
    were: the `most` busiest of them, and those of `process`."""
    rows = slice(*(int(n) for n in np.searchsorted(query.column("messages", "message"), [first, last])))
    sender = query.column("messages", "from_process")[rows].astype(np.int64)
    receiver = query.column("messages", "to_process")[rows].astype(np.int64)
    there = np.flatnonzero((sender != _NONE) & (receiver != _NONE))
    if not len(there):
        return [], 0
    processes = int(receiver.max()) + 1
    pairs, where, counts = np.unique(
        sender[there] * processes + receiver[there], return_inverse=True, return_counts=True
    )
    table = query.recording.table("messages").slice(rows.start, rows.stop - rows.start)
    doubtful = there[~table.column("certain").to_numpy()[there]]
    reasons = dict(
        zip(
            where[np.searchsorted(there, doubtful)].tolist(),
            table.column("reason").take(doubtful).to_pylist(),
            strict=True,
        )
    )
    shown = _busiest(pairs, counts, processes, process, most)
    return [
        GraphEdge(pair // processes, pair % processes, "message", count, number not in reasons, reasons.get(number))
        for number, pair, count in zip(shown.tolist(), pairs[shown].tolist(), counts[shown].tolist(), strict=True)
    ], len(pairs)


def _busiest(pairs: Numbers, counts: Numbers, processes: int, process: int | None, most: int | None) -> Numbers:
    """The places of the `most` pairs with the highest counts and of those with `process` on either end, in order."""
    if most is None or len(pairs) <= most:
        return np.arange(len(pairs))
    own = np.flatnonzero((pairs // processes == process) | (pairs % processes == process))
    return np.union1d(own, np.argsort(-counts, kind="stable")[:most])


def _exits(query: QueryCoordinator, first: int, last: int) -> list[GraphEdge]:
    """Of the events [first, last): ends of processes that the end of another one caused."""
    kinds, causes = query.column("events", "kind"), query.column("events", "cause")
    process = query.column("events", "process")
    ended = first + np.flatnonzero(kinds[first:last] == Kind.EXIT)
    ended = ended[causes[ended] != _NONE]
    ended = ended[kinds[causes[ended]] == Kind.EXIT]
    return [
        GraphEdge(int(process[causes[event]]), int(process[event]), "exit", 1, True, None) for event in ended.tolist()
    ]
