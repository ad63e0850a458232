"""Which frame handled which message: a receive is only the arrival, handling is the callback's CALL."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, Mask, known, lookup, patch, with_places
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.serving import Asked, Callbacks, Given, Offered, digested, serve
from elixirscope.kernels import I64, kernel
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Flag
from elixirscope.recording.log import Log


class Handled(NamedTuple):
    """Per frame the message (event) that it handles or on whose account it runs, and the frame (CALL event) that sent
    what it handles itself; -1 for none. And what became known of older messages."""

    message: Ints
    asker: Ints
    patches: list[Patch]


class Ran(NamedTuple):
    """The callbacks among the new frames of a slice, and what they were called with."""

    callbacks: Callbacks
    frames: Ints
    given: Given
    declared: Mask  # per site, whether it is declared to be a callback of any kind


def callbacks_of(log: Log, calls: Calls) -> Ran:
    """The callbacks that ran in a slice."""
    size = max(max(log.sites, default=0), int(calls.site.max(initial=0))) + 1
    callbacks, declared = Callbacks(log.sites, size), np.zeros(size, dtype=bool)
    declared[[n for n, site in log.sites.items() if site.callback is not None]] = True
    frames = calls.older + np.flatnonzero(callbacks.kinds[calls.site[calls.older :]])
    return Ran(callbacks, frames, digested(log.values, log.column("value")[calls.event[frames] - log.first]), declared)


class _Entries(NamedTuple):
    """Messages that wait, in order of arrival, in parallel arrays."""

    message: Ints
    row: Ints
    receive: Ints
    receiver: Ints
    rank: Ints  # so many messages came to the process before
    call: Ints  # the sender's frame
    kind: Ints
    reference: Ints
    body: Ints
    cut: Ints  # whether its content was cut to its budget

    def among(self, chosen: Ints) -> _Entries:
        """Some of them."""
        return _Entries(*(column[chosen] for column in self))


_TRUNCATED: Final = int(Flag.TRUNCATED)
LONGEST = 20_000
"""A message waits for its callback while no more than so many came to its process after it …"""
BEFORE = 2_000
"""… and no more than so many while no callback had run there: most such processes are no servers, and their messages
would all be kept. A server that is slow to start finds that many waiting."""


class Mailboxes:
    """Finds which frame handles which message, slice by slice. Between slices it keeps the messages that wait, and of
    open frames which they handle."""

    def __init__(self) -> None:
        self._waiting = _Entries(*(np.empty(0, np.int64) for _ in _Entries._fields))
        self._counts = np.zeros(0, np.int64)  # messages that came to each process
        self._serves = np.zeros(0, dtype=bool)  # processes in which a callback has run
        self._message = np.empty(0, np.int64)  # of the frames that are open: the message event that each handles …
        self._account = np.empty(
            0, np.int64
        )  # … and on whose account it runs, also where it is not declared a callback

    def take(self, log: Log, calls: Calls, messages: Messages, ran: Ran) -> Handled:
        """Which frames handle what. Sets the handlers of new messages in `messages`. `ran`: the callbacks.

        A call is found by its reference; anything else by equal content, the oldest first; and where the content was
        not recorded, the oldest message of a fitting kind. The outermost callback handles the message; callbacks that
        it calls in its turn (of a behaviour on top of GenServer) run on the same account. An answer goes to who asked.
        """
        handled, asker = np.full(len(calls.event), NONE), np.full(len(calls.event), NONE)
        frames = ran.frames
        owner = calls.process[frames]
        entries, came = self._enter(log, messages, calls.event[frames], owner)
        taken = np.zeros(len(entries.row), dtype=bool)
        patches: list[Patch] = []
        if len(frames):
            found = self._serve(log, calls, ran, entries, came)
            hit = np.flatnonzero(found != NONE)
            entry, frame = found[hit], frames[hit]
            taken[entry] = True
            handled[frame], asker[frame] = entries.message[entry], entries.call[entry]
            at = log.column("at")[calls.event[frame] - log.first]
            new_row = messages.row[messages.older] if len(messages.row) > messages.older else np.iinfo(np.int64).max
            row = entries.row[entry]
            mine, older = np.flatnonzero(row >= new_row), np.flatnonzero(row < new_row)
            place = row[mine] - new_row + messages.older
            messages.handle_call[place], messages.handled_at[place] = calls.event[frame[mine]], at[mine]
            patches = patch(
                "messages",
                row[older],
                handle_call=known(calls.event[frame[older]]),
                handled_at=known(at[older]),
            )
            self._serves[owner] = True
        self._keep(entries, taken)
        handled[: calls.older] = self._account
        account = handled.copy()
        _inherit(calls.parent, calls.tail_of, account)
        handled[: calls.older] = self._message
        inherits = ran.declared[calls.site]
        inherits[: calls.older] = False
        message = np.where(inherits, account, handled)
        self._message, self._account = message[calls.stays], account[calls.stays]
        return Handled(message, asker, patches)

    def _enter(self, log: Log, messages: Messages, event: Ints, owner: Ints) -> tuple[_Entries, Ints]:
        """All that wait or arrive, in order of arrival; and for the callbacks of these events and processes how many
        messages came to the process before."""
        size = len(log.processes)
        self._counts = with_places(self._counts, size, 0)
        if size > len(self._serves):
            more = np.zeros(size + size // 2 - len(self._serves), dtype=bool)
            self._serves = np.concatenate([self._serves, more])
        numbers = messages.arrivals
        numbers = numbers[(messages.request[numbers] == NONE) & (messages.answers[numbers] == NONE)]
        receive, receiver = messages.receive[numbers], messages.receiver[numbers]
        came, rank = np.empty(len(event), np.int64), np.empty(len(numbers), np.int64)
        _arrivals(event, owner, receive, receiver, self._counts, came, rank)
        fresh = _Entries(
            message=messages.event[numbers],
            row=messages.row[numbers],
            receive=receive,
            receiver=receiver,
            rank=rank,
            call=messages.sender_call[numbers],
            kind=messages.kind[numbers],
            reference=messages.reference[numbers],
            body=messages.body[numbers],
            cut=log.column("flags")[receive - log.first] & _TRUNCATED,
        )
        return _Entries(*map(np.concatenate, zip(self._waiting, fresh, strict=True))), came

    def _serve(self, log: Log, calls: Calls, ran: Ran, entries: _Entries, came: Ints) -> Ints:
        """For each callback the entry that it handles, or -1. `came`: messages that came to the process before."""
        frames = ran.frames
        process = calls.process[frames]
        # Where no callback has run, older messages than a few are not waited for.
        since = np.full(len(log.processes), np.iinfo(np.int64).max)
        since[process[::-1]] = np.where(self._serves[process], np.iinfo(np.int64).min, came - BEFORE)[::-1]
        waiting = np.flatnonzero(entries.rank >= since[entries.receiver])
        places = calls.event[frames] - log.first
        asked = Asked(
            process=process,
            event=calls.event[frames],
            site=calls.site[frames],
            given=ran.given,
            cut=(log.column("flags")[places] & _TRUNCATED) != 0,
            oldest=came - LONGEST,
        )
        offered = Offered(
            process=entries.receiver[waiting],
            received=entries.receive[waiting],
            rank=entries.rank[waiting],
            cut=entries.cut[waiting] != 0,
            kind=entries.kind[waiting],
            reference=entries.reference[waiting],
            body=entries.body[waiting],
        )
        return lookup(waiting, serve(ran.callbacks, asked, offered))

    def _keep(self, entries: _Entries, taken: Mask) -> None:
        left = np.flatnonzero(~taken)
        receiver, rank = entries.receiver[left], entries.rank[left]
        stay = self._counts[receiver] - rank <= np.where(self._serves[receiver], LONGEST, BEFORE)
        self._waiting = entries.among(left[stay])


@kernel
def _arrivals(event: I64, owner: I64, receive: I64, receiver: I64, counts: I64, came: I64, rank: I64) -> None:
    """Count messages: before each callback those that came to its process, and before each message likewise. `counts`:
    of each process, moved on."""
    message = 0
    for each in range(len(event) + 1):
        while message < len(receive) and (each == len(event) or receive[message] < event[each]):
            rank[message] = counts[receiver[message]]
            counts[receiver[message]] += 1
            message += 1
        if each < len(event):
            came[each] = counts[owner[each]]


@kernel
def _inherit(parent: I64, tail_of: I64, message: I64) -> None:
    """Pass each frame's message on to the frames it calls, which come later."""
    for frame in range(len(parent)):
        caller = tail_of[frame] if tail_of[frame] >= 0 else parent[frame]
        if message[frame] < 0 and caller >= 0:
            message[frame] = message[caller]
