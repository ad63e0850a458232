"""Messages: each send with the receive it became.

The VM gives a message no identity. A send and a receive belong together when sender, receiver and the hash of the
message agree; identical messages between the same two are told apart by their order, for signals between two
processes never overtake each other. Where events were lost, or the numbers do not add up, the pairs that are left
to choice are marked as not certain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.correlate.alike import shapes
from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, each, known, lookup, table
from elixirscope.correlate.pairing import pair
from elixirscope.correlate.shapes import Shape, arguments, shape
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log
from elixirscope.recording.terms import inspect

Mask = npt.NDArray[np.bool_]

LOST = "the same message was sent more than once, and events were lost"
UNEVEN = "the same message was sent more than once, and not every send and receive was recorded"
NO_SENDER = "the receive does not say who sent the message; paired by content"
NO_RECEIVER = "the send does not say whose alias it went to; paired by content"


@dataclass
class Messages:
    """All messages in event order (of the send, else of the receive), in parallel arrays; -1 is none."""

    event: Ints
    send: Ints
    receive: Ints
    sender: Ints
    receiver: Ints
    value: Ints
    certain: np.ndarray[tuple[int], np.dtype[np.bool_]]
    reason: list[str | None]
    distinct: list[Shape]
    looks: Ints  # which of the distinct shapes each message has
    names: list[str | None]  # the name that nobody had
    request: Ints  # message that a reply answers
    reply: Ints  # message that answers a call
    handler: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # frame

    def of_kind(self, *kinds: str) -> list[int]:
        """The messages of some kinds, in order."""
        chosen = np.array([seen.kind in kinds for seen in self.distinct], dtype=bool)
        return np.flatnonzero(chosen[self.looks]).tolist() if len(chosen) else []

    @cached_property
    def shapes(self) -> list[Shape]:
        """The shape of each."""
        return [self.distinct[number] for number in self.looks.tolist()]

    def event_of(self, messages: Ints) -> Ints:
        """The message numbers (events) of indexes."""
        return lookup(self.event, messages)


def find_messages(log: Log, lossy: set[int]) -> Messages:
    """Pairs sends with receives and replies with requests."""
    sends = np.flatnonzero(log.column("kind") == Kind.SEND)
    receives = np.flatnonzero(log.column("kind") == Kind.RECEIVE)
    partner, why = _pair_all(log, sends, receives, lossy)

    unsent = np.setdiff1d(receives, partner, assume_unique=False)
    event = np.concatenate([sends, unsent])
    send = np.concatenate([sends, np.full(len(unsent), NONE)])
    receive = np.concatenate([partner, unsent])
    reason = why + [None] * len(unsent)
    order = np.argsort(event, kind="stable")
    event, send, receive = event[order], send[order], receive[order]
    reason = [reason[i] for i in order.tolist()]

    peer_of_receive = lookup(log.column("peer"), receive)
    sender = np.where(send != NONE, lookup(log.column("process"), send), peer_of_receive)
    receiver = np.where(receive != NONE, lookup(log.column("process"), receive), lookup(log.column("peer"), send))
    value = lookup(log.column("value"), send)
    value = np.where(value == NONE, lookup(log.column("value"), receive), value)
    distinct, looks, names = _shapes(log, send, value)
    found = Messages(
        event=event,
        send=send,
        receive=receive,
        sender=sender,
        receiver=receiver,
        value=value,
        certain=np.array([why is None for why in reason], dtype=bool),
        reason=reason,
        distinct=distinct,
        looks=looks,
        names=names,
        request=np.full(len(event), NONE),
        reply=np.full(len(event), NONE),
        handler=np.full(len(event), NONE),
    )
    _join_replies(found)
    return found


def _pair_all(log: Log, sends: Ints, receives: Ints, lossy: set[int]) -> tuple[Ints, list[str | None]]:
    """For every send its receive (event) or -1, and why that is not certain."""
    partner = np.full(len(sends), NONE)
    why = np.full(len(sends), None, dtype=object)
    taken = np.zeros(len(receives), dtype=bool)
    process, peer = log.column("process").astype(np.int64), log.column("peer").astype(np.int64)
    nowhere = (log.column("flags")[sends] & int(Flag.NO_RECEIVER)) != 0
    touched = np.isin(process[sends], list(lossy)) | np.isin(peer[sends], list(lossy))

    def join(s: Ints, r: Ints, sender: bool, receiver: bool) -> tuple[Ints, Mask]:
        """Pair the sends `s` with the receives `r` (positions) on the hash and the ends that are known. Gives the
        positions of the sends that found one, and which of them were sent more than once."""
        at_s, at_r = sends[s], receives[r]
        none_s, none_r = np.zeros(len(s), dtype=np.int64), np.zeros(len(r), dtype=np.int64)
        keys_s = (process[at_s] if sender else none_s, peer[at_s] if receiver else none_s, log.column("ref")[at_s])
        keys_r = (peer[at_r] if sender else none_r, process[at_r] if receiver else none_r, log.column("ref")[at_r])
        pairs = pair(keys_s, keys_r, log.column("at")[at_s], log.column("at")[at_r])
        i, j = s[pairs.cause], r[pairs.effect]
        partner[i], taken[j] = receives[j], True
        why[i[pairs.repeated & pairs.uneven]] = UNEVEN
        return i, pairs.repeated

    sent_to = (peer[sends] != NONE) & ~nowhere
    came_from = peer[receives] != NONE
    paired, repeated = join(np.flatnonzero(sent_to), np.flatnonzero(came_from), True, True)
    why[paired[repeated & touched[paired]]] = LOST
    # To an alias: the send names no process, but its reference makes the message unlike any other.
    alias = (peer[sends] == NONE) & ~nowhere
    paired, repeated = join(np.flatnonzero(alias), np.flatnonzero(came_from & ~taken), True, False)
    why[paired[repeated]] = NO_RECEIVER
    open_sends = (partner == NONE) & sent_to
    paired, _ = join(np.flatnonzero(open_sends), np.flatnonzero(~came_from & ~taken), False, True)
    why[paired] = NO_SENDER
    return partner, why.tolist()


def _shapes(log: Log, send: Ints, value: Ints) -> tuple[list[Shape], Ints, list[str | None]]:
    """The distinct shapes, which of them each message has, and the names that nobody had; a value is read once."""
    ids, looks = np.unique(value, return_inverse=True)
    unknown = int(ids[:1].tolist() == [NONE])
    distinct = [Shape("info", None)] * unknown + shapes(log.values, ids[unknown:])
    names: list[str | None] = [None] * len(value)
    named = (lookup(log.column("flags"), send) & int(Flag.NO_RECEIVER)) != 0
    named &= (send != NONE) & (lookup(log.column("peer"), send) == NONE) & (value != NONE)
    for number in np.flatnonzero(named).tolist():
        seen, names[number] = _to_nobody(log, int(value[number]))
        looks[number] = len(distinct)
        distinct.append(seen)
    return distinct, looks, names


def _to_nobody(log: Log, value: int) -> tuple[Shape, str | None]:
    data = log.values.bytes(value)
    parts = arguments(data)
    if len(parts) != 2:
        return shape(data), None
    return shape(b"\x83" + parts[1]), inspect(log.values.term(value)[0])


def _join_replies(found: Messages) -> None:
    """A reply carries the reference of its request. The first answer counts; later ones are strays."""
    calls: dict[bytes, int] = {}
    for number in found.of_kind("call", "reply"):
        seen = found.shapes[number]
        if seen.ref is None:
            continue
        if seen.kind == "call":
            calls.setdefault(seen.ref, number)
        elif (request := calls.get(seen.ref)) is not None:
            if found.receiver[number] == NONE:  # sent to an alias, and never seen to arrive
                found.receiver[number] = found.sender[request]
            if found.receiver[number] != found.sender[request]:
                continue
            found.request[number] = request
            if found.reply[request] == NONE:
                found.reply[request] = number


def _kinds(messages: Messages) -> pa.Array:
    """What each message is. An answer from nobody is the VM's own: so does it say whether a process is alive."""
    kinds = each(messages.looks, lambda number: messages.distinct[number].kind)
    internal = pc.and_(pc.equal(kinds, "reply"), pa.array(messages.sender == NONE))
    return pc.if_else(internal, "system", kinds)


def messages_table(log: Log, messages: Messages, calls: Calls) -> pa.Table:
    """The table of all messages."""
    at = log.column("at")
    sender_frame = lookup(calls.of_event, messages.send)
    handled = calls.event_of(messages.handler)
    return table(
        "messages",
        message=messages.event,
        kind=_kinds(messages),
        from_process=known(messages.sender),
        to_process=known(messages.receiver),
        to_name=messages.names,
        send_event=known(messages.send),
        receive_event=known(messages.receive),
        handle_call=known(handled),
        sent_at=known(lookup(at, messages.send)),
        received_at=known(lookup(at, messages.receive)),
        handled_at=known(lookup(at, handled)),
        sender_call=known(calls.event_of(sender_frame)),
        request=known(messages.event_of(messages.request)),
        reply=known(messages.event_of(messages.reply)),
        tag=each(messages.looks, lambda number: messages.distinct[number].tag),
        value=known(messages.value),
        certain=messages.certain,
        reason=messages.reason,
    )
