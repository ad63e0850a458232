"""Source as it was recorded, with how often each line ran and the values at a moment."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.format import Kind

_AROUND = 60


class Hits(msgspec.Struct, frozen=True):
    """A line, and how often anything on it was recorded."""

    line: int
    hits: int


class LineValue(msgspec.Struct, frozen=True):
    """A value known on a line: "seat = :a1"."""

    line: int
    text: str


class SourceView(msgspec.Struct, frozen=True):
    """A window of a source file: `lines` begin with line `first` (1-based); empty when the file was not kept."""

    file: str
    line: int
    first: int
    last: int
    lines: list[str]
    executed: list[Hits]
    values: list[LineValue]


class SourceFile(msgspec.Struct, frozen=True):
    """A whole source file."""

    file: str
    lines: list[str] | None
    executed: list[Hits]


def hits_within(query: QueryCoordinator, file: str, within: tuple[int, int]) -> list[Hits]:
    """As `executed`, of the stretch of time `within` (ns, ns) alone."""
    times = query.column("events", "at")
    part = slice(int(np.searchsorted(times, within[0])), int(np.searchsorted(times, within[1], side="right")))
    sites = query.column("events", "site")[part]
    told = (sites >= 0) & (query.column("events", "kind")[part] != Kind.STATE)  # by the return that holds it
    counts = np.bincount(sites[told])
    lines: dict[int, int] = {}
    for row in query.recording.table("sites").select(["site", "file", "line"]).to_pylist():
        hits = int(counts[row["site"]]) if row["site"] < len(counts) else 0
        if hits and row["file"] == file and row["line"] is not None:
            lines[row["line"]] = max(lines.get(row["line"], 0), hits)
    return [Hits(line, hits) for line, hits in sorted(lines.items())]


def lines_of(query: QueryCoordinator, events: Sequence[int]) -> dict[str, list[int]]:
    """The lines that events were recorded on, by file, in order."""
    sites = set(query.column("events", "site")[np.asarray(events, np.int64)].tolist())
    found: dict[str, set[int]] = {}
    for row in query.recording.table("sites").select(["site", "file", "line"]).to_pylist():
        if row["site"] in sites and row["file"] is not None and row["line"] is not None:
            found.setdefault(row["file"], set()).add(row["line"])
    return {file: sorted(lines) for file, lines in sorted(found.items())}


def executed(query: QueryCoordinator, file: str, first: int = 1, last: int | None = None) -> list[Hits]:
    """Hit counts of the lines of `file` that were reached, over the whole recording."""
    lines = query.line_hits.get(file, {})
    return [Hits(line, hits) for line, hits in lines.items() if first <= line and (last is None or line <= last)]


def source_view(query: QueryCoordinator, file: str, line: int, values: Sequence[LineValue] = ()) -> SourceView:
    """The lines around `line`."""
    lines = query.recording.source(file) or []
    first = max(1, line - _AROUND)
    shown = lines[first - 1 : line + _AROUND]
    last = first + len(shown) - 1 if shown else line
    inside = [value for value in values if first <= value.line <= max(last, line)]
    return SourceView(file, line, first, last, shown, executed(query, file, first, max(last, line)), inside)


def source_file(query: QueryCoordinator, file: str) -> SourceFile:
    """All lines of a file; `lines` is None when it was not kept."""
    return SourceFile(file, query.recording.source(file), executed(query, file))
