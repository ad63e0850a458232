"""Which frame of another process asked for a frame: the caller, where the call stack alone does not know one."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.processes import Life
from elixirscope.correlate.restarts import Told
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log


def remote_parents(log: Log, calls: Calls, messages: Messages, lives: list[Life], told: Told) -> Ints:
    """Per frame the frame in another process that asked for it, or -1.

    For a callback that is the frame which sent the message it handles. For the outermost frames of a task or plain
    process, and for the first frame of any other, it is the frame that had the process spawned.
    """
    parents = np.full(len(calls.event), NONE)
    handled = np.flatnonzero((messages.handler != NONE) & (messages.send != NONE))
    parents[messages.handler[handled]] = calls.of_event[messages.send[handled]]
    spawners: dict[int, int] = {}
    for frame in np.flatnonzero(calls.depth == 0).tolist():
        process = int(calls.process[frame])
        first = process not in spawners
        if first:
            spawners[process] = _spawner(log, calls, messages, lives, told, process)
        if parents[frame] == NONE and (first or lives[process].kind in ("task", "test", "process")):
            parents[frame] = spawners[process]
    return parents


def _spawner(log: Log, calls: Calls, messages: Messages, lives: list[Life], told: Told, process: int) -> int:
    """The frame that had a process spawned, or -1.

    Where the spawner itself ran no recorded code, it was a go-between: a supervisor that was asked to start a child
    (then it is the frame that asked), or a helper such as the monitor of a task stream (then who had it spawned).
    """
    seen: set[int] = set()
    while process not in seen:
        seen.add(process)
        life = lives[process]
        if life.spawn == NONE or log.rows["kind"][life.spawn] != Kind.SPAWN:
            return NONE
        frame = int(calls.of_event[life.spawn])
        if frame != NONE:
            return frame
        heard = told.get(life.parent, [])
        last = bisect_left(heard, (life.spawn, 0)) - 1
        if last >= 0:
            asked = heard[last][1]
            send = int(messages.send[asked])
            return int(calls.of_event[send]) if messages.shapes[asked].kind == "call" and send != NONE else NONE
        process = life.parent
    return NONE
