"""Frames of a window as trees of functions: frames with the same functions above them are one node.

They are merged level by level in NumPy, so that of any number of frames only distinct stacks reach Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from elixirscope.query.cancellation import checkpoint
from elixirscope.query.grouping import in_order, parts
from elixirscope.query.requests import requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elixirscope.query.coordinator import QueryCoordinator

Ints: TypeAlias = "NDArray[np.int64]"
_Part: TypeAlias = "tuple[Ints, ...]"


class Named(NamedTuple):
    """A function."""

    module: str | None
    function: str | None
    arity: int | None

    @property
    def label(self) -> str:
        """`Mod.fun/2`."""
        module = f"{self.module}." if self.module else ""
        return f"{module}{self.function}/{self.arity}" if self.function else "unknown code"


@dataclass(frozen=True)
class Tree:
    """Nodes as arrays; a parent comes before its children, -1 is none."""

    parent: Ints
    function: Ints
    start: Ints
    total: Ints
    own: Ints
    wait: Ints
    calls: Ints
    call: Ints

    def __len__(self) -> int:
        return len(self.parent)


@dataclass(frozen=True)
class _Frames:
    """Frames that touch a window, in event order: each cut to the window, its parent as an index or -1."""

    parent: Ints
    depth: Ints
    function: Ints
    start: Ints
    end: Ints
    own: Ints
    wait: Ints
    call: Ints


def merge(query: QueryCoordinator, start: int, end: int, processes: Sequence[int] | None = None) -> Tree:
    """The frames that touch [start, end) ns as one tree, those with equal stacks together."""
    frames = _frames(query, start, end, processes)
    return _leveled(frames, None)


def _frames(query: QueryCoordinator, start: int, end: int, processes: Sequence[int] | None) -> _Frames:
    begun, ended = query.column("calls", "start"), query.column("calls", "end")
    rows = _touching(query, start, end, processes)
    last = np.where(ended[rows] < 0, int(query.recording.info.duration_ns), ended[rows])
    calls = query.column("calls", "call")
    parents = query.column("calls", "parent")[rows]
    mine = calls[rows]
    parent = np.minimum(np.searchsorted(mine, parents), max(len(mine) - 1, 0))
    parent = np.where(mine[parent] == parents, parent, -1) if len(mine) else parent
    low, high = np.maximum(begun[rows], start), np.minimum(last, end)
    own = high - low
    checkpoint()
    inner = np.flatnonzero(parent >= 0)
    np.subtract.at(own, parent[inner], (high - low)[inner])
    own = np.maximum(own, 0)
    wait = np.minimum(_waits(query, mine, start, end), own)
    of_site = query.memo(("stacks", "functions"), lambda: np.array(_numbered(query)[1], np.int64))
    sites = query.memo(("profile", "sites"), lambda: np.unique(query.column("calls", "site")))
    checkpoint()
    function = of_site[np.searchsorted(sites, query.column("calls", "site")[rows])]
    return _Frames(parent, query.column("calls", "depth")[rows], function, low, high, own, wait, mine)


def _touching(query: QueryCoordinator, start: int, end: int, processes: Sequence[int] | None) -> Ints | slice:
    """Rows of the frames that touch [start, end) ns, ascending."""
    first, beyond = query.indexes.between("calls", "start", start, end)
    ended, process = query.column("calls", "end"), query.column("calls", "process")
    chosen = np.zeros(query.indexes.process_count, np.bool_)
    if processes is not None:
        chosen[[number for number in processes if 0 <= number < len(chosen)]] = True
    before = [np.empty(0, np.int64)]
    for part in parts(first):
        checkpoint()
        reach = (ended[part] < 0) | (ended[part] > start)
        before.append(np.flatnonzero(reach if processes is None else reach & chosen[process[part]]) + part.start)
    found = np.concatenate(before)
    if processes is None and not len(found):
        return slice(first, beyond)
    inside = np.arange(first, beyond)
    return np.concatenate([found, inside if processes is None else inside[chosen[process[first:beyond]]]])


def _distinct(numbers: Ints) -> tuple[Ints, Ints]:
    """As `np.unique`, (where each different number is first, which of them each is): without sorting, where they are
    small."""
    most = int(numbers.max(initial=-1)) + 1
    if most > 4 * len(numbers) + (1 << 16):
        _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
        return first, which
    there = np.zeros(most, np.bool_)
    there[numbers] = True
    place = np.cumsum(there) - 1
    which = place[numbers]
    first = np.empty(int(place[-1]) + 1 if most else 0, np.int64)
    first[which[::-1]] = np.arange(len(numbers) - 1, -1, -1)  # of several the last assigned stays: the first
    return first, which


def _waits(query: QueryCoordinator, calls: Ints, start: int, end: int) -> Ints:
    """Per frame of `calls` (ascending) how long it waited in the window for replies."""
    found: Ints = np.zeros(len(calls), np.int64)
    asked = requests(query)
    place = np.searchsorted(calls, asked.frame)
    known = place < len(calls)
    known[known] = calls[place[known]] == asked.frame[known]
    low, high = np.maximum(asked.sent[known], start), np.minimum(asked.answered[known], end)
    np.add.at(found, place[known], np.maximum(high - low, 0))
    return found


def functions(query: QueryCoordinator) -> list[Named]:
    """The functions of the recording, in the order of their numbers."""
    return list(_numbered(query)[0])


def functions_of(query: QueryCoordinator, events: Sequence[int]) -> list[str]:
    """Labels of the functions that events happened in, and of those that they called, in alphabetical order."""
    calls, asked = query.column("calls", "call"), np.asarray(events, np.int64)
    frames = np.unique(np.concatenate([asked, query.column("events", "call")[asked]]))
    rows = np.searchsorted(calls, frames)
    within = rows < len(calls)
    rows = rows[within][calls[rows[within]] == frames[within]]
    rows = rows[np.unique(query.column("calls", "site")[rows], return_index=True)[1]]
    table = query.recording.table("calls").select(["module", "function", "arity"])
    return sorted({Named(*table.slice(row, 1).to_pylist()[0].values()).label for row in rows.tolist()})


def _numbered(query: QueryCoordinator) -> tuple[dict[Named, int], list[int]]:
    """Functions → their numbers; and per site (ascending) the number of its function."""
    first = np.unique(query.column("calls", "site"), return_index=True)[1]
    table = query.recording.table("calls").select(["module", "function", "arity"])
    numbers: dict[Named, int] = {}
    of_site = []
    for row in first.tolist():
        name = Named(*table.slice(row, 1).to_pylist()[0].values())
        of_site.append(numbers.setdefault(name, len(numbers)))
    return numbers, of_site


def _leveled(frames: _Frames, run: Ints | None) -> Tree:
    """Frames as a tree, level by level: alike are those of one `run`, or without runs of one node above and one
    function.
    """
    node_of = np.full(len(frames.call), -1, np.int64)
    parts: list[_Part] = []
    made, width = 0, int(frames.function.max(initial=0)) + 1
    order = in_order(frames.depth)
    bounds = np.flatnonzero(np.diff(frames.depth[order], prepend=-2, append=-2))
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = order[low:high]
        above = np.where(frames.parent[rows] >= 0, node_of[frames.parent[rows]], -1)
        kind = (above + 1) * width + frames.function[rows] if run is None else run[rows]
        checkpoint()
        first, which = _distinct(kind)
        node_of[rows] = made + which
        sums = [
            summed(which, column[rows], len(first)) for column in (frames.end - frames.start, frames.own, frames.wait)
        ]
        chosen = rows[first]
        counts = np.bincount(which, minlength=len(first))
        parts.append((above[first], frames.function[chosen], frames.start[chosen], *sums, counts, frames.call[chosen]))
        made += len(first)
    return _tree(parts)


def in_time(query: QueryCoordinator, start: int, end: int, process: int, pixel: int) -> Tree:
    """One process in order of time: neighbours alike, less than a pixel apart, are one node."""
    frames = _frames(query, start, end, [process])
    run = np.zeros(len(frames.call), np.int64)
    order = np.argsort(frames.depth, kind="stable")
    depth, function, parent = frames.depth[order], frames.function[order], frames.parent[order]
    gap = frames.start[order][1:] - frames.end[order][:-1]
    # Frames of one level of one process never overlap. Of two parents the children may join when the parents did.
    joined = np.zeros(len(order), bool)
    joined[1:] = (depth[1:] == depth[:-1]) & (function[1:] == function[:-1]) & (gap <= pixel)
    bounds = np.flatnonzero(np.diff(depth, prepend=-2, append=-2))
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        above = np.where(parent[low:high] >= 0, run[parent[low:high]], -1)
        same = joined[low:high].copy()
        same[0] = False
        same[1:] &= above[1:] == above[:-1]
        run[order[low:high]] = low + np.cumsum(~same)
    return _leveled(frames, run)


def downwards(tree: Tree, roots: Ints) -> Tree:
    """What lies below `roots` (nodes of one function, none within another), those with equal stacks together."""
    node_of = np.full(len(tree), -1, np.int64)
    parts: list[_Part] = []
    made, width, rows, top = 0, int(tree.function.max(initial=0)) + 1, roots, True
    order = np.argsort(tree.parent, kind="stable")
    while len(rows):
        above = np.full(len(rows), -1) if top else node_of[tree.parent[rows]]
        _, first, which = np.unique((above + 1) * width + tree.function[rows], return_index=True, return_inverse=True)
        node_of[rows] = made + which
        sums = [summed(which, column[rows], len(first)) for column in (tree.total, tree.own, tree.wait, tree.calls)]
        chosen = rows[first]
        parts.append((above[first], tree.function[chosen], np.zeros(len(first), np.int64), *sums, tree.call[chosen]))
        made, top = made + len(first), False
        starts, ends = (np.searchsorted(tree.parent[order], rows, side=side) for side in ("left", "right"))
        rows = order[np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)])] if made else rows[:0]
    return _tree(parts)


def upwards(tree: Tree, starts: Ints, weight: Ints) -> Tree:
    """Callees above callers: from each of `starts` the way up, weighed by its `weight`."""
    parts: list[_Part] = []
    made, width = 0, int(tree.function.max(initial=0)) + 1
    cursor, of = starts, starts
    above = np.full(len(starts), -1, np.int64)
    while len(cursor):
        _, first, which = np.unique((above + 1) * width + tree.function[cursor], return_index=True, return_inverse=True)
        spent, wait, calls = (summed(which, c[of], len(first)) for c in (weight, tree.wait, tree.calls))
        chosen = cursor[first]
        rest = np.zeros(len(first), np.int64)
        ends = tree.parent[cursor] < 0
        np.add.at(rest, which[ends], weight[of[ends]])  # what nobody called
        parts.append(
            (above[first], tree.function[chosen], np.zeros_like(rest), spent, rest, wait, calls, tree.call[chosen])
        )
        above = (made + which)[~ends]
        made += len(first)
        cursor, of = tree.parent[cursor[~ends]], of[~ends]
    return _tree(parts)


def within_itself(tree: Tree) -> NDArray[np.bool_]:
    """Per node whether its function is also above it."""
    found = np.zeros(len(tree), bool)
    nodes = np.arange(len(tree))
    above = tree.parent
    while len(nodes):
        nodes, above = nodes[above >= 0], above[above >= 0]
        found[nodes[tree.function[nodes] == tree.function[above]]] = True
        above = tree.parent[above]
    return found


def _tree(parts: list[_Part]) -> Tree:
    if not parts:
        return Tree(*(np.zeros(0, np.int64) for _ in range(8)))
    return Tree(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def summed(which: Ints, values: Ints, size: int) -> Ints:
    """Sums of `values` by `which`: exact, in whole ns."""
    sums: Ints = np.zeros(size, np.int64)
    np.add.at(sums, which, values)
    return sums
