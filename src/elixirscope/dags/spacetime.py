"""Space-time coordinates: processes beside each other, and events as far down as what they follow from demands.

`step` is logical time: one more than that of the event before in the process, and than that of the event that caused
this one. So an edge always leads down, and what stands on one level is concurrent. Reference: L. Lamport, "Time,
Clocks, and the Ordering of Events in a Distributed System" (1978).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from elixirscope.dags.crossings import Crossings
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.grouping import number_type, parts
from elixirscope.query.labels import Labels
from elixirscope.query.tree import supervision_order

PAGE: Final = 500
_OFTEN: Final = 1 << 12  # events between two looks whether anybody still waits


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
    at = query.column("events", "at")
    first = 0 if start is None else query.indexes.between("events", "at", start, start)[0]
    beyond = len(at) if end is None else query.indexes.between("events", "at", end, end)[0]
    inside = _crossing(query, first, beyond, processes)
    shown = inside[: offset + limit]
    steps: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, event in enumerate(shown.tolist()):
        if number % _OFTEN == 0:
            checkpoint()
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
        when = int(at[event])
        points.append(Point(event, when, who, place[who], steps[event], labels.event(event), known, word))
    return SpaceTime(lanes, points, max(steps.values(), default=-1) + 1, len(inside), offset)


def _crossing(query: QueryCoordinator, first: int, beyond: int, processes: Sequence[int] | None) -> NDArray[Any]:
    """The events [first, beyond) that caused something in another process or were caused there, ascending; only where
    both ends are of `processes`."""
    if processes is None:
        every = query.memo(("spacetime", "crossing"), lambda: _all_crossing(query))
        return every[slice(*np.searchsorted(every, np.array([first, beyond], every.dtype)))]
    process, edges = query.column("events", "process"), Crossings(query)
    chosen = np.zeros(query.indexes.process_count, np.bool_)
    mine = [number for number in set(processes) if 0 <= number < len(chosen)]
    chosen[mine] = True
    found = [np.empty(0, np.int64)]
    for number in mine:
        checkpoint()
        for ends in (edges.to_causes, edges.to_effects):
            near, far = ends.of(number)
            inside = slice(*np.searchsorted(near, np.array([first, beyond], near.dtype)))
            found.append(near[inside][chosen[process[far[inside]]]].astype(np.int64))
    return np.unique(np.concatenate(found))


def _all_crossing(query: QueryCoordinator) -> NDArray[Any]:
    cause = query.column("events", "cause")
    crosses = np.zeros(len(cause), np.bool_)
    for part in parts(len(cause)):
        checkpoint()
        effects = np.flatnonzero(cause[part] >= 0) + part.start
        crosses[effects] = True
        crosses[cause[effects]] = True
    number = number_type(len(cause))
    found = [np.flatnonzero(crosses[part]).astype(number) + number(part.start) for part in parts(len(cause))]
    return np.concatenate([np.empty(0, number), *found])
