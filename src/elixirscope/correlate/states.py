"""State versions: what a process held, from when to when, and which callback and message changed it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, each, known, lookup, patch, table
from elixirscope.correlate.processes import Life
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log


class States:
    """Numbers the states of processes slice by slice. Between slices it keeps the last of each process."""

    def __init__(self) -> None:
        self._shown = np.empty(0, np.int64)  # per process the value shown last
        self._versions = np.empty(0, np.int64)
        self._rows = np.empty(0, np.int64)  # … of the last version in the table
        self._events = np.empty(0, np.int64)
        self._firsts: list[tuple[int, int]] = []  # row and process of first versions
        self._unplaced: list[Ints] = []  # rows and processes of states that no callback shows
        self._count = 0

    def take(self, log: Log, calls: Calls, message: Ints) -> tuple[pa.Table, list[Patch]]:
        """The versions of the next slice, and until when older ones held. `message`: as in `Handled`.

        A STATE event without a value (the very same term) or with the value that the process already had makes no
        version; a value cut to its budget always does, for what was cut may differ.
        """
        for name, empty in (("_shown", NONE), ("_versions", 0), ("_rows", NONE), ("_events", NONE)):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.full(len(log.processes) - len(column), empty)]))
        shown = log.by_process[(log.column("kind") == Kind.STATE)[log.by_process]]
        shown = shown[(log.column("value")[shown] != NONE) & ((log.column("flags")[shown] & int(Flag.UNCHANGED)) == 0)]
        process, value = log.column("process")[shown], log.column("value")[shown]
        begins = np.diff(process, prepend=NONE) != 0
        before = np.append(NONE, value[:-1])[: len(value)]
        before[begins] = self._shown[process[begins]]
        cut = (log.column("flags")[shown] & int(Flag.TRUNCATED)) != 0
        ends = np.flatnonzero(begins)[1:] - 1
        ends = np.append(ends, len(shown) - 1) if len(shown) else ends
        self._shown[process[ends]] = value[ends]
        places = shown[(value != before) | cut]

        process = log.column("process")[places].astype(np.int64)
        events, at = places + log.first, log.column("at")[places]
        first = np.flatnonzero(np.diff(process, prepend=NONE))
        counts = np.diff(first, append=len(places))
        owners = process[first]
        version = np.arange(len(places)) - np.repeat(first - self._versions[owners], counts)
        previous = np.append(NONE, events[:-1])[: len(events)]
        previous[first] = self._events[owners]
        until = np.append(at[1:], NONE)[: len(at)]
        last = np.append(first[1:], len(places)) - 1 if len(places) else first
        until[last] = NONE
        order = np.argsort(places)
        row = np.empty(len(order), np.int64)
        row[order] = np.arange(self._count, self._count + len(order))
        older = self._rows[owners]
        patches = patch("states", older[older != NONE], until=known(at[first][older != NONE]))
        self._firsts += [
            (int(row[place]), owner)
            for place, owner, before_ in zip(first.tolist(), owners.tolist(), older.tolist(), strict=True)
            if before_ == NONE
        ]
        self._versions[owners] += counts
        self._rows[owners], self._events[owners] = row[last], events[last]
        self._count += len(order)

        places, version, until, previous = (column[order] for column in (places, version, until, previous))
        frames = calls.of_event[places]
        sites = lookup(calls.site, frames)
        shows = log.column("frame")[places] != 0
        known_sites = np.isin(sites, list(log.sites)) & shows
        unplaced = np.flatnonzero(~known_sites)
        self._unplaced.append(np.stack([row[order][unplaced], log.column("process")[places[unplaced]]], axis=1))
        table_ = table(
            "states",
            state=events[order],
            process=log.column("process")[places],
            version=version,
            at=log.column("at")[places],
            until=known(until),
            module=each(np.where(known_sites, sites, NONE), lambda n: None if n == NONE else log.sites[n].module),
            callback=each(np.where(known_sites, sites, NONE), lambda n: _callback(log, n)),
            call=known(np.where(shows, calls.event_of(frames), NONE)),
            message=known(lookup(message, frames)),
            value=log.column("value")[places],
            previous=known(previous),
            restart=np.zeros(len(places), dtype=bool),
            discontinuity=(log.column("flags")[places] & int(Flag.DISCONTINUITY)) != 0,
        )
        return table_, patches

    def explained(self, lives: list[Life]) -> list[Patch]:
        """What the lives of processes tell: whose module it is that no callback shows, and what a restarted process
        began after."""
        finals = {process: int(event) for process, event in enumerate(self._events.tolist()) if event != NONE}
        inherited = [(row, found) for row, owner in self._firsts if (found := _inherited(lives, owner, finals)) != NONE]
        rows, before = np.array(inherited, dtype=np.int64).reshape(-1, 2).T
        restarts = patch("states", rows, previous=known(before), restart=np.ones(len(rows), dtype=bool))
        self._unplaced = [np.concatenate([np.empty((0, 2), np.int64), *self._unplaced])]
        rows, owners = self._unplaced[0].T
        return restarts + patch("states", rows, module=each(owners, lambda n: lives[n].module))


def _callback(log: Log, number: int) -> str | None:
    if number == NONE:
        return None
    site = log.sites[number]
    return site.callback or f"{site.function}/{site.arity}"


def _inherited(lives: list[Life], process: int, finals: dict[int, int]) -> int:
    """The last state of the nearest earlier incarnation that had any."""
    before = lives[process].predecessor
    while before != NONE and before not in finals:
        before = lives[before].predecessor
    return finals.get(before, NONE)
