"""Supervision: which supervisor is the nearest above a process."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.processes import Life, bare
from elixirscope.recording.log import Log
from elixirscope.recording.terms import Pid, inspect

Key: TypeAlias = int | tuple[str, str]  # a process; or ("name", …), ("pid", …) that may come to stand for one

_SUPERVISOR: Final = "supervisor"


class _Known(NamedTuple):
    """What of a life the supervisors of others depend on, and its own."""

    supervises: bool
    parent: int
    spawn: int
    name: str | None
    ancestors: int  # how many


_NOBODY: Final = _Known(supervises=False, parent=NONE, spawn=NONE, name=None, ancestors=0)


class Supervision:
    """Sets `supervisor` of lives: the first supervisor among parent and ancestors, as the process itself was told of
    them, else as far up as is known.

    Of each life it is kept what its answer depends on, so that it is asked for again when that has changed.
    """

    def __init__(self) -> None:
        self._met = 0
        self._known: dict[int, _Known] = {}  # of lives
        self._named: defaultdict[str, list[int]] = defaultdict(list)  # ascending
        self._dependents: defaultdict[Key, list[int]] = defaultdict(list)

    def take(self, log: Log, lives: Lives, news: Iterable[int]) -> tuple[set[int], set[int]]:
        """The lives whose supervisor may be another one, and those that began or ceased to be supervisors."""
        todo, turned = set[int](), set[int]()
        for key in log.processes[self._met :]:
            self._wake(("pid", bare(key.pid_text)), todo)
        self._met = len(log.processes)
        for number in news:
            life = lives.all[number]
            now = _Known(life.kind == _SUPERVISOR, life.parent, life.spawn, life.name, len(life.ancestors))
            was = self._known.get(number, _NOBODY)
            if now == was and number in self._known:
                continue
            self._known[number] = now
            todo.add(number)
            if now.supervises != was.supervises:
                turned.add(number)
            if now[:2] != was[:2]:
                self._wake(number, todo)
            if (now.spawn, now.name) != (was.spawn, was.name):
                self._rename(lives, life, was, todo)
        changed = set[int]()
        for number in todo:
            life = lives.all[number]
            found = self._above(log, lives, life)
            if found != life.supervisor:
                life.supervisor = found
                changed.add(number)
        return changed, turned

    def _wake(self, key: Key, todo: set[int]) -> None:
        if key in self._dependents:
            todo.update(self._dependents.pop(key))

    def _rename(self, lives: Lives, life: Life, was: _Known, todo: set[int]) -> None:
        """A process has another name, or was born at another time: who goes by that name may be another one, for
        those born later."""
        if was.name is not None and was.name != life.name:
            self._named[was.name].remove(life.process)
            self._wake(("name", was.name), todo)
        if life.name is not None:
            named = self._named[life.name]
            place = bisect_left(named, life.process)
            since = life.spawn if was.name != life.name else min(was.spawn, life.spawn)
            if named[place : place + 1] != [life.process]:
                insort(named, life.process)
            dependents = self._dependents.get(("name", life.name), [])
            later = {number for number in dependents if lives.all[number].spawn > since}
            todo |= later
            dependents[:] = [number for number in dependents if number not in later]

    def _above(self, log: Log, lives: Lives, life: Life) -> int:
        for number in self._chain(log, lives, life):
            self._dependents[number].append(life.process)
            if lives.all[number].kind == _SUPERVISOR:
                return number
        return NONE

    def _chain(self, log: Log, lives: Lives, life: Life) -> Iterator[int]:
        """Who may be the supervisor, the nearest first."""
        if life.parent != NONE:
            yield life.parent
        for ancestor in life.ancestors:
            if (number := self._resolved(log, lives, life, ancestor)) != NONE:
                yield number
        if not life.ancestors:
            seen, at = {life.process}, life.parent
            while at != NONE and at not in seen:
                seen.add(at)
                at = lives.all[at].parent
                if at != NONE:
                    yield at

    def _resolved(self, log: Log, lives: Lives, life: Life, ancestor: object) -> int:
        """The process that an ancestor is, which is called by its pid or its name."""
        if isinstance(ancestor, Pid):
            vm = log.processes[life.process].vm
            if not lives.pids.is_exact(ancestor, vm):
                self._dependents["pid", bare(str(ancestor))].append(life.process)
            return lives.pids.find(ancestor, vm)
        name = inspect(ancestor)
        self._dependents["name", name].append(life.process)
        born = (n for n in reversed(self._named.get(name, ())) if lives.all[n].spawn < life.spawn)
        return next(born, NONE)
