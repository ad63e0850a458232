"""Process lives: who each process was, who started it, how it ended, and whom it replaced."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, table
from elixirscope.correlate.digests import Numbers
from elixirscope.correlate.messages import Messages, Shape
from elixirscope.correlate.reasons import exit_kind
from elixirscope.correlate.shapes import KINDS
from elixirscope.kernels import I32, I64, kernel
from elixirscope.recording import etf
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log, ProcessKey, Site
from elixirscope.recording.terms import Atom, Pid, Term, inspect, module_name

_SUPERVISORS = ("DynamicSupervisor", "PartitionSupervisor", "ConsumerSupervisor", ":supervisor")


class Heard(NamedTuple):
    """A message that makes a supervisor act."""

    seen: Shape
    call: int  # the sender's frame (CALL event)


@dataclass
class Life:
    """One process. -1 and None: not known."""

    process: int
    spawn: int = NONE  # the event in its parent, else its own SPAWNED
    spawn_at: int = NONE
    seen_spawning: bool = False  # spawn is the event in its parent
    spawn_call: int = NONE  # frame (CALL event) that spawned it
    told: Heard | None = None  # what its parent had received last when it spawned it
    exit: int = NONE
    exit_at: int = NONE
    parent: int = NONE
    name: str | None = None
    initial: tuple[str, str, int] | None = None
    ancestors: list[Term] = field(default_factory=list)
    module: str | None = None
    kind: str = "process"
    supervisor: int = NONE
    incarnation: int = 0
    predecessor: int = NONE
    reason: int = NONE  # value
    exit_kind: str | None = None
    first_frame: Site | None = None
    events: int = 0
    test: str | None = None
    main: bool = False  # runs the command itself
    label: str = ""


class Pids:
    """Which process a pid in a term is, seen from one VM."""

    def __init__(self) -> None:
        self._exact: dict[tuple[int, str], int] = {}
        self._anywhere: dict[tuple[str, str], int] = {}
        self._count = 0

    def add(self, processes: list[ProcessKey]) -> None:
        """Know those that are new."""
        for number, key in enumerate(processes[self._count :], self._count):
            self._exact[key.vm, bare(key.pid_text)] = number
            self._anywhere.setdefault((key.node, bare(key.pid_text)), number)
        self._count = len(processes)

    def find(self, pid: Term, vm: int) -> int:
        """The process number, or -1."""
        if not isinstance(pid, Pid):
            return NONE
        text = bare(str(pid))
        return self._exact.get((vm, text), self._anywhere.get((str(pid.node), text), NONE))

    def of_bytes(self, encoded: bytes | None, vm: int) -> int:
        """The same for a pid in External Term Format without its leading 131."""
        if not encoded or encoded[0] not in (88, 103):
            return NONE
        return self.find(etf.decode(b"\x83" + encoded), vm)


def bare(pid: str) -> str:
    """`<0.1.0>` of `#PID<0.1.0>`."""
    return pid.removeprefix("#PID")


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
        more = np.full(size - len(self.received), NONE)
        self.received, self._call = np.append(self.received, more), np.append(self._call, more)
        self._kind, self._tag = np.append(self._kind, more), np.append(self._tag, more)

    def hear(self, messages: Messages, telling: Ints) -> None:
        """Messages that tell, in order of arrival: of several to one process the last one counts."""
        owners = messages.receiver[telling]
        self.received[owners], self._call[owners] = messages.receive[telling], messages.sender_call[telling]
        self._kind[owners], self._tag[owners] = messages.kind[telling], messages.tag[telling]

    def know(self, messages: Messages) -> None:
        """The texts of the messages that come, and whose ends they tell."""
        self._tags = messages.tags
        self._subjects = {event: told for event, told in self._subjects.items() if self.received[told[0]] == event}
        for number, subject in messages.subjects.items():
            self._subjects[int(messages.receive[number])] = int(messages.receiver[number]), subject


class Lives:
    """Follows all processes through the slices. What they are called and whom they replaced is found at the end."""

    def __init__(self) -> None:
        self.all: list[Life] = []  # by process
        self.pids = Pids()
        self._ran = Numbers()  # process << 32 | site
        self._first_sites = np.empty(0, np.int64)  # of each process, -1 for none
        self._events = np.zeros(0, np.int64)
        self._told = _Told()

    def take(self, log: Log, calls: Calls, messages: Messages) -> None:
        """Births, deaths and names of the next slice."""
        self.pids.add(log.processes)
        self.all += [Life(number) for number in range(len(self.all), len(log.processes))]
        size = len(self.all)
        self._told.grow(size)
        self._first_sites = np.append(self._first_sites, np.full(size - len(self._first_sites), NONE))
        self._events = np.append(self._events, np.zeros(size - len(self._events), np.int64))
        _count(log.column("process"), self._events)
        self._births_and_deaths(log, calls, messages)
        process, site = calls.process[calls.older :], calls.site[calls.older :]
        self._ran.add(process << 32 | site)
        _first_sites(process, site, self._first_sites)

    def _births_and_deaths(self, log: Log, calls: Calls, messages: Messages) -> None:
        # What makes a supervisor start or stop children, in order of arrival
        telling = messages.of_kind("exit", "call", "cast", "system", among=messages.arrivals)
        self._told.know(messages)
        received, heard = messages.receive[telling], 0
        of_events, concerned = calls.of_events, np.zeros(256, dtype=bool)
        concerned[[Kind.SPAWN, Kind.SPAWNED, Kind.EXIT, Kind.REGISTER]] = True
        places = np.flatnonzero(concerned[log.column("kind")])
        fields = log.rows.at(places, "event", "at", "kind", "process", "peer", "value")
        for call, (event, at, kind, process, peer, value) in zip(of_events[places].tolist(), fields, strict=True):
            if kind == Kind.EXIT:
                life = self.all[process]
                if life.exit == NONE:
                    life.exit, life.exit_at, life.reason = event, at, value
                    life.exit_kind = exit_kind(log.values.term(value)) if value != NONE else None
            elif kind == Kind.REGISTER:
                if value != NONE and self.all[process].name is None:
                    self.all[process].name = inspect(log.values.term(value))
            else:
                child, parent = (peer, process) if kind == Kind.SPAWN else (process, peer)
                if child == NONE:
                    continue
                life = self.all[child]
                life.parent = parent if life.parent == NONE else life.parent
                if life.spawn == NONE or (kind == Kind.SPAWN and not life.seen_spawning):
                    life.spawn, life.spawn_at, life.seen_spawning = event, at, kind == Kind.SPAWN
                    life.spawn_call = call
                    before = heard + int(np.searchsorted(received[heard:], event))
                    self._told.hear(messages, telling[heard:before])
                    heard = before
                    life.told = self._told.at(event, life.parent) if life.parent != NONE else None
                if value != NONE:
                    _origin(life, log.values.term(value))
        self._told.hear(messages, telling[heard:])

    def known(self, log: Log) -> list[Life]:
        """All lives as far as they are known, with their roles; `log`: any slice of the recording."""
        self.pids.add(log.processes)
        lives = [_copy(life) for life in self.all]
        for life, count in zip(lives, self._events.tolist(), strict=True):
            life.events = count
        lives += [Life(number) for number in range(len(lives), len(log.processes))]
        _there_before(log, lives, self.pids)
        self._roles(log, lives)
        _supervisors(log, lives, self.pids)
        return lives

    def has_heard(self, process: int) -> bool:
        """Whether it received anything that makes a supervisor act."""
        return bool(self._told.received[process] != NONE)

    def _roles(self, log: Log, lives: list[Life]) -> None:
        """Kinds and callback modules, from the initial call and from the callbacks that ran."""
        behaviours: dict[int, Site] = {}
        for key in self._ran.all().tolist():
            process, site = key >> 32, log.sites.get(key & 0xFFFFFFFF)
            if site is None:
                continue
            if site.behaviour and site.callback and process not in behaviours:
                behaviours[process] = site
            if site.test:
                lives[process].test = site.function
                lives[process].kind, lives[process].module = "test", site.module
        for process in np.flatnonzero(self._first_sites != NONE).tolist():
            lives[process].first_frame = log.sites.get(int(self._first_sites[process]))
        for life in lives:
            if life.kind == "process":
                _role(life, behaviours.get(life.process))


def _copy(life: Life) -> Life:
    """As `copy.copy`, in a quarter of its time: a live reader makes thousands, again and again."""
    made = Life.__new__(Life)
    made.__dict__.update(life.__dict__)
    return made


@kernel
def _count(process: I32, events: I64) -> None:
    for place in range(len(process)):
        events[process[place]] += 1


@kernel
def _first_sites(process: I64, site: I64, first: I64) -> None:
    for frame in range(len(process)):
        if first[process[frame]] == -1:
            first[process[frame]] = site[frame]


def _there_before(log: Log, lives: list[Life], pids: Pids) -> None:
    """Names of processes that were there when tracing began, and which of them runs the command."""
    for meta in log.metas:
        if meta.get("what") != "names":
            continue
        for pid, name in meta.get("names", []):
            process = pids.find(pid, meta["vm"])
            if process != NONE and lives[process].name is None:
                lives[process].name = inspect(name)
        main = pids.find(meta.get("main"), meta["vm"])
        if main != NONE:
            lives[main].main = True
    if not any(life.main for life in lives):  # a script runs in a process of Elixir's command line
        script = next((life for life in lives if life.initial and life.initial[0] == "Kernel.CLI"), None)
        if script is not None:
            script.main = True


def _origin(life: Life, described: Term) -> None:
    """What a SPAWN or SPAWNED says: `%{mfa:, initial:, ancestors:, name:}`. A gen_event has "no callback module"."""
    if not isinstance(described, dict):
        return
    called = described.get(Atom("initial"), described.get(Atom("mfa")))
    if isinstance(called, tuple) and len(called) == 3 and life.initial is None:
        module, function, arity = called
        if isinstance(module, Atom) and isinstance(function, Atom) and " " not in module:
            count = len(arity) if isinstance(arity, list) else arity
            life.initial = (module_name(module), str(function), count if isinstance(count, int) else 0)
            if module == "supervisor":  # proc_lib names the callback module in the function's place
                life.kind, life.module = "supervisor", module_name(function)
                life.initial = (life.module, "init", 1)
    ancestors = described.get(Atom("ancestors"))
    if isinstance(ancestors, list) and not life.ancestors:
        life.ancestors = ancestors
    name = described.get(Atom("name"))
    if isinstance(name, Atom) and name not in ("nil", "undefined", "") and life.name is None:
        life.name = inspect(name)


def _role(life: Life, site: Site | None) -> None:
    module, function, arity = life.initial or ("", "", 0)
    if module in _SUPERVISORS:
        life.kind = "supervisor"
        own = life.first_frame  # the init of the module that uses DynamicSupervisor
        life.module = own.module if own is not None and own.function == "init" else module
    elif module == "Agent.Server":
        life.kind = "agent"
    elif module == "Task.Supervised":
        life.kind = "task"
    elif site is not None:
        life.module = site.module
        life.kind = "gen_statem" if site.behaviour and "statem" in site.behaviour else "gen_server"
        if site.behaviour and site.behaviour.endswith(("Supervisor", ":supervisor")):
            life.kind = "supervisor"
    elif (function, arity) == ("init", 1):
        life.kind, life.module = "gen_server", module


def _supervisors(log: Log, lives: list[Life], pids: Pids) -> None:
    named: defaultdict[str, list[int]] = defaultdict(list)
    for life in lives:
        if life.name is not None:
            named[life.name].append(life.process)

    def resolve(ancestor: Term, vm: int, before: int) -> int:
        if isinstance(ancestor, Pid):
            return pids.find(ancestor, vm)
        born = [n for n in named.get(inspect(ancestor), ()) if lives[n].spawn < before]
        return born[-1] if born else NONE

    for life in lives:
        vm = log.processes[life.process].vm
        chain = [life.parent, *(resolve(ancestor, vm, life.spawn) for ancestor in life.ancestors)]
        if not life.ancestors:
            seen, at = {life.process}, life.parent
            while at != NONE and at not in seen:
                seen.add(at)
                at = lives[at].parent
                chain.append(at)
        life.supervisor = next((n for n in chain if n != NONE and lives[n].kind == "supervisor"), NONE)


_CLOSURE = re.compile(r"-(.+/\d+)-fun-\d+-")


def initial_text(module: str, function: str, arity: int) -> str:
    """`Mod.fun/1`; a closure as Elixir names it."""
    closure = _CLOSURE.fullmatch(function)
    return f"anonymous fn/{arity} in {module}.{closure.group(1)}" if closure else f"{module}.{function}/{arity}"


def processes_table(log: Log, lives: list[Life], lost: Ints) -> pa.Table:
    """One row per process, in order of number. `lost`: events dropped per process."""

    def known(number: int) -> int | None:
        return None if number == NONE else number

    return table(
        "processes",
        process=[life.process for life in lives],
        node=[key.node for key in log.processes],
        pid=[f"#PID{bare(key.pid_text)}" for key in log.processes],
        name=[life.name for life in lives],
        label=[life.label for life in lives],
        initial=[initial_text(*life.initial) if life.initial else None for life in lives],
        module=[life.module for life in lives],
        kind=[life.kind for life in lives],
        parent=[known(life.parent) for life in lives],
        supervisor=[known(life.supervisor) for life in lives],
        incarnation=[life.incarnation for life in lives],
        predecessor=[known(life.predecessor) for life in lives],
        spawn_event=[known(life.spawn) for life in lives],
        exit_event=[known(life.exit) for life in lives],
        # A process that was not seen to be spawned was there before the recording.
        start=[max(life.spawn_at, 0) for life in lives],
        end=[known(life.exit_at) for life in lives],
        exit_value=[known(life.reason) for life in lives],
        exit_kind=[life.exit_kind for life in lives],
        events=[life.events for life in lives],
        lost=lost,
    )
