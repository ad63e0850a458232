"""The turns of servers: which request each handled, and which of them could be the last act of a race.

What decides that by numbers alone is done for a million requests at once, over columns; a turn's row is put together
when somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elixirscope.insight.history import History
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.row import Row

LOOK_BACK: Final = 64
"""Requests of one client to one server among which the check of an act is sought."""

_BATCH: Final = 1 << 20  # messages in memory at once, or those of one server
_OUTWARD: Final = 64  # frames followed outward by numbers; who goes deeper is looked at in full
_REQUESTS: Final = frozenset({"call", "cast", "info"})
_EVENTS: Final = 40  # bits of the number of an event

Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Turn:
    """One request and its handling; `turn` numbers the turns of the server."""

    row: Row
    turn: int

    @property
    def client(self) -> int:
        """Who asked."""
        return int(self.row["client"])

    @property
    def writes(self) -> bool:
        """Whether the server's state had changed after it."""
        return self.row["old_version"] is not None and self.row["version"] != self.row["old_version"]


class TurnColumns(NamedTuple):
    """Turns in order of their handling, server after server, in parallel arrays; -1 where nothing is."""

    row: Ints  # of the request's message
    server: Ints
    client: Ints
    handle: Ints  # the frame that handled it
    sender: Ints  # the frame that asked
    tag: Ints  # number of its kind
    answered: Ints  # the event of the answer, or else the handling
    asks: Bits  # whether it is a call, and was answered
    state: Ints  # what the server had after it
    writes: Bits  # whether that was new

    def of(self, part: slice) -> TurnColumns:
        """Those of one server."""
        return TurnColumns._make(column[part] for column in self)


class Turns:
    """The turns of one server."""

    def __init__(self, history: History, columns: TurnColumns, suspects: Ints) -> None:
        self._history, self._columns = history, columns
        self._made: dict[int, Turn] = {}
        self._mine: dict[int, Ints] = {}
        self._writes = np.flatnonzero(columns.writes)
        self._write_starts = columns.handle[self._writes]
        self.server = int(columns.server[0])
        _, first = np.unique(columns.client, return_index=True)
        begun = dict(zip(columns.client[first].tolist(), first.tolist(), strict=True))
        self.suspects: list[int] = sorted(suspects.tolist(), key=lambda turn: (begun[int(columns.client[turn])], turn))
        """Turns before which another client may have made what theirs had been told stale: client after client."""

    def turn(self, number: int) -> Turn:
        """A turn by number."""
        if number not in self._made:
            self._made[number] = Turn(self._row(number), number)
        return self._made[number]

    def before(self, act: int) -> list[Turn]:
        """The last turns of the same client before one, in order."""
        client = int(self._columns.client[act])
        if client not in self._mine:
            self._mine[client] = np.flatnonzero(self._columns.client == client)
        mine = self._mine[client]
        position = int(np.searchsorted(mine, act))
        return [self.turn(turn) for turn in mine[max(0, position - LOOK_BACK) : position].tolist()]

    def between(self, check: Turn, act: Turn) -> list[int]:
        """The other clients' turns that changed the state after the check was answered and before the act."""
        first = np.searchsorted(self._write_starts, check.row["answered_event"], side="right")
        last = np.searchsorted(self._write_starts, act.row["handle_call"])
        found = self._writes[int(first) : int(last)]
        numbers: list[int] = found[self._columns.client[found] != act.client].tolist()
        return numbers

    def asked_alike(self, turn: Turn, check: Turn) -> Turn | None:
        """The last answered turn of the same client before one, of the same kind of request as a check."""
        c, before = self._columns, slice(0, turn.turn)
        alike = (c.client[before] == turn.client) & (c.tag[before] == c.tag[check.turn])
        reply = [t for t in np.flatnonzero(alike)[::-1].tolist() if self.turn(t).row["reply_event"] is not None][:1]
        return self.turn(reply[0]) if reply else None

    def _row(self, number: int) -> Row:
        query = self._history.query
        asked: Row = query.indexes.row("messages", int(self._columns.row[number]))
        reply: Row = self._history.message(asked["reply"]) or {}
        state = int(self._columns.state[number])
        after: Row = query.find("states", "state", state) or {}
        before: Row = query.find("states", "state", after.get("previous")) or {}
        sent = asked["send_event"]
        received, replied = reply.get("receive_event"), reply.get("send_event")
        return {
            **{name: asked[name] for name in ("message", "kind", "tag", "sender_call", "handle_call", "value")},
            "client": asked["from_process"],
            "server": asked["to_process"],
            "asked_event": sent if sent is not None else asked["message"],
            "reply_value": reply.get("value"),
            "reply_event": received if received is not None else reply.get("message"),
            "answered_event": replied if replied is not None else asked["handle_call"],
            "after_state": after.get("state"),
            "version": after.get("version"),
            "old_version": before.get("version"),
            "after_value": after.get("value"),
            "before_value": before.get("value"),
        }


