"""Frames: every CALL with the event that ended it, its caller and its depth; the table of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.correlate.columns import NONE, Ints, Mask, known, lookup, patch, table, texts, with_places, with_room
from elixirscope.correlate.walk import OUTCOMES, RETURNED, Places, name_of, standing, walk
from elixirscope.kernels import I32, I64, Bits, kernel
from elixirscope.recording.changes import Patch
from elixirscope.recording.counted import LeftOut
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log


@dataclass
class Calls:
    """The frames of a slice in event order, in parallel arrays; a frame is an index into them, -1 is none.

    The first `older` of them were open already when the slice began, or had just ended by a tail call.
    """

    event: Ints
    process: Ints
    site: Ints
    parent: Ints  # frame
    tail_of: Ints  # frame
    depth: Ints
    end_event: Ints
    outcome: Ints  # index into OUTCOMES
    of_event: Ints  # per event of the slice: its frame, or the innermost one open when it happened
    row: Ints  # in the table
    of_events: Ints  # per event of the slice the CALL of its frame, or -1
    stays: Ints  # the frames that the next slice begins with, its `older`
    older: int = 0

    def event_of(self, frames: Ints) -> Ints:
        """The CALL events of frames."""
        return lookup(self.event, frames)


class Frames:
    """Finds frames slice by slice. Between slices it keeps those that are open, and those that ended by a tail call
    while something may still run on their behalf."""

    def __init__(self) -> None:
        self._kept = {name: np.empty(0, np.int64) for name in _OF_FRAME}
        self._rows = np.empty(0, np.int64)
        self._top = np.empty(0, np.int64)  # of each process the innermost frame
        self._ghost = np.empty(0, np.int64)  # … and ghost
        self._places = Places()
        self._count = 0  # frames in the table

    def take(self, log: Log, lossy: Mask) -> Calls:
        """The frames of the next slice. `lossy`: whether a process lost events, so that its silent ends may be lost
        returns."""
        older, size = len(self._kept["event"]), len(log.processes)
        kind, site = log.column("kind"), log.column("site")
        more = int(np.count_nonzero(kind == _CALL))
        self._top, self._ghost = (with_places(each, size) for each in (self._top, self._ghost))
        self._places.know(log, _sites(site), LeftOut(log))
        places = self._places
        frames = {name: with_room(kept, more) for name, kept in self._kept.items()}
        of_event = np.empty(len(kind), np.int64)
        walk(
            kind,
            log.column("process"),
            log.column("frame"),
            site,
            log.column("at"),
            log.first,
            lossy,
            *(places.function, places.home, places.callee, places.sort, places.quiet, places.left_out, places.spans),
            self._top,
            self._ghost,
            of_event,
            older,
            *frames.values(),
        )
        row = np.append(self._rows, np.arange(self._count, self._count + more))
        self._count += more
        return Calls(
            event=frames["event"],
            process=frames["process"],
            site=frames["site"],
            parent=frames["parent"],
            tail_of=frames["tail_of"],
            depth=frames["depth"],
            end_event=frames["end_event"],
            outcome=frames["outcome"],
            of_event=of_event,
            row=row,
            of_events=lookup(frames["event"], of_event),
            stays=self._keep(frames, row),
            older=older,
        )

    def _keep(self, frames: dict[str, Ints], row: Ints) -> Ints:
        """Keep what the next slice needs. Gives which frames those are."""
        stand = np.zeros(len(row), dtype=bool)
        standing(self._top, self._ghost, frames["parent"], frames["below"], stand)
        stays = np.flatnonzero(stand)
        new = np.full(len(row), NONE)
        new[stays] = np.arange(len(stays))
        self._kept = {
            name: lookup(new, column[stays]) if name in _LINKS else column[stays] for name, column in frames.items()
        }
        self._rows = row[stays]
        self._top, self._ghost = lookup(new, self._top), lookup(new, self._ghost)
        return stays


_CALL: Final = int(Kind.CALL)
_OF_FRAME: Final = (
    *("event", "process", "name", "site", "parent", "depth", "tail_of", "end_event", "outcome"),
    *("level", "below", "called", "left_at"),
)
"""What `walk` knows of each frame, in the order of its parameters."""
_LINKS: Final = ("parent", "tail_of", "below")


def _sites(site: npt.NDArray[np.int32]) -> Ints:
    """The sites that events name."""
    there = np.zeros(int(site.max(initial=0)) + 1, dtype=bool)
    if _mark.is_due(len(site)):
        _mark(site, there)
    else:
        there[site] = True
    return np.flatnonzero(there)


@kernel
def _mark(number: I32, there: Bits) -> None:
    for place in range(len(number)):
        there[number[place]] = True


def _ends(log: Log, calls: Calls, frames: Ints | slice) -> dict[str, pa.Array]:
    """The columns that tell how frames ended."""
    end, outcomes = calls.end_event[frames], calls.outcome[frames]
    at, result = np.empty(len(end), np.int64), np.empty(len(end), np.int64)
    _ended(end, outcomes, log.column("at"), log.column("value"), log.first, at, result)
    outcome: npt.NDArray[np.int8] = outcomes.astype(np.int8)
    return {
        "end": known(at),
        "end_event": known(end),
        "outcome": texts(outcome, OUTCOMES),
        "result": known(result),
    }


@kernel
def _ended(end: I64, outcome: I64, at: I64, value: I64, first: int, ended_at: I64, result: I64) -> None:
    """When frames ended, and what they gave, whose last events are `end`; -1 for what is not known, or older."""
    for frame in range(len(end)):
        place = end[frame] - first
        ended_at[frame] = at[place] if place >= 0 else -1
        result[frame] = value[place] if place >= 0 and outcome[frame] == RETURNED else -1


def calls_patches(log: Log, calls: Calls) -> list[Patch]:
    """The ends of older frames."""
    ended = np.flatnonzero(calls.end_event[: calls.older] >= log.first)
    ended = ended[calls.end_event[ended] != NONE]
    return patch("calls", calls.row[ended], **_ends(log, calls, ended))


def calls_columns(log: Log, calls: Calls) -> dict[str, Any]:
    """The columns of new frames that need no messages."""
    new = slice(calls.older, None)
    site = calls.site[new]
    numbers = np.flatnonzero(np.bincount(site))
    names = {number: name_of(log.sites[number]) for number in numbers.tolist() if number in log.sites}
    arity, external, made = (np.full(int(site.max(initial=0)) + 1, NONE, np.int32) for _ in range(3))
    for number, name in names.items():
        about = log.sites[number]
        arity[number], external[number], made[number] = name.arity, about.kind == "external", about.generated
    place = calls.event[new] - log.first

    def text(part: int) -> pa.Array:
        words, codes = dict[str, int](), np.full(len(arity), NONE, np.int32)
        for number, name in names.items():
            codes[number] = words.setdefault(str(name[part]), len(words))
        return texts(known(codes[site]), words)

    return dict(
        call=calls.event[new],
        process=calls.process[new],
        site=known(site.astype(np.int32), 0),
        module=text(0),
        function=text(1),
        arity=known(arity[site]),
        parent=known(calls.event_of(calls.parent[new])),
        depth=calls.depth[new],
        start=log.column("at")[place],
        args=known(log.column("value")[place]),
        tail_of=known(calls.event_of(calls.tail_of[new])),
        external=external[site] == 1,
        generated=(made[site] == 1) | ((log.column("flags")[place] & int(Flag.GENERATED)) != 0),
        **_ends(log, calls, new),
    )


def calls_table(calls: Calls, columns: dict[str, Any], message: Ints, remote_parent: Ints) -> pa.Table:
    """The rows of new frames. `message`: per frame the message event it handles; `remote_parent`: per frame the CALL
    of one in another process; -1 for none."""
    new = slice(calls.older, None)
    return table("calls", **columns, remote_parent=known(remote_parent[new]), message=known(message[new]))
