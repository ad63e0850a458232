"""Variables: one row for each that a BIND event shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, known, table
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log


def bindings_table(log: Log, calls: Calls) -> pa.Table:
    """Names and lines come from the site, values stay in the event's tuple."""
    places = np.flatnonzero((log.column("kind") == Kind.BIND) & (log.column("value") != NONE))
    sites, where = np.unique(log.column("site")[places], return_inverse=True)
    names = [log.sites[s].vars if s in log.sites else () for s in sites.tolist()]
    lines = pa.array([log.sites[s].line if s in log.sites else None for s in sites.tolist()], type=pa.int32())
    counts = np.array([len(each) for each in names], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    flat = pa.array([name for each in names for name in each], type=pa.string())

    repeat = counts[where] if len(where) else np.empty(0, dtype=np.int64)
    position = _positions(repeat)
    of = np.repeat(np.arange(len(places)), repeat)
    place, site = places[of], where[of]
    return table(
        "bindings",
        event=log.column("event")[place],
        process=log.column("process")[place],
        at=log.column("at")[place],
        call=known(calls.event_of(calls.of_event[place])),
        site=log.column("site")[place],
        line=lines.take(pa.array(site)),
        name=flat.take(pa.array(starts[site] + position)),
        position=position,
        value=log.column("value")[place],
    )


def _positions(counts: Ints) -> Ints:
    """0, 1, … within each group of the given sizes."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) - np.repeat(ends - counts, counts)
