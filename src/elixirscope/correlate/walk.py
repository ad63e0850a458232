"""Frames, one event after the other, with a stack for each process.

Frames are named by the process and the timestamp that their CALL carried, so an event always says which frame it
belongs to; whatever lies deeper on the stack has then ended without an event of its own, which is how exceptions
unwind. A tail call ends the frame; the frame that continues it stands at the same depth and names it in `tail_of`.

Until the frame below it stirs, a frame that ended by a tail call is a ghost: what runs now runs on its behalf. If it
called what never calls back (`GenServer.call`), then only until something else is called at its depth.
Stacks are linked lists: a frame's parent is what lies below it, and so is the ghost below a ghost.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import numpy as np

from elixirscope.correlate.columns import NONE, Ints
from elixirscope.kernels import I32, I64, U8, Bits, kernel
from elixirscope.recording.counted import LeftOut
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Callee, Log, Site

OUTCOMES = ("returned", "tail", "raised", "open")
RETURNED, TAIL, RAISED, OPEN = range(4)
CODE = (Kind.RETURN, Kind.TAIL, Kind.BIND, Kind.CAUGHT, Kind.RAISE, Kind.STATE)  # what names its frame

_NONE: Final = -1
_UNKNOWN: Final = -2  # function of a site that is not described
_CALL, _RETURN, _TAIL, _CAUGHT = int(Kind.CALL), int(Kind.RETURN), int(Kind.TAIL), int(Kind.CAUGHT)
_RAISE, _STATE, _EXIT = int(Kind.RAISE), int(Kind.STATE), int(Kind.EXIT)
_IS_FN, _IS_FUNCTION = 1, 2
_CALLS_NOTHING: Final = frozenset({"GenServer", "Agent", "Process", ":gen_server", ":gen_statem", ":gen_event", ":gen"})
"""Modules whose functions run nothing of the program's in the process that calls them: what starts a server runs its
callbacks in another one."""


def calls_nothing(callee: Callee) -> bool:
    """Whether a function surely calls none of the program's functions in its own process."""
    return callee.module in _CALLS_NOTHING


def name_of(site: Site) -> Callee:
    """The function that a frame of this site runs."""
    if site.kind == "external" and site.callee is not None:
        return site.callee
    return Callee(site.module, site.function, site.arity)


class Places:
    """What the sites of frames and tail calls say, by number; functions are numbered as they come."""

    def __init__(self) -> None:
        self._functions: dict[tuple[object, ...], int] = {}
        self.function = np.empty(0, np.int64)  # that a frame of the site runs
        self.home = np.empty(0, np.int64)  # the same without its arity
        self.callee = np.empty(0, np.int64)  # of a tail call; -1: a closure
        self.quiet = np.empty(0, np.bool_)  # of functions: whether they call nothing of the program's
        self.sort = np.empty(0, np.uint8)
        self.left_out = np.empty(0, np.int64)  # which in `spans` is the first of each site
        self.spans = np.empty(0, np.int64)  # from, until: calls in these times were not recorded

    def know(self, log: Log, numbers: Ints, left_out: LeftOut) -> None:
        """Look at the sites with these numbers."""
        size = int(numbers.max(initial=0)) + 1 - len(self.function)
        if size > 0:
            self.function = np.append(self.function, np.full(size, _UNKNOWN))
            self.home = np.append(self.home, np.full(size, _UNKNOWN))
            self.callee = np.append(self.callee, np.full(size, NONE))
            self.sort = np.append(self.sort, np.zeros(size, np.uint8))
        spans = dict[int, list[tuple[int, int]]]()
        for number in numbers.tolist():
            site = log.sites.get(number)
            if site is None:
                continue
            name = name_of(site)
            self.function[number] = self._number(name)
            self.home[number] = self._number(name[:2])
            self.callee[number] = NONE if site.callee is None else self._number(site.callee)
            self.sort[number] = {"fn": _IS_FN, "function": _IS_FUNCTION}.get(site.kind, 0)
            if left_out and (hidden := left_out.spans(site)):
                spans[number] = hidden
        counts = np.zeros(len(self.function) + 1, np.int64)
        for number, hidden in spans.items():
            counts[number + 1] = len(hidden)
        self.left_out = np.cumsum(counts)
        more = islice(self._functions, len(self.quiet), None)
        self.quiet = np.append(self.quiet, np.array([name[0] in _CALLS_NOTHING for name in more], np.bool_))
        self.spans = np.array([hidden for number in sorted(spans) for hidden in spans[number]], np.int64).ravel()

    def _number(self, name: tuple[object, ...]) -> int:
        return self._functions.setdefault(tuple(name), len(self._functions))


