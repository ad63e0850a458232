"""Frames one event after the other, with a stack: the plain way, for processes that vectors cannot take in one go.

Frames are named by the process and the timestamp that their CALL carried, so an event always says which frame it
belongs to; whatever lies deeper on the stack has then ended without an event of its own, which is how exceptions
unwind. A tail call ends the frame; the frame that continues it stands at the same depth and names it in `tail_of`.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from elixirscope.correlate.columns import NONE, Ints
from elixirscope.recording.counted import LeftOut
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Callee, Log, Site

OUTCOMES = ("returned", "tail", "raised", "open")
RETURNED, TAIL, RAISED, OPEN = range(4)
CODE = (Kind.RETURN, Kind.TAIL, Kind.BIND, Kind.CAUGHT, Kind.RAISE, Kind.STATE)  # what names its frame


def name_of(site: Site) -> Callee:
    """The function that a frame of this site runs."""
    if site.kind == "external" and site.callee is not None:
        return site.callee
    return Callee(site.module, site.function, site.arity)


class Ghost(NamedTuple):
    """A frame that ended by a tail call, until the frame below it stirs: what runs now runs on its behalf."""

    frame: int
    level: int  # frames that were open below it
    callee: Callee | None  # None: a closure
    at: int  # when it ended


class Known(NamedTuple):
    """The first `events` events of a log are older than what it is about: they only say what was open when that begins.
    `continued`: of their CALLs, which other one each continues. `left_out`: calls that were not recorded."""

    events: int
    continued: dict[int, int]
    left_out: LeftOut


class Walk:
    """The frames of some events, numbered as they were entered, in parallel lists; -1 is none."""

    def __init__(self, log: Log, lossy: set[int], known: Known | None = None) -> None:
        """`lossy`: processes with lost events, whose silent ends may be lost returns."""
        self.log = log
        self.lossy = lossy
        self.known = known or Known(0, {}, LeftOut())
        self.left: dict[int, tuple[list[int], list[int]]] = {}  # part → frames and ghosts at its end
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
        rows = self.log.rows[order]
        call, tail, returned, caught, exited = Kind.CALL, Kind.TAIL, Kind.RETURN, Kind.CAUGHT, Kind.EXIT
        code = frozenset(CODE)
        self.of_event = of_event = [NONE] * len(order)
        current = NONE
        stack: list[int] = []  # open frames
        names: list[int] = []  # their ids as captured; ascending, for they are timestamps
        ghosts: list[Ghost] = []
        columns = (rows[name].tolist() for name in ("process", "kind", "frame", "site"))
        numbered = enumerate(zip(order.tolist(), parts.tolist(), *columns, strict=True))
        for place, (event, part, process, kind, frame, site) in numbered:
            if part != current:
                self._part_ends(current, stack, ghosts)
                current, stack, names, ghosts = part, [], [], []
            if kind == call:
                if event < self.known.events:
                    before = self.known.continued.get(event)
                    continues = next((ghost.frame for ghost in ghosts if self.event[ghost.frame] == before), NONE)
                else:
                    continues = self._continues(ghosts, len(stack), site, event) if ghosts else NONE
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
                        self._leave(ghosts, number, len(stack), site, event < self.known.events)
            else:
                here = bool(ghosts) and ghosts[-1].level == len(stack)
                of_event[place] = ghosts[-1].frame if here else stack[-1] if stack else NONE
                if kind == exited:
                    self._unwind(stack, event)
                    stack, names, ghosts = [], [], []
        self._part_ends(current, stack, ghosts)

    def _part_ends(self, part: int, stack: list[int], ghosts: list[Ghost]) -> None:
        if stack or ghosts:
            self.left[part] = stack, [ghost.frame for ghost in ghosts]

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

    def _leave(self, ghosts: list[Ghost], number: int, level: int, site: int, known: bool) -> None:
        """A frame has ended by a tail call: it takes the place of any earlier ghost that it does not continue. Of known
        ghosts all are still there."""
        while not known and ghosts and ghosts[-1].level >= level and ghosts[-1].frame != self.tail_of[number]:
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
            if (ghost.callee == name_of(called) or (ghost.callee is None and called.kind == "fn")) and not (
                self.known.left_out
                and self.known.left_out.may_hide(called, ghost.at, int(self.log.column("at")[event]))
            ):
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
