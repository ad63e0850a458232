"""Processes in the order a person reads them: below their supervisor, else below who spawned them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def supervision_order(processes: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Rows of the processes table in tree order, each with its depth (0 = nobody above it is known)."""
    rows = list(processes)
    known = {row["process"] for row in rows}
    children: dict[int | None, list[dict[str, Any]]] = {}
    for row in rows:
        above = row["supervisor"] if row["supervisor"] is not None else row["parent"]
        children.setdefault(above if above in known and above != row["process"] else None, []).append(row)
    ordered: list[tuple[dict[str, Any], int]] = []
    stack = [(row, 0) for row in reversed(children.get(None, []))]
    while stack:
        row, depth = stack.pop()
        ordered.append((row, depth))
        stack.extend((child, depth + 1) for child in reversed(children.pop(row["process"], [])))
    return ordered
