"""Happens-before: the previous event of the same process, and the one event of another that made this possible."""

from __future__ import annotations

import numpy as np

from elixirscope.correlate.columns import NONE, Ints, ints
from elixirscope.correlate.links import Tie
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.pairing import pair
from elixirscope.correlate.processes import Life, Pids
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log


def find_previous(log: Log) -> Ints:
    """Per event the event before it in its process, or -1."""
    order = log.by_process
    process = log.column("process")[order]
    previous = np.full(len(order), NONE)
    same = process[1:] == process[:-1]
    previous[order[1:][same]] = order[:-1][same]
    return previous


def find_causes(log: Log, lives: list[Life], messages: Messages, links: list[Tie], pids: Pids) -> Ints:
    """Per event its cause in another process, or -1."""
    cause = np.full(len(log.rows), NONE)
    delivered = (messages.send != NONE) & (messages.receive != NONE)
    cause[messages.receive[delivered]] = messages.send[delivered]
    _links(log, cause)
    _births(log, lives, cause)
    _exit_signals(log, lives, links, cause)
    _obituaries(log, lives, messages, pids, cause)
    return cause


def _links(log: Log, cause: Ints) -> None:
    for asked, got in ((Kind.LINK, Kind.GETTING_LINKED), (Kind.UNLINK, Kind.GETTING_UNLINKED)):
        by, of = np.flatnonzero(log.column("kind") == asked), np.flatnonzero(log.column("kind") == got)
        process, peer = log.column("process").astype(np.int64), log.column("peer").astype(np.int64)
        keys = (process[by], peer[by]), (peer[of], process[of])
        pairs = pair(*keys, log.column("at")[by], log.column("at")[of])
        cause[of[pairs.effect]] = by[pairs.cause]


def _births(log: Log, lives: list[Life], cause: Ints) -> None:
    """The first event of a spawned process, usually its SPAWNED, comes from the SPAWN."""
    order = log.by_process
    numbers = log.column("process")[order]
    firsts = np.flatnonzero(np.diff(numbers, prepend=NONE))
    first = dict(zip(numbers[firsts].tolist(), order[firsts].tolist(), strict=True))
    spawned = {int(log.column("process")[e]): e for e in np.flatnonzero(log.column("kind") == Kind.SPAWNED).tolist()}
    for life in lives:
        if life.spawn == NONE or log.column("kind")[life.spawn] != Kind.SPAWN:
            continue
        for event in (first.get(life.process, NONE), spawned.get(life.process, NONE)):
            if event > life.spawn and cause[event] == NONE:
                cause[event] = life.spawn


def _exit_signals(log: Log, lives: list[Life], links: list[Tie], cause: Ints) -> None:
    """A process that ended, while linked, with the reason of a partner that ended before it."""
    partners: dict[int, list[tuple[int, Tie]]] = {}
    for tie in links:
        partners.setdefault(tie.process, []).append((tie.peer, tie))
        partners.setdefault(tie.peer, []).append((tie.process, tie))
    for life in lives:
        if life.exit == NONE or life.reason == NONE or life.exit_kind == "normal":
            continue
        best = NONE
        for other, tie in partners.get(life.process, ()):
            ended = lives[other].exit
            stood = tie.event < ended < life.exit and tie.until >= log.column("at")[ended]
            if ended != NONE and stood and log.column("value")[ended] == life.reason:
                best = max(best, ended)
        cause[life.exit] = best


def _obituaries(log: Log, lives: list[Life], messages: Messages, pids: Pids, cause: Ints) -> None:
    """DOWN and EXIT messages come from the end of the process they name."""
    for number in messages.of_kind("down", "exit"):
        seen, receive = messages.shapes[number], int(messages.receive[number])
        if seen.subject is None or receive == NONE or cause[receive] != NONE:
            continue
        gone = pids.of_bytes(seen.subject, int(log.column("vm")[receive]))
        if gone != NONE and NONE < lives[gone].exit < receive:
            cause[receive] = lives[gone].exit


def check_forward(cause: Ints) -> Ints:
    """Events whose cause comes after them: clocks of several machines that disagree. Empty on one machine."""
    return ints(e for e in np.flatnonzero(cause != NONE).tolist() if cause[e] >= e)
