"""The processes at a moment, and what passed between them lately: found by index, for a page that scrubs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.query.density import crashed
from elixirscope.recording.format import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.query.coordinator import QueryCoordinator

    Numbers = NDArray[np.int64]

_NONE = -1  # null, in columns of the query layer
_SHOWN = ("process", "label", "pid", "kind", "start", "end", "parent", "supervisor")


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


class Lives(msgspec.Struct, frozen=True):
    """How many processes live at a moment, and how many by then (or in a stretch of time) had ended, crashed, or taken
    the place of another one."""

    alive: int
    ended: int
    crashed: int
    restarted: int


class Graph(msgspec.Struct, frozen=True):
    """The processes and their relations at a moment. `pairs`: how many pairs of sender and receiver there were, of
    which `edges` may have the busiest alone; `total`: how many processes, of which `nodes` may have those alone that
    did most."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    pairs: int
    total: int
    lives: Lives


def process_graph(
    query: QueryCoordinator,
    at: int,
    since: int,
    *,
    until: int | None = None,
    process: int | None = None,
    most: int | None = None,
    nodes: int | None = None,
) -> Graph:
    """Who lived at `at` (ns) or in (since, until], and what passed then: messages between the `most` busiest pairs, and
    all to and from `process`. Of more processes than `nodes` those that did most, `process` and whom it deals with.
    `until` is `at` unless given: who is linked and what waits is always told of `at`."""
    counted = None if until is None else (since, until)
    until = at if until is None else until
    times = query.column("events", "at")
    first, last = (int(n) for n in np.searchsorted(times, [since, until], side="right"))
    active = np.bincount(query.column("events", "process")[first:last])
    waiting = np.bincount(_receivers(query)[mailboxes(query, at)])
    memory = _memory(query, at)
    messages, pairs = _messages(query, first, last, process, most)
    between = [*_links(query, at), *messages, *_exits(query, first, last)]
    near = {end for edge in between if process in (ends := (edge.source, edge.target)) for end in ends}
    lived = np.flatnonzero(_lived(query, at, at) | _lived(query, since, until))
    busy = _counts(query, active)[lived] + _counts(query, waiting)[lived]
    near |= set() if process is None else {process}
    places = _most(lived, busy, query.column("processes", "process")[lived], near, nodes)
    shown = [*query.indexes.select("processes", places, *_SHOWN)]
    known = {number for number, *_ in shown}
    found = [
        GraphNode(
            number,
            str(label or pid),
            kind,
            start <= at and (end is None or end > at),
            _of(active, number),
            _of(waiting, number),
            memory.get(number),
        )
        for number, label, pid, kind, start, end, _, _ in shown
    ]
    edges = [*_family(shown, since, until), *between]
    return Graph(
        found,
        [edge for edge in edges if edge.source in known and edge.target in known],
        pairs,
        len(lived),
        _lives(query, at, counted),
    )


def _counts(query: QueryCoordinator, of: Numbers) -> Numbers:
    """Counts by process number as the table of processes has them."""
    process = query.column("processes", "process")
    roomy = np.append(of, np.zeros(max(int(process.max(initial=0)) + 1 - len(of), 0), np.int64))
    counts: Numbers = roomy[process]
    return counts


def _most(places: Numbers, busy: Numbers, process: Numbers, near: set[int], nodes: int | None) -> Numbers:
    """The places of those that did most and of those that are `near`, in order."""
    if nodes is None or len(places) <= nodes:
        return places
    first = np.where(np.isin(process, list(near)), int(busy.max()) + 1, busy)
    chosen: Numbers = np.sort(np.argsort(-first, kind="stable")[:nodes])
    return places[chosen]


def _lives(query: QueryCoordinator, at: int, within: tuple[int, int] | None) -> Lives:
    """`within`: after the first and until the last."""
    start, end = query.column("processes", "start"), query.column("processes", "end")
    since, until = (_NONE, at) if within is None else within
    ended = (end != _NONE) & (end > since) & (end <= until)
    again = (query.column("processes", "predecessor") != _NONE) & (start > since) & (start <= until)
    return Lives(
        alive=int(np.count_nonzero(_lived(query, at, at))),
        ended=int(np.count_nonzero(ended)),
        crashed=int(np.count_nonzero(ended & crashed(query))),
        restarted=int(np.count_nonzero(again)),
    )


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


def _lived(query: QueryCoordinator, since: int, until: int) -> NDArray[np.bool_]:
    """Whether some of each life is in (since, until]: at least its end is part of the picture."""
    start, end = query.column("processes", "start"), query.column("processes", "end")
    lived: NDArray[np.bool_] = (start <= until) & ((end == _NONE) | (end > since))
    return lived


def _family(shown: list[tuple[Any, ...]], since: int, until: int) -> list[GraphEdge]:
    edges = []
    for process, _, _, _, start, _, parent, supervisor in shown:
        if supervisor is not None:
            edges.append(GraphEdge(supervisor, process, "supervises", 1, True, None))
        if parent is not None and since < start <= until:
            edges.append(GraphEdge(parent, process, "spawn", 1, True, None))
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
