"""Messages: each send with the receive it became.

The VM gives a message no identity. A send and a receive belong together when sender, receiver and the hash of the
message agree; identical messages between the same two are told apart by their order, for signals between two
processes never overtake each other. A send waits `WAIT` for its receive. Where events were lost, or the numbers do not
add up, the pairs that are left to choice are marked as not certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, Mask, known, lookup, patch, table, texts
from elixirscope.correlate.digests import numbered
from elixirscope.correlate.pairing import LOST, REASONS, WAIT, Sends, pair_all
from elixirscope.correlate.requests import Requests
from elixirscope.correlate.shapes import CALL, KINDS, REPLY, SYSTEM, Looks, elements, look, tag_text
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log
from elixirscope.recording.terms import inspect

_NO_RECEIVER: Final = int(Flag.NO_RECEIVER)


class _Waiting(NamedTuple):
    """Sends that may still be received, in parallel arrays."""

    event: Ints
    at: Ints
    row: Ints
    call: Ints  # the sender's frame
    ref: Ints
    value: Ints
    request: Ints
    answers: Ints  # the request to which it is the first reply
    kind: Ints
    tag: Ints
    reference: Ints
    body: Ints
    process: Ints
    peer: Ints
    crowded: Ints  # whether it is


class Shape(NamedTuple):
    """A message at a glance."""

    kind: str  # as in the messages table
    tag: str | None
    subject: bytes | None  # of DOWN and EXIT messages: whose, encoded


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
    reason: Ints  # index into pairing.REASONS
    kind: Ints  # index into shapes.KINDS
    tag: Ints  # index into `tags`
    reference: Ints  # digest of the one that a call carries and its reply answers to; 0 for none
    body: Ints  # digest of what a callback is given
    tags: list[str | None]
    subjects: dict[int, bytes]  # of DOWN and EXIT messages: whose, encoded
    names: dict[int, str]  # the names that nobody had
    row: Ints  # in the table
    older: int
    arrivals: Ints  # the messages that arrive in the slice, in order of that
    request: Ints  # message (event) that a reply answers
    reply: Ints  # message (event) that answers a call
    answers: Ints  # as request, for the first reply only
    late: Ints  # pairs (row of an older call, its reply)
    handle_call: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    handled_at: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def of_kind(self, *kinds: str, among: Ints | None = None) -> Ints:
        """The messages of some kinds, in order, or in the order of those `among` which they are sought."""
        chosen = np.array([kind in kinds for kind in KINDS], dtype=bool)
        return np.flatnonzero(chosen[self.kind]) if among is None else among[chosen[self.kind[among]]]

    def shape(self, number: int) -> Shape:
        """What one of them is."""
        return Shape(KINDS[self.kind[number]], self.tags[self.tag[number]], self.subjects.get(number))


class Seen(NamedTuple):
    """What is sent in a slice."""

    sends: Ints  # places
    looks: Looks  # of each
    names: dict[int, str]  # which of them went to a name that nobody had


def looks_of(log: Log) -> Seen:
    """What the sends of a slice look like."""
    sends = log.places(Kind.SEND)
    value = log.column("value")[sends]
    named = (log.column("flags")[sends] & _NO_RECEIVER) != 0
    named &= (log.column("peer")[sends] == NONE) & (value != NONE)
    inner, names = dict[int, tuple[int, int]](), dict[int, str]()
    for number in np.flatnonzero(named).tolist():
        spans = elements(log.values.bytes(int(value[number])))
        if len(spans) == 2:  # the name, then the message itself
            inner[number] = spans[1]
            names[number] = inspect(log.values.term(int(value[number]))[0])
    return Seen(sends, look(log.values, value, inner), names)


class Mail:
    """Pairs sends with receives and replies with requests, slice by slice. Between slices it keeps sends and strays
    of the last `WAIT` ns, and calls without a reply."""

    def __init__(self) -> None:
        self._waiting = _Waiting(*(np.empty(0, np.int64) for _ in _Waiting._fields))
        self._subjects: dict[int, bytes] = {}  # of the waiting
        self._tags: dict[str | None, int] = {None: 0}
        self._tag_of: dict[int, int] = {0: 0}  # of each number that `look` gives
        self._strays = np.empty((0, 4), np.int64)  # receives without a send: sender, receiver, hash, time
        self._requests = Requests()
        self._count = 0  # rows in the table

    def take(self, log: Log, lossy: Mask, calls: Calls, seen: Seen) -> Messages:
        """The messages of the next slice, of which its frames and what was sent are known already."""
        first = log.first
        old, older = self._waiting, len(self._waiting.event)
        sends, receives = seen.sends, log.places(Kind.RECEIVE)

        def both(before: Ints, column: npt.NDArray[np.integer]) -> Ints:
            return np.concatenate([before, column])

        nowhere = (log.column("flags")[sends] & _NO_RECEIVER) != 0
        waiting = Sends(
            process=both(old.process, log.column("process")[sends]),
            peer=both(old.peer, log.column("peer")[sends]),
            ref=both(old.ref, log.column("ref")[sends]),
            at=both(old.at, log.column("at")[sends]),
            nowhere=np.concatenate([np.zeros(older, dtype=bool), nowhere]),
            crowded=np.concatenate([old.crowded != 0, np.zeros(len(sends), dtype=bool)]),
        )
        pairs = pair_all(log, waiting, receives, self._strays)
        self._strays = pairs.strays

        # Sends and the receives that no send became, in order of event.
        sent = np.zeros(len(receives), dtype=bool)
        sent[pairs.receive[pairs.receive != NONE]] = True
        alone = np.flatnonzero(~sent)
        unsent = receives[alone]
        own = np.argsort(np.concatenate([sends, unsent]), kind="stable")
        order = np.concatenate([np.arange(older), own + older])

        def column(of_sends: Ints, of_unsent: Ints) -> Ints:
            return np.concatenate([of_sends, of_unsent])[order] if len(unsent) else of_sends

        nothing = np.full(len(unsent), NONE)
        at, process, peer = log.column("at"), log.column("process"), log.column("peer")
        which = column(pairs.receive, alone)  # receive
        receive = lookup(receives, which)  # places
        arrivals = np.empty(len(receives), np.int64)
        arrived = np.flatnonzero(which != NONE)
        arrivals[which[arrived]] = arrived
        send = column(both(old.event, sends + first), nothing)
        sender = column(waiting.process, peer[unsent].astype(np.int64))
        addressed = column(waiting.peer, process[unsent].astype(np.int64))
        new_value = log.column("value")
        value = column(both(old.value, new_value[sends]), new_value[unsent])
        looks = seen.looks
        if len(unsent):
            others = look(log.values, new_value[unsent], {})
            looks = Looks(*(np.append(*both)[own] for both in zip(looks, others, strict=True)))
        place_of = {send: older + number for number, send in enumerate(own.tolist())} if seen.names else {}
        sent_by = calls.of_events[sends]
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
            sender_call=column(both(old.call, sent_by), nothing),
            reason=column(pairs.reason, np.zeros(len(unsent), np.int64)),
            kind=both(old.kind, looks.kind),
            tag=both(old.tag, self._number_tags(log, value[older:], looks.tag, looks.tag_at)),
            reference=both(old.reference, looks.reference),
            body=both(old.body, looks.body),
            tags=list(self._tags),
            subjects=self._subjects | _subjects(log, value[older:], looks, older),
            names={place_of[number]: name for number, name in seen.names.items()},
            row=both(old.row, np.arange(self._count, self._count + len(own))),
            older=older,
            arrivals=arrivals,
            request=both(old.request, np.full(len(own), NONE)),
            reply=np.full(len(order), NONE),
            answers=both(old.answers, np.full(len(own), NONE)),
            late=np.empty((0, 2), np.int64),
            handle_call=np.full(len(order), NONE),
            handled_at=np.full(len(order), NONE),
        )
        self._count += len(own)
        if lossy.any():
            _doubt(found, lossy)
        self._join_replies(found)
        self._keep(found, waiting, pairs.crowded, order, int(at[-1]))
        return found

    def _number_tags(self, log: Log, value: Ints, tag: Ints, tag_at: Ints) -> Ints:
        """The numbers of tags as `tags` has them; each text is made once."""
        codes, firsts = numbered(tag)
        numbers = list[int]()
        for first in firsts.tolist():
            key = int(tag[first])
            if key not in self._tag_of:
                text = tag_text(log.values.bytes(int(value[first])), int(tag_at[first]))
                self._tag_of[key] = self._tags.setdefault(text, len(self._tags))
            numbers.append(self._tag_of[key])
        return np.array([*numbers, 0], np.int64)[codes]

    def _join_replies(self, found: Messages) -> None:
        """A reply carries the reference of its request. The first answer counts; later ones are strays, and known
        for `WAIT` ns."""
        chosen = np.flatnonzero(((found.kind == CALL) | (found.kind == REPLY)) & (found.reference != 0))
        chosen = chosen[chosen >= found.older]
        at = np.where(found.sent_at == NONE, found.received_at, found.sent_at)
        first = self._count - (len(found.event) - found.older)
        found.late = self._requests.join(
            chosen,
            *(found.kind, found.reference, found.event, at, found.row, found.sender, found.addressed),
            *(found.receiver, found.request, found.answers, found.reply),
            first_row=first,
            older=found.older,
        )

    def _keep(self, found: Messages, sends: Sends, crowded: Mask, order: Ints, now: int) -> None:
        """Remember what may still be received or answered."""
        count = len(sends.at)
        of_send = np.empty(len(order), dtype=np.int64)
        of_send[order] = np.arange(len(order))
        number = of_send[:count]  # the message of each send
        stay = np.flatnonzero((found.receive[number] == NONE) & ~sends.nowhere & (sends.at >= now - WAIT))
        number = number[stay]
        self._waiting = _Waiting(
            event=found.event[number],
            at=found.sent_at[number],
            row=found.row[number],
            call=found.sender_call[number],
            ref=sends.ref[stay],
            value=found.value[number],
            request=found.request[number],
            answers=found.answers[number],
            kind=found.kind[number],
            tag=found.tag[number],
            reference=found.reference[number],
            body=found.body[number],
            process=sends.process[stay],
            peer=sends.peer[stay],
            crowded=crowded[stay].astype(np.int64),
        )
        mail = enumerate(number.tolist()) if found.subjects else ()
        self._subjects = {place: found.subjects[each] for place, each in mail if each in found.subjects}
        self._strays = self._strays[self._strays[:, 3] >= now - WAIT]
        self._requests.forget(now - WAIT)


def _doubt(found: Messages, lossy: Mask) -> None:
    """Where events were lost, an equal message may have been among them: only a reference tells one from another."""
    either = [(ends != NONE) & lossy[ends] for ends in (found.sender, found.addressed)]
    doubtful = either[0] | either[1]
    doubtful &= (found.send != NONE) & (found.receive != NONE)
    found.reason[doubtful & (found.reference == 0)] = LOST


def _subjects(log: Log, value: Ints, looks: Looks, older: int) -> dict[int, bytes]:
    found = dict[int, bytes]()
    for number in np.flatnonzero(looks.subject_end).tolist():
        data = log.values.bytes(int(value[number]))
        found[older + number] = data[looks.subject[number] : looks.subject_end[number]]
    return found


def _kinds(messages: Messages, chosen: Ints) -> pa.Array:
    """What each message is. An answer from nobody is the VM's own: so does it say whether a process is alive."""
    internal = (messages.kind[chosen] == REPLY) & (messages.sender[chosen] == NONE)
    kinds = np.where(internal, SYSTEM, messages.kind[chosen]).astype(np.int8)
    return texts(kinds, KINDS)


