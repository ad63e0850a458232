"""Lives: what events tell of each process, slice by slice."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, with_places
from elixirscope.correlate.digests import Numbers
from elixirscope.correlate.messages import Messages, Shape
from elixirscope.correlate.processes import Heard, Life, Pids, describe
from elixirscope.correlate.reasons import exit_kind
from elixirscope.correlate.shapes import KINDS
from elixirscope.kernels import I32, I64, kernel
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log
from elixirscope.recording.terms import inspect


class _Told:
    """What processes received last that makes a supervisor start or stop children."""

    def __init__(self) -> None:
        self.received = np.empty(0, np.int64)  # of each process: when (event) …
        self._kind = np.empty(0, np.int64)  # … and what
        self._tag = np.empty(0, np.int64)
        self._call = np.empty(0, np.int64)  # the sender's frame
        self._subjects: dict[
            int, tuple[int, bytes]
        ] = {}  # of messages by their receive: to whom, and whose end they tell
        self._tags: list[str | None] = [None]
        self.first = set[int]()  # processes that had received nothing such before

    def at(self, event: int, process: int) -> Heard | None:
        """What a process received last, if that was before an event. To be asked in order of events."""
        if not NONE < self.received[process] < event:
            return None
        tag, (_, subject) = (
            self._tags[self._tag[process]],
            self._subjects.get(int(self.received[process]), (NONE, None)),
        )
        return Heard(Shape(KINDS[self._kind[process]], tag, subject), int(self._call[process]))

    def grow(self, size: int) -> None:
        """Know so many processes."""
        self.received, self._call = with_places(self.received, size), with_places(self._call, size)
        self._kind, self._tag = with_places(self._kind, size), with_places(self._tag, size)

    def hear(self, messages: Messages, telling: Ints) -> None:
        """Messages that tell, in order of arrival: of several to one process the last one counts."""
        owners = messages.receiver[telling]
        self.first.update(owners[self.received[owners] == NONE].tolist())
        self.received[owners], self._call[owners] = messages.receive[telling], messages.sender_call[telling]
        self._kind[owners], self._tag[owners] = messages.kind[telling], messages.tag[telling]

    def know(self, messages: Messages) -> None:
        """The texts of the messages that come, and whose ends they tell."""
        self._tags = messages.tags
        self._subjects = {event: told for event, told in self._subjects.items() if self.received[told[0]] == event}
        for number, subject in messages.subjects.items():
            self._subjects[int(messages.receive[number])] = int(messages.receiver[number]), subject


class Lives:
    """Follows all processes through the slices. What follows from their lives is found by `Roster`."""

    def __init__(self) -> None:
        self.all: list[Life] = []  # by process
        self.children: defaultdict[int, list[int]] = defaultdict(list)  # by parent, as they were met
        self.pids = Pids()
        self.ran = Numbers()  # process << 32 | site
        self.first_sites = np.empty(0, np.int64)  # of each process, -1 for none
        self.events = np.empty(0, np.int64)  # of each process how many
        self._told = _Told()
        self._news = set[int]()

    def take(self, log: Log, calls: Calls, messages: Messages) -> None:
        """Births, deaths and names of the next slice."""
        self.meet(log)
        size = len(self.all)
        self._told.grow(size)
        self.first_sites = with_places(self.first_sites, size)
        _count(log.column("process"), self.events)
        self._births_and_deaths(log, calls, messages)
        process, site = calls.process[calls.older :], calls.site[calls.older :]
        self.ran.add(process << 32 | site)
        _first_sites(process, site, self.first_sites)

    def meet(self, log: Log) -> None:
        """Know all processes that are known to a slice."""
        self.pids.add(log.processes)
        met = range(len(self.all), len(log.processes))
        self.all += [Life(number) for number in met]
        self.events = with_places(self.events, len(self.all), 0)
        self._news.update(met)

    def news(self) -> tuple[set[int], set[int]]:
        """Processes of which more is known since this was asked, and those that first heard what makes a supervisor
        act."""
        self._news, news = set(), self._news
        self._told.first, heard = set(), self._told.first
        return news, heard

    def _births_and_deaths(self, log: Log, calls: Calls, messages: Messages) -> None:
        # What makes a supervisor start or stop children, in order of arrival
        telling = messages.of_kind("exit", "call", "cast", "system", among=messages.arrivals)
        self._told.know(messages)
        received, heard = messages.receive[telling], 0
        places = log.places(Kind.SPAWN, Kind.SPAWNED, Kind.EXIT, Kind.REGISTER)
        fields = log.rows.at(places, "event", "at", "kind", "process", "peer", "value")
        for call, (event, at, kind, process, peer, value) in zip(calls.of_events[places].tolist(), fields, strict=True):
            if kind == Kind.EXIT:
                life = self.all[process]
                self._news.add(process)
                if life.exit == NONE:
                    life.exit, life.exit_at, life.reason = event, at, value
                    life.exit_kind = exit_kind(log.values.term(value)) if value != NONE else None
            elif kind == Kind.REGISTER:
                if value != NONE and self.all[process].registered is None:
                    self.all[process].registered = inspect(log.values.term(value))
                    self._news.add(process)
            else:
                child, parent = (peer, process) if kind == Kind.SPAWN else (process, peer)
                if child == NONE:
                    continue
                life = self.all[child]
                self._news.add(child)
                if life.parent == NONE and parent != NONE:
                    life.parent = parent
                    self.children[parent].append(child)
                if life.spawn == NONE or (kind == Kind.SPAWN and not life.seen_spawning):
                    life.spawn, life.spawn_at, life.seen_spawning = event, at, kind == Kind.SPAWN
                    life.spawn_call = call
                    before = heard + int(np.searchsorted(received[heard:], event))
                    self._told.hear(messages, telling[heard:before])
                    heard = before
                    life.told = self._told.at(event, life.parent) if life.parent != NONE else None
                if value != NONE:
                    describe(life, log.values.term(value))
        self._told.hear(messages, telling[heard:])

    def has_heard(self, process: int) -> bool:
        """Whether it received anything that makes a supervisor act."""
        return process < len(self._told.received) and bool(self._told.received[process] != NONE)


@kernel
def _count(process: I32, events: I64) -> None:
    for place in range(len(process)):
        events[process[place]] += 1


@kernel
def _first_sites(process: I64, site: I64, first: I64) -> None:
    for frame in range(len(process)):
        if first[process[frame]] == -1:
            first[process[frame]] = site[frame]
