"""Restarts: which process took over the role of one that had ended."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Final, TypeAlias

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.processes import Life
from elixirscope.recording.log import Log

# A supervisor of short-lived children has started thousands; only the latest are looked at.
_LOOK_BACK: Final = 200

Born: TypeAlias = tuple[int, int]  # when (event), and who
_Initial: TypeAlias = tuple[str, str, int] | None


class Succession:
    """Sets `predecessor`, `successor`, `first` and `incarnation` of lives.

    A supervisor restarts a child when the last thing it was told is an EXIT; a child it starts when asked to, or at
    its own start, replaces nobody, unless the supervisor itself is a restarted one: what a restarted process starts
    replaces what its predecessor had started likewise. Without recorded messages a registered name tells, or that the
    other one crashed.

    Lives are asked in order of birth, and an answer depends on those born before alone. So what becomes known of a life
    has it asked again, and of those born later the ones whose answers depend on it.
    """

    def __init__(self) -> None:
        self._placed: dict[int, tuple[int, _Initial, Born]] = {}
        self._names: dict[int, str | None] = {}
        # Children by parent and initial call, in order of birth
        self._children: defaultdict[int, dict[_Initial, list[Born]]] = defaultdict(dict)
        self._todo: list[Born] = []
        self._waits = set[int]()

    def take(self, log: Log, lives: Lives, news: Iterable[int], turned: Iterable[int]) -> set[int]:
        """The lives whose roles have another history. `turned`: those by which their children may be told otherwise."""
        for life in sorted((lives.all[number] for number in news), key=lambda life: life.spawn):
            self._place(lives, life)
        for number in turned:
            self._later(self._children.get(number, {}).values(), NONE)
        changed = set[int]()
        while self._todo:
            _, number = heappop(self._todo)
            self._waits.discard(number)
            if self._ask(log, lives, lives.all[number]):
                changed.add(number)
        return changed

    def _place(self, lives: Lives, life: Life) -> None:
        """Have a life among its siblings, and asked."""
        if life.spawn == NONE or life.parent == NONE:
            return
        number, place = life.process, (life.parent, life.initial, (life.spawn, life.process))
        before, name = self._placed.get(number), self._names.get(number)
        if before is not None and before != place:
            siblings = self._children[before[0]][before[1]]
            del siblings[bisect_left(siblings, before[2])]
            self._relevant(lives, before[0], before[1], before[2][0])
            if life.successor != NONE:
                self._again(lives.all[life.successor])
        if before != place or (name != life.name and life.exit != NONE):
            self._insert(life, place[2])
            self._relevant(lives, life.parent, life.initial, life.spawn)
            self._later(self._children.get(number, {}).values(), NONE)
        self._placed[number], self._names[number] = place, life.name
        self._again(life)

    def _insert(self, life: Life, born: Born) -> None:
        siblings = self._children[life.parent].setdefault(life.initial, [])
        if born not in siblings[bisect_left(siblings, born) :][:1]:
            insort(siblings, born)

    def _again(self, life: Life) -> None:
        if life.process not in self._waits and life.process in self._placed:
            self._waits.add(life.process)
            heappush(self._todo, self._placed[life.process][2])

    def _later(self, siblings: Iterable[list[Born]], since: int) -> None:
        """Have those asked that were born after `since`."""
        for each in siblings:
            for born in each[bisect_left(each, (since + 1, NONE)) :]:
                if born[1] not in self._waits:
                    self._waits.add(born[1])
                    heappush(self._todo, born)

    def _relevant(self, lives: Lives, parent: int, initial: _Initial, since: int) -> None:
        """Have those asked that were born after `since` and may replace children of `parent`."""
        for starter in (parent, lives.all[parent].successor):
            if starter != NONE:
                self._later([self._children.get(starter, {}).get(initial, [])], since)

    def _ask(self, log: Log, lives: Lives, life: Life) -> bool:
        """Find whose role a life took over. Whether that is another one than was known."""
        found = self._of(log, lives, life)
        before = lives.all[life.predecessor] if life.predecessor != NONE else None
        if found is not before:
            if before is not None and before.successor == life.process:
                before.successor = NONE
                self._relevant(lives, before.parent, before.initial, life.spawn)
            if found is not None:
                if found.successor != NONE:
                    self._again(lives.all[found.successor])
                found.successor = life.process
            life.predecessor = found.process if found is not None else NONE
            self._later(self._children.get(life.process, {}).values(), life.spawn)
        first, incarnation = (found.first, found.incarnation + 1) if found is not None else (life.process, 0)
        if found is not None and found.first == NONE:
            first = found.process
        if found is before and (first, incarnation) == (life.first, life.incarnation):
            return False
        life.first, life.incarnation = first, incarnation
        if life.successor != NONE:
            self._again(lives.all[life.successor])
        return True

    def _of(self, log: Log, lives: Lives, life: Life) -> Life | None:
        """The process whose role `life` takes over."""
        parent = lives.all[life.parent]
        siblings = self._before(parent.process, life)
        before = self._restarted(log, lives, life, siblings) if parent.kind == "supervisor" and siblings else None
        if before is None and parent.predecessor != NONE and parent.spawn < life.spawn:
            before = next(self._replaceable(lives, self._before(parent.predecessor, life), life), None)
        return before

    def _before(self, parent: int, life: Life) -> list[Born]:
        """What a process had started likewise before that life began, the latest of them."""
        born = self._children.get(parent, {}).get(life.initial, [])
        end = bisect_left(born, (life.spawn, life.process))
        return born[max(0, end - _LOOK_BACK) : end]

    def _restarted(self, log: Log, lives: Lives, life: Life, siblings: list[Born]) -> Life | None:
        if not lives.has_heard(life.parent):
            dead = list(self._replaceable(lives, siblings, life))
            same = (other for other in dead if other.name is not None and other.name == life.name)
            fallen = (other for other in dead if other.exit_kind in ("crash", "killed"))
            return next(same, None) or next(fallen, None)
        if life.told is None:
            return None
        seen = life.told.seen
        again = seen.kind == "cast" and "restart" in (seen.tag or "")  # it failed to start and is tried again
        if seen.kind != "exit" and not again:
            return None
        subject = lives.pids.of_bytes(seen.subject, log.processes[life.process].vm)
        ended = [lives.all[subject]] if subject != NONE else []
        alike = (other for other in ended if (other.parent, other.initial) == (life.parent, life.initial))
        likely = [(other.spawn, other.process) for other in alike]
        return next(self._replaceable(lives, likely, life), None) or next(
            self._replaceable(lives, siblings, life), None
        )

    def _replaceable(self, lives: Lives, others: Iterable[Born], life: Life) -> Iterator[Life]:
        """Those that had ended before, that nobody had replaced yet, and whose names do not contradict."""
        for _, number in others:
            other = lives.all[number]
            # Damaged recordings have processes that end before they begin: none may follow itself.
            ended = other.spawn < life.spawn and NONE < other.exit < life.spawn
            free = other.successor == NONE or lives.all[other.successor].spawn >= life.spawn
            if ended and free and (other.name == life.name or None in (other.name, life.name)):
                yield other
