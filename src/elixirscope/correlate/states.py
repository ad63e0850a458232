"""State versions: what a process held, from when to when, and which callback and message changed it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, ints, known, table
from elixirscope.correlate.processes import Life
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log


def states_table(log: Log, calls: Calls, lives: list[Life], handled: Ints) -> pa.Table:
    """`handled`: per frame the message event it handles, or -1.

    A STATE event without a value (the very same term) or with the value that the process already had makes no version;
    a value cut to its budget always does, for what was cut may differ.
    """
    rows = log.rows
    chosen: list[int] = []
    versions: list[int] = []
    until: list[int] = []
    previous: list[int] = []
    last: dict[int, int] = {}  # process → its latest version
    count: defaultdict[int, int] = defaultdict(int)
    held: dict[int, int] = {}  # process → the value of that version
    shown = np.flatnonzero((rows["kind"] == Kind.STATE) & (rows["value"] != NONE))
    unchanged, truncated = int(Flag.UNCHANGED), int(Flag.TRUNCATED)
    columns = (rows[name][shown].tolist() for name in ("process", "flags", "value", "at"))
    for event, process, flags, value, at in zip(shown.tolist(), *columns, strict=True):
        before = last.get(process)
        if flags & unchanged or (held.get(process) == value and not flags & truncated):
            continue
        held[process] = value
        if before is not None:
            until[before] = at
        last[process] = len(chosen)
        chosen.append(event)
        versions.append(count[process])
        count[process] += 1
        until.append(NONE)
        previous.append(NONE if before is None else chosen[before])

    finals = {process: chosen[index] for process, index in last.items()}
    restart = [False] * len(chosen)
    for index, event in enumerate(chosen):
        if previous[index] == NONE and (found := _inherited(lives, int(rows["process"][event]), finals)) != NONE:
            previous[index], restart[index] = found, True

    events = ints(chosen)
    frames = calls.of_event[events]
    sites = [log.sites.get(int(calls.site[f])) if f != NONE else None for f in frames.tolist()]
    captured = rows["frame"][events].tolist()
    owners = rows["process"][events].tolist()
    return table(
        "states",
        state=events,
        process=rows["process"][events],
        version=versions,
        at=rows["at"][events],
        until=known(ints(until)),
        module=[
            site.module if site and frame else lives[process].module
            for site, frame, process in zip(sites, captured, owners, strict=True)
        ],
        callback=[
            (site.callback or f"{site.function}/{site.arity}") if site and frame else None
            for site, frame in zip(sites, captured, strict=True)
        ],
        call=known(np.where(rows["frame"][events] != 0, calls.event_of(frames), NONE)),
        message=known(np.array([NONE if f == NONE else handled[f] for f in frames.tolist()], dtype=np.int64)),
        value=rows["value"][events],
        previous=known(ints(previous)),
        restart=restart,
        discontinuity=(rows["flags"][events] & int(Flag.DISCONTINUITY)) != 0,
    )


def _inherited(lives: list[Life], process: int, finals: dict[int, int]) -> int:
    """The last state of the nearest earlier incarnation that had any."""
    before = lives[process].predecessor
    while before != NONE and before not in finals:
        before = lives[before].predecessor
    return finals.get(before, NONE)
