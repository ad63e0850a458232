"""Happens-before: the previous event of the same process, and the one event of another that made this possible."""

from __future__ import annotations

from typing import Final

import numpy as np

from elixirscope.correlate.columns import NONE, Ints, with_places
from elixirscope.correlate.links import Links
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.pairing import WAIT, pair
from elixirscope.correlate.processes import Life
from elixirscope.recording.derived import previous_events
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log

_SPAWNED: Final = int(Kind.SPAWNED)


class Causes:
    """Finds the causes of events, slice by slice. Between slices it keeps the last event of each process, who asked for
    a link in the last seconds, and nothing else: lives, links and messages are kept by those who find them."""

    def __init__(self) -> None:
        self._last = np.empty(0, np.int64)  # event of each process
        self._asked = {
            kind: np.empty((0, 4), np.int64) for kind in (Kind.LINK, Kind.UNLINK)
        }  # of whom, by whom, at, event

    def previous(self, log: Log) -> Ints:
        """Per event the event before it in its process, or -1."""
        self._last = with_places(self._last, len(log.processes))
        previous = np.empty(len(log.rows), np.int64)
        previous_events(log.column("process"), log.first, self._last, previous)
        return previous

    def take(self, log: Log, previous: Ints, lives: Lives, messages: Messages, links: Links) -> tuple[Ints, set[int]]:
        """Per event its cause in another process, or -1; and the ends of processes that passed on that of another."""
        cause = np.full(len(log.rows), NONE)
        delivered = (messages.send != NONE) & (messages.receive != NONE)
        cause[messages.receive[delivered] - log.first] = messages.send[delivered]
        self._links(log, cause)
        _births(log, previous, lives.all, cause)
        passed = _exit_signals(log, lives.all, links, cause)
        _obituaries(log, lives, messages, cause)
        return cause, passed

    def _links(self, log: Log, cause: Ints) -> None:
        for asked, got in ((Kind.LINK, Kind.GETTING_LINKED), (Kind.UNLINK, Kind.GETTING_UNLINKED)):
            by, of = log.places(asked), log.places(got)
            if not len(by) and not len(of) and not len(self._asked[asked]):
                continue
            process, peer = log.column("process"), log.column("peer")
            new = np.stack([process[by], peer[by], log.column("at")[by], by + log.first], axis=1)
            waiting = np.concatenate([self._asked[asked], new])
            pairs = pair((waiting[:, 0], waiting[:, 1]), (peer[of], process[of]), waiting[:, 2], log.column("at")[of])
            cause[of[pairs.effect]] = waiting[pairs.cause, 3]
            left = waiting[:, 2] >= log.column("at")[-1] - WAIT
            left[pairs.cause] = False
            self._asked[asked] = waiting[left]


def _births(log: Log, previous: Ints, lives: list[Life], cause: Ints) -> None:
    """The first event of a spawned process, usually its SPAWNED, comes from the SPAWN."""
    first = np.flatnonzero((previous == NONE) | (log.column("kind") == _SPAWNED))
    for place in first[cause[first] == NONE].tolist():
        life = lives[int(log.column("process")[place])]
        if life.seen_spawning and life.spawn < place + log.first:
            cause[place] = life.spawn


def _exit_signals(log: Log, lives: list[Life], links: Links, cause: Ints) -> set[int]:
    """A process that ended, while linked, with the reason of a partner that ended before it."""
    passed: set[int] = set()
    for place in log.places(Kind.EXIT).tolist():
        event = place + log.first
        life = lives[int(log.column("process")[place])]
        if life.exit != event or life.reason == NONE or life.exit_kind == "normal":
            continue
        best = NONE
        for tie in links.of_process.get(life.process, ()):
            other = lives[tie.peer if tie.process == life.process else tie.process]
            stood = tie.event < other.exit < event and tie.until >= other.exit_at
            if other.exit != NONE and stood and other.reason == life.reason:
                best = max(best, other.exit)
        cause[place] = best
        if best != NONE:
            passed.add(event)
    return passed


def _obituaries(log: Log, lives: Lives, messages: Messages, cause: Ints) -> None:
    """DOWN and EXIT messages come from the end of the process they name."""
    for number in messages.of_kind("down", "exit").tolist():
        subject, receive = messages.subjects.get(number), int(messages.receive[number])
        place = receive - log.first
        if subject is None or receive == NONE or cause[place] != NONE:
            continue
        gone = lives.pids.of_bytes(subject, int(log.column("vm")[place]))
        if gone != NONE and NONE < lives.all[gone].exit < receive:
            cause[place] = lives.all[gone].exit
