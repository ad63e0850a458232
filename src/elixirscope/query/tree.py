"""Processes in the order a person reads them: below their supervisor, else below who spawned them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def supervision_order(processes: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Rows of the processes table in tree order, each with its depth (0 = nobody above it is known)."""
    rows = list(processes)
    above = [row["supervisor"] if row["supervisor"] is not None else row["parent"] for row in rows]
    return [(rows[place], depth) for place, depth in in_order([row["process"] for row in rows], above)]


def in_order(processes: Sequence[int], above: Sequence[int | None]) -> list[tuple[int, int]]:
    """Where the processes stand in `processes` in tree order, each with its depth. `above`: below whom each is."""
    known = set(processes)
    children: dict[int | None, list[int]] = {}
    for place, (process, upper) in enumerate(zip(processes, above, strict=True)):
        children.setdefault(upper if upper in known and upper != process else None, []).append(place)
    ordered = list[tuple[int, int]]()
    stack = [(place, 0) for place in reversed(children.get(None, []))]
    while stack:
        place, depth = stack.pop()
        ordered.append((place, depth))
        stack.extend((child, depth + 1) for child in reversed(children.pop(processes[place], [])))
    return ordered
