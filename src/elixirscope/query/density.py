"""How much happened in each small part of a window, lane by lane.

Each sort of event keeps its numbers in order of process and time, and numbers go by time; so a lane costs one binary
search for each edge between two pixels, at any zoom and however many events lie between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.grouping import number_type, parts
from elixirscope.recording.format import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.recording.arrays import Allocate

_CRASH: Final = "crash"
_NONE: Final = -1  # null, in columns of the query layer
KINDS: Final = {"calls": (Kind.CALL,), "messages": (Kind.SEND, Kind.RECEIVE), "errors": (Kind.RAISE,)}
SORTS: Final = (*KINDS, "states")


def edges(start: int, end: int, buckets: int) -> tuple[NDArray[np.int64], int]:
    """Where the parts of the window [start, end] ns begin, and after the last the end; and how long (ns) a part is:
    as many as `buckets` at most."""
    bucket = max(1, -(-(end - start) // buckets))
    count = max(1, -(-(end - start) // bucket))
    return np.append(start + bucket * np.arange(count, dtype=np.int64), end + 1), bucket


def density(query: QueryCoordinator, sort: str, bounds: NDArray[np.int64], process: int) -> NDArray[np.int64]:
    """How many events of one sort (`SORTS`) `process` had between each two of the ascending times `bounds`."""
    return _between(query, sort, query.indexes.places("events", "at", bounds), process)


def densities(
    query: QueryCoordinator, bounds: NDArray[np.int64], processes: Sequence[int]
) -> dict[int, dict[str, NDArray[np.int64]]]:
    """All sorts of several lanes."""
    events = query.indexes.places("events", "at", bounds)
    return {process: {sort: _between(query, sort, events, process) for sort in SORTS} for process in processes}


def _between(query: QueryCoordinator, sort: str, events: NDArray[np.int64], process: int) -> NDArray[np.int64]:
    mine = events_of(query, sort, process)
    counts: NDArray[np.int64] = np.diff(np.searchsorted(mine, events.astype(mine.dtype)))
    return counts


def events_of(query: QueryCoordinator, sort: str, process: int) -> NDArray[Any]:
    """Numbers of the events of one sort that a process had, ascending."""
    order, starts = _index(query, sort)
    if not 0 <= process < len(starts) - 1:
        return order[:0]
    return order[int(starts[process]) : int(starts[process + 1])]


def _index(query: QueryCoordinator, sort: str) -> tuple[NDArray[Any], ...]:
    """(event numbers by process, where each process starts) of one sort."""
    if sort == "states":
        return query.indexes.arrays("density.states", lambda allocate: _states(query, allocate))
    kinds = query.column("events", "kind")

    def choose(part: slice) -> NDArray[np.bool_]:
        return np.isin(kinds[part], [kind.value for kind in KINDS[sort]])

    return query.indexes.by_process(f"density.{sort}", choose)


def _states(query: QueryCoordinator, allocate: Allocate) -> tuple[NDArray[Any], NDArray[Any]]:
    """Events that made a version of a state, by process: not every STATE event did."""
    rows, starts = query.indexes.grouped("states", "process")
    states, events = query.column("states", "state"), allocate(len(rows), number_type(query.event_count))
    for part in parts(len(rows)):
        events[part] = states[rows[part]]
    return events, starts


def whole(query: QueryCoordinator, buckets: int) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """The recording in `buckets` parts: ns of a part, events in each, and exceptions and crashes in each."""
    duration = max(1, int(query.recording.info.duration_ns))
    bounds, bucket = edges(0, duration, buckets)
    at = query.column("events", "at")
    places = query.indexes.places("events", "at", bounds)
    ends = query.column("processes", "end")
    crashes = ends[crashed(query) & (ends != _NONE)]
    raised = query.memo(("density", "raised"), lambda: at[np.sort(_index(query, "errors")[0])])
    failed = np.sort(np.append(raised, crashes))
    return bucket, np.diff(places), np.diff(np.searchsorted(failed, bounds))


def crashed(query: QueryCoordinator) -> NDArray[np.bool_]:
    """Of each row of the table of processes whether that one crashed."""
    return query.indexes.worded("processes", "exit_kind", lambda kind: kind == _CRASH)


def coded(query: QueryCoordinator) -> NDArray[np.int64]:
    """The processes with calls or states of their own in the recording, ascending."""
    calls, states = (np.diff(_index(query, sort)[1]) for sort in ("calls", "states"))
    return np.flatnonzero(calls + states).astype(np.int64)