@kernel
def walk(
    kind: U8,
    process: I32,
    name: I64,
    site: I32,
    at: I64,
    first: int,
    lossy: Bits,
    function: I64,
    home: I64,
    callee: I64,
    sort: U8,
    quiet: Bits,
    left_out: I64,
    spans: I64,
    top: I64,
    ghost: I64,
    of_event: I64,
    count: int,
    event: I64,
    owner: I64,
    names: I64,
    place: I64,
    parent: I64,
    depth: I64,
    tail_of: I64,
    end: I64,
    outcome: I64,
    level: I64,
    below: I64,
    called: I64,
    left_at: I64,
) -> None:
    """Walk the events of a slice, in order of time; `first` is the number of its first.

    Of processes: whether they lost events, so that silent ends may be lost returns, their innermost frames and ghosts
    (carried on). Of sites: as in `Places`. Of frames, of which there are `count` before: what `Calls` has, their names,
    and as ghosts the number of frames open below them, the ghost below, the function called, and when they ended.
    Found is for each event its frame, or the innermost that was open (`of_event`).
    """
    for number in range(len(kind)):
        what, who = kind[number], process[number]
        if what == _CALL:
            height = depth[top[who]] + 1 if top[who] != _NONE else 0
            where = site[number]
            continued = _NONE
            waiting = ghost[who]
            while waiting != _NONE and level[waiting] == height and function[where] != _UNKNOWN:
                named = called[waiting] == function[where] or (called[waiting] == _NONE and sort[where] == _IS_FN)
                if named:
                    for span in range(left_out[where], left_out[where + 1]):
                        if spans[2 * span] <= at[number] and left_at[waiting] <= spans[2 * span + 1]:
                            named = False
                if named:
                    continued = waiting
                    ghost[who] = below[waiting]
                    break
                # It called code that is not recorded (Enum.map …), and that calls back a closure of the frame.
                before = place[waiting]
                if sort[where] == _IS_FN and sort[before] == _IS_FUNCTION and home[where] == home[before]:
                    continued = waiting
                    ghost[who] = waiting
                    break
                waiting = below[waiting]
            waiting = ghost[who] if continued == _NONE else _NONE
            while waiting != _NONE and level[waiting] == height and called[waiting] >= 0 and quiet[called[waiting]]:
                waiting = below[waiting]  # what it called has returned, or this call would not be
                ghost[who] = waiting
            event[count], owner[count], names[count], place[count] = first + number, who, name[number], where
            parent[count], depth[count], tail_of[count] = top[who], height, continued
            end[count], outcome[count], below[count] = _NONE, OPEN, _NONE
            top[who] = count
            of_event[number] = count
            count += 1
        elif name[number] != 0 and (_RETURN <= what <= _RAISE or what == _STATE):
            frame = top[who]
            while frame != _NONE and names[frame] > name[number]:
                frame = parent[frame]
            if frame == _NONE or names[frame] != name[number]:
                of_event[number] = _NONE  # the CALL of this frame was lost, or is older than the recording
                continue
            if what == _CAUGHT or not lossy[who]:
                inner = top[who]
                while inner != frame:
                    end[inner], outcome[inner] = first + number, RAISED
                    inner = parent[inner]
            top[who] = frame
            waiting = ghost[who]
            while waiting != _NONE and level[waiting] > depth[frame]:
                waiting = below[waiting]
            of_event[number] = frame
            if what in (_RETURN, _TAIL):
                end[frame], outcome[frame] = first + number, RETURNED
                top[who] = parent[frame]
                if what == _TAIL:
                    # It takes the place of any earlier ghost that it does not continue.
                    outcome[frame] = TAIL
                    while waiting != _NONE and level[waiting] >= depth[frame] and waiting != tail_of[frame]:
                        waiting = below[waiting]
                    level[frame], below[frame], left_at[frame] = depth[frame], waiting, at[number]
                    called[frame] = callee[site[number]]
                    waiting = frame
            ghost[who] = waiting
        else:
            height = depth[top[who]] + 1 if top[who] != _NONE else 0
            here = ghost[who] != _NONE and level[ghost[who]] == height
            of_event[number] = ghost[who] if here else top[who]
            if what == _EXIT:
                inner = top[who]
                while inner != _NONE:
                    end[inner], outcome[inner] = first + number, RAISED
                    inner = parent[inner]
                top[who] = ghost[who] = _NONE


@kernel
def standing(top: I64, ghost: I64, parent: I64, below: I64, stays: Bits) -> None:
    """Mark the frames on all stacks, and the ghosts."""
    for who in range(len(top)):
        frame = top[who]
        while frame != _NONE:
            stays[frame] = True
            frame = parent[frame]
        frame = ghost[who]
        while frame != _NONE:
            stays[frame] = True
            frame = below[frame]
