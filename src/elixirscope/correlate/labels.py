"""What a person calls a process: `Seats`, `Checkout 2`, `Task 3`, `Ledger (2)` for its second life."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.processes import Life, initial_text
from elixirscope.recording.log import Log

_Place: TypeAlias = tuple[str, tuple[int, int]]  # under which name, and when born and who


class Labels:
    """Sets `label` of lives; no two are equal.

    Registered names come first, then the test's name, the callback module, the initial call, the pid. The
    namespace that most modules share is left away. Processes of equal label are numbered in order of
    birth; a restarted one keeps its predecessor's and counts its lives in parentheses.
    """

    def __init__(self) -> None:
        self._clear()
        self._words = Counter[str]()
        self._spoken: dict[int, tuple[str, ...]] = {}
        self._shared = ""
        self._recorded = set[str]()  # modules
        self._sites = NONE  # of which those are

    def _clear(self) -> None:
        self._places: dict[int, _Place] = {}
        self._alike: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)  # by name, in order of birth
        self._wanted: dict[int, str] = {}  # what a process would be called, if no other was
        self._owners: dict[str, int] = {}
        self._rivals: dict[str, set[int]] = {}  # where several would be called the same

    def take(self, log: Log, lives: list[Life], changed: Iterable[int]) -> set[int]:
        """The lives that have another label. `changed`: those of which anything is known since."""
        changed = set(changed)
        if self._namespaced(log, lives, changed):
            self._clear()
            changed = set(range(len(lives)))
        renamed = self._call(log, lives, self._numbered(log, lives, changed))
        found = set(renamed)
        restarted = {number for number in changed if lives[number].predecessor != NONE}
        while renamed or restarted:
            for number in renamed:
                if lives[number].predecessor == NONE:
                    restarted.update(_successors(lives, lives[number]))
            counted = ((n, f"{lives[lives[n].first].label} ({lives[n].incarnation + 1})") for n in sorted(restarted))
            renamed = self._call(log, lives, dict(counted))
            restarted = set()
            found |= renamed
        return found

    def _namespaced(self, log: Log, lives: list[Life], changed: set[int]) -> bool:
        """Whether another namespace is shared than before."""
        news = False
        if len(log.sites) != self._sites:
            self._recorded = {site.module for site in log.sites.values()}
            # What is not described yet has no module; it will have one though there are no more sites then.
            self._sites = len(log.sites) if all(site.kind != "unknown" for site in log.sites.values()) else NONE
            news = True
        for number in changed:
            spoken = tuple(filter(None, (lives[number].module, lives[number].name)))
            if spoken != (before := self._spoken.get(number, ())):
                self._spoken[number] = spoken
                news = True
                self._words.update(spoken)
                for word in before:
                    self._words[word] -= 1
                    if not self._words[word]:
                        del self._words[word]
        if not news:
            return False
        shared = namespace(self._recorded) or namespace(self._recorded.union(self._words))
        before_, self._shared = self._shared, shared
        return shared != before_

    def _numbered(self, log: Log, lives: list[Life], changed: set[int]) -> dict[int, str]:
        """What those are to be called that nobody was before them, and those whose numbers changed by that."""
        since: dict[str, tuple[int, int]] = {}  # by name, from whom on numbers are others
        for number in sorted(changed):
            life = lives[number]
            place = None if life.predecessor != NONE else (_base(log, life, self._shared), (life.spawn, number))
            before = self._places.get(number)
            if place == before:
                continue
            for base, born in filter(None, (before, place)):
                alike = self._alike[base]
                if (base, born) == before:
                    del alike[bisect_left(alike, born)]
                    few = len(alike) == 1
                    del self._places[number]
                else:
                    insort(alike, born)
                    few = len(alike) == 2
                    self._places[number] = (base, born)
                since[base] = min(since.get(base, born), born, *(alike[:1] if few else ()))
        calls = dict[int, str]()
        for base, born in since.items():
            alike = self._alike[base]
            first = bisect_left(alike, born)
            for count, (_, number) in enumerate(alike[first:], first + 1):
                calls[number] = base if len(alike) == 1 else f"{base} {count}"
            if not alike:
                del self._alike[base]
        return calls

    def _call(self, log: Log, lives: list[Life], calls: dict[int, str]) -> set[int]:
        """Have these called so. The lives that have another label by that: of several that would be called the same,
        the first alone is."""
        disputed = set[str]()
        for number in calls:
            self._release(number, disputed)
        for number, label in calls.items():
            self._wanted[number] = label
            owner = self._owners.setdefault(label, number)
            if owner != number:
                self._rivals.setdefault(label, {owner}).add(number)
                disputed.add(label)
        renamed = set[int]()
        for label in disputed:
            rivals = self._rivals.get(label, {self._owners[label]} if label in self._owners else set())
            renamed.update(self._give(log, lives, label, rivals))
        for number, label in calls.items():
            if label not in disputed:
                renamed.update(self._give(log, lives, label, {number}))
        return renamed

    def _release(self, number: int, disputed: set[str]) -> None:
        """Have a process called nothing."""
        label = self._wanted.pop(number, None)
        if label is None:
            return
        rivals = self._rivals.get(label)
        if rivals is None:
            del self._owners[label]
            return
        rivals.discard(number)
        disputed.add(label)
        self._owners[label] = min(rivals)
        if len(rivals) == 1:
            del self._rivals[label]

    def _give(self, log: Log, lives: list[Life], label: str, rivals: set[int]) -> Iterator[int]:
        first = min(rivals, default=NONE)
        for number in rivals:
            mine = label if number == first else f"{label} {log.processes[number].pid_text} #{number}"
            if lives[number].label != mine:
                lives[number].label = mine
                yield number


def _successors(lives: list[Life], life: Life) -> Iterator[int]:
    while life.successor != NONE:
        life = lives[life.successor]
        yield life.process


def namespace(modules: Iterable[str]) -> str:
    """The first segment that more than half of the Elixir modules share, with its dot; else ""."""
    distinct = {module for module in modules if module and not module.startswith(":")}
    heads = Counter(module.split(".")[0] for module in distinct)
    if not heads:
        return ""
    head, count = heads.most_common(1)[0]
    return f"{head}." if count * 2 > len(distinct) and count > 1 else ""


def _base(log: Log, life: Life, shared: str) -> str:
    def short(module: str) -> str:
        return module.removeprefix(shared)

    if life.main:
        return "main"
    if life.name is not None:
        return short(life.name)
    if life.test is not None:
        return life.test
    if life.kind == "task":
        return "Task"
    if life.kind == "agent":
        return "Agent"
    if life.module is not None:
        return "Supervisor" if life.module == "Supervisor.Default" else short(life.module)
    if life.initial is not None and life.initial[:2] != (":erlang", "apply"):
        return initial_text(short(life.initial[0]), *life.initial[1:]).removeprefix("anonymous ")
    if life.first_frame is not None:
        frame = life.first_frame
        return f"{short(frame.module)}.{frame.function}/{frame.arity}"
    return log.processes[life.process].pid_text
