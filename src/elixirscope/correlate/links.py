"""Links as the VM reported them, and the monitors that messages give away."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from elixirscope.correlate.columns import NONE, known, lookup, table
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.processes import Life, Pids
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log

OF_CALL = "a call monitors its server until the reply"
OF_DOWN = "setting a monitor is not traced; known from its DOWN"


@dataclass
class Tie:
    """A link or monitor between two processes, from one time to another (-1: still standing)."""

    event: int
    at: int
    until: int
    kind: str
    process: int
    peer: int
    reason: str | None = None


def find_links(log: Log, lives: list[Life]) -> list[Tie]:
    """Every link once, whichever side reported it, in order of beginning."""
    rows = log.rows
    made, broken = (Kind.LINK, Kind.GETTING_LINKED), (Kind.UNLINK, Kind.GETTING_UNLINKED)
    found: list[Tie] = []
    standing: dict[tuple[int, int], Tie] = {}
    of_process: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
    for event in np.flatnonzero(np.isin(log.column("kind"), (*made, *broken, Kind.EXIT))).tolist():
        row = rows[event]
        kind, process, peer, at = int(row["kind"]), int(row["process"]), int(row["peer"]), int(row["at"])
        if kind == Kind.EXIT:
            for pair in of_process.pop(process, ()):
                if pair in standing:
                    standing.pop(pair).until = at
            continue
        if peer == NONE:
            continue
        pair = (min(process, peer), max(process, peer))
        if kind in made and pair not in standing:
            ended = [e for e in (lives[process].exit, lives[peer].exit) if e != NONE and e < event]
            if ended:  # GETTING_LINKED of a process that is gone already
                continue
            ends = (process, peer) if kind == Kind.LINK else (peer, process)
            standing[pair] = Tie(event, at, NONE, "link", *ends)
            found.append(standing[pair])
            of_process[process].add(pair)
            of_process[peer].add(pair)
        elif kind in broken and pair in standing:
            standing.pop(pair).until = at
    return found


def find_monitors(log: Log, messages: Messages, pids: Pids) -> list[Tie]:
    """Monitors that follow from messages: of a call until its reply, and of each DOWN."""
    at = log.column("at")
    found: list[Tie] = []
    replied = lookup(at, lookup(messages.receive, messages.reply))
    calls = np.array(messages.of_kind("call"), dtype=np.int64)
    calls = calls[
        (messages.sender[calls] != NONE) & (messages.receiver[calls] != NONE) & (messages.send[calls] != NONE)
    ]
    sends = messages.send[calls]
    columns = (sends, at[sends], replied[calls], messages.sender[calls], messages.receiver[calls])
    for event, time, until, sender, receiver in zip(*(column.tolist() for column in columns), strict=True):
        found.append(Tie(event, time, until, "monitor", sender, receiver, OF_CALL))
    for number in messages.of_kind("down"):
        if messages.receive[number] != NONE:
            event, receiver = int(messages.receive[number]), int(messages.receiver[number])
            peer = pids.of_bytes(messages.shapes[number].subject, int(log.column("vm")[event]))
            if peer != NONE:
                time = int(at[event])
                found.append(Tie(event, time, time, "monitor", receiver, peer, OF_DOWN))
    return found


def links_table(ties: list[Tie]) -> pa.Table:
    """The table, in order of event."""
    ties = sorted(ties, key=lambda tie: tie.event)
    return table(
        "links",
        event=[tie.event for tie in ties],
        at=[tie.at for tie in ties],
        until=known(np.array([tie.until for tie in ties], dtype=np.int64)),
        kind=[tie.kind for tie in ties],
        process=[tie.process for tie in ties],
        peer=[tie.peer for tie in ties],
        certain=[tie.reason is None for tie in ties],
        reason=[tie.reason for tie in ties],
    )
