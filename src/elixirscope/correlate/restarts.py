"""Restarts: which process took over the role of one that had ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.processes import Life, Lives
from elixirscope.recording.log import Log

# A supervisor of short-lived children has started thousands; only the latest are looked at.
_LOOK_BACK = 200


def join_restarts(log: Log, known: Lives, lives: list[Life]) -> None:
    """Sets `predecessor` and `incarnation`.

    A supervisor restarts a child when the last thing it was told is an EXIT; a child it starts when asked to, or at
    its own start, replaces nobody, unless the supervisor itself is a restarted one: what a restarted process starts
    replaces what its predecessor had started likewise. Without recorded messages a registered name tells, or that the
    other one crashed.
    """
    succession = _Succession(log, known, lives)
    for life in sorted((life for life in lives if life.spawn != NONE and life.parent != NONE), key=lambda x: x.spawn):
        before = succession.of(life)
        if before is not None:
            life.predecessor = before.process
            life.incarnation = before.incarnation + 1


class _Succession:
    """Who may follow whom. Asked once for each process, in order of birth."""

    def __init__(self, log: Log, known: Lives, lives: list[Life]) -> None:
        self._log = log
        self._known = known
        self._lives = lives
        self._replaced: set[int] = set()
        self._children: defaultdict[tuple[int, object], list[Life]] = defaultdict(list)  # by parent and initial call

    def of(self, life: Life) -> Life | None:
        """The process whose role `life` takes over."""
        parent = self._lives[life.parent]
        siblings = self._children[parent.process, life.initial]
        before = self._restarted(life, siblings) if parent.kind == "supervisor" and siblings else None
        if before is None and parent.predecessor != NONE:
            before = next(self._replaceable(self._children[parent.predecessor, life.initial], life), None)
        siblings.append(life)
        if before is not None:
            self._replaced.add(before.process)
        return before

    def _restarted(self, life: Life, siblings: list[Life]) -> Life | None:
        if not self._known.has_heard(life.parent):
            dead = list(self._replaceable(siblings, life))
            same = (other for other in dead if other.name is not None and other.name == life.name)
            fallen = (other for other in dead if other.exit_kind in ("crash", "killed"))
            return next(same, None) or next(fallen, None)
        if life.told is None:
            return None
        seen = life.told.seen
        again = seen.kind == "cast" and "restart" in (seen.tag or "")  # it failed to start and is tried again
        if seen.kind != "exit" and not again:
            return None
        subject = self._known.pids.of_bytes(seen.subject, self._log.processes[life.process].vm)
        ended = [self._lives[subject]] if subject != NONE else []
        likely = [other for other in ended if (other.parent, other.initial) == (life.parent, life.initial)]
        return next(self._replaceable(likely, life), None) or next(self._replaceable(siblings, life), None)

    def _replaceable(self, others: list[Life], life: Life) -> Iterator[Life]:
        """Those that had ended before, that nobody has replaced yet, and whose names do not contradict."""
        for other in others[-_LOOK_BACK:]:
            # Damaged recordings have processes that end before they begin: none may follow itself.
            ended = other.spawn < life.spawn and NONE < other.exit < life.spawn and other.process not in self._replaced
            if ended and (other.name == life.name or None in (other.name, life.name)):
                yield other
