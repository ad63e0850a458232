"""Processes: what is known of each, how pids name them, and the table of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from elixirscope.correlate.columns import NONE, Ints
from elixirscope.correlate.messages import Shape
from elixirscope.recording import etf
from elixirscope.recording.log import ProcessKey, Site
from elixirscope.recording.terms import Atom, Pid, Term, inspect, module_name


class Heard(NamedTuple):
    """A message that makes a supervisor act."""

    seen: Shape
    call: int  # the sender's frame (CALL event)


@dataclass(slots=True)
class Life:
    """One process: first what events told, then what follows from that. -1 and None: not known."""

    process: int
    spawn: int = NONE  # the event in its parent, else its own SPAWNED
    spawn_at: int = NONE
    seen_spawning: bool = False  # spawn is the event in its parent
    spawn_call: int = NONE  # frame (CALL event) that spawned it
    told: Heard | None = None  # what its parent had received last when it spawned it
    exit: int = NONE
    exit_at: int = NONE
    reason: int = NONE  # value
    exit_kind: str | None = None
    parent: int = NONE
    registered: str | None = None
    initial: tuple[str, str, int] | None = None
    ancestors: tuple[Term, ...] = ()
    supervising: str | None = None  # its callback module, where it began as a supervisor

    name: str | None = None  # as registered, or as it was called when tracing began
    first_frame: Site | None = None
    test: str | None = None
    main: bool = False  # runs the command itself
    kind: str = "process"
    module: str | None = None
    supervisor: int = NONE
    predecessor: int = NONE
    successor: int = NONE  # who took over its role
    first: int = NONE  # who had its role first
    incarnation: int = 0
    label: str = ""


class Pids:
    """Which process a pid in a term is, seen from one VM."""

    def __init__(self) -> None:
        self._exact: dict[tuple[int, str], int] = {}
        self._anywhere: dict[tuple[str, str], int] = {}
        self._count = 0

    def add(self, processes: Sequence[ProcessKey]) -> None:
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

    def is_exact(self, pid: Pid, vm: int) -> bool:
        """Whether that is a process of this very VM."""
        return (vm, bare(str(pid))) in self._exact

    def of_bytes(self, encoded: bytes | None, vm: int) -> int:
        """The same for a pid in External Term Format without its leading 131."""
        if not encoded or encoded[0] not in (88, 103):
            return NONE
        return self.find(etf.decode(b"\x83" + encoded), vm)


def bare(pid: str) -> str:
    """`<0.1.0>` of `#PID<0.1.0>`."""
    return pid.removeprefix("#PID")


def describe(life: Life, described: Term) -> None:
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
                life.supervising = module_name(function)
                life.initial = (life.supervising, "init", 1)
    ancestors = described.get(Atom("ancestors"))
    if isinstance(ancestors, list) and not life.ancestors:
        life.ancestors = tuple(ancestors)
    name = described.get(Atom("name"))
    if isinstance(name, Atom) and name not in ("nil", "undefined", "") and life.registered is None:
        life.registered = inspect(name)


_CLOSURE = re.compile(r"-(.+/\d+)-fun-\d+-")


@cache
def initial_text(module: str, function: str, arity: int) -> str:
    """`Mod.fun/1`; a closure as Elixir names it."""
    closure = _CLOSURE.fullmatch(function)
    return f"anonymous fn/{arity} in {module}.{closure.group(1)}" if closure else f"{module}.{function}/{arity}"


def columns_of(
    lives: Iterable[Life], processes: Sequence[ProcessKey], lost: Ints, events: Ints
) -> dict[str, list[Any]]:
    """What the table of processes has of some of them. `lost`, `events`: of each process how many were dropped, and
    how many there are."""
    lives = list(lives)

    def known(number: int) -> int | None:
        return None if number == NONE else number

    return {
        "process": [life.process for life in lives],
        "node": [processes[life.process].node for life in lives],
        "pid": [f"#PID{bare(processes[life.process].pid_text)}" for life in lives],
        "name": [life.name for life in lives],
        "label": [life.label for life in lives],
        "initial": [initial_text(*life.initial) if life.initial else None for life in lives],
        "module": [life.module for life in lives],
        "kind": [life.kind for life in lives],
        "parent": [known(life.parent) for life in lives],
        "supervisor": [known(life.supervisor) for life in lives],
        "incarnation": [life.incarnation for life in lives],
        "predecessor": [known(life.predecessor) for life in lives],
        "spawn_event": [known(life.spawn) for life in lives],
        "exit_event": [known(life.exit) for life in lives],
        # A process that was not seen to be spawned was there before the recording.
        "start": [max(life.spawn_at, 0) for life in lives],
        "end": [known(life.exit_at) for life in lives],
        "exit_value": [known(life.reason) for life in lives],
        "exit_kind": [life.exit_kind for life in lives],
        "events": [int(events[life.process]) for life in lives],
        "lost": [int(lost[life.process]) for life in lives],
    }