def _words(numbers: Ints, words: Sequence[str | None]) -> pa.Array:
    """Texts by their numbers; the first is none."""
    return texts(known(numbers.astype(np.int32), 0), ["", *words[1:]])


def messages_table(messages: Messages) -> pa.Table:
    """The rows of new messages."""
    new = np.arange(messages.older, len(messages.event))
    reason, names = messages.reason[new], messages.names
    return table(
        "messages",
        message=messages.event[new],
        kind=_kinds(messages, new),
        from_process=known(messages.sender[new].astype(np.int32)),
        to_process=known(messages.receiver[new].astype(np.int32)),
        to_name=[names.get(number) for number in new.tolist()] if names else _words(np.zeros(len(new), np.int64), ()),
        send_event=known(messages.send[new]),
        receive_event=known(messages.receive[new]),
        handle_call=known(messages.handle_call[new]),
        sent_at=known(messages.sent_at[new]),
        received_at=known(messages.received_at[new]),
        handled_at=known(messages.handled_at[new]),
        sender_call=known(messages.sender_call[new]),
        request=known(messages.request[new]),
        reply=known(messages.reply[new]),
        tag=_words(messages.tag[new], messages.tags),
        value=known(messages.value[new]),
        certain=reason == 0,
        reason=_words(reason, REASONS),
    )


def messages_patches(messages: Messages) -> list[Patch]:
    """What became known of older messages: that they arrived, and that they were answered."""
    arrived = np.flatnonzero(messages.receive[: messages.older] != NONE)
    reason, replied = messages.reason[arrived], messages.late
    return [
        *patch(
            "messages",
            messages.row[arrived],
            to_process=known(messages.receiver[arrived]),
            receive_event=known(messages.receive[arrived]),
            received_at=known(messages.received_at[arrived]),
            certain=reason == 0,
            reason=_words(reason, REASONS),
        ),
        *patch("messages", replied[:, 0], reply=known(replied[:, 1])),
    ]
