"""Requests and their replies: a reply carries the reference of its request."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from elixirscope.correlate.columns import NONE, Ints, with_room
from elixirscope.correlate.digests import table_for
from elixirscope.correlate.pairing import WAIT
from elixirscope.correlate.shapes import CALL
from elixirscope.kernels import I64, kernel


class _Asked(NamedTuple):
    """Calls until some time after their reply, in parallel arrays."""

    reference: Ints
    event: Ints
    row: Ints
    sender: Ints
    answered_at: Ints


_FEW: Final = 1000


class Requests:
    """Calls that may be answered, found by their reference: `count` of them, and room for more."""

    def __init__(self) -> None:
        self.asked = _Asked(*(np.empty(0, np.int64) for _ in _Asked._fields))
        self.slots = table_for(0)
        self.count = 0
        self._many = _FEW  # when to look which of them are over

    def _make_room(self, more: int) -> None:
        """Have room for so many more."""
        if self.count + more > len(self.asked.event):
            self._hold(slice(0, self.count), 2 * (self.count + more))

    def join(
        self,
        chosen: Ints,
        kind: Ints,
        reference: Ints,
        event: Ints,
        at: Ints,
        row: Ints,
        sender: Ints,
        addressed: Ints,
        receiver: Ints,
        request: Ints,
        answers: Ints,
        reply: Ints,
        *,
        first_row: int,
        older: int,
    ) -> Ints:
        """Join the calls and replies `chosen` of a slice's messages, whose columns are as in `Messages`: sets whom
        replies answer. `first_row`: of the messages that are not `older`. Gives the replies to calls of earlier slices:
        pairs of the call's row and the reply."""
        self._make_room(len(chosen))
        late, counts = np.empty(2 * len(chosen), np.int64), np.array([self.count, 0])
        _replies(
            *(chosen, kind, reference, event, at, row, sender, addressed, receiver, request, answers, reply),
            *(first_row, older, self.slots, counts),
            *self.asked,
            late,
        )
        self.count = int(counts[0])
        return late[: 2 * counts[1]].reshape(-1, 2)

    def forget(self, until: int) -> None:
        """Forget those that were answered before. Not each time: all that are kept are looked at."""
        if self.count > self._many:
            answered = self.asked.answered_at[: self.count]
            left = np.flatnonzero((answered == NONE) | (answered >= until))
            self._many = 2 * len(left) + _FEW
            self._hold(left, 2 * len(left))

    def _hold(self, which: Ints | slice, room: int) -> None:
        kept = [column[which] for column in self.asked]
        self.count, self.slots = len(kept[0]), table_for(room)
        self.asked = _Asked(*(with_room(column, room - self.count) for column in kept))
        _index(self.asked.reference, self.count, self.slots)


@kernel
def _index(reference: I64, count: int, slots: I64) -> None:
    """Put the first calls into an empty table."""
    mask = len(slots) - 1
    for number in range(count):
        slot = reference[number] & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = number


@kernel
def _replies(
    chosen: I64,
    kind: I64,
    reference: I64,
    event: I64,
    at: I64,
    row: I64,
    sender: I64,
    addressed: I64,
    receiver: I64,
    request: I64,
    answers: I64,
    reply: I64,
    first_row: int,
    older: int,
    slots: I64,
    counts: I64,
    asked: I64,
    asked_event: I64,
    asked_row: I64,
    asked_by: I64,
    answered_at: I64,
    late: I64,
) -> None:
    """Join the calls and replies `chosen` of a slice, whose first row is `first_row`; `counts`: the calls known, and
    the replies to calls of earlier slices, both moved on. `slots`: the table of the calls."""
    mask = len(slots) - 1
    for each in range(len(chosen)):
        number = chosen[each]
        slot = reference[number] & mask
        while slots[slot] >= 0 and asked[slots[slot]] != reference[number]:
            slot = (slot + 1) & mask
        call = slots[slot]
        over = call >= 0 and answered_at[call] != -1 and at[number] - answered_at[call] > WAIT
        if kind[number] == CALL:
            if call >= 0 and not over:
                continue
            if call < 0:
                call = slots[slot] = counts[0]
                counts[0] += 1
            asked[call], asked_event[call], asked_row[call] = reference[number], event[number], row[number]
            asked_by[call], answered_at[call] = sender[number], -1
        elif call >= 0 and not over and (addressed[number] == -1 or addressed[number] == asked_by[call]):
            if receiver[number] == -1:  # sent to an alias, and not seen to arrive
                receiver[number] = asked_by[call]
            request[number] = asked_event[call]
            if answered_at[call] == -1:
                answered_at[call] = at[number]
                answers[number] = asked_event[call]
                if asked_row[call] >= first_row:
                    reply[asked_row[call] - first_row + older] = event[number]
                else:
                    late[2 * counts[1]], late[2 * counts[1] + 1] = asked_row[call], event[number]
                    counts[1] += 1
