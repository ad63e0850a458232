"""Where in a stretch of time less was recorded than the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from elixirscope.query.coordinator import QueryCoordinator


def omissions(query: QueryCoordinator, start: int, end: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """Rows of the table `omissions` that touch [start, end] ns, each with the `label` of its process: the `limit`
    longest, in order of time, those of which nobody knows when first. And how many there are in all.

    The page asks this of each edition of a recording that grows: SQL would take longer to be made ready than to answer.
    """
    at, until = query.column("omissions", "at"), query.column("omissions", "until")
    inside = np.flatnonzero(((until < 0) | (until >= start)) & (at <= end))
    length = np.where(until < 0, end, until) - np.maximum(at, 0)
    longest = inside[np.lexsort((at[inside], -length[inside]))[:limit]]
    chosen = longest[np.argsort(at[longest], kind="stable")]
    rows = query.indexes.take("omissions", chosen) if len(chosen) else []
    return [{**row, "label": (query.process_row(row["process"]) or {}).get("label")} for row in rows], len(inside)
