"""Happens-before by bounds: what an event follows from is, in each process, everything up to some event.

Bounds are raised along the edges between processes, the latest first. Almost all are final long before the oldest
edge: once every process has been reached not long ago, older edges lead to what is known already. So edges are taken
from a floor on, which is lowered until only a few processes could still be raised from below it; those are followed
by what they caused. References as in `causality`.
"""

from __future__ import annotations

import heapq
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from elixirscope.query.grouping import Chosen, group, number_type, parts

if TYPE_CHECKING:
    from elixirscope.query.coordinator import QueryCoordinator
    from elixirscope.recording.arrays import Allocate

_DEPTH: Final = 1 << 16  # events that the first floor lies below
_LOOK: Final = 1 << 10  # edges looked at together
_FEW: Final = 32  # processes, or a 32nd of all


class _Ends:
    """The edges between processes by the process and number of one end: near ends ascend within a process."""

    def __init__(self, near: NDArray[Any], far: NDArray[Any], starts: NDArray[Any]) -> None:
        self._near, self._far, self._starts = near, far, starts

    def of(self, process: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """(near, far) ends of the edges at a process."""
        mine = slice(int(self._starts[process]), int(self._starts[process + 1]))
        return self._near[mine], self._far[mine]

    def between(self, process: int, low: int, high: int) -> NDArray[np.int64]:
        """The far ends of the edges at events [low, high) of a process."""
        near, far = self.of(process)
        first, last = np.searchsorted(near, np.array([max(low, 0), max(high, 0)], near.dtype))
        return far[first:last].astype(np.int64)


class Crossings:
    """The edges between the processes of a recording, from both ends."""

    def __init__(self, query: QueryCoordinator) -> None:
        self._query = query
        self._process = query.column("events", "process")
        self._count = query.indexes.process_count

    @cached_property
    def to_causes(self) -> _Ends:
        """Near are the effects."""
        cause = self._query.column("events", "cause")

        def make(allocate: Allocate) -> tuple[NDArray[Any], ...]:
            near, starts = group(Chosen(self._process, lambda part: cause[part] >= 0), self._count, allocate)
            far = allocate(len(near), near.dtype)
            for part in parts(len(near)):
                far[part] = cause[near[part]]
            return near, far, starts

        return _Ends(*self._query.indexes.arrays("causality.causes", make))

    @cached_property
    def to_effects(self) -> _Ends:
        """Near are the causes."""
        cause = self._query.column("events", "cause")

        def make(allocate: Allocate) -> tuple[NDArray[Any], ...]:
            number = number_type(len(cause))
            found = [np.flatnonzero(cause[part] >= 0) + part.start for part in parts(len(cause))]
            effects = np.concatenate([*found, np.empty(0, np.int64)]).astype(number)
            effects = effects[np.argsort(cause[effects].astype(number), kind="stable")]
            process = self._process[cause[effects]]
            order, starts = group(process, self._count, np.empty)
            near, far = allocate(len(effects), number), allocate(len(effects), number)
            far[:] = effects[order]
            near[:] = cause[far]
            return near, far, starts

        return _Ends(*self._query.indexes.arrays("causality.effects", make))

    def way(self, a: int, b: int) -> list[tuple[int, int]] | None:
        """The fewest edges (cause, effect) between processes that lead from `a` to `b`, the first first; None where `a`
        is not before `b`. Of one process only the latest event reached matters: it follows from all before it.
        """
        process, cone = self._process, self.after(a)
        if b < cone[process[b]]:
            return None
        home, bounds = int(process[a]), np.full(self._count, -1, dtype=np.int64)
        ways: dict[int, list[tuple[int, int]]] = {int(process[b]): []}
        bounds[process[b]] = b
        news = {int(process[b]): (-1, b)}
        while home not in ways:
            reached: dict[int, tuple[int, int, int]] = {}
            for who, (old, bound) in news.items():
                near, far = self.to_causes.of(who)
                low, high = np.searchsorted(near, np.array([max(old + 1, cone[who]), bound + 1], near.dtype))
                effects, causes = near[low:high].astype(np.int64), far[low:high].astype(np.int64)
                inside = causes >= cone[process[causes]]
                for cause, effect in zip(causes[inside].tolist(), effects[inside].tolist(), strict=True):
                    other = int(process[cause])
                    if cause > max(int(bounds[other]), reached.get(other, (-1,))[0]):
                        reached[other] = (cause, effect, who)
            if not reached:
                return None
            news = {who: (int(bounds[who]), cause) for who, (cause, _, _) in reached.items()}
            ways.update({who: [(cause, effect), *ways[of]] for who, (cause, effect, of) in reached.items()})
            for who, (cause, _, _) in reached.items():
                bounds[who] = cause
        return ways[home]

    def before(self, event: int) -> NDArray[np.int64]:
        """For each process the last event that `event` follows from (itself included), -1 for none."""
        depth = _DEPTH
        while True:
            floor = max(event - depth, 0)
            bounds = self._spread(event, floor)
            if floor == 0:
                return bounds
            left = [
                process for process in np.flatnonzero(bounds < floor).tolist() if self._open(process, bounds, floor)
            ]
            if len(left) <= max(_FEW, len(bounds) // 32):
                return self._settle(bounds, left, floor)
            depth *= 8

    def _spread(self, event: int, floor: int) -> NDArray[np.int64]:
        """Bounds by the edges whose effects are at `floor` or later: the latest first, for what it reaches lies
        before it, so a bound mostly moves once."""
        process = self._process
        bounds = np.full(self._count, -1, dtype=np.int64)
        best = bounds.copy()
        pending = [(-event, int(process[event]))]
        while pending:
            key, who = heapq.heappop(pending)
            bound, old = -key, int(bounds[who])
            if bound <= old:
                continue
            bounds[who] = bound
            # Only the stretch that this move newly covers: each edge is taken at most once
            reached = self.to_causes.between(who, max(old + 1, floor), bound + 1)
            if not len(reached):
                continue
            others = process[reached]
            before = best[others]
            np.maximum.at(best, others, reached)
            for other in np.unique(others[best[others] != before]).tolist():
                heapq.heappush(pending, (-int(best[other]), other))
        return bounds

    def _open(self, process: int, bounds: NDArray[np.int64], floor: int) -> bool:
        """Whether an event below `floor` that is not in the bounds caused anything."""
        near, _ = self.to_effects.of(process)
        low, high = np.searchsorted(near, np.array([int(bounds[process]) + 1, floor], near.dtype))
        return bool(high > low)

    def _settle(self, bounds: NDArray[np.int64], left: list[int], floor: int) -> NDArray[np.int64]:
        """Raise the bounds of these processes, which alone can be raised from below `floor`, until nothing moves."""
        moved = True
        while moved:
            moved = False
            for process in left:
                near, far = self.to_effects.of(process)
                low, high = (
                    int(n) for n in np.searchsorted(near, np.array([int(bounds[process]) + 1, floor], near.dtype))
                )
                size = _LOOK
                while high > low:  # the latest that caused something within the bounds
                    first = max(low, high - size)
                    effects = far[first:high]
                    inside = np.flatnonzero(effects <= bounds[self._process[effects]])
                    if len(inside):
                        bounds[process], moved = int(near[first + int(inside[-1])]), True
                        break
                    high, size = first, size * 2
        return bounds

    def after(self, event: int) -> NDArray[np.int64]:
        """For each process the first event that follows from `event` (itself included), the number of events for
        none."""
        process = self._process
        bounds = np.full(self._count, len(process), dtype=np.int64)
        best = bounds.copy()
        pending = [(event, int(process[event]))]
        while pending:
            bound, who = heapq.heappop(pending)
            old = int(bounds[who])
            if bound >= old:
                continue
            bounds[who] = bound
            reached = self.to_effects.between(who, bound, old)
            if not len(reached):
                continue
            others = process[reached]
            before = best[others]
            np.minimum.at(best, others, reached)
            for other in np.unique(others[best[others] != before]).tolist():
                heapq.heappush(pending, (int(best[other]), other))
        return bounds


class Past:
    """All events that one event follows from, without itself, as one bound per process."""

    def __init__(self, query: QueryCoordinator, event: int, bounds: NDArray[np.int64]) -> None:
        self._query = query
        self._process = query.column("events", "process")
        self.event = event
        self.bounds = bounds

    def __len__(self) -> int:
        order, starts = self._query.indexes.by_process("events.by_process")
        count = -1  # itself
        for process in np.flatnonzero(self.bounds >= 0).tolist():
            mine = order[int(starts[process]) : int(starts[process + 1])]
            count += int(np.searchsorted(mine, np.asarray(self.bounds[process], mine.dtype), side="right"))
        return count

    def __contains__(self, event: int) -> bool:
        return event != self.event and 0 <= event <= int(self.bounds[int(self._process[event])])

    def latest(self, limit: int, before: int | None = None) -> NDArray[np.int64]:
        """The last `limit` of them before the event `before`, the latest first: a page; the next is before its last."""
        found, count, end = list[NDArray[np.int64]](), 0, self.event if before is None else before
        size = 4 * limit
        while end > 0 and count < limit:
            start = max(0, end - size)
            part = np.flatnonzero(np.arange(start, end) <= self.bounds[self._process[start:end]])[::-1] + start
            found.append(part[part != self.event])
            count, end, size = count + len(found[-1]), start, size * 2
        return np.concatenate([*found, np.empty(0, np.int64)])[:limit]

    def events(self) -> NDArray[np.int64]:
        """All of them, ascending: as many as there are."""
        end = int(self.bounds.max()) + 1
        found = [
            np.flatnonzero(np.arange(part.start, part.stop) <= self.bounds[self._process[part]]) + part.start
            for part in parts(end)
        ]
        numbers = np.concatenate([*found, np.empty(0, np.int64)])
        others: NDArray[np.int64] = numbers[numbers != self.event]
        return others
