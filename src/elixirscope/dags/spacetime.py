"""Space-time coordinates: processes beside each other, and events as far down as what they follow from demands.

`step` is logical time: one more than that of the event before in the process, and than that of the event that caused
this one. So an edge always leads down, and what stands on one level is concurrent. Reference: L. Lamport, "Time,
Clocks, and the Ordering of Events in a Distributed System" (1978).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.labels import Labels
from elixirscope.query.tree import supervision_order

PAGE: Final = 500


class Point(msgspec.Struct, frozen=True):
    """An event at (`lane`, `step`); `cause` is the event in another process that it could not have happened without."""

    event: int
    at: int
    process: int
    lane: int
    step: int
    label: str
    cause: int | None
    beside: str | None = None  # to the event asked about: before, after, concurrent, same


class SpaceTime(msgspec.Struct, frozen=True):
    """The events of a window that cross between processes, in order of time; `total` counts all of them."""

    lanes: list[int]  # processes, in the order of the supervision tree
    points: list[Point]
    steps: int  # how many levels there are
    total: int
    offset: int


def space_time(
    query: QueryCoordinator,
    start: int | None = None,
    end: int | None = None,
    processes: Sequence[int] | None = None,
    *,
    limit: int = PAGE,
    offset: int = 0,
    beside: Callable[[NDArray[np.int64]], list[str]] | None = None,
) -> SpaceTime:
    """Coordinates of the events in [start, end) ns that caused something in another process or were caused there, where
    both ends are of `processes` (all by default). `beside` tells how events stand to one of them.
    """
    cause, process = query.column("events", "cause"), query.column("events", "process")
    effects = np.flatnonzero(cause >= 0)
    if processes is not None:
        chosen = np.asarray(list(processes), np.int64)
        effects = effects[np.isin(process[effects], chosen) & np.isin(process[cause[effects]], chosen)]
    crossing = np.unique(np.concatenate([effects, cause[effects].astype(np.int64)]))
    at = query.column("events", "at")[crossing]
    low = 0 if start is None else int(np.searchsorted(at, start))
    high = len(at) if end is None else int(np.searchsorted(at, end))
    inside = crossing[low:high]
    shown = inside[: offset + limit]
    steps: dict[int, int] = {}
    last: dict[int, int] = {}
    for event in shown.tolist():
        who = int(process[event])
        steps[event] = max(last.get(who, -1), steps.get(int(cause[event]), -1)) + 1
        last[who] = steps[event]
    order = [row["process"] for row, _ in supervision_order(query.processes)]
    lanes = [who for who in order if who in last]
    place, labels = {who: lane for lane, who in enumerate(lanes)}, Labels(query)
    page = shown[offset:]
    words = [None] * len(page) if beside is None else beside(page.astype(np.int64))
    points = []
    for event, word in zip(page.tolist(), words, strict=True):
        who, why = int(process[event]), int(cause[event])
        known = why if why in steps else None
        when = int(query.column("events", "at")[event])
        points.append(Point(event, when, who, place[who], steps[event], labels.event(event), known, word))
    return SpaceTime(lanes, points, max(steps.values(), default=-1) + 1, len(inside), offset)
