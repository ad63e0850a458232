"""Messages: each send with the receive it became.

The VM gives a message no identity. A send and a receive belong together when sender, receiver and the hash of the
message agree; identical messages between the same two are told apart by their order, for signals between two
processes never overtake each other. A send waits `WAIT` for its receive. Where events were lost, or the numbers do not
add up, the pairs that are left to choice are marked as not certain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.correlate.alike import shapes
from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, each, known, lookup, patch, table
from elixirscope.correlate.pairing import WAIT, Sends, pair_all
from elixirscope.correlate.shapes import Shape, arguments, shape
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log
from elixirscope.recording.terms import inspect

Mask = npt.NDArray[np.bool_]

_WAITING = np.dtype(
    [
        ("event", "<i8"),
        ("at", "<i8"),
        ("row", "<i8"),
        ("call", "<i8"),  # the sender's frame
        ("ref", "<i8"),
        ("value", "<i8"),
        ("request", "<i8"),
        ("answers", "<i8"),  # the request to which it is the first reply
        ("process", "<i4"),
        ("peer", "<i4"),
        ("crowded", "?"),
    ]
)


@dataclass
class Messages:
    """The messages of a slice in event order (of the send, else of the receive), in parallel arrays; -1 is none.

    The first `older` of them were sent before the slice and not received then.
    """

    event: Ints
    send: Ints  # event
    receive: Ints  # event; -1 for one not yet seen
    sender: Ints
    receiver: Ints
    addressed: Ints  # the receiver as the send names it
    value: Ints
    sent_at: Ints
    received_at: Ints
    sender_call: Ints  # CALL event
    reason: list[str | None]
    distinct: list[Shape]
    looks: Ints  # which of the distinct shapes each message has
    names: list[str | None]  # the name that nobody had
    row: Ints  # in the table
    older: int
    request: Ints  # message (event) that a reply answers
    reply: Ints  # message (event) that answers a call
    answers: Ints  # as request, for the first reply only
    late: list[tuple[int, int]] = field(default_factory=list)  # (row of an older call, its reply)
    handle_call: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    handled_at: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def of_kind(self, *kinds: str) -> list[int]:
        """The messages of some kinds, in order."""
        chosen = np.array([seen.kind in kinds for seen in self.distinct], dtype=bool)
        return np.flatnonzero(chosen[self.looks]).tolist() if len(chosen) else []

    @cached_property
    def shapes(self) -> list[Shape]:
        """The shape of each."""
        return [self.distinct[number] for number in self.looks.tolist()]


@dataclass(slots=True)
class _Asked:
    """A call, until some time after its reply."""

    event: int
    row: int
    sender: int
    answered_at: int = NONE


_FEW: Final = 1000


class Mail:
    """Pairs sends with receives and replies with requests, slice by slice. Between slices it keeps sends and strays
    of the last `WAIT` ns, and calls without a reply."""

    def __init__(self) -> None:
        self._waiting = np.empty(0, _WAITING)
        self._shapes: list[Shape] = []  # of the waiting
        self._strays = np.empty((0, 4), np.int64)  # receives without a send: sender, receiver, hash, time
        self._asked: dict[bytes, _Asked] = {}
        self._many = _FEW  # calls, when to look which of them are over
        self._count = 0  # rows in the table

    def take(self, log: Log, lossy: set[int], calls: Calls) -> Messages:
        """The messages of the next slice."""
        kind, first = log.column("kind"), log.first
        old, older = self._waiting, len(self._waiting)
        sends, receives = np.flatnonzero(kind == Kind.SEND), np.flatnonzero(kind == Kind.RECEIVE)

        def both(name: str, column: npt.NDArray[np.generic]) -> Ints:
            joined: Ints = np.concatenate([old[name], column]).astype(np.int64)
            return joined

        nowhere = (log.column("flags")[sends] & int(Flag.NO_RECEIVER)) != 0
        waiting = Sends(
            process=both("process", log.column("process")[sends]),
            peer=both("peer", log.column("peer")[sends]),
            ref=both("ref", log.column("ref")[sends]),
            at=both("at", log.column("at")[sends]),
            nowhere=np.concatenate([np.zeros(older, dtype=bool), nowhere]),
            crowded=np.concatenate([old["crowded"], np.zeros(len(sends), dtype=bool)]),
        )
        pairs = pair_all(log, waiting, receives, self._strays)
        self._strays = pairs.strays

        # Sends and the receives that no send became, in order of event.
        alone = np.ones(len(receives), dtype=bool)
        alone[pairs.receive[pairs.receive != NONE]] = False
        unsent = receives[alone]
        own = np.argsort(np.concatenate([sends, unsent]), kind="stable")
        order = np.concatenate([np.arange(older), own + older])

        def column(of_sends: Ints, of_unsent: Ints) -> Ints:
            ordered: Ints = np.concatenate([of_sends, of_unsent])[order]
            return ordered

        nothing = np.full(len(unsent), NONE)
        at, process, peer = log.column("at"), log.column("process"), log.column("peer")
        place = np.where(pairs.receive == NONE, NONE, lookup(receives, pairs.receive))
        receive = column(place, unsent)  # places
        send = column(np.concatenate([old["event"], sends + first]), nothing)
        sender = column(waiting.process, peer[unsent].astype(np.int64))
        addressed = column(waiting.peer, process[unsent].astype(np.int64))
        new_value = log.column("value")
        value = column(both("value", new_value[sends]), new_value[unsent])
        new = order >= older
        distinct, looks, names = self._look(log, np.concatenate([sends, unsent])[own], value[new])
        found = Messages(
            event=np.where(send == NONE, receive + first, send),
            send=send,
            receive=np.where(receive == NONE, NONE, receive + first),
            sender=sender,
            receiver=np.where(receive == NONE, addressed, lookup(process, receive)),
            addressed=addressed,
            value=value,
            sent_at=column(waiting.at, nothing),
            received_at=lookup(at, receive),
            sender_call=column(both("call", calls.of_events[sends]), nothing),
            reason=np.concatenate([pairs.reason, np.full(len(unsent), None, dtype=object)])[order].tolist(),
            distinct=distinct,
            looks=looks,
            names=names,
            row=np.concatenate([old["row"], np.arange(self._count, self._count + len(own))]),
            older=older,
            request=np.concatenate([old["request"], np.full(len(own), NONE)]),
            reply=np.full(len(order), NONE),
            answers=np.concatenate([old["answers"], np.full(len(own), NONE)]),
            handle_call=np.full(len(order), NONE),
            handled_at=np.full(len(order), NONE),
        )
        self._count += len(own)
        if lossy:
            _doubt(found, lossy)
        self._join_replies(found)
        self._keep(found, waiting, pairs.crowded, order, int(at[-1]))
        return found

    def _look(self, log: Log, places: Ints, value: Ints) -> tuple[list[Shape], Ints, list[str | None]]:
        """The distinct shapes, which of them each message has, and the names that nobody had; a value is read once."""
        older = len(self._shapes)
        ids, looks = np.unique(value, return_inverse=True)
        unknown = int(ids[:1].tolist() == [NONE])
        distinct = self._shapes + [Shape("info", None)] * unknown + shapes(log.values, ids[unknown:])
        looks = np.concatenate([np.arange(older), looks + older])
        names: list[str | None] = [None] * (older + len(value))
        flags, kind = log.column("flags")[places], log.column("kind")[places]
        named = (kind == Kind.SEND) & ((flags & int(Flag.NO_RECEIVER)) != 0)
        named &= (log.column("peer")[places] == NONE) & (value != NONE)
        for number in np.flatnonzero(named).tolist():
            seen, names[older + number] = _to_nobody(log, int(value[number]))
            looks[older + number] = len(distinct)
            distinct.append(seen)
        return distinct, looks, names

    def _join_replies(self, found: Messages) -> None:
        """A reply carries the reference of its request. The first answer counts; later ones are strays, and known
        for `WAIT` ns."""
        asked = self._asked
        chosen = np.array(found.of_kind("call", "reply"), dtype=np.int64)
        chosen = chosen[chosen >= found.older]
        at = np.where(found.sent_at == NONE, found.received_at, found.sent_at)
        arrays = (found.looks, found.event, at, found.row, found.sender, found.addressed, found.receiver)
        columns = (array[chosen].tolist() for array in arrays)
        for number, look, event, time, row, sender, addressed, receiver in zip(chosen.tolist(), *columns, strict=True):
            seen = found.distinct[look]
            if seen.ref is None:
                continue
            if seen.kind == "call":
                before = asked.get(seen.ref)
                if before is None or (before.answered_at != NONE and time - before.answered_at > WAIT):
                    asked[seen.ref] = _Asked(event, row, sender)
            elif (request := asked.get(seen.ref)) is not None:
                if addressed not in (NONE, request.sender):
                    continue
                if request.answered_at != NONE and time - request.answered_at > WAIT:
                    continue
                if receiver == NONE:  # sent to an alias, and not seen to arrive
                    found.receiver[number] = request.sender
                found.request[number] = request.event
                if request.answered_at == NONE:
                    request.answered_at = time
                    found.answers[number] = request.event
                    found.late.append((request.row, event))
        first = self._count - (len(found.event) - found.older)
        if found.late:
            rows, replies = np.array(found.late, dtype=np.int64).T
            mine = rows >= first
            found.reply[rows[mine] - first + found.older] = replies[mine]
            found.late = [(row, event) for row, event in found.late if row < first]

    def _keep(self, found: Messages, sends: Sends, crowded: Mask, order: Ints, now: int) -> None:
        """Remember what may still be received or answered."""
        count = len(sends.at)
        of_send = np.empty(len(order), dtype=np.int64)
        of_send[order] = np.arange(len(order))
        number = of_send[:count]  # the message of each send
        stay = (found.receive[number] == NONE) & ~sends.nowhere & (sends.at >= now - WAIT)
        number = number[stay]
        kept = np.empty(len(number), _WAITING)
        columns = {
            "event": found.event,
            "at": found.sent_at,
            "row": found.row,
            "call": found.sender_call,
            "value": found.value,
            "request": found.request,
            "answers": found.answers,
            "process": found.sender,
        }
        for name, column in columns.items():
            kept[name] = column[number]
        kept["ref"], kept["peer"], kept["crowded"] = sends.ref[stay], sends.peer[stay], crowded[stay]
        self._waiting = kept
        self._shapes = [found.distinct[look] for look in found.looks[number].tolist()]
        self._strays = self._strays[self._strays[:, 3] >= now - WAIT]
        if len(self._asked) > self._many:  # not each time: all that are kept are looked at
            gone = [
                ref for ref, call in self._asked.items() if call.answered_at != NONE and call.answered_at < now - WAIT
            ]
            for ref in gone:
                del self._asked[ref]
            self._many = 2 * len(self._asked) + _FEW


LOST = "events were lost, and nothing in the message tells it from an equal one"


def _doubt(found: Messages, lossy: set[int]) -> None:
    """Where events were lost, an equal message may have been among them: only a reference tells one from another."""
    lost = list(lossy)
    doubtful = np.isin(found.sender, lost) | np.isin(found.addressed, lost)
    doubtful &= (found.send != NONE) & (found.receive != NONE)
    for number in np.flatnonzero(doubtful).tolist():
        if found.distinct[found.looks[number]].ref is None:
            found.reason[number] = LOST


def _to_nobody(log: Log, value: int) -> tuple[Shape, str | None]:
    data = log.values.bytes(value)
    parts = arguments(data)
    if len(parts) != 2:
        return shape(data), None
    return shape(b"\x83" + parts[1]), inspect(log.values.term(value)[0])


def _kinds(messages: Messages, chosen: Ints) -> pa.Array:
    """What each message is. An answer from nobody is the VM's own: so does it say whether a process is alive."""
    kinds = each(messages.looks[chosen], lambda number: messages.distinct[number].kind)
    internal = pc.and_(pc.equal(kinds, "reply"), pa.array(messages.sender[chosen] == NONE))
    return pc.if_else(internal, "system", kinds)


