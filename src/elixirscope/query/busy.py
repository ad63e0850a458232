"""What a process was busy with: its outermost frames in a stretch of time."""

from __future__ import annotations

import numpy as np

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.format import Kind


def busy_with(query: QueryCoordinator, process: int, start: int, end: int) -> list[int]:
    """The outermost frames (CALL events) of `process` that ran in [start, end) ns, in order."""
    mine = query.events_of(process)
    times = query.column("events", "at")[mine]
    low, high = np.searchsorted(times, [start, end])
    inside = mine[low:high]
    begun = inside[query.column("events", "kind")[inside] == Kind.CALL]
    calls, depth = query.column("calls", "call"), query.column("calls", "depth")
    rows = np.searchsorted(calls, begun)
    outer = begun[depth[rows] == 0].tolist() if len(begun) else []
    running = _outermost(query, int(mine[low - 1])) if low else None
    if running is not None and running not in outer:
        frame = query.find("calls", "call", running)
        if frame is not None and (frame["end"] is None or frame["end"] > start):
            outer.insert(0, running)
    return outer


def _outermost(query: QueryCoordinator, event: int) -> int | None:
    """The outermost frame around an event of a process."""
    row = query.event(event)
    call = event if row["kind"] == Kind.CALL else row["call"]
    frame = query.find("calls", "call", call)
    while frame is not None and frame["parent"] is not None:
        frame = query.find("calls", "call", frame["parent"])
    return None if frame is None else int(frame["call"])
