"""How much happened in each small part of a window, lane by lane.

Each sort of event keeps its times in order of process and time, so a lane costs one binary search for each edge
between two pixels, however many events lie between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from elixirscope.query.coordinator import QueryCoordinator, in_order
from elixirscope.recording.format import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CRASH: Final = "crash"
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
    times = _of_process(query, sort, process)
    counts: NDArray[np.int64] = np.diff(np.searchsorted(times, bounds))
    return counts


def densities(
    query: QueryCoordinator, bounds: NDArray[np.int64], processes: Sequence[int]
) -> dict[int, dict[str, NDArray[np.int64]]]:
    """All sorts of several lanes."""
    return {process: {sort: density(query, sort, bounds, process) for sort in SORTS} for process in processes}


def _of_process(query: QueryCoordinator, sort: str, process: int) -> NDArray[np.int64]:
    both = query.memo(("density", sort), lambda: _times(query, sort))
    times, processes = both[0], both[1]
    low, high = np.searchsorted(processes, [process, process + 1])
    mine: NDArray[np.int64] = times[low:high]
    return mine


def _times(query: QueryCoordinator, sort: str) -> NDArray[np.int64]:
    """Times and processes of one sort of event, by process and time."""
    if sort == "states":
        process, at = query.column("states", "process"), query.column("states", "at")
    else:
        kinds = query.column("events", "kind")
        chosen = np.logical_or.reduce([kinds == kind for kind in KINDS[sort]])
        process, at = query.column("events", "process")[chosen], query.column("events", "at")[chosen]
    order = in_order(process)  # they are in order of time already
    return np.stack([at[order], process[order]])


def whole(query: QueryCoordinator, buckets: int) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """The recording in `buckets` parts: ns of a part, events in each, and exceptions and crashes in each."""
    duration = max(1, int(query.recording.info.duration_ns))
    bounds, bucket = edges(0, duration, buckets)
    at = query.column("events", "at")
    crashes = [p["end"] for p in query.processes if p["exit_kind"] == _CRASH and p["end"] is not None]
    raised = query.memo(("density", "raised"), lambda: at[query.column("events", "kind") == Kind.RAISE])
    failed = np.sort(np.append(raised, np.array(crashes, dtype=np.int64)))
    return bucket, np.diff(np.searchsorted(at, bounds)), np.diff(np.searchsorted(failed, bounds))


def coded(query: QueryCoordinator) -> NDArray[np.int64]:
    """The processes with calls or states of their own in the recording, ascending."""

    def find() -> NDArray[np.int64]:
        counts = np.zeros(len(query.processes) + 1, dtype=np.int64)
        for table in ("calls", "states"):
            process = query.column(table, "process")
            counts += np.bincount(process[process >= 0], minlength=len(counts))[: len(counts)]
        return np.flatnonzero(counts).astype(np.int64)

    return query.memo(("density", "coded"), find)