def messages_table(messages: Messages) -> pa.Table:
    """The rows of new messages."""
    new = np.arange(messages.older, len(messages.event))
    reason = messages.reason[messages.older :]
    return table(
        "messages",
        message=messages.event[new],
        kind=_kinds(messages, new),
        from_process=known(messages.sender[new]),
        to_process=known(messages.receiver[new]),
        to_name=messages.names[messages.older :],
        send_event=known(messages.send[new]),
        receive_event=known(messages.receive[new]),
        handle_call=known(messages.handle_call[new]),
        sent_at=known(messages.sent_at[new]),
        received_at=known(messages.received_at[new]),
        handled_at=known(messages.handled_at[new]),
        sender_call=known(messages.sender_call[new]),
        request=known(messages.request[new]),
        reply=known(messages.reply[new]),
        tag=each(messages.looks[new], lambda number: messages.distinct[number].tag),
        value=known(messages.value[new]),
        certain=_certain(reason),
        reason=reason,
    )


def messages_patches(messages: Messages) -> list[Patch]:
    """What became known of older messages: that they arrived, and that they were answered."""
    arrived = np.flatnonzero(messages.receive[: messages.older] != NONE)
    reason = [messages.reason[number] for number in arrived.tolist()]
    replied = np.array(messages.late, dtype=np.int64).reshape(-1, 2)
    return [
        *patch(
            "messages",
            messages.row[arrived],
            to_process=known(messages.receiver[arrived]),
            receive_event=known(messages.receive[arrived]),
            received_at=known(messages.received_at[arrived]),
            certain=_certain(reason),
            reason=pa.array(reason, pa.string()),
        ),
        *patch("messages", replied[:, 0], reply=known(replied[:, 1])),
    ]


def _certain(reasons: Iterable[str | None]) -> Mask:
    return np.array([why is None for why in reasons], dtype=bool)
