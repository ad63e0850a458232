"""The timeline of a window: spans and arrows when they are few enough to see, else how much happened in each small
part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from elixirscope.errors import UsageError
from elixirscope.query import touching
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.density import crashed, densities, edges, whole
from elixirscope.query.passage import passages
from elixirscope.recording.format import Kind

SPANS_MOST: Final = 2_000
MESSAGES_MOST: Final = 1_500
_BUCKET_PX: Final = 3
_MARK_PX: Final = 3

_MARKS: Final = {
    Kind.STATE: "state",
    Kind.RAISE: "exception",
    Kind.CAUGHT: "exception",
    Kind.EXIT: "exit",
    Kind.SPAWN: "spawn",
    Kind.REGISTER: "register",
    Kind.MARK: "mark",
    Kind.TEST_START: "test",
    Kind.TEST_END: "test",
}
_SORT_NAMES: Final = sorted(set(_MARKS.values()))
_SORTS: Final = np.zeros(max(Kind) + 1, np.int64)  # kind → place in _SORT_NAMES, of the kinds in _MARKS
for _kind, _name in _MARKS.items():
    _SORTS[_kind] = _SORT_NAMES.index(_name)
_RARE: Final = [k for k in _MARKS if k not in (Kind.STATE, Kind.SPAWN, Kind.REGISTER)]


class Density(msgspec.Struct):
    """Counts per bucket of `bucket_ns`, the first bucket beginning at the window's start; of what never happened an
    empty list."""

    bucket_ns: int
    calls: list[int]
    messages: list[int]
    states: list[int]
    errors: list[int]


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A frame; `end` is None while open. A page of thousands is told as arrays, not with the names of the fields."""

    call: int
    start: int
    end: int | None
    depth: int
    label: str
    outcome: str | None
    module: str | None
    external: bool


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A moment that stands out, or the first of `count` of one kind that are too close to each other to be drawn.
    `calm`: an exit that was meant.
    """

    event: int
    at: int
    kind: str
    count: int
    calm: bool


class Lane(msgspec.Struct, omit_defaults=True):
    """One process in the window: `spans` or `density`, never both."""

    process: int
    marks: list[Mark]
    density: Density | None = None
    spans: list[Span] | None = None


class Arrow(msgspec.Struct, frozen=True, array_like=True):
    """A message between two lanes."""

    message: int
    sender: int | None = msgspec.field(name="from")
    to: int | None
    sent_at: int | None
    received_at: int | None
    kind: str | None
    label: str | None
    certain: bool
    via: list[int] = []  # hidden processes that the causality passed through; empty for a message


class Cut(msgspec.Struct, frozen=True):
    """What was too much to show one by one."""

    spans: bool
    messages: bool
    marks: bool


class Timeline(msgspec.Struct, frozen=True):
    """What to draw between two times (ns); `detail` is "spans" or "density"."""

    start: int = msgspec.field(name="from")
    end: int = msgspec.field(name="to")
    detail: str
    lanes: list[Lane]
    messages: list[Arrow]
    truncated: Cut


class Overview(msgspec.Struct, frozen=True):
    """The whole recording as a strip: all events and all failures per part of `bucket_ns`."""

    bucket_ns: int
    events: list[int]
    errors: list[int]


def overview(query: QueryCoordinator, buckets: int) -> Overview:
    """The recording in at most `buckets` parts. Raises `UsageError` for none."""
    if buckets < 1:
        raise UsageError(f"{buckets} parts are no overview", "ask for one or more")
    bucket, events, errors = whole(query, min(buckets, 4_000))
    return Overview(bucket, events.tolist(), errors.tolist())


def timeline(
    query: QueryCoordinator,
    start: int,
    end: int,
    width: int = 1_000,
    processes: Sequence[int] | None = None,
    through: Sequence[int] = (),
) -> Timeline:
    """The window [start, end] ns on `width` pixels, for `processes` (default: all that lived in it).

    What reached them by way of the hidden processes `through` comes as arrows that are not certain. Raises `UsageError`
    when the window is empty.
    """
    if end <= start or width < 1:
        raise UsageError(f"{start}…{end} is no window to draw", "its end must be after its start, its width positive")
    if processes is None:
        begun, ended = query.column("processes", "start"), query.column("processes", "end")
        lived = (begun <= end) & ((ended == -1) | (ended >= start))
        processes = query.column("processes", "process")[lived].tolist()
    chosen = list(processes)
    spans = _spans(query, start, end, chosen)
    lanes = {process: Lane(process, []) for process in chosen}
    if spans is None:
        for process, density in _densities(query, start, end, width, chosen).items():
            lanes[process].density = density
    else:
        for process in chosen:
            lanes[process].spans = []
        for process, span in spans:
            found = lanes[process].spans
            assert found is not None
            found.append(span)
    marks = _marks(query, start, end, width, chosen, every=spans is not None)
    for process, mark in marks:
        lanes[process].marks.append(mark)
    arrows = _arrows(query, start, end, chosen)
    cut = Cut(spans=spans is None, messages=arrows is None, marks=any(mark.count > 1 for _, mark in marks))
    if through and arrows is not None:
        arrows += [
            Arrow(p.message, p.start, p.end, p.sent_at, p.received_at, "passage", None, False, p.via)
            for p in passages(query, start, end, chosen, through, MESSAGES_MOST)
        ]
    detail = "density" if spans is None else "spans"
    return Timeline(start, end, detail, list(lanes.values()), arrows or [], cut)


def prepare(query: QueryCoordinator) -> None:
    """Make the index of the marks that a window shows where it is too wide to show all."""
    for _ in touching.events(query, "rare", _RARE, 0, 0, []):
        pass


def _spans(query: QueryCoordinator, start: int, end: int, processes: list[int]) -> list[tuple[int, Span]] | None:
    """Frames that touch the window; None when they are too many."""
    numbers = touching.frames(query, start, end, processes, SPANS_MOST)
    if numbers is None:
        return None
    columns = ("process", "call", "start", "end", "depth", "module", "function", "arity", "outcome", "external")
    names: dict[tuple[str | None, str, int], str] = {}
    found = []
    for process, call, begun, ended, depth, module, function, arity, outcome, external in query.indexes.select(
        "calls", numbers, *columns
    ):
        key = (module, function, arity)
        if key not in names:
            names[key] = _short(*key)
        found.append((process, Span(call, begun, ended, depth, names[key], outcome, module, bool(external))))
    return found


def _short(module: str | None, function: str, arity: int) -> str:
    """The last part of the module is enough in a lane that shows its process."""
    last = (module or "").rsplit(".", 1)[-1]
    return f"{last}.{function}/{arity}" if last else f"{function}/{arity}"


def _densities(query: QueryCoordinator, start: int, end: int, width: int, processes: list[int]) -> dict[int, Density]:
    bounds, bucket = edges(start, end, max(1, min(width // _BUCKET_PX, 2_000)))
    count = len(bounds) - 1
    found = {
        process: Density(
            bucket_ns=bucket, **{sort: counts.tolist() if counts.any() else [] for sort, counts in sorts.items()}
        )
        for process, sorts in densities(query, bounds, processes).items()
    }
    process, exits = query.column("processes", "process"), query.column("processes", "exit_event")
    crashes = np.flatnonzero(crashed(query) & (exits != -1))
    for number, event in zip(process[crashes].tolist(), exits[crashes].tolist(), strict=True):
        if (lane := found.get(number)) is not None:
            at = int(query.column("events", "at")[event])
            if start <= at <= end:
                lane.errors = lane.errors or [0] * count
                lane.errors[min((at - start) // bucket, count - 1)] += 1
    return found


def _marks(
    query: QueryCoordinator, start: int, end: int, width: int, processes: list[int], *, every: bool
) -> list[tuple[int, Mark]]:
    """Exceptions, exits, tests and marks; states, spawns and names too when the window is close (`every`). Those of one
    kind that a lane has in the same few pixels are one mark, which counts them.
    """
    kinds = [*_MARKS] if every else _RARE
    bounds, _ = edges(start, end, max(1, width // _MARK_PX))
    found = []
    for process, events, times, each in touching.events(
        query, "marks" if every else "rare", kinds, start, end, processes
    ):
        bucket = np.searchsorted(bounds, times, side="right")
        _, first, counts = np.unique(bucket * len(_SORT_NAMES) + _SORTS[each], return_index=True, return_counts=True)
        order = np.argsort(first)
        row = query.process_row(process) or {}
        for place, count in zip(first[order].tolist(), counts[order].tolist(), strict=True):
            sort = _SORT_NAMES[int(_SORTS[each[place]])]
            calm = sort == "exit" and row.get("exit_kind") in ("normal", "shutdown")
            found.append((process, Mark(int(events[place]), int(times[place]), sort, count, calm)))
    return found


def _arrows(query: QueryCoordinator, start: int, end: int, processes: list[int]) -> list[Arrow] | None:
    """Messages that cross the window between chosen lanes; None when they are too many."""
    numbers = touching.messages(query, start, end, set(processes), MESSAGES_MOST)
    if numbers is None:
        return None
    columns = ("message", "from_process", "to_process", "sent_at", "received_at", "kind", "tag", "certain")
    return [Arrow(*row) for row in query.indexes.select("messages", numbers, *columns)]