def contended(history: History) -> Iterator[Turns]:
    """The servers at which a client may have acted on what another had made stale; one at a time."""
    order, starts = history.query.indexes.grouped("messages", "to_process")
    kinds = history.query.indexes.worded("messages", "kind", _REQUESTS.__contains__)
    calls = history.query.indexes.worded("messages", "kind", lambda word: word == "call")
    tags = history.query.indexes.coded("messages", "tag")
    first = 0
    while first < len(starts) - 1:
        beyond = max(int(np.searchsorted(starts, int(starts[first]) + _BATCH, side="right")) - 1, first + 1)
        checkpoint()
        rows = order[int(starts[first]) : int(starts[beyond])]
        columns = _columns(history, rows[kinds[rows]].astype(np.int64), (first, beyond), calls, tags)
        for part, suspects in _by_server(columns.server, suspected(history, columns)):
            checkpoint()
            yield Turns(history, columns.of(part), suspects)
        first = beyond


def _by_server(server: Ints, suspects: Bits) -> Iterator[tuple[slice, Ints]]:
    """(the turns of a server, those suspected among them) of each server that has any."""
    bounds = np.append(np.flatnonzero(np.diff(server, prepend=-1)), len(server))
    numbers = np.flatnonzero(suspects)
    for place in np.unique(np.searchsorted(bounds, numbers, side="right") - 1).tolist():
        part = slice(int(bounds[place]), int(bounds[place + 1]))
        low, high = np.searchsorted(numbers, [part.start, part.stop])
        yield part, numbers[low:high] - part.start


def _columns(history: History, rows: Ints, servers: tuple[int, int], calls: Bits, tags: NDArray[Any]) -> TurnColumns:
    """The turns that requests in `rows` became; `servers`: the processes that they were sent to are in this range."""
    query = history.query

    def column(name: str) -> Ints:
        found: Ints = query.column("messages", name)[rows].astype(np.int64)
        return found

    handle, client, server = (column(name) for name in ("handle_call", "from_process", "to_process"))
    turns = np.flatnonzero((handle >= 0) & (client >= 0) & (client != server))
    turns = turns[np.lexsort((handle[turns], server[turns]))]
    rows, handle, client, server = rows[turns], handle[turns], client[turns], server[turns]
    reply, messages = column("reply"), query.column("messages", "message")
    answer = np.minimum(np.searchsorted(messages, reply), len(messages) - 1)
    given = (reply >= 0) & (messages[answer] == reply)
    sent = np.where(given, query.column("messages", "send_event")[answer], -1)
    state, writes = _states(history, handle, servers)
    return TurnColumns(
        row=rows,
        server=server,
        client=client,
        handle=handle,
        sender=column("sender_call"),
        tag=tags[rows].astype(np.int64),
        answered=np.where(sent >= 0, sent, handle),
        asks=calls[rows] & given,
        state=state,
        writes=writes,
    )


def _states(history: History, handle: Ints, servers: tuple[int, int]) -> tuple[Ints, Bits]:
    """The last state that each frame of the servers left, -1 for none, and whether it differs from the one before."""
    query = history.query
    order, starts = query.indexes.grouped("states", "process")
    low, high = (min(bound, len(starts) - 1) for bound in servers)
    rows = order[int(starts[low]) : int(starts[high])].astype(np.int64)
    numbers, versions = query.column("states", "state"), query.column("states", "version")
    frames = query.column("states", "call")[rows]
    by_frame = np.argsort(frames, kind="stable")
    rows, frames = rows[by_frame], frames[by_frame]
    place = np.searchsorted(frames, handle, side="right") - 1
    found = np.flatnonzero(place >= 0)
    found = found[frames[place[found]] == handle[found]]
    last = rows[place[found]]
    state, writes = np.full(len(handle), -1), np.zeros(len(handle), np.bool_)
    state[found] = numbers[last]
    before = query.column("states", "previous")[last]
    known = before >= 0
    earlier = np.searchsorted(numbers, before[known])
    writes[found[known]] = versions[last[known]] != versions[earlier]
    return state, writes


