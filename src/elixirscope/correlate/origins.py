"""Which frame of another process asked for a frame: the caller, where the call stack alone does not know one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints
from elixirscope.correlate.processes import Life
from elixirscope.kernels import I64, Bits, kernel


class Origins:
    """Per process the outermost frames that nobody's message explains: whoever had the process spawned had them run.

    For a callback it is the frame which sent the message it handles. For the outermost frames of a task or plain
    process, and for the first frame of any other, it is the frame that had the process spawned.
    """

    def __init__(self) -> None:
        self._rows = list[Ints]()  # of outermost frames without an asker, and their processes
        self._seen = np.zeros(0, dtype=bool)  # processes that have had an outermost frame

    def take(self, calls: Calls, asker: Ints) -> None:
        """Remember the outermost frames of a slice. `asker`: as in `Handled`."""
        new = np.arange(calls.older, len(calls.event))
        outermost = new[calls.depth[new] == 0]
        process = calls.process[outermost]
        first = np.zeros(len(outermost), dtype=bool)
        more = int(process.max(initial=NONE)) + 1 - len(self._seen)
        self._seen = np.append(self._seen, np.zeros(max(more, 0), dtype=bool))
        _first(process, self._seen, first)
        alone = asker[outermost] == NONE
        rows = np.stack([calls.row[outermost], process, first], axis=1)[alone]
        self._rows.append(rows)

    def askers(self, lives: list[Life]) -> tuple[Ints, Ints]:
        """The rows of calls that the lives of processes explain, and for each a CALL event."""
        self._rows = [np.concatenate([np.empty((0, 3), np.int64), *self._rows])]
        rows, process, first = self._rows[0].T
        spawners = np.full(len(lives), NONE)
        for number in np.unique(process).tolist():
            spawners[number] = _spawner(lives, number)
        plain: npt.NDArray[np.bool_] = np.array(
            [life.kind in ("task", "test", "process") for life in lives], dtype=bool
        )
        chosen = (first == 1) | plain[process]
        rows, found = rows[chosen], spawners[process[chosen]]
        return rows[found != NONE], found[found != NONE]


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
