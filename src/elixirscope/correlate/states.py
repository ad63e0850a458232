"""State versions: what a process held, from when to when, and which callback and message changed it."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, each, known, lookup, patch, table, with_places
from elixirscope.correlate.processes import Life
from elixirscope.kernels import I32, I64, U8, kernel
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.growing import GrowingRows
from elixirscope.recording.log import Log

_UNCHANGED: Final = int(Flag.UNCHANGED)
_TRUNCATED: Final = int(Flag.TRUNCATED)


class States:
    """Numbers the states of processes slice by slice. Between slices it keeps the last of each process."""

    def __init__(self) -> None:
        self._shown = np.empty(0, np.int64)  # per process the value shown last
        self._versions = np.empty(0, np.int64)
        self._rows = np.empty(0, np.int64)  # … of the last version in the table
        self._events = np.empty(0, np.int64)
        self._firsts: list[tuple[int, int]] = []  # row and process of first versions
        self._unplaced = GrowingRows(2)  # rows and processes of states that no callback shows
        self._count = 0
        # What was told last
        self._told_events = np.empty(0, np.int64)
        self._told_firsts = self._told_unplaced = 0
        self._first_rows: dict[int, int] = {}
        self._told_heirs: dict[int, int] = {}
        self._told_modules: dict[int, str | None] = {}

    def take(self, log: Log, calls: Calls, message: Ints) -> tuple[pa.Table, list[Patch]]:
        """The versions of the next slice, and until when older ones held. `message`: as in `Handled`.

        A STATE event without a value (the very same term) or with the value that the process already had makes no
        version; a value cut to its budget always does, for what was cut may differ.
        """
        for name, empty in (("_shown", NONE), ("_versions", 0), ("_rows", NONE), ("_events", NONE)):
            setattr(self, name, with_places(getattr(self, name), len(log.processes), empty))
        shown, flags, at = log.places(Kind.STATE), log.column("flags"), log.column("at")
        places, version, until, previous = (np.empty(len(shown), np.int64) for _ in range(4))
        late = np.empty(2 * len(shown), np.int64)
        counts = np.array([0, 0])
        _versions(
            *(shown, flags, log.column("process"), log.column("value"), at, log.first, self._count),
            *(self._shown, self._versions, self._rows, self._events),
            *(places, version, until, previous, late, counts),
        )
        places, version, until, previous = (column[: counts[0]] for column in (places, version, until, previous))
        older, ended = late[: 2 * counts[1]].reshape(-1, 2).T
        patches = patch("states", older, until=known(ended))
        row = np.arange(self._count, self._count + len(places))
        process = log.column("process")[places]
        self._firsts += zip(row[version == 0].tolist(), process[version == 0].tolist(), strict=True)
        self._count += len(places)

        frames = calls.of_event[places]
        sites = lookup(calls.site, frames)
        shows = log.column("frame")[places] != 0
        described = np.zeros(int(sites.max(initial=0)) + 2, dtype=bool)
        described[[number for number in log.sites if number < len(described) - 1]] = True
        known_sites = described[sites] & shows
        unplaced = np.flatnonzero(~known_sites)
        self._unplaced.append(np.stack([row[unplaced], process[unplaced]], axis=1))
        table_ = table(
            "states",
            state=places + log.first,
            process=process,
            version=version,
            at=at[places],
            until=known(until),
            module=each(np.where(known_sites, sites, NONE), lambda n: None if n == NONE else log.sites[n].module),
            callback=each(np.where(known_sites, sites, NONE), lambda n: _callback(log, n)),
            call=known(np.where(shows, calls.event_of(frames), NONE)),
            message=known(lookup(message, frames)),
            value=log.column("value")[places],
            previous=known(previous),
            restart=np.zeros(len(places), dtype=bool),
            discontinuity=(flags[places] & int(Flag.DISCONTINUITY)) != 0,
        )
        return table_, patches

    def explained(self, lives: list[Life]) -> list[Patch]:
        """What the lives of processes tell: whose module it is that no callback shows, and what a restarted process
        began after."""
        rows, owners = self._unplaced.all.T
        return self._inherit(lives, self._firsts, {}) + patch(
            "states", rows, module=each(owners, lambda n: lives[n].module)
        )

    def news(self, lives: list[Life], changed: set[int]) -> list[Patch]:
        """What became known of that since this was asked. `changed`: the lives of which more is."""
        moved = np.flatnonzero(self._events != with_places(self._told_events, len(self._events))[: len(self._events)])
        self._told_events = self._events.copy()
        begun, self._told_firsts = self._firsts[self._told_firsts :], len(self._firsts)
        self._first_rows.update((owner, row) for row, owner in begun)
        heirs = {owner for _, owner in begun} | {number for number in changed if number in self._first_rows}
        for number in moved.tolist():
            while (number := lives[number].successor) != NONE:
                heirs.add(number)
        firsts = [(self._first_rows[number], number) for number in sorted(heirs) if number in self._first_rows]
        patches = self._inherit(lives, firsts, self._told_heirs)

        told, self._told_unplaced = self._told_unplaced, len(self._unplaced)
        others = [n for n in changed if n in self._told_modules and self._told_modules[n] != lives[n].module]
        before, fresh = self._unplaced.all[:told], self._unplaced.all[told:]
        again = before[np.isin(before[:, 1], others)] if others else before[:0]
        rows, owners = np.concatenate([again, fresh]).T
        self._told_modules.update((number, lives[number].module) for number in np.unique(owners).tolist())
        return patches + patch("states", rows, module=each(owners, lambda n: lives[n].module))

    def _inherit(self, lives: list[Life], firsts: list[tuple[int, int]], told: dict[int, int]) -> list[Patch]:
        """What processes began after that have first versions, where it is not what was told of them."""
        events, pairs = self._events, list[tuple[int, int]]()
        for row, owner in firsts:
            if (found := _inherited(lives, owner, events)) != told.get(owner, NONE):
                told[owner] = found
                pairs.append((row, found))
        rows, before = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return patch("states", rows, previous=known(before), restart=before != NONE)


@kernel
def _versions(
    states: I64,
    flags: U8,
    process: I32,
    value: I64,
    at: I64,
    first: int,
    count: int,
    shown: I64,
    versions: I64,
    rows: I64,
    events: I64,
    place: I64,
    version: I64,
    until: I64,
    previous: I64,
    late: I64,
    counts: I64,
) -> None:
    """The versions of a slice, whose first row is `count`, in its events `states`. Of each process: the value shown
    last, how many versions there were, and of the last its row and event, moved on. `late`: pairs (row of an older
    version, when it ended); `counts`: of versions and of those."""
    for number in range(len(states)):
        event = states[number]
        if value[event] == -1 or flags[event] & _UNCHANGED:
            continue
        owner = process[event]
        before, shown[owner] = shown[owner], value[event]
        if value[event] == before and not flags[event] & _TRUNCATED:
            continue
        row, new = rows[owner], counts[0]
        if row >= count:
            until[row - count] = at[event]
        elif row >= 0:
            late[2 * counts[1]], late[2 * counts[1] + 1] = row, at[event]
            counts[1] += 1
        place[new], version[new], until[new], previous[new] = event, versions[owner], -1, events[owner]
        versions[owner] += 1
        rows[owner], events[owner] = count + new, first + event
        counts[0] += 1


def _callback(log: Log, number: int) -> str | None:
    if number == NONE:
        return None
    site = log.sites[number]
    return site.callback or f"{site.function}/{site.arity}"


def _inherited(lives: list[Life], process: int, finals: Ints) -> int:
    """The last state of the nearest earlier incarnation that had any."""
    before = lives[process].predecessor
    while before != NONE and (before >= len(finals) or finals[before] == NONE):
        before = lives[before].predecessor
    return NONE if before == NONE else int(finals[before])