def suspected(history: History, turns: TurnColumns) -> Bits:
    """Which turns may be the last act of a race: it changed the state, or is of a kind that does; and among the last
    of its client's before there is a call of another kind, from frames around it, since whose answer another client
    changed the state.

    Two that are asked within one frame have the outermost in common, which is what is compared here.
    """
    found = np.zeros(len(turns.row), np.bool_)
    kinds = turns.server << 32 | turns.tag  # -1: of no kind
    acts = turns.writes | ((turns.tag >= 0) & np.isin(kinds, np.unique(kinds[turns.writes])))
    pairs, pair = np.unique(turns.server << 32 | turns.client, return_inverse=True)
    sequence = np.argsort(pair, kind="stable")  # client after client, each in order
    sizes = np.bincount(pair, minlength=len(pairs))
    position = np.empty(len(pair), np.int64)
    position[sequence] = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = np.flatnonzero((turns.sender >= 0) & (sizes[pair] > 1))
    outermost = _outermost(history, turns.sender[rows], turns.client[rows])
    by_frame = np.lexsort((position[rows], outermost, pair[rows]))
    rows, outermost = rows[by_frame], outermost[by_frame]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (np.diff(pair[rows]) != 0) | (np.diff(outermost) != 0)
    begin = np.maximum.accumulate(np.where(begins, np.arange(len(rows)), 0))

    written = np.flatnonzero(turns.writes)
    of_all = _Written(turns.server, turns.handle, written)
    of_client = _Written(pair, turns.handle, written)
    until = of_all.before(rows, turns.handle), of_client.before(rows, turns.handle)
    since = of_all.upto(rows, turns.answered), of_client.upto(rows, turns.answered)
    place = np.flatnonzero(acts[rows])
    for back in range(1, LOOK_BACK + 1):
        place = place[place - back >= begin[place]]
        check = place - back
        near = position[rows[place]] - position[rows[check]] <= LOOK_BACK
        place, check = place[near], check[near]
        if not len(place):
            break
        changed, by_itself = (until[n][place] - since[n][check] for n in (0, 1))
        stale = turns.asks[rows[check]] & (turns.tag[rows[check]] != turns.tag[rows[place]])
        stale &= (changed > 0) & (changed > by_itself)
        found[rows[place[stale]]] = True
        place = place[~stale]
    return found


class _Written:
    """The turns that changed a state, counted by their order within groups."""

    def __init__(self, group: Ints, handle: Ints, written: Ints) -> None:
        self._group = group
        self._keys = np.sort(group[written] << _EVENTS | handle[written])

    def before(self, rows: Ints, event: Ints) -> Ints:
        """How many were handled before each event, in the group of each row and those ahead of it."""
        return np.searchsorted(self._keys, self._group[rows] << _EVENTS | event[rows])

    def upto(self, rows: Ints, event: Ints) -> Ints:
        """As `before`, with one handled at the event itself."""
        return np.searchsorted(self._keys, self._group[rows] << _EVENTS | event[rows], side="right")


def _outermost(history: History, frames: Ints, process: Ints) -> Ints:
    """A number for each frame of a process, the same for two that have a frame around both."""
    calls, parents, tails = (history.query.column("calls", name) for name in ("call", "parent", "tail_of"))
    here = frames.copy()
    going = np.arange(len(here))
    for _ in range(_OUTWARD):
        if not len(going):
            break
        known, where = np.unique(here[going], return_inverse=True)
        row = np.minimum(np.searchsorted(calls, known), len(calls) - 1)
        outer = np.where(tails[row] >= 0, tails[row], parents[row])
        outer = np.where(calls[row] == known, outer, -1)[where]
        further = outer >= 0
        going = going[further]
        here[going] = outer[further]
    here[np.isin(process, process[going])] = -1  # too deep for numbers
    return here
