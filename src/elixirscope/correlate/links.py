"""Links as the VM reported them, and the monitors that messages give away."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from elixirscope.correlate.columns import NONE, Ints, known, patch, table, texts
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.processes import Life, Pids
from elixirscope.recording.changes import Patch
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
    row: int = NONE


class Links:
    """Follows links and monitors through the slices."""

    def __init__(self) -> None:
        self.of_process: defaultdict[int, list[Tie]] = defaultdict(list)  # links that ever stood
        self._standing: dict[tuple[int, int], Tie] = {}
        self._monitors: dict[int, int] = {}  # call without a received reply → row
        self._count = 0  # rows in the table
        self._met = NONE  # the highest number of a process so far: they are numbered as they appear

    def take(self, log: Log, lives: Lives, messages: Messages) -> tuple[pa.Table, list[Patch]]:
        """The rows of the next slice, and the ends of older ones."""
        ties, ended = self._links(log, lives.all)
        rows = sorted([*ties, *self._downs(log, messages, lives.pids)], key=lambda tie: tie.event)
        calls, answered = _calls(messages)
        event = np.concatenate([np.array([tie.event for tie in rows], dtype=np.int64), messages.event[calls]])
        order = np.argsort(event, kind="stable")
        row = np.empty(len(order), np.int64)
        row[order] = np.arange(self._count, self._count + len(order))
        for number, tie in enumerate(rows):
            tie.row = int(row[number])
        self._count += len(order)
        # A call monitors its server until the reply arrives.
        asked, arrived = answered
        until = np.full(len(log.rows), NONE)  # of each event that is a call
        until[(asked - log.first)[asked >= log.first]] = arrived[asked >= log.first]
        until = until[messages.event[calls] - log.first]
        found = _table(rows, messages, calls, until, order)
        alone = np.flatnonzero(until == NONE)
        events, places = messages.event[calls[alone]], row[len(rows) + alone]
        self._monitors.update(zip(events.tolist(), places.tolist(), strict=True))
        before = zip(asked[asked < log.first].tolist(), arrived[asked < log.first].tolist(), strict=True)
        late = [(self._monitors.pop(event), at) for event, at in before if event in self._monitors]
        pairs = np.array([*((tie.row, tie.until) for tie in ended), *late], dtype=np.int64).reshape(-1, 2)
        return found, patch("links", pairs[:, 0], until=known(pairs[:, 1]))

    def _links(self, log: Log, lives: list[Life]) -> tuple[list[Tie], list[Tie]]:
        """Every link once, whichever side reported it, in order of beginning; and those of before that ended."""
        made, broken = (Kind.LINK, Kind.GETTING_LINKED), (Kind.UNLINK, Kind.GETTING_UNLINKED)
        found: list[Tie] = []
        ended: list[Tie] = []
        standing = self._standing

        def end(pair: tuple[int, int], at: int) -> None:
            tie = standing.pop(pair)
            tie.until = at
            if tie.event < log.first:
                ended.append(tie)

        places = log.places(*made, *broken, Kind.EXIT)
        for event, at, kind, process, peer in log.rows.at(places, "event", "at", "kind", "process", "peer"):
            if kind == Kind.EXIT:
                for tie in self.of_process.get(process, ()):
                    pair = (min(tie.process, tie.peer), max(tie.process, tie.peer))
                    if standing.get(pair) is tie:
                        end(pair, at)
                continue
            if peer == NONE:
                continue
            pair = (min(process, peer), max(process, peer))
            if kind in made and pair not in standing:
                gone = [e for e in (lives[process].exit, lives[peer].exit) if e != NONE and e < event]
                if gone:  # GETTING_LINKED of a process that is gone already
                    continue
                ends = (process, peer) if kind == Kind.LINK else (peer, process)
                standing[pair] = tie = Tie(event, at, NONE, "link", *ends)
                found.append(tie)
                self.of_process[process].append(tie)
                self.of_process[peer].append(tie)
            elif kind in broken and pair in standing:
                end(pair, at)
        return found, ended

    def _downs(self, log: Log, messages: Messages, pids: Pids) -> list[Tie]:
        """Monitors that follow from the DOWN they ended with. One of a process that appears only later is none: it
        would depend on how much of what comes later is known."""
        downs = [number for number in messages.of_kind("down").tolist() if messages.receive[number] != NONE]
        process, peer = log.column("process"), log.column("peer")
        before, self._met = self._met, max(int(process.max()), int(peer.max()), self._met)
        if not downs:
            return []
        met = np.maximum(np.maximum.accumulate(np.maximum(process, peer)), before)
        found: list[Tie] = []
        for number in downs:
            event, receiver = int(messages.receive[number]), int(messages.receiver[number])
            place = event - log.first
            peer_number = pids.of_bytes(messages.subjects.get(number), int(log.column("vm")[place]))
            if NONE != peer_number <= met[place]:
                time = int(messages.received_at[number])
                found.append(Tie(event, time, time, "monitor", receiver, peer_number, OF_DOWN))
        return found


def _calls(messages: Messages) -> tuple[Ints, tuple[Ints, Ints]]:
    """New calls between known processes; and (call event, time) of calls whose reply arrived in this slice."""
    calls = messages.of_kind("call")
    calls = calls[calls >= messages.older]
    known_ends = (messages.sender[calls] != NONE) & (messages.addressed[calls] != NONE) & (messages.send[calls] != NONE)
    replies = np.flatnonzero((messages.answers != NONE) & (messages.receive != NONE))
    return calls[known_ends], (messages.answers[replies], messages.received_at[replies])


def _table(ties: list[Tie], messages: Messages, calls: Ints, until: Ints, order: Ints) -> pa.Table:
    """Ties and the monitors of calls (until when: `until`), in order of event."""

    def column(of_ties: list[int], of_calls: Ints) -> Ints:
        return np.concatenate([np.array(of_ties, np.int64), of_calls])[order] if ties else of_calls

    why = column([NONE if tie.reason is None else 1 for tie in ties], np.zeros(len(calls), np.int64))
    kinds = column([int(tie.kind == "monitor") for tie in ties], np.ones(len(calls), np.int64))
    return table(
        "links",
        event=column([tie.event for tie in ties], messages.event[calls]),
        at=column([tie.at for tie in ties], messages.sent_at[calls]),
        until=known(column([tie.until for tie in ties], until)),
        kind=texts(kinds.astype(np.int8), ["link", "monitor"]),
        process=column([tie.process for tie in ties], messages.sender[calls]),
        peer=column([tie.peer for tie in ties], messages.addressed[calls]),
        certain=why == NONE,
        reason=texts(known(why.astype(np.int32)), [OF_CALL, OF_DOWN]),
    )
