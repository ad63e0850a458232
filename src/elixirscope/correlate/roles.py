"""Roles: what a process is, by how it began, which of its code ran, and how it was named."""

from __future__ import annotations

import numpy as np

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.processes import Life
from elixirscope.hosts import HOSTS
from elixirscope.recording.log import Log, Site
from elixirscope.recording.terms import inspect

_SUPERVISORS = ("DynamicSupervisor", "PartitionSupervisor", "ConsumerSupervisor", ":supervisor")
_SITE = 0xFFFFFFFF


class Roles:
    """Sets `name`, `main`, `first_frame`, `test`, `kind` and `module` of lives."""

    def __init__(self) -> None:
        self._seen = 0  # of what ran
        self._behaviours: dict[int, int] = {}  # process → the first site that shows a behaviour
        self._guests: dict[int, int] = {}  # process → the first site that shows whom it lives for
        self._tests: dict[int, int] = {}  # process → the last site that is a test
        self._undescribed = set[int]()  # sites that ran
        self._named: dict[int, str] = {}  # processes that had a name when tracing began
        self._main = set[int]()
        self._script = NONE  # a script runs in a process of Elixir's command line

    def take(self, log: Log, lives: Lives, news: set[int]) -> set[int]:
        """All that `news` tells of lives, and what was found besides: the lives that may have changed."""
        changed = news | self._ran(log, lives)
        for number in changed:
            life = lives.all[number]
            if life.initial and life.initial[0] == "Kernel.CLI" and (self._script == NONE or number < self._script):
                self._script = number
        changed |= self._there_before(log, lives)
        for number in changed:
            life = lives.all[number]
            life.name = life.registered if life.registered is not None else self._named.get(number)
            life.main = number in self._main
            self._play(log, life)
        return changed

    def _ran(self, log: Log, lives: Lives) -> set[int]:
        """Processes of which we know since that they ran something."""
        keys = lives.ran.since(self._seen)
        self._seen += len(keys)
        described = {site for site in self._undescribed if _described(log, site)}
        if described:
            self._undescribed -= described
            every = lives.ran.since(0)
            keys = np.concatenate([keys, every[np.isin(every & _SITE, list(described))]])
        changed = set[int]()
        for key in keys.tolist():
            process, number = key >> 32, key & _SITE
            changed.add(process)
            site = log.sites.get(number)
            if site is None or site.kind == "unknown":
                self._undescribed.add(number)
                if site is None:
                    continue
            if site.behaviour and site.callback:
                self._behaviours[process] = min(number, self._behaviours.get(process, number))
            if _lives_for(lives.all[process], site):
                self._guests[process] = min(number, self._guests.get(process, number))
            if site.test:
                self._tests[process] = max(number, self._tests.get(process, number))
        for process in changed:
            lives.all[process].first_frame = log.sites.get(int(lives.first_sites[process]))
        return changed

    def _there_before(self, log: Log, lives: Lives) -> set[int]:
        """Names of processes that were there when tracing began, and which of them runs the command."""
        named, main = dict[int, str](), set[int]()
        for meta in log.metas:
            if meta.get("what") != "names":
                continue
            for pid, name in meta.get("names", []):
                process = lives.pids.find(pid, meta["vm"])
                if process != NONE:
                    named.setdefault(process, inspect(name))
            main.add(lives.pids.find(meta.get("main"), meta["vm"]))
        main.discard(NONE)
        if not main and self._script != NONE:
            main = {self._script}
        changed = {process for process, _ in named.items() ^ self._named.items()} | (main ^ self._main)
        self._named, self._main = named, main
        return changed

    def _play(self, log: Log, life: Life) -> None:
        test, behaviour = self._tests.get(life.process), self._behaviours.get(life.process)
        life.kind, life.module, life.test = "process", None, None
        if test is not None:
            life.kind, life.module, life.test = "test", log.sites[test].module, log.sites[test].function
        elif life.supervising is not None:
            life.kind, life.module = "supervisor", life.supervising
        else:
            _role(life, None if behaviour is None else log.sites[behaviour])
            if (guest := self._guests.get(life.process)) is not None:
                life.module = log.sites[guest].module


def _described(log: Log, number: int) -> bool:
    site = log.sites.get(number)
    return site is not None and site.kind != "unknown"


def _lives_for(life: Life, site: Site) -> bool:
    host = HOSTS.get(life.initial[0]) if life.initial else None
    return host is not None and host.first == (site.function, site.arity) and not site.module.startswith("Phoenix.")


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
