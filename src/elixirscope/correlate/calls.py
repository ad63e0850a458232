"""Frames: every CALL with the event that ended it, its caller and its depth; the table of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.correlate.columns import NONE, Ints, ints, known, lookup, patch, table
from elixirscope.correlate.nesting import Named, Nesting
from elixirscope.correlate.walk import OPEN, OUTCOMES, RETURNED, Known, Walk, name_of
from elixirscope.recording.changes import Patch
from elixirscope.recording.counted import LeftOut
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import EVENT_ROW, Log


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
    message: Ints  # of the older ones: the message event that each handles
    account: Ints  # of the older ones: the message event on whose account each runs
    older: int = 0

    def event_of(self, frames: Ints) -> Ints:
        """The CALL events of frames."""
        return lookup(self.event, frames)

    @property
    def of_events(self) -> Ints:
        """Per event of the slice the CALL of its frame, or -1."""
        return self.event_of(self.of_event)


class Frames:
    """Finds frames slice by slice. Between slices it keeps the CALLs of what is open, and both ends of frames that
    ended by a tail call while something may still run on their behalf: put before a slice, they say where it begins."""

    def __init__(self) -> None:
        self._kept = np.empty(0, EVENT_ROW)  # in order of event
        self._rows = np.empty(0, np.int64)  # of each kept CALL
        self._messages = np.empty((0, 2), np.int64)
        self._haunted: set[int] = set()  # processes with more such frames than one at their end: to be walked
        self._continued: dict[int, int] = {}  # of kept CALLs, which other one each continues
        self._count = 0  # frames in the table

    def take(self, log: Log, lossy: set[int]) -> Calls:
        """The frames of the next slice. `lossy`: processes with lost events, whose silent ends may be lost returns."""
        count = len(self._kept)
        together = log if not count else Log(np.concatenate([self._kept, log.rows]), log.processes, log.sites)
        known = Known(count, self._continued, LeftOut(log))
        found, self._alive, self._ghosts = _find(together, lossy | self._haunted, lossy, known)
        older = int(np.searchsorted(found.event, count))
        self._together = together
        found.older = older
        is_call = self._kept["kind"] == Kind.CALL
        found.row = np.concatenate(
            [self._rows[is_call], np.arange(self._count, self._count + len(found.event) - older)]
        )
        found.message, found.account = self._messages[is_call].T
        self._count += len(found.event) - older
        self._local_end = found.end_event
        self._local_event = found.event
        events = together.column("event")
        found.end_event = lookup(events, found.end_event)
        found.event = events[found.event]
        found.of_event = found.of_event[count:]
        return found

    def keep(self, calls: Calls, message: Ints, account: Ints) -> None:
        """Keep what the next slice needs. Per frame the message that it handles, and on whose account it runs."""
        ghosts = np.array(sorted(self._ghosts), dtype=np.int64)
        frames = np.concatenate([np.array(sorted(self._alive), dtype=np.int64), ghosts])
        places = np.concatenate([self._local_event[frames], self._local_end[ghosts]])
        nothing = np.full(len(ghosts), NONE)
        order = np.argsort(places, kind="stable")
        self._kept = self._together.rows[places[order]]
        self._rows = np.concatenate([calls.row[frames], nothing])[order]
        pairs = np.stack([message[frames], account[frames]], axis=1)
        self._messages = np.concatenate([pairs, np.stack([nothing, nothing], axis=1)])[order]
        owners, number = np.unique(calls.process[ghosts], return_counts=True)
        ends = dict(zip(self._kept["process"].tolist(), self._kept["kind"].tolist(), strict=True))
        plain = np.array([ends[owner] == Kind.TAIL for owner in owners.tolist()], dtype=bool)
        self._haunted = set(owners[(number > 1) | ~plain].tolist())
        kept = np.concatenate([frames, ghosts])[order].tolist()
        place = {frame: number for number, frame in reversed([*enumerate(kept)])}  # of its CALL
        laid = set(ghosts.tolist())
        before = zip(frames.tolist(), calls.tail_of[frames].tolist(), strict=True)
        self._continued = {place[frame]: place[other] for frame, other in before if other in laid}
        del self._together


def find_calls(log: Log, lossy: set[int]) -> Calls:
    """The frames of a whole recording."""
    return Frames().take(log, lossy)


def _find(log: Log, apart: set[int], lossy: set[int], before: Known) -> tuple[Calls, set[int], set[int]]:
    """Pairs, nests and unwinds; events are places in the log. Also the frames on the stacks in the end, and those
    that ended by a tail call on whose behalf something may still run.

    All processes at once, except those `apart` or whose events do not nest: these are walked one by one.
    """
    order = log.by_process
    process = log.column("process")[order]
    named = Named(log, order)
    irregular = named.irregular() | apart
    walked = np.isin(process, list(irregular)) if irregular else np.zeros(len(order), dtype=bool)
    regular = order[~walked]
    nesting = Nesting(log, Named(log, regular) if irregular else named, before)
    walk = Walk(log, lossy, before)
    walk.run(order[walked], process[walked])
    done = len(nesting.event)

    def moved(frames: list[int]) -> Ints:
        numbers = ints(frames)
        return np.where(numbers == NONE, NONE, numbers + done)

    event = np.concatenate([nesting.event, ints(walk.event)])
    of_event = np.full(len(order), NONE)
    of_event[regular] = nesting.of_event
    of_event[order[walked]] = moved(walk.of_event)
    # They are numbered process by process; number them in event order instead.
    by_event = np.argsort(event, kind="stable")
    new = np.empty(len(by_event), dtype=np.int64)
    new[by_event] = np.arange(len(by_event))

    def column(vector: Ints, walked: Ints) -> Ints:
        return np.concatenate([vector, walked])[by_event]

    def numbers(vector: Ints, walked: list[int]) -> set[int]:
        return set(new[np.concatenate([vector, moved(walked)])].tolist())

    alive = numbers(np.flatnonzero(nesting.outcome == OPEN), [n for stack, _ in walk.left.values() for n in stack])
    left = [n for _, ghosts in walk.left.values() for n in ghosts]
    ghosts = numbers(np.array(sorted(nesting.ghosts), dtype=np.int64), left)
    found = Calls(
        event=event[by_event],
        process=log.column("process")[event[by_event]].astype(np.int64),
        site=log.column("site")[event[by_event]].astype(np.int64),
        parent=lookup(new, column(nesting.parent, moved(walk.parent))),
        tail_of=lookup(new, column(nesting.tail_of, moved(walk.tail_of))),
        depth=column(nesting.depth, ints(walk.depth)),
        end_event=column(nesting.end_event, ints(walk.end_event)),
        outcome=column(nesting.outcome, ints(walk.outcome)),
        of_event=lookup(new, of_event),
        row=np.empty(0, np.int64),
        message=np.empty(0, np.int64),
        account=np.empty(0, np.int64),
    )
    return found, alive, ghosts


def _ends(log: Log, calls: Calls, frames: Ints) -> dict[str, pa.Array]:
    """The columns that tell how frames ended."""
    end = calls.end_event[frames]
    place = np.where(end >= log.first, end - log.first, NONE)
    result = np.where(calls.outcome[frames] == RETURNED, lookup(log.column("value"), place), NONE)
    outcome: npt.NDArray[np.int8] = calls.outcome[frames].astype(np.int8)
    return {
        "end": known(lookup(log.column("at"), place)),
        "end_event": known(end),
        "outcome": pa.DictionaryArray.from_arrays(outcome, pa.array(OUTCOMES)),
        "result": known(result),
    }


def calls_patches(log: Log, calls: Calls) -> list[Patch]:
    """The ends of older frames."""
    ended = np.flatnonzero(calls.end_event[: calls.older] >= log.first)
    ended = ended[calls.end_event[ended] != NONE]
    return patch("calls", calls.row[ended], **_ends(log, calls, ended))


def calls_table(log: Log, calls: Calls, message: Ints, remote_parent: Ints) -> pa.Table:
    """The rows of new frames. `message`: per frame the message event it handles; `remote_parent`: per frame the CALL
    of one in another process; -1 for none."""
    frames = np.arange(calls.older, len(calls.event))
    names = {number: name_of(site) for number, site in log.sites.items()}
    site = calls.site[frames]
    sites, where = np.unique(site, return_inverse=True)

    def of_site(values: list[object], kind: pa.DataType) -> pa.Array:
        return pa.array(values, type=kind).take(pa.array(where))

    def part(index: int) -> list[object]:
        return [names[s][index] if s in names else None for s in sites.tolist()]

    def kind_of(site: int) -> str:
        return log.sites[site].kind if site in log.sites else ""

    external = np.array([kind_of(s) == "external" for s in sites.tolist()], dtype=bool)
    made = np.array([s in log.sites and bool(log.sites[s].generated) for s in sites.tolist()], dtype=bool)
    place = calls.event[frames] - log.first
    return table(
        "calls",
        call=calls.event[frames],
        process=calls.process[frames],
        site=pa.array(site, mask=site == 0),
        module=of_site(part(0), pa.string()),
        function=of_site(part(1), pa.string()),
        arity=of_site(part(2), pa.int32()),
        parent=known(calls.event_of(calls.parent[frames])),
        depth=calls.depth[frames],
        start=log.column("at")[place],
        args=known(log.column("value")[place]),
        tail_of=known(calls.event_of(calls.tail_of[frames])),
        external=external[where],
        generated=made[where] | ((log.column("flags")[place] & int(Flag.GENERATED)) != 0),
        remote_parent=known(remote_parent[frames]),
        message=known(message[frames]),
        **_ends(log, calls, frames),
    )
