"""Frames one event after the other, with a stack: as `correlate.walk` finds them, with Python's lists."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from elixirscope.correlate.columns import NONE, Ints
from elixirscope.correlate.walk import CODE, OPEN, RAISED, RETURNED, TAIL, calls_nothing, name_of
from elixirscope.recording.counted import LeftOut
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Callee, Log


class Ghost(NamedTuple):
    """A frame that ended by a tail call, until the frame below it stirs: what runs now runs on its behalf."""

    frame: int
    level: int  # frames that were open below it
    callee: Callee | None  # None: a closure
    at: int  # when it ended


class Walk:
    """The frames of some events, numbered as they were entered, in parallel lists; -1 is none."""

    def __init__(self, log: Log, lossy: set[int]) -> None:
        """`lossy`: processes with lost events, whose silent ends may be lost returns."""
        self.log = log
        self.lossy = lossy
        self.left_out = LeftOut(log)
        self.event: list[int] = []
        self.process: list[int] = []
        self.site: list[int] = []
        self.parent: list[int] = []
        self.tail_of: list[int] = []
        self.depth: list[int] = []
        self.end_event: list[int] = []
        self.outcome: list[int] = []
        self.of_event: list[int] = []  # as the events that were walked

    def run(self, order: Ints, parts: Ints) -> None:
        """Walk the events `order`. `parts`: for each the part it is in; each part begins with an empty stack."""
        call, tail, returned, caught, exited = Kind.CALL, Kind.TAIL, Kind.RETURN, Kind.CAUGHT, Kind.EXIT
        code = frozenset(CODE)
        self.of_event = of_event = [NONE] * len(order)
        current = NONE
        stack: list[int] = []  # open frames
        names: list[int] = []  # their ids as captured; ascending, for they are timestamps
        ghosts: list[Ghost] = []
        columns = (self.log.rows[name][order].tolist() for name in ("process", "kind", "frame", "site"))
        numbered = enumerate(zip(order.tolist(), parts.tolist(), *columns, strict=True))
        for place, (event, part, process, kind, frame, site) in numbered:
            if part != current:
                current, stack, names, ghosts = part, [], [], []
            if kind == call:
                continues = self._continues(ghosts, len(stack), site, event) if ghosts else NONE
                if continues == NONE:
                    while ghosts and ghosts[-1].level == len(stack) and _calls_nothing(ghosts[-1]):
                        ghosts.pop()
                of_event[place] = number = len(self.event)
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
                of_event[place] = number = stack[-1]
                if kind in (returned, tail):
                    self.end_event[number] = event
                    self.outcome[number] = RETURNED if kind == returned else TAIL
                    stack.pop()
                    names.pop()
                    if kind == tail:
                        self._leave(ghosts, number, len(stack), site)
            else:
                here = bool(ghosts) and ghosts[-1].level == len(stack)
                of_event[place] = ghosts[-1].frame if here else stack[-1] if stack else NONE
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
        at = int(self.log.column("at")[self.end_event[number]])
        ghosts.append(Ghost(number, level, place.callee if place else None, at))

    def _continues(self, ghosts: list[Ghost], level: int, site: int, event: int) -> int:
        """The frame whose tail call a CALL at this depth continues, or -1."""
        called = self.log.sites.get(site)
        if called is None:
            return NONE
        for place in range(len(ghosts) - 1, -1, -1):
            ghost = ghosts[place]
            if ghost.level != level:
                return NONE
            spans, at = self.left_out.spans(called), int(self.log.column("at")[event])
            hidden = any(since <= at and ghost.at <= until for since, until in spans)
            if (ghost.callee == name_of(called) or (ghost.callee is None and called.kind == "fn")) and not hidden:
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


def _calls_nothing(ghost: Ghost) -> bool:
    return ghost.callee is not None and calls_nothing(ghost.callee)
