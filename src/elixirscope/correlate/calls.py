"""Frames: every CALL with the event that ended it, its caller and its depth; the table of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from elixirscope.correlate.columns import NONE, Ints, ints, known, lookup, table
from elixirscope.correlate.nesting import Named, Nesting
from elixirscope.correlate.walk import OUTCOMES, RETURNED, Walk, name_of
from elixirscope.recording.format import Flag
from elixirscope.recording.log import Log


@dataclass
class Calls:
    """All frames in event order, in parallel arrays; a frame is an index into them, -1 is none."""

    event: Ints
    process: Ints
    site: Ints
    parent: Ints  # frame
    tail_of: Ints  # frame
    depth: Ints
    end_event: Ints
    outcome: Ints  # index into OUTCOMES
    of_event: Ints  # per event of the recording: its frame, or the innermost one open when it happened

    def event_of(self, frames: Ints) -> Ints:
        """The CALL events of frames."""
        return lookup(self.event, frames)


def find_calls(log: Log, lossy: set[int]) -> Calls:
    """Pairs, nests and unwinds. `lossy`: processes with lost events, whose silent ends may be lost returns.

    All processes at once, except those that lost events or whose events do not nest: these are walked one by one.
    """
    order = log.by_process
    process = log.column("process")[order]
    named = Named(log, order)
    irregular = named.irregular() | lossy
    walked = np.isin(process, list(irregular)) if irregular else np.zeros(len(order), dtype=bool)
    regular = order[~walked]
    nesting = Nesting(log, Named(log, regular) if irregular else named)
    walk = Walk(log, lossy)
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

    return Calls(
        event=event[by_event],
        process=log.column("process")[event[by_event]].astype(np.int64),
        site=log.column("site")[event[by_event]].astype(np.int64),
        parent=lookup(new, column(nesting.parent, moved(walk.parent))),
        tail_of=lookup(new, column(nesting.tail_of, moved(walk.tail_of))),
        depth=column(nesting.depth, ints(walk.depth)),
        end_event=column(nesting.end_event, ints(walk.end_event)),
        outcome=column(nesting.outcome, ints(walk.outcome)),
        of_event=lookup(new, of_event),
    )


def calls_table(log: Log, calls: Calls, message: Ints, remote_parent: Ints) -> pa.Table:
    """`message`: per frame the message event it handles; `remote_parent`: per frame a frame; -1 for none."""
    names = {number: name_of(site) for number, site in log.sites.items()}
    sites, where = np.unique(calls.site, return_inverse=True)

    def of_site(values: list[object], kind: pa.DataType) -> pa.Array:
        return pa.array(values, type=kind).take(pa.array(where))

    def part(index: int) -> list[object]:
        return [names[s][index] if s in names else None for s in sites.tolist()]

    def kind_of(site: int) -> str:
        return log.sites[site].kind if site in log.sites else ""

    external = np.array([kind_of(s) == "external" for s in sites.tolist()], dtype=bool)
    made = np.array([s in log.sites and bool(log.sites[s].generated) for s in sites.tolist()], dtype=bool)
    end = calls.end_event
    ended_by_return = calls.outcome == RETURNED
    return table(
        "calls",
        call=calls.event,
        process=calls.process,
        site=pa.array(calls.site, mask=calls.site == 0),
        module=of_site(part(0), pa.string()),
        function=of_site(part(1), pa.string()),
        arity=of_site(part(2), pa.int32()),
        parent=known(calls.event_of(calls.parent)),
        depth=calls.depth,
        start=log.column("at")[calls.event],
        end=known(lookup(log.column("at"), end)),
        end_event=known(end),
        outcome=pa.DictionaryArray.from_arrays(calls.outcome.astype(np.int8), pa.array(OUTCOMES)),
        args=known(log.column("value")[calls.event]),
        result=known(np.where(ended_by_return, lookup(log.column("value"), end), NONE)),
        tail_of=known(calls.event_of(calls.tail_of)),
        external=external[where],
        generated=made[where] | ((log.column("flags")[calls.event] & int(Flag.GENERATED)) != 0),
        remote_parent=known(calls.event_of(remote_parent)),
        message=known(message),
    )
