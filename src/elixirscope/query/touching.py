"""What touches a window of time, found by index: frames, messages, and single events of some kinds, of some processes.

What begins in the window is a run of rows. What began before and reaches into it is found by how far each block of
rows reaches at most: one long frame costs one block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elixirscope.query.density import events_of
from elixirscope.query.grouping import parts
from elixirscope.recording.format import Kind

if TYPE_CHECKING:
    from elixirscope.query.coordinator import QueryCoordinator
    from elixirscope.query.rows import Rows
    from elixirscope.recording.arrays import Allocate

_BLOCK: Final = 256  # rows; divides the parts that arrays are made in
_EVER: Final = np.iinfo(np.int64).max


def frames(
    query: QueryCoordinator, start: int, end: int, processes: Sequence[int], most: int
) -> NDArray[np.int64] | None:
    """Rows of the calls of `processes` that touch [start, end] ns, ascending; None when they are more than `most`."""
    indexes = query.indexes
    order, starts = indexes.grouped("calls", "process")
    first, last = indexes.between("calls", "start", start, end + 1)
    ends = query.column("calls", "end")
    reach = _reach(indexes, "calls.reach", len(order), lambda part: _open_ended(ends[order[part]]))
    found, count = list[NDArray[np.int64]](), 0
    for process in processes:
        if not 0 <= process < len(starts) - 1:
            continue
        low, high = int(starts[process]), int(starts[process + 1])
        mine = order[low:high]
        begun, over = (int(n) for n in np.searchsorted(mine, np.array([first, last], mine.dtype)))
        count += over - begun
        if count > most:
            return None
        found.append(mine[begun:over].astype(np.int64))
        before = order[_reaching(reach, low, low + begun, start)].astype(np.int64)
        before = before[_open_ended(ends[before]) >= start]
        count += len(before)
        found.append(before)
    if count > most:
        return None
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)


def messages(
    query: QueryCoordinator, start: int, end: int, processes: Collection[int], most: int
) -> NDArray[np.int64] | None:
    """Rows of the messages from or to `processes` that were on their way in [start, end] ns, ascending; None when they
    are more than `most`."""
    indexes = query.indexes
    first, last = indexes.between("messages", "message", *indexes.between("events", "at", start, end + 1))
    ends: list[NDArray[Any]] = [query.column("messages", name) for name in ("from_process", "to_process")]
    found = list[NDArray[np.int64]]()
    for name in ("from_process", "to_process"):
        order, starts = indexes.grouped("messages", name)
        count = 0  # of this end alone: a message has one sender and one receiver
        for process in processes:
            if 0 <= process < len(starts) - 1:
                mine = order[int(starts[process]) : int(starts[process + 1])]
                begun, over = (int(n) for n in np.searchsorted(mine, np.array([first, last], mine.dtype)))
                count += over - begun
                if count > most:
                    return None
                found.append(mine[begun:over].astype(np.int64))
    received, sent = query.column("messages", "received_at"), query.column("messages", "sent_at")

    def arrived(rows: Any) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.where(received[rows] < 0, sent[rows], received[rows])
        return found

    reach = _reach(indexes, "messages.reach", len(sent), arrived)
    before = _reaching(reach, 0, first, start)
    before = before[arrived(before) >= start]
    wanted = np.fromiter(processes, np.int64)
    found.append(before[np.isin(ends[0][before], wanted) | np.isin(ends[1][before], wanted)])
    rows = np.unique(np.concatenate(found))
    return rows if len(rows) <= most else None


class Touched(NamedTuple):
    """Events of one process, ascending: their numbers, times (ns) and kinds."""

    process: int
    numbers: NDArray[np.int64]
    times: NDArray[np.int64]
    kinds: NDArray[np.int64]


def events(
    query: QueryCoordinator, name: str, kinds: Collection[Kind], start: int, end: int, processes: Sequence[int]
) -> Iterator[Touched]:
    """The events of `kinds` (called `name`) that each of `processes` had in [start, end] ns; of STATE only those that
    made a version. Processes without any are left out."""
    order, starts, times, sorts = _told(query, name, kinds)
    bounds = query.indexes.between("events", "at", start, end + 1)
    for process in processes:
        found = list[tuple[NDArray[Any], ...]]()
        if Kind.STATE in kinds:
            mine = _within(events_of(query, "states", process), bounds).astype(np.int64)
            found.append((mine, query.column("events", "at")[mine], np.full(len(mine), Kind.STATE)))
        if 0 <= process < len(starts) - 1:
            low, high = int(starts[process]), int(starts[process + 1])
            begun, over = np.searchsorted(order[low:high], np.array(bounds, order.dtype)).tolist()
            part = slice(low + begun, low + over)
            found.append((order[part].astype(np.int64), times[part], sorts[part]))
        if any(len(numbers) for numbers, _, _ in found):
            numbers, at, kind = (np.concatenate(each) for each in zip(*found, strict=True))
            ascending = np.argsort(numbers, kind="stable")
            yield Touched(process, numbers[ascending], at[ascending], kind[ascending].astype(np.int64))


def _told(query: QueryCoordinator, name: str, kinds: Collection[Kind]) -> tuple[NDArray[Any], ...]:
    """(event numbers by process, where each process starts, times, kinds) of the events of `kinds` but for STATE: what
    is told of one lies beside its number, and not on a page of its own."""
    numbers = query.column("events", "kind")
    others = [kind.value for kind in kinds if kind is not Kind.STATE]
    order, starts = query.indexes.by_process(f"events.{name}", lambda part: np.isin(numbers[part], others))

    def make(allocate: Allocate) -> tuple[NDArray[Any], ...]:
        times, sorts = allocate(len(order), np.int64), allocate(len(order), numbers.dtype)
        at = query.column("events", "at")
        for part in parts(len(order)):
            times[part], sorts[part] = at[order[part]], numbers[order[part]]
        return times, sorts

    return order, starts, *query.indexes.arrays(f"events.{name}.told", make)


def _within(mine: NDArray[Any], bounds: tuple[int, int]) -> NDArray[Any]:
    low, high = np.searchsorted(mine, np.array(bounds, mine.dtype)).tolist()
    return mine[low:high]


def _reach(indexes: Rows, name: str, length: int, ends: Callable[[slice], NDArray[np.int64]]) -> NDArray[np.int64]:
    """The latest end in each block of rows."""

    def make(allocate: Allocate) -> tuple[NDArray[Any], ...]:
        reach: NDArray[np.int64] = allocate(-(-length // _BLOCK), np.int64)
        for part in parts(length):
            found = ends(part)
            starts = np.arange(0, len(found), _BLOCK)
            reach[part.start // _BLOCK : part.start // _BLOCK + len(starts)] = np.maximum.reduceat(found, starts)
        return (reach,)

    return indexes.arrays(name, make)[0]


def _reaching(reach: NDArray[np.int64], low: int, high: int, start: int) -> NDArray[np.int64]:
    """Places in [low, high) of blocks in which something reaches `start`."""
    if high <= low:
        return np.empty(0, np.int64)
    first = low // _BLOCK
    blocks = first + np.flatnonzero(reach[first : -(-high // _BLOCK)] >= start)
    places = (blocks[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
    return places[(places >= low) & (places < high)]


def _open_ended(ends: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(ends < 0, _EVER, ends)
