"""Frames of all processes at once, without a loop over events.

In order of process and time, each event that names a frame is worth twice the frame's number, plus one unless it ends
the frame. A frame then ends at the first later event that is worth less than its CALL: its own return, or any sign of
life of a frame below it. Finding that for all frames is the problem of the nearest smaller value, solved by taking
away, again and again, what its neighbour has decided.

It holds where names ascend and every event names an open frame; `Named.irregular` tells the processes where that
is not so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from elixirscope.correlate.columns import NONE, Ints, lookup
from elixirscope.correlate.walk import CODE, OPEN, RAISED, RETURNED, TAIL, Known, Walk, name_of
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log

Mask = npt.NDArray[np.bool_]

_ROUNDS = 60  # what nests deeper is rare, and left to a plain stack


class Named:
    """Events of some processes, in order of process and time, and the frame that each names.

    Places are indexes into that order; frames are numbered by the places of their CALLs.
    """

    def __init__(self, log: Log, order: Ints) -> None:
        self.order = order
        self.process = log.column("process")[order].astype(np.int64)
        self.kind = log.column("kind")[order]
        self.site = log.column("site")[order]
        frame = log.column("frame")[order]
        codes = np.zeros(256, dtype=bool)
        codes[list(CODE)] = True
        self.named = codes[self.kind] & (frame != 0)
        self.calls = np.flatnonzero(self.kind == Kind.CALL)
        key = _keys(self.process, frame)
        names = key[self.calls]
        self.unordered: set[int] = set(self.process[self.calls[1:][names[1:] <= names[:-1]]].tolist())
        code = np.flatnonzero(self.named)
        target = np.searchsorted(names, key[code])
        near = np.minimum(target, max(len(names) - 1, 0))
        here = np.zeros(len(code), dtype=bool)
        if len(names):
            here = (names[near] == key[code]) & (self.calls[near] < code)
        self.code, self.target = code[here], target[here]  # code events and the frames they name
        self.exits = np.flatnonzero(self.kind == Kind.EXIT)
        self._find_ends()

    def irregular(self) -> set[int]:
        """Processes of which some event names a frame out of order, or one that has ended."""
        late = self.code[self.code > self.end[self.target]]
        return {*np.unique(self.process[late]).tolist(), *self.unordered}

    def _find_ends(self) -> None:
        """`end`: per frame the place that ended it, beyond the last place for none."""
        total, frames = len(self.order), len(self.calls)
        worth = np.zeros(total, dtype=np.int64)
        worth[self.calls] = 2 * np.arange(frames) + 1
        ends = (self.kind[self.code] == Kind.RETURN) | (self.kind[self.code] == Kind.TAIL)
        worth[self.code] = 2 * self.target + ~ends
        worth[self.exits] = NONE
        worth -= (2 * frames + 2) * self.process  # whatever comes in the next process is worth less
        self.stirs = np.zeros(total, dtype=bool)  # what changes or shows the stack
        for places in (self.calls, self.code, self.exits):
            self.stirs[places] = True
        places = np.flatnonzero(self.stirs)
        ended = _next_smaller(worth[places], self.kind[places] == Kind.CALL)
        end = np.append(places, total)[ended]
        other = self.process[np.minimum(end, total - 1)] != self.process[self.calls] if total else end > 0
        self.end = np.where(other, total, end)


def _keys(process: Ints, frame: Ints) -> Ints:
    """One number per process and name that is in the order of both."""
    if not len(frame):
        return frame
    low = int(frame.min())
    span = int(frame.max()) - low + 1
    if span * (int(process.max()) + 1) < 2**62:
        return process * span + (frame - low)
    names, rank = np.unique(frame, return_inverse=True)
    return process * len(names) + rank


def _next_smaller(worth: Ints, query: Mask) -> Ints:
    """For each place in `query` the next place that is worth less, or the number of places.

    A value between is never asked for again once a neighbour before it is worth no more; a query is answered once
    its neighbour is worth less. What a query stood for, is then worth no less than it, and it can go.
    """
    found = np.full(len(worth), len(worth))
    place = np.arange(len(worth))
    asked = query.copy()
    for _ in range(_ROUNDS):
        if not asked.any():
            return found[query]
        less = worth[1:] < worth[:-1]
        answered = asked.copy()
        answered[:-1] &= less
        answered[-1] = False
        found[place[answered]] = place[np.flatnonzero(answered) + 1]
        idle = ~asked
        idle[0] = False
        idle[1:] &= ~less
        kept = ~(answered | idle)
        if kept.all():
            break
        worth, place, asked = worth[kept], place[kept], asked[kept]
    stack: list[tuple[int, int]] = []
    for value, at, asks in zip(worth.tolist(), place.tolist(), asked.tolist(), strict=True):
        while stack and stack[-1][0] > value:
            found[stack.pop()[1]] = at
        if asks:
            stack.append((value, at))
    return found[query]


class Nesting:
    """The frames of regular processes in parallel arrays, as `calls.Calls` has them, numbered process by process."""

    def __init__(self, log: Log, named: Named, known: Known | None = None) -> None:
        self._log = log
        self._named = named
        self._known = known
        order, total = named.order, len(named.order)
        self.event = order[named.calls]
        closed = named.end < total
        self._last = np.maximum.accumulate(np.where(named.stirs, np.arange(total), NONE))
        self._frame = np.full(total, NONE)  # that each code event and CALL names
        self._frame[named.code] = named.target
        self._frame[named.calls] = np.arange(len(named.calls))
        self.end_event = np.where(closed, np.append(order, NONE)[named.end], NONE)
        self.outcome = self._outcomes(closed)
        self.depth = self._depths(closed)
        self.parent = self._parents()
        self.tail_of, self.of_event = np.full(len(self.event), NONE), self._running()
        self.ghosts = self._last_tails()  # frames that ended by a tail call on whose behalf something may still run
        self._continue()

    def _outcomes(self, closed: Mask) -> Ints:
        named = self._named
        at = np.where(closed, named.end, 0)
        own = closed & (self._frame[at] == np.arange(len(at))) if len(at) else closed
        kind = named.kind[at] if len(at) else named.kind[:0]
        ended = np.where(own & (kind == Kind.RETURN), RETURNED, np.where(own & (kind == Kind.TAIL), TAIL, RAISED))
        return np.where(closed, ended, OPEN).astype(np.int64)

    def _depths(self, closed: Mask) -> Ints:
        """Frames entered before in the process, less those that have ended."""
        named = self._named
        process = named.process[named.calls]
        first = np.searchsorted(process, process)  # the first frame of its process
        ended = np.cumsum(np.bincount(named.end[closed], minlength=len(named.order) + 1))
        return np.arange(len(first)) - first - (ended[named.calls] - ended[named.calls[first]])

    def _before(self, places: Ints) -> Ints:
        """The last event before that shows the stack, of the same process; -1 for none."""
        named = self._named
        before = np.where(places > 0, self._last[np.maximum(places - 1, 0)], NONE)
        same = (before != NONE) & (named.process[np.maximum(before, 0)] == named.process[places])
        return np.where(same, before, NONE)

    def _parents(self) -> Ints:
        """What was on top of the stack. After a return that is the parent of the frame that returned, and so on."""
        before = self._before(self._named.calls)
        frame = np.where(before == NONE, NONE, self._frame[before])
        kind = np.where(before == NONE, 0, self._named.kind[before])
        beside = (frame != NONE) & ((kind == Kind.RETURN) | (kind == Kind.TAIL))
        eldest = np.where(beside, frame, np.arange(len(frame)))
        while True:
            further = eldest[eldest]
            if (further == eldest).all():
                break
            eldest = further
        return frame[eldest]

    def _running(self) -> Ints:
        """Per event the frame it names, else the one that was running, on whose behalf after a tail call."""
        named = self._named
        running = self._frame.copy()
        others = np.flatnonzero(~named.named & (named.kind != Kind.CALL))
        before = self._before(others)
        frame = np.where(before == NONE, NONE, self._frame[before])
        returned = (before != NONE) & (named.kind[before] == Kind.RETURN)
        running[others] = np.where(returned, lookup(self.parent, np.where(returned, frame, NONE)), frame)
        return running

    def _last_tails(self) -> set[int]:
        named = self._named
        stirring = np.flatnonzero(named.stirs)
        last = stirring[np.diff(named.process[stirring], append=NONE) != 0]
        return set(self._frame[last[named.kind[last] == Kind.TAIL]].tolist())

    def _continue(self) -> None:
        """Sets `tail_of`: mostly a tail call and the CALL that follows it agree on the function.

        Where they do not, code ran that is not recorded, and what comes next may yet be on its behalf: the outermost
        frame around is walked again, or after a tail call out of the outermost one all that follows.
        """
        named = self._named
        tails = named.code[named.kind[named.code] == Kind.TAIL]
        stirring = np.flatnonzero(named.stirs)
        following = np.append(stirring, 0)[np.searchsorted(stirring, tails, side="right")]
        called = (following > 0) & (named.process[following] == named.process[tails])
        called &= named.kind[following] == Kind.CALL
        tails, following = tails[called], following[called]
        agree = self._agree(named.site[tails], named.site[following])
        if self._known and self._known.left_out:
            agree &= self._shown(tails, following)
        self.tail_of[self._frame[following[agree]]] = self._frame[tails[agree]]
        if not agree.all():
            self._walk_again(self._frame[tails[~agree]])

    def _shown(self, tails: Ints, following: Ints) -> Mask:
        """Whether no call of the same function may have been left out between the one and the other."""
        assert self._known is not None
        named, at, sites = self._named, self._log.column("at"), self._log.sites
        spans = zip(
            named.site[following].tolist(),
            at[named.order[tails]].tolist(),
            at[named.order[following]].tolist(),
            strict=True,
        )
        hides = self._known.left_out.may_hide
        return np.array([site not in sites or not hides(sites[site], *span) for site, *span in spans], dtype=bool)

    def _agree(self, tails: Ints, calls: Ints) -> Mask:
        sites = self._log.sites
        pairs, where = np.unique(np.stack([tails, calls], axis=1), axis=0, return_inverse=True)
        agree = []
        for tail, call in pairs.tolist():
            place, target = sites.get(tail), sites.get(call)
            callee = place.callee if place is not None else None
            known = target is not None and callee == name_of(target)
            agree.append(known or (target is not None and callee is None and target.kind == "fn"))
        return np.array(agree, dtype=bool)[where.ravel()]

    def _walk_again(self, frames: Ints) -> None:
        named = self._named
        outermost = frames
        while ((above := self.parent[outermost]) != NONE).any():
            outermost = np.where(above == NONE, outermost, above)
        behind = np.searchsorted(named.process, named.process, side="right")
        to_end = set(outermost[outermost == frames].tolist())
        parts, done = [], 0
        for frame in np.unique(outermost).tolist():
            first = int(named.calls[frame])
            if first < done:
                continue
            limit = int(behind[first])
            done = limit if frame in to_end else min(int(named.end[frame]) + 1, limit)
            parts.append(np.arange(first, done))
        places = np.concatenate(parts)
        walk = Walk(self._log, set(), self._known)
        walk.run(named.order[places], np.repeat(np.arange(len(parts)), [len(part) for part in parts]))
        entered = np.array([*self._frame[places[named.kind[places] == Kind.CALL]].tolist(), NONE])
        self.of_event[places] = entered[np.array(walk.of_event)]
        tail_of = entered[np.array(walk.tail_of)]
        for _, ghosts in walk.left.values():
            self.ghosts.update(entered[ghosts].tolist())
        again = entered[:-1]
        self.tail_of[again] = np.where(tail_of == NONE, self.tail_of[again], tail_of)
