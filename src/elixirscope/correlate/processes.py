"""Process lives: who each process was, who started it, how it ended, and whom it replaced."""

from __future__ import annotations

import re
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, table
from elixirscope.correlate.messages import Messages, Shape
from elixirscope.correlate.reasons import exit_kind
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
    """The messages of a slice that may have told their receivers what to do, and the last ones before it."""

    def __init__(self, messages: Messages, telling: Ints, last: dict[int, tuple[int, Heard]]) -> None:
        """`telling`: numbers of messages, in order of receiver and receive."""
        self._messages, self._telling, self._last = messages, telling, last
        self._received = messages.receive[telling]
        self.owners, starts = np.unique(messages.receiver[telling], return_index=True)
        self.ends = np.append(starts[1:], len(telling))[: len(starts)]
        self._spans = dict(
            zip(self.owners.tolist(), zip(starts.tolist(), self.ends.tolist(), strict=True), strict=True)
        )

    def heard(self, number: int) -> tuple[int, Heard]:
        """A message: its receive event, and what was heard."""
        messages = self._messages
        return int(messages.receive[number]), Heard(messages.shape(number), int(messages.sender_call[number]))

    def before(self, process: int, event: int) -> Heard | None:
        """What a process received last before an event."""
        first, end = self._spans.get(process, (0, 0))
        place = first + int(np.searchsorted(self._received[first:end], event))
        if place > first:
            return self.heard(int(self._telling[place - 1]))[1]
        received, heard = self._last.get(process, (NONE, None))
        return heard if received < event else None


class Lives:
    """Follows all processes through the slices. What they are called and whom they replaced is found at the end."""

    def __init__(self) -> None:
        self.all: list[Life] = []  # by process
        self.pids = Pids()
        self._ran = np.empty(0, np.int64)  # process << 32 | site, each once
        self._first_sites: dict[int, int] = {}
        self._heard: dict[int, tuple[int, Heard]] = {}  # per process the last: receive event, message

    def take(self, log: Log, calls: Calls, messages: Messages) -> None:
        """Births, deaths and names of the next slice."""
        self.pids.add(log.processes)
        self.all += [Life(number) for number in range(len(self.all), len(log.processes))]
        counts = np.bincount(log.column("process"), minlength=len(self.all))
        for number in np.flatnonzero(counts).tolist():
            self.all[number].events += int(counts[number])
        self._births_and_deaths(log, calls, self._hear(messages))
        frames = slice(calls.older, None)
        process, site = calls.process[frames], calls.site[frames]
        self._ran = np.union1d(self._ran, process << 32 | site)
        firsts, where = np.unique(process, return_index=True)
        for number, frame in zip(firsts.tolist(), where.tolist(), strict=True):
            self._first_sites.setdefault(number, int(site[frame]))

    def _hear(self, messages: Messages) -> _Told:
        """What each process received that makes a supervisor start or stop children, after the last before."""
        telling = messages.of_kind("exit", "call", "cast", "system")
        telling = telling[messages.receive[telling] != NONE]
        telling = telling[np.lexsort((messages.receive[telling], messages.receiver[telling]))]
        told = _Told(messages, telling, dict(self._heard))
        for process, number in zip(told.owners.tolist(), telling[told.ends - 1].tolist(), strict=True):
            self._heard[process] = told.heard(number)
        return told

    def _births_and_deaths(self, log: Log, calls: Calls, heard: _Told) -> None:
        of_events = calls.of_events
        kinds = (Kind.SPAWN, Kind.SPAWNED, Kind.EXIT, Kind.REGISTER)
        for place in np.flatnonzero(np.isin(log.column("kind"), kinds)).tolist():
            row = log.rows[place]
            kind, process, peer, value = int(row["kind"]), int(row["process"]), int(row["peer"]), int(row["value"])
            event, at = int(row["event"]), int(row["at"])
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
                    life.spawn_call = int(of_events[place])
                    life.told = heard.before(life.parent, event)
                if value != NONE:
                    _origin(life, log.values.term(value))

    def known(self, log: Log) -> list[Life]:
        """All lives as far as they are known, with their roles; `log`: any slice of the recording."""
        self.pids.add(log.processes)
        lives = [copy(life) for life in self.all]
        lives += [Life(number) for number in range(len(lives), len(log.processes))]
        _there_before(log, lives, self.pids)
        self._roles(log, lives)
        _supervisors(log, lives, self.pids)
        return lives

    def has_heard(self, process: int) -> bool:
        """Whether it received anything that makes a supervisor act."""
        return process in self._heard

    def _roles(self, log: Log, lives: list[Life]) -> None:
        """Kinds and callback modules, from the initial call and from the callbacks that ran."""
        behaviours: dict[int, Site] = {}
        for key in self._ran.tolist():
            process, site = key >> 32, log.sites.get(key & 0xFFFFFFFF)
            if site is None:
                continue
            if site.behaviour and site.callback and process not in behaviours:
                behaviours[process] = site
            if site.test:
                lives[process].test = site.function
                lives[process].kind, lives[process].module = "test", site.module
        for process, number in self._first_sites.items():
            lives[process].first_frame = log.sites.get(number)
        for life in lives:
            if life.kind == "process":
                _role(life, behaviours.get(life.process))


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
