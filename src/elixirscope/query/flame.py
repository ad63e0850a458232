"""Where time went, as flame graphs of any window, of one process or of many.

Four views: `merged` callers above callees, the longest first ("left-heavy"); `time` one process in the order of time,
neighbours that are alike joined; `inverted` callees above callers, by self time; `sandwich` who called one function
and what it called. Reference: B. Gregg, "The Flame Graph" (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from elixirscope.errors import NotFoundError, UsageError
from elixirscope.query import stacks
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.stacks import Named, Tree

VIEWS: Final = ("merged", "time", "inverted", "sandwich")
_WIDTH: Final = 1_200


class Function(msgspec.Struct, frozen=True):
    """A function of the window, and its time. `total_ns` counts a recursive function once."""

    label: str
    module: str | None
    function: str | None
    arity: int | None
    calls: int
    self_ns: int
    wait_ns: int
    total_ns: int


class Node(msgspec.Struct, frozen=True):
    """A place in the tree: `function` numbers `functions`, `parent` numbers `nodes` (None at the top).

    `self_ns` is time in no callee (in `inverted` and for callers: in frames that nobody called), `wait_ns` the part of
    it that waited for replies; `start` is ns from the recording's start for the view `time`, else the offset of the
    node within the tree's width; `call` is one frame of it, to go to.
    """

    parent: int | None
    depth: int
    function: int
    start: int
    total_ns: int
    self_ns: int
    wait_ns: int
    calls: int
    call: int


class Flame(msgspec.Struct, frozen=True):
    """A tree over [start, end) ns. Nodes too narrow for the width asked for are counted in `hidden`, not shown."""

    view: str
    start: int
    end: int
    total_ns: int
    functions: list[Function]
    nodes: list[Node]  # parents before children
    callers: list[Node]  # of the view `sandwich`; `nodes` are then its callees
    hidden: int


def flame(
    query: QueryCoordinator,
    start: int | None = None,
    end: int | None = None,
    processes: Sequence[int] | None = None,
    *,
    view: str = "merged",
    function: str | None = None,
    width: int = _WIDTH,
) -> Flame:
    """The tree of a window of ns (the whole recording by default). `function` names that of `sandwich`: `Mod.fun/2`.

    Raises `UsageError` for an unknown view, for `time` without exactly one process, and for `sandwich` without a
    function; `NotFoundError` for a function that did not run in the window.
    """
    if view not in VIEWS:
        raise UsageError(f"{view!r} is no view of a flame graph", f"give one of {', '.join(VIEWS)}")
    low = 0 if start is None else start
    high = max(query.recording.info.duration_ns, low + 1) if end is None else end
    names = stacks.functions(query)
    if view == "time":
        if processes is None or len(processes) != 1:
            raise UsageError("the view time shows one process", "give processes=12")
        tree = stacks.in_time(query, low, high, processes[0], (high - low) // max(width, 1))
        return _shown(view, low, high, names, tree, None, width)
    tree = stacks.merge(query, low, high, processes)
    if view == "merged":
        return _shown(view, low, high, names, tree, None, width)
    if view == "inverted":
        busy = np.flatnonzero(tree.own > 0)
        return _shown(view, low, high, names, stacks.upwards(tree, busy, tree.own), None, width, table=tree)
    if not function:
        raise UsageError("the view sandwich is of one function", "give function=Mod.fun/2")
    wanted = [number for number, name in enumerate(names) if name.label == function]
    roots = np.flatnonzero(np.isin(tree.function, wanted) & ~stacks.within_itself(tree))
    if not len(roots):
        raise NotFoundError(f"{function} did not run between {low} and {high} ns", "the view merged lists what did")
    return _shown(
        view,
        low,
        high,
        names,
        stacks.downwards(tree, roots),
        stacks.upwards(tree, roots, tree.total),
        width,
        table=tree,
    )


def _shown(
    view: str,
    start: int,
    end: int,
    names: list[Named],
    tree: Tree,
    callers: Tree | None,
    width: int,
    table: Tree | None = None,
) -> Flame:
    total = int(tree.total[tree.parent < 0].sum())
    over = end - start if view == "time" else total
    nodes, hidden = _nodes(tree, over // max(width, 1), ordered=view == "time")
    above, more = _nodes(callers, over // max(width, 1), ordered=False) if callers is not None else ([], 0)
    return Flame(view, start, end, total, _totals(names, table or tree), nodes, above, hidden + more)


def _nodes(tree: Tree, least: int, *, ordered: bool) -> tuple[list[Node], int]:
    """Nodes of at least `least` ns, parents first and the longest first (or in order of time), and how many others."""
    wide = (tree.total >= least) | (ordered & (tree.parent < 0))
    for level in _levels(tree):  # what stands below a hidden node is hidden
        wide[level] &= np.where(tree.parent[level] >= 0, wide[tree.parent[level]], True)
    kept = np.flatnonzero(wide)
    order = kept if ordered else kept[np.argsort(-tree.total[kept], kind="stable")]
    below: dict[int, list[int]] = {}
    for node in order.tolist():
        below.setdefault(int(tree.parent[node]), []).append(node)
    nodes: list[Node] = []
    stack = _placed(tree, below.get(-1, []), None, 0, 0)
    while stack:
        node, parent, depth, at = stack.pop()
        number = len(nodes)
        begun = int(tree.start[node]) if ordered else at
        fields = (int(c[node]) for c in (tree.total, tree.own, tree.wait, tree.calls, tree.call))
        nodes.append(Node(parent, depth, int(tree.function[node]), begun, *fields))
        stack += _placed(tree, below.get(node, []), number, depth + 1, at)
    return nodes, len(tree) - len(kept)


def _placed(
    tree: Tree, nodes: list[int], parent: int | None, depth: int, at: int
) -> list[tuple[int, int | None, int, int]]:
    """Siblings side by side from `at`, the last first (for a stack)."""
    found: list[tuple[int, int | None, int, int]] = []
    for node in nodes:
        found.append((node, parent, depth, at))
        at += int(tree.total[node])
    return found[::-1]


def _levels(tree: Tree) -> list[stacks.Ints]:
    depth = np.zeros(len(tree), np.int64)
    cursor, nodes = tree.parent, np.arange(len(tree))
    while len(nodes):
        nodes, cursor = nodes[cursor >= 0], cursor[cursor >= 0]
        depth[nodes] += 1
        cursor = tree.parent[cursor]
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(depth[order])) + 1) if len(order) else []


def _totals(names: list[Named], tree: Tree) -> list[Function]:
    outer = ~stacks.within_itself(tree)
    size = len(names)
    calls, own, wait = (stacks.summed(tree.function, column, size) for column in (tree.calls, tree.own, tree.wait))
    total = stacks.summed(tree.function[outer], tree.total[outer], size)
    columns = (calls.tolist(), own.tolist(), wait.tolist(), total.tolist())
    return [Function(name.label, *name, *spent) for name, spent in zip(names, zip(*columns, strict=True), strict=True)]
