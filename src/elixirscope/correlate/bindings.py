"""Variables: one row for each that a BIND event shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, known, table, texts
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log


def bindings_table(log: Log, calls: Calls) -> pa.Table:
    """Names and lines come from the site, values stay in the event's tuple."""
    places = log.places(Kind.BIND)
    places = places[log.column("value")[places] != NONE]
    site = log.column("site")[places]
    size = int(site.max(initial=NONE)) + 1
    numbers = np.flatnonzero(np.bincount(site, minlength=size)).tolist()
    known_sites = [log.sites[number] for number in numbers if number in log.sites]
    counts, starts, lines = np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, NONE, np.int32)
    names, codes = dict[str, int](), list[int]()  # the names of all sites, one after the other, as numbers
    for about in known_sites:
        counts[about.id], starts[about.id] = len(about.vars), len(codes)
        lines[about.id] = NONE if about.line is None else about.line
        codes += [names.setdefault(name, len(names)) for name in about.vars]
    repeat = counts[site]
    position = _positions(repeat)
    of = np.repeat(np.arange(len(places)), repeat)
    place, site = places[of], site[of]
    name = np.array(codes, np.int32)[starts[site] + position]
    return table(
        "bindings",
        event=log.column("event")[place],
        process=log.column("process")[place],
        at=log.column("at")[place],
        call=known(calls.of_events[place]),
        site=site,
        line=known(lines[site]),
        name=texts(name, names),
        position=position.astype(np.int32),
        value=log.column("value")[place],
    )


def _positions(counts: Ints) -> Ints:
    """0, 1, … within each group of the given sizes."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) - np.repeat(ends - counts, counts)
