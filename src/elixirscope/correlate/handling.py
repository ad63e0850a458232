"""Which frame handled which message: a receive is only the arrival, handling is the callback's CALL."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.correlate.alike import Arguments, all_arguments
from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, known, patch
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.shapes import Shape
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Flag
from elixirscope.recording.log import Log, Site

Mask = npt.NDArray[np.bool_]
Entries = npt.NDArray[np.void]
Places = dict[int, Ints]  # process → events
_NOTHING = np.empty(0, np.int64)

# callback → the kinds of message it is given
_GIVEN = {
    "handle_call": ("call",),
    "handle_cast": ("cast",),
    "handle_info": ("info", "down", "exit", "timer", "reply", "io", "system"),
    "handle_event": ("call", "cast", "info", "down", "exit", "timer", "reply"),
}


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
        callbacks = {n: given for n, site in log.sites.items() if (given := _given(site)) is not None}
        patches: list[Patch] = []
        new = np.arange(calls.older, len(calls.event))
        frames = new[np.isin(calls.site[new], list(callbacks))] if callbacks else new[:0]
        owner = calls.process[frames]
        if len(frames):
            boxes = self._boxes(entries, seen, calls, frames, arrived, base)
            frames = frames[np.isin(owner, list(boxes))]
            found = self._serve(log, calls, frames, callbacks, boxes, (arrived, base))
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

    def _boxes(
        self, entries: Entries, seen: list[Shape], calls: Calls, frames: Ints, arrived: Places, base: Ints
    ) -> dict[int, _Mailbox]:
        """The mailboxes of the processes in which these callbacks run."""
        owners, firsts = np.unique(calls.process[frames], return_index=True)
        theirs = np.flatnonzero(np.isin(entries["receiver"], owners))
        if not len(theirs):
            return {}
        theirs = theirs[np.argsort(entries["receiver"][theirs], kind="stable")]
        having, starts = np.unique(entries["receiver"][theirs], return_index=True)
        received, ranks = entries["receive"].tolist(), entries["rank"].tolist()
        cut = set(np.flatnonzero(entries["cut"]).tolist())
        begins = dict(zip(owners.tolist(), calls.event[frames[firsts]].tolist(), strict=True))
        boxes = {}
        for owner, part in zip(having.tolist(), np.split(theirs, starts[1:]), strict=True):
            mine = part.tolist()
            if not self._serves[owner]:
                before = int(base[owner]) + int(np.searchsorted(arrived.get(owner, _NOTHING), begins[owner]))
                mine = [n for n in mine if ranks[n] >= before - BEFORE]
            boxes[owner] = _Mailbox(seen, received, ranks, mine, cut)
        return boxes

    def _serve(
        self,
        log: Log,
        calls: Calls,
        frames: Ints,
        callbacks: dict[int, tuple[tuple[str, ...], bool]],
        boxes: dict[int, _Mailbox],
        came: tuple[Places, Ints],
    ) -> Ints:
        """For each frame the entry that it handles, or -1."""
        arrived, base = came
        events = calls.event[frames]
        places = events - log.first
        values, cut = log.column("value")[places], (log.column("flags")[places] & int(Flag.TRUNCATED)) != 0
        distinct, where = np.unique(values, return_inverse=True)
        unknown = int(distinct[:1].tolist() == [NONE])
        shown = [Arguments()] * unknown + all_arguments(log.values, distinct[unknown:])
        process = calls.process[frames]
        oldest = np.empty(len(frames), np.int64)
        by_owner = np.argsort(process, kind="stable")
        owners, starts = np.unique(process[by_owner], return_index=True)
        for owner, mine in zip(owners.tolist(), np.split(by_owner, starts[1:]), strict=False):
            before = np.searchsorted(arrived.get(owner, _NOTHING), events[mine])
            oldest[mine] = base[owner] + before - LONGEST
        columns = (column.tolist() for column in (events, process, calls.site[frames], where, cut, oldest))
        taken = list[int]()
        for event, owner, site, number, shortened, rank in zip(*columns, strict=True):
            kinds, declared = callbacks[site]
            taken.append(boxes[owner].take(kinds, shown[number], event, shortened, declared, rank))
        return np.array(taken, dtype=np.int64)

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


def _given(site: Site) -> tuple[tuple[str, ...], bool] | None:
    """The kinds of message that a function is given as a callback, and whether it is declared to be one."""
    if site.kind != "function":
        return None
    if site.callback is not None:
        name = site.callback.split("/")[0]
        if name in _GIVEN:
            return _GIVEN[name], True
        return (_GIVEN["handle_event"], True) if site.behaviour and "statem" in site.behaviour else None
    if (site.function, site.arity) in (("handle_call", 3), ("handle_cast", 2), ("handle_info", 2)):
        return _GIVEN[site.function], False
    return None


class _Mailbox:
    """The messages of one process that no frame has handled yet. Queues are made when first asked for."""

    def __init__(
        self, shapes: list[Shape], received: list[int], ranks: list[int], mine: list[int], cut: set[int]
    ) -> None:
        self._received = received  # receive event of each message
        self._ranks = ranks
        self._shapes = shapes
        self._mine = mine
        self._waiting = set(mine)
        self._cut = cut  # those whose content was cut to its budget

    @cached_property
    def _by_ref(self) -> dict[bytes, deque[int]]:
        """The calls with each reference."""
        queues: defaultdict[bytes, deque[int]] = defaultdict(deque)
        for message in self._mine:
            seen = self._shapes[message]
            if seen.kind == "call" and seen.ref is not None:
                queues[seen.ref].append(message)
        return dict(queues)

    @cached_property
    def _by_body(self) -> dict[str, dict[bytes, deque[int]]]:
        queues: defaultdict[str, defaultdict[bytes, deque[int]]] = defaultdict(lambda: defaultdict(deque))
        for message in self._mine:
            seen = self._shapes[message]
            queues[seen.kind][seen.body].append(message)
        return {kind: dict(bodies) for kind, bodies in queues.items()}

    @cached_property
    def _by_kind(self) -> dict[str, deque[int]]:
        queues: defaultdict[str, deque[int]] = defaultdict(deque)
        for message in self._mine:
            queues[self._shapes[message].kind].append(message)
        return queues

    def take(
        self, kinds: tuple[str, ...], args: Arguments, before: int, cut: bool, declared: bool, oldest_rank: int
    ) -> int:
        """The message that a callback called with `args` at event `before` handles, or -1; none below `oldest_rank`.

        What is only named like a callback must show the very content; order alone does not make it one.
        """
        found = NONE
        if "call" in kinds and args.refs:
            asked = [self._by_ref[ref] for ref in args.refs if ref in self._by_ref]
            found = self._oldest(asked, before, oldest_rank)
        if found == NONE and args.parts:
            same = [bodies for kind in kinds if (bodies := self._by_body.get(kind))]
            queues = [bodies[part] for bodies in same for part in args.parts if part in bodies]
            found = self._oldest(queues, before, oldest_rank)
        if found == NONE and declared:
            fitting = (queue for kind in kinds if (queue := self._by_kind.get(kind)))
            oldest = self._oldest(fitting, before, oldest_rank)
            if cut or not args.parts or oldest in self._cut:
                found = oldest
        self._waiting.discard(found)
        return found

    def _oldest(self, queues: Iterable[deque[int]], before: int, oldest_rank: int) -> int:
        best, received = NONE, self._received
        for queue in queues:
            while queue and (queue[0] not in self._waiting or self._ranks[queue[0]] < oldest_rank):
                queue.popleft()
            if queue and received[queue[0]] < before and (best == NONE or received[queue[0]] < received[best]):
                best = queue[0]
        return best
