"""Which frame of another process asked for a frame: the caller, where the call stack alone does not know one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, ints
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.processes import Life
from elixirscope.kernels import I64, Bits, kernel
from elixirscope.recording.growing import GrowingRows

_PLAIN: Final = ("task", "test", "process")


class _Answer(NamedTuple):
    """What frames of a process are told of it, and whether it asks for others when it spawns them."""

    spawner: int
    plain: bool
    supervisor: bool


class Origins:
    """Per process the outermost frames that nobody's message explains: whoever had the process spawned had them run.

    For a callback it is the frame which sent the message it handles. For the outermost frames of a task or plain
    process, and for the first frame of any other, it is the frame that had the process spawned.
    """

    def __init__(self) -> None:
        self._rows = GrowingRows(3)  # of outermost frames without an asker, and their processes
        self._seen = np.zeros(0, dtype=bool)  # processes that have had an outermost frame
        # What was told last
        self._told: dict[int, _Answer] = {}
        self._explained = set[int]()  # processes
        self._count = 0  # rows

    def take(self, calls: Calls, asker: Ints) -> None:
        """Remember the outermost frames of a slice. `asker`: as in `Handled`."""
        outermost = calls.older + np.flatnonzero(calls.depth[calls.older :] == 0)
        process = calls.process[outermost]
        first = np.zeros(len(outermost), dtype=bool)
        if (size := int(process.max(initial=NONE)) + 1) > len(self._seen):
            self._seen = np.append(self._seen, np.zeros(size + size // 2 - len(self._seen), dtype=bool))
        _first(process, self._seen, first)
        alone = np.flatnonzero(asker[outermost] == NONE)
        self._rows.append(np.stack([calls.row[outermost[alone]], process[alone], first[alone]], axis=1))

    def askers(self, lives: Lives) -> tuple[Ints, Ints]:
        """The rows of calls that the lives of processes explain, and for each a CALL event."""
        rows, process, first = self._rows.all.T
        found = np.full(len(lives.all), NONE)
        for number in np.unique(process).tolist():
            found[number] = _spawner(lives.all, number)
        plain = np.zeros(len(found), dtype=bool)
        plain[[life.process for life in lives.all if life.kind in _PLAIN]] = True
        chosen = ((first == 1) | plain[process]) & (found[process] != NONE)
        return rows[chosen], found[process[chosen]]

    def news(self, lives: Lives, changed: Iterable[int]) -> tuple[Ints, Ints]:
        """The rows of calls of which it is known since this was asked, and for each a CALL event, or -1. `changed`: the
        lives of which more is known."""
        others = set[int]()
        todo = list(changed)
        while todo:
            number = todo.pop()
            life = lives.all[number]
            answer = _Answer(_spawner(lives.all, number), life.kind in _PLAIN, life.kind == "supervisor")
            if answer == self._told.get(number):
                continue
            self._told[number] = answer
            others.add(number)
            todo += [child for child in lives.children.get(number, ()) if lives.all[child].spawn_call == NONE]
        told, self._count = self._count, len(self._rows)
        others &= self._explained
        before = self._rows.all[:told]
        again = before[np.isin(before[:, 1], list(others))] if others else before[:0]
        fresh = self._rows.all[told:]
        self._explained.update(fresh[:, 1].tolist())
        fresh = fresh[self._askers(fresh) != NONE]
        rows = np.concatenate([again, fresh])
        return rows[:, 0], self._askers(rows)

    def _askers(self, rows: Ints) -> Ints:
        return ints([self._of(process, first == 1) for _, process, first in rows.tolist()])

    def _of(self, process: int, first: bool) -> int:
        answer = self._told[process]
        return answer.spawner if first or answer.plain else NONE


@kernel
def _first(process: I64, seen: Bits, first: Bits) -> None:
    for frame in range(len(process)):
        first[frame] = not seen[process[frame]]
        seen[process[frame]] = True


def _spawner(lives: list[Life], process: int) -> int:
    """The frame that had a process spawned, or -1.

    Where the spawner itself ran no recorded code, it was a go-between: a supervisor that was asked to start a child
    (then it is the frame that asked), or a helper such as the monitor of a task stream (then who had it spawned).
    """
    seen: set[int] = set()
    while process not in seen:
        seen.add(process)
        life = lives[process]
        if life.spawn == NONE or not life.seen_spawning:
            return NONE
        if life.spawn_call != NONE:
            return life.spawn_call
        if life.told is not None and lives[life.parent].kind == "supervisor":
            return life.told.call if life.told.seen.kind == "call" else NONE
        process = life.parent
    return NONE
