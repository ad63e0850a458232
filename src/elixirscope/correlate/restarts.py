"""Restarts: which process took over the role of one that had ended."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

import numpy as np

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.processes import Life, Pids
from elixirscope.recording.log import Log

Told = dict[int, list[tuple[int, int]]]  # supervisor → (receive, message), the ones that make it act


def told_supervisors(lives: list[Life], messages: Messages) -> Told:
    """What each supervisor received that makes it start or stop children, in order."""
    told: Told = {}
    for message in np.argsort(messages.receive, kind="stable").tolist():
        receive, receiver = int(messages.receive[message]), int(messages.receiver[message])
        decisive = messages.shapes[message].kind in ("exit", "call", "cast", "system")
        if receive != NONE and receiver != NONE and decisive and lives[receiver].kind == "supervisor":
            told.setdefault(receiver, []).append((receive, message))
    return told


def join_restarts(log: Log, lives: list[Life], messages: Messages, told: Told, pids: Pids) -> None:
    """Sets `predecessor` and `incarnation`.

    A supervisor restarts a child when the last thing it was told is an EXIT; a child it starts when asked to, or at
    its own start, replaces nobody, unless the supervisor itself is a restarted one: what a restarted process starts
    replaces what its predecessor had started likewise. Without recorded messages a registered name tells, or that the
    other one crashed.
    """
    replaced: set[int] = set()
    children: defaultdict[tuple[int, object], list[Life]] = defaultdict(list)
    for life in sorted((life for life in lives if life.spawn != NONE and life.parent != NONE), key=lambda x: x.spawn):
        parent = lives[life.parent]
        siblings = children[parent.process, life.initial]
        dead = _replaceable(siblings, life, replaced)
        siblings.append(life)
        if parent.kind == "supervisor" and dead:
            dead = _restarted(log, dead, life, messages, told.get(parent.process, []), pids)
        else:
            dead = []
        if not dead and parent.predecessor != NONE:
            dead = _replaceable(children[parent.predecessor, life.initial], life, replaced)
        if dead:
            life.predecessor = dead[0].process
            life.incarnation = dead[0].incarnation + 1
            replaced.add(dead[0].process)


def _replaceable(siblings: list[Life], life: Life, replaced: set[int]) -> list[Life]:
    """Those that had ended before, that nobody has replaced yet, and whose names do not contradict."""
    return [
        other
        for other in siblings
        if NONE < other.exit < life.spawn
        and other.process not in replaced
        and (other.name == life.name or None in (other.name, life.name))
    ]


def _restarted(
    log: Log, dead: list[Life], life: Life, messages: Messages, heard: list[tuple[int, int]], pids: Pids
) -> list[Life]:
    """Which of the dead a supervisor replaces by starting this child: the likeliest first."""
    if not heard:
        fallen = [other for other in dead if other.exit_kind in ("crash", "killed")]
        return [other for other in dead if other.name is not None and other.name == life.name] or fallen
    last = bisect_left(heard, (life.spawn, 0)) - 1
    if last < 0:
        return []
    seen = messages.shapes[heard[last][1]]
    again = seen.kind == "cast" and "restart" in (seen.tag or "")  # it failed to start and is tried again
    if seen.kind != "exit" and not again:
        return []
    subject = pids.of_bytes(seen.subject, log.processes[life.process].vm)
    return [other for other in dead if other.process == subject] or dead
