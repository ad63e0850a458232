"""What reached a lane through processes that are not shown: causality kept when lanes are hidden.

A hidden process that receives one message and then sends another passes causality on. For each message from a hidden
process into a visible one, the walk goes back to the last message that its sender had received before, and on through
hidden senders until one is visible: the nearest cause in the order of the programs (happens-before, Lamport 1978).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import msgspec
import numpy as np

from elixirscope.query.cancellation import checkpoint
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.density import events_of
from elixirscope.query.row import Row
from elixirscope.recording.format import Kind

HOPS_MOST: Final = 8
_LOOK: Final = 256  # events of a process looked at together


class Passage(msgspec.Struct, frozen=True):
    """From a send in `start` at `sent_at` to the receipt of `message` in `end`, through the processes `via`."""

    message: int
    start: int
    end: int
    sent_at: int
    received_at: int
    via: list[int]


def passages(
    query: QueryCoordinator, start: int, end: int, shown: Collection[int], through: Collection[int], most: int
) -> list[Passage]:
    """Passages into `shown` that arrive in [start, end] ns by way of `through`; at most `most`."""
    found: list[Passage] = []
    if not through or not shown:
        return found
    visible, passing = set(shown), set(through)
    for process in passing:
        for row in _sent(query, process, start, end):
            if row["to_process"] in visible and row["received_at"] is not None and len(found) < most:
                passage = _back(query, row, visible, passing)
                if passage is not None:
                    found.append(passage)
    return sorted(found, key=lambda one: one.message)


def _back(query: QueryCoordinator, last: Row, visible: set[int], passing: set[int]) -> Passage | None:
    via: list[int] = []
    row = last
    for _ in range(HOPS_MOST):
        hidden = row["from_process"]
        via.append(hidden)
        before = _before(query, hidden, row["sent_at"])
        if before is None or before["from_process"] is None or before["sent_at"] is None:
            return None
        if before["from_process"] in visible:
            if before["from_process"] == last["to_process"]:
                return None  # it came back to where it began: nothing passed from one lane to another
            return Passage(
                last["message"],
                before["from_process"],
                last["to_process"],
                before["sent_at"],
                last["received_at"],
                via[::-1],
            )
        if before["from_process"] not in passing:
            return None
        row = before
    return None


def _before(query: QueryCoordinator, process: int, at: int) -> Row | None:
    """The last message that `process` received before `at`."""
    mine, kinds = events_of(query, "messages", process), query.column("events", "kind")
    until, _ = query.indexes.between("events", "at", at, at)
    place = int(np.searchsorted(mine, np.asarray(until, mine.dtype)))
    while place:
        checkpoint()
        part = slice(max(place - _LOOK, 0), place)
        received = np.flatnonzero(kinds[mine[part]] == Kind.RECEIVE)
        for number in reversed(received.tolist()):
            rows = query.indexes.numbers("messages", "receive_event", int(mine[part][number]))
            if len(rows):
                return _row(query, int(rows[0]))
        place = part.start
    return None


def _sent(query: QueryCoordinator, process: int, start: int, end: int) -> Iterator[Row]:
    """What `process` sent that was on its way in [start, end] ns, the earliest first."""
    indexes = query.indexes
    mine = indexes.numbers("messages", "from_process", process)
    # A message is numbered by the event of its sending, and events are in order of time
    first, beyond = indexes.between("messages", "message", *indexes.between("events", "at", start, end + 1))
    for number in mine[slice(*np.searchsorted(mine, np.array([first, beyond], mine.dtype)))].tolist():
        row = _row(query, number)
        if row["sent_at"] is not None:
            yield row


def _row(query: QueryCoordinator, number: int) -> Row:
    names = ("message", "from_process", "to_process", "sent_at", "received_at")
    values = {name: int(query.column("messages", name)[number]) for name in names}
    return {name: None if value < 0 else value for name, value in values.items()}
