"""Which frame handled which message: a receive is only the arrival, handling is the callback's CALL."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, known, lookup, patch
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.serving import Asked, Callbacks, Offered, serve
from elixirscope.correlate.shapes import Shape
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Flag
from elixirscope.recording.log import Log

Mask = npt.NDArray[np.bool_]
Entries = npt.NDArray[np.void]
Places = dict[int, Ints]  # process → events
_NOTHING = np.empty(0, np.int64)


class Handled(NamedTuple):
    """Per frame the message (event) that it handles, the one on whose account it runs (also for what is not declared a
    callback), and the frame (CALL event) that sent what it handles itself; -1 for none. And what became known of older
    messages."""

    message: Ints
    account: Ints
    asker: Ints
    patches: list[Patch]


_ENTRY = np.dtype(
    [
        ("message", "<i8"),
        ("row", "<i8"),
        ("receive", "<i8"),
        ("receiver", "<i8"),
        ("rank", "<i8"),  # so many messages came to the process before
        ("call", "<i8"),  # the sender's frame
        ("cut", "?"),  # its content was cut to its budget
    ]
)

LONGEST = 20_000
"""A message waits for its callback while no more than so many came to its process after it …"""
BEFORE = 100
"""… and no more than so many while no callback had run there."""


class Mailboxes:
    """Finds which frame handles which message, slice by slice. Between slices it keeps the messages that wait."""

    def __init__(self) -> None:
        self._waiting = np.empty(0, _ENTRY)
        self._shapes: list[Shape] = []
        self._counts = np.zeros(0, np.int64)  # messages that came to each process
        self._serves = np.zeros(0, dtype=bool)  # processes in which a callback has run

    def take(self, log: Log, calls: Calls, messages: Messages) -> Handled:
        """Which frames handle what. Sets the handlers of new messages in `messages`.

        A call is found by its reference; anything else by equal content, the oldest first; and where the content was
        not recorded, the oldest message of a fitting kind. The outermost callback handles the message; callbacks that
        it calls in its turn (of a behaviour on top of GenServer) run on the same account. An answer goes to who asked.
        """
        handled, asker = np.full(len(calls.event), NONE), np.full(len(calls.event), NONE)
        entries, seen, arrived, base = self._enter(log, messages)
        taken = np.zeros(len(entries), dtype=bool)
        callbacks = Callbacks(log.sites)
        patches: list[Patch] = []
        new = np.arange(calls.older, len(calls.event))
        frames = new[np.isin(calls.site[new], callbacks.sites)]
        if len(frames):
            owner = calls.process[frames]
            found = self._serve(log, calls, frames, callbacks, (entries, seen, arrived, base))
            hit = found != NONE
            entry, frame = found[hit], frames[hit]
            taken[entry] = True
            handled[frame], asker[frame] = entries["message"][entry], entries["call"][entry]
            at = log.column("at")[calls.event[frame] - log.first]
            new_row = messages.row[messages.older] if len(messages.row) > messages.older else np.iinfo(np.int64).max
            mine = entries["row"][entry] >= new_row
            place = entries["row"][entry[mine]] - new_row + messages.older
            messages.handle_call[place], messages.handled_at[place] = calls.event[frame[mine]], at[mine]
            patches = patch(
                "messages",
                entries["row"][entry[~mine]],
                handle_call=known(calls.event[frame[~mine]]),
                handled_at=known(at[~mine]),
            )
            self._serves[owner] = True
        self._keep(entries, seen, taken)
        handled[: calls.older] = calls.account
        account = _inherited(calls, handled)
        declared = [n for n, site in log.sites.items() if site.callback is not None]
        handled[: calls.older] = calls.message
        inherits = np.isin(calls.site, declared)
        inherits[: calls.older] = False
        return Handled(np.where(inherits, account, handled), account, asker, patches)

    def _enter(self, log: Log, messages: Messages) -> tuple[Entries, list[Shape], Places, Ints]:
        """All that wait or arrive, in order of arrival; the arrivals by process; and what came before the slice."""
        size = len(log.processes)
        self._counts = np.concatenate([self._counts, np.zeros(size - len(self._counts), np.int64)])
        self._serves = np.concatenate([self._serves, np.zeros(size - len(self._serves), dtype=bool)])
        base = self._counts.copy()
        numbers = np.flatnonzero((messages.receive != NONE) & (messages.request == NONE))
        numbers = numbers[messages.answers[numbers] == NONE]
        numbers = numbers[np.argsort(messages.receive[numbers], kind="stable")]
        fresh = np.zeros(len(numbers), _ENTRY)
        fresh["message"], fresh["row"] = messages.event[numbers], messages.row[numbers]
        fresh["receive"], fresh["receiver"] = messages.receive[numbers], messages.receiver[numbers]
        fresh["call"] = messages.sender_call[numbers]
        fresh["cut"] = log.column("flags")[fresh["receive"] - log.first] & int(Flag.TRUNCATED) != 0
        by_owner = np.argsort(fresh["receiver"], kind="stable")
        owners, starts = np.unique(fresh["receiver"][by_owner], return_index=True)
        bounds = [*starts.tolist(), len(fresh)]
        arrived = {
            owner: fresh["receive"][by_owner[start:end]]
            for owner, start, end in zip(owners.tolist(), bounds, bounds[1:], strict=False)
        }
        counts = np.diff(bounds)
        rank = np.arange(len(fresh)) - np.repeat(starts, counts) + np.repeat(base[owners], counts)
        fresh["rank"][by_owner] = rank
        self._counts[owners] += counts
        seen = self._shapes + [messages.distinct[look] for look in messages.looks[numbers].tolist()]
        return np.concatenate([self._waiting, fresh]), seen, arrived, base

    def _serve(
        self,
        log: Log,
        calls: Calls,
        frames: Ints,
        callbacks: Callbacks,
        mail: tuple[Entries, list[Shape], Places, Ints],
    ) -> Ints:
        """For each frame the entry that it handles, or -1."""
        entries, seen, arrived, base = mail
        events, process = calls.event[frames], calls.process[frames]
        came = np.empty(len(frames), np.int64)  # messages that came to the process before the frame
        by_owner = np.argsort(process, kind="stable")
        owners, starts = np.unique(process[by_owner], return_index=True)
        for owner, mine in zip(owners.tolist(), np.split(by_owner, starts[1:]), strict=False):
            came[mine] = base[owner] + np.searchsorted(arrived.get(owner, _NOTHING), events[mine])
        # Where no callback has run, older messages than a few are not waited for.
        first = by_owner[starts]
        since = np.full(len(log.processes), np.iinfo(np.int64).max)
        since[owners] = np.where(self._serves[owners], np.iinfo(np.int64).min, came[first] - BEFORE)
        waiting = np.flatnonzero(entries["rank"] >= since[entries["receiver"]])
        places = events - log.first
        asked = Asked(
            process=process,
            event=events,
            site=calls.site[frames],
            value=log.column("value")[places],
            cut=(log.column("flags")[places] & int(Flag.TRUNCATED)) != 0,
            oldest=came - LONGEST,
        )
        offered = Offered(
            process=entries["receiver"][waiting],
            received=entries["receive"][waiting],
            rank=entries["rank"][waiting],
            cut=entries["cut"][waiting],
            shapes=[seen[number] for number in waiting.tolist()],
        )
        return lookup(waiting, serve(log, callbacks, asked, offered))

    def _keep(self, entries: Entries, seen: list[Shape], taken: Mask) -> None:
        behind = self._counts[entries["receiver"]] - entries["rank"]
        stay = ~taken & (behind <= np.where(self._serves[entries["receiver"]], LONGEST, BEFORE))
        self._waiting = entries[stay]
        self._shapes = [seen[number] for number in np.flatnonzero(stay).tolist()]


def _inherited(calls: Calls, handled: Ints) -> Ints:
    """Passes each frame's message on to the frames it calls."""
    numbers = np.arange(len(handled))
    caller = np.where(calls.tail_of != NONE, calls.tail_of, calls.parent)
    source = np.where((handled == NONE) & (caller != NONE), caller, numbers)
    while True:  # each step doubles how far up a frame looks
        further = source[source]
        if (further == source).all():
            return handled[source]
        source = further
