"""State versions: what a process held, from when to when, and which callback and message changed it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, each, known, lookup, table
from elixirscope.correlate.processes import Life
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log


def states_table(log: Log, calls: Calls, lives: list[Life], handled: Ints) -> pa.Table:
    """`handled`: per frame the message event it handles, or -1.

    A STATE event without a value (the very same term) or with the value that the process already had makes no version;
    a value cut to its budget always does, for what was cut may differ.
    """
    shown = log.by_process[(log.column("kind") == Kind.STATE)[log.by_process]]
    shown = shown[(log.column("value")[shown] != NONE) & ((log.column("flags")[shown] & int(Flag.UNCHANGED)) == 0)]
    process, value = log.column("process")[shown], log.column("value")[shown]
    again = np.zeros(len(shown), dtype=bool)
    again[1:] = (process[1:] == process[:-1]) & (value[1:] == value[:-1])
    events = shown[~again | ((log.column("flags")[shown] & int(Flag.TRUNCATED)) != 0)]
    process = log.column("process")[events]
    first = np.flatnonzero(np.diff(process, prepend=NONE))
    version = np.arange(len(events)) - np.repeat(first, np.diff(first, append=len(events)))
    previous = np.where(version > 0, np.roll(events, 1), NONE)
    until = np.where(np.roll(version, -1) > 0, log.column("at")[np.roll(events, -1)], NONE)
    last = np.append(first[1:], len(events)) - 1 if len(events) else first
    finals = dict(zip(process[first].tolist(), events[last].tolist(), strict=True))
    restart = np.zeros(len(events), dtype=bool)
    for index in first.tolist():
        if (found := _inherited(lives, int(process[index]), finals)) != NONE:
            previous[index], restart[index] = found, True
    order = np.argsort(events)
    events, version, until, previous, restart = (
        column[order] for column in (events, version, until, previous, restart)
    )
    frames = calls.of_event[events]
    sites = lookup(calls.site, frames)
    known_sites = np.isin(sites, list(log.sites)) & (log.column("frame")[events] != 0)
    owners = np.where(known_sites, NONE, log.column("process")[events])
    return table(
        "states",
        state=events,
        process=log.column("process")[events],
        version=version,
        at=log.column("at")[events],
        until=known(until),
        module=each(np.where(known_sites, sites, -2 - owners), lambda n: _module(log, lives, n)),
        callback=each(np.where(known_sites, sites, NONE), lambda n: _callback(log, n)),
        call=known(np.where(log.column("frame")[events] != 0, calls.event_of(frames), NONE)),
        message=known(lookup(handled, frames)),
        value=log.column("value")[events],
        previous=known(previous),
        restart=restart,
        discontinuity=(log.column("flags")[events] & int(Flag.DISCONTINUITY)) != 0,
    )


def _module(log: Log, lives: list[Life], number: int) -> str | None:
    """Of a site, or below -1 of a process: -2 for 0, -3 for 1 …"""
    return log.sites[number].module if number >= 0 else lives[-2 - number].module


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
