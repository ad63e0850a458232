"""Frames: every CALL with the event that ended it, its caller and its depth.

One pass over the events of each process with a stack. Frames are named by the process and the timestamp that their
CALL carried, so an event always says which frame it belongs to; whatever lies deeper on the stack has then ended
without an event of its own, which is how exceptions unwind. A tail call ends the frame; the frame that continues it
stands at the same depth and names it in `tail_of`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from elixirscope.correlate.columns import NONE, Ints, ints, known, lookup, table
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Callee, Log, Site

OUTCOMES = ("returned", "tail", "raised", "open")
RETURNED, TAIL, RAISED, OPEN = range(4)


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
    """Pairs, nests and unwinds. `lossy`: processes with lost events, whose silent ends may be lost returns."""
    rows = log.rows
    order = np.argsort(rows["process"], kind="stable")
    walk = _Walk(log, len(rows), lossy)
    walk.run(order)
    return walk.finish()


class Ghost(NamedTuple):
    """A frame that ended by a tail call, until the frame below it stirs: what runs now runs on its behalf."""

    frame: int
    level: int  # frames that were open below it
    callee: Callee | None  # None: a closure


class _Walk:
    def __init__(self, log: Log, events: int, lossy: set[int]) -> None:
        self.log = log
        self.lossy = lossy
        self.event: list[int] = []
        self.process: list[int] = []
        self.site: list[int] = []
        self.parent: list[int] = []
        self.tail_of: list[int] = []
        self.depth: list[int] = []
        self.end_event: list[int] = []
        self.outcome: list[int] = []
        self.of_event = [NONE] * events

    def run(self, order: Ints) -> None:
        rows = self.log.rows[order]
        call, tail, returned, caught, exited = Kind.CALL, Kind.TAIL, Kind.RETURN, Kind.CAUGHT, Kind.EXIT
        code = {Kind.RETURN, Kind.TAIL, Kind.BIND, Kind.CAUGHT, Kind.RAISE, Kind.STATE}
        of_event = self.of_event
        current = NONE
        stack: list[int] = []  # open frames
        names: list[int] = []  # their ids as captured; ascending, for they are timestamps
        ghosts: list[Ghost] = []
        columns = (rows[name].tolist() for name in ("process", "kind", "frame", "site"))
        for event, process, kind, frame, site in zip(order.tolist(), *columns, strict=True):
            if process != current:
                current, stack, names, ghosts = process, [], [], []
            if kind == call:
                continues = self._continues(ghosts, len(stack), site) if ghosts else NONE
                of_event[event] = number = len(self.event)
                self._open(event, process, site, stack[-1] if stack else NONE, continues, len(stack))
                stack.append(number)
                names.append(frame)
            elif frame and kind in code:
                level = bisect_right(names, frame)
                if not level or names[level - 1] != frame:
                    continue  # the CALL of this frame was lost, or is older than the recording
                if level < len(stack):
                    if kind == caught or process not in self.lossy:
                        self._unwind(stack[level:], event)
                    del stack[level:], names[level:]
                while ghosts and ghosts[-1].level >= level:
                    ghosts.pop()
                of_event[event] = number = stack[-1]
                if kind in (returned, tail):
                    self.end_event[number] = event
                    self.outcome[number] = RETURNED if kind == returned else TAIL
                    stack.pop()
                    names.pop()
                    if kind == tail:
                        self._leave(ghosts, number, len(stack), site)
            else:
                here = bool(ghosts) and ghosts[-1].level == len(stack)
                of_event[event] = ghosts[-1].frame if here else stack[-1] if stack else NONE
                if kind == exited:
                    self._unwind(stack, event)
                    stack, names, ghosts = [], [], []

    def _open(self, event: int, process: int, site: int, parent: int, tail_of: int, depth: int) -> None:
        self.event.append(event)
        self.process.append(process)
        self.site.append(site)
        self.parent.append(parent)
        self.tail_of.append(tail_of)
        self.depth.append(depth)
        self.end_event.append(NONE)
        self.outcome.append(OPEN)

    def _unwind(self, frames: list[int], event: int) -> None:
        for number in frames:
            self.end_event[number] = event
            self.outcome[number] = RAISED

    def _leave(self, ghosts: list[Ghost], number: int, level: int, site: int) -> None:
        """A frame has ended by a tail call: it takes the place of any earlier ghost that it does not continue."""
        while ghosts and ghosts[-1].level >= level and ghosts[-1].frame != self.tail_of[number]:
            ghosts.pop()
        place = self.log.sites.get(site)
        ghosts.append(Ghost(number, level, place.callee if place else None))

    def _continues(self, ghosts: list[Ghost], level: int, site: int) -> int:
        """The frame whose tail call a CALL at this depth continues, or -1."""
        called = self.log.sites.get(site)
        if called is None:
            return NONE
        for place in range(len(ghosts) - 1, -1, -1):
            ghost = ghosts[place]
            if ghost.level != level:
                return NONE
            if ghost.callee == name_of(called) or (ghost.callee is None and called.kind == "fn"):
                del ghosts[place:]
                return ghost.frame
            # It called code that is not recorded (Enum.map …), and that calls back a closure of the frame.
            before = self.log.sites.get(self.site[ghost.frame])
            if called.kind == "fn" and before is not None and before.kind == "function":
                if name_of(called)[:2] != name_of(before)[:2]:
                    continue
                del ghosts[place + 1 :]
                return ghost.frame
        return NONE

    def finish(self) -> Calls:
        event = ints(self.event)
        # The walk numbered the frames process by process; number them in event order instead.
        order = np.argsort(event)
        new = np.empty(len(order), dtype=np.int64)
        new[order] = np.arange(len(order))

        def column(values: list[int]) -> Ints:
            return ints(values)[order]

        return Calls(
            event=event[order],
            process=column(self.process),
            site=column(self.site),
            parent=lookup(new, column(self.parent)),
            tail_of=lookup(new, column(self.tail_of)),
            depth=column(self.depth),
            end_event=column(self.end_event),
            outcome=column(self.outcome),
            of_event=lookup(new, ints(self.of_event)),
        )


def name_of(site: Site) -> Callee:
    """The function that a frame of this site runs."""
    if site.kind == "external" and site.callee is not None:
        return site.callee
    return Callee(site.module, site.function, site.arity)


def calls_table(log: Log, calls: Calls, message: Ints, remote_parent: Ints) -> pa.Table:
    """`message`: per frame the message event it handles; `remote_parent`: per frame a frame; -1 for none."""
    rows = log.rows
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
        start=rows["at"][calls.event],
        end=known(lookup(rows["at"], end)),
        end_event=known(end),
        outcome=[OUTCOMES[o] for o in calls.outcome.tolist()],
        args=known(rows["value"][calls.event]),
        result=known(np.where(ended_by_return, lookup(rows["value"], end), NONE)),
        tail_of=known(calls.event_of(calls.tail_of)),
        external=external[where],
        generated=made[where] | ((rows["flags"][calls.event] & int(Flag.GENERATED)) != 0),
        remote_parent=known(calls.event_of(remote_parent)),
        message=known(message),
    )
