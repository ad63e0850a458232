"""Which frame handled which message: a receive is only the arrival, handling is the callback's CALL."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from elixirscope.correlate.alike import Arguments, all_arguments
from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, lookup
from elixirscope.correlate.messages import Messages
from elixirscope.recording.format import Flag
from elixirscope.recording.log import Log, Site

# callback → the kinds of message it is given
_GIVEN = {
    "handle_call": ("call",),
    "handle_cast": ("cast",),
    "handle_info": ("info", "down", "exit", "timer", "reply", "io", "system"),
    "handle_event": ("call", "cast", "info", "down", "exit", "timer", "reply"),
}


def join_handlers(log: Log, calls: Calls, messages: Messages) -> Ints:
    """Fills `messages.handler` and returns, per frame, the message (event) on whose account it runs, or -1.

    A call is found by its reference; anything else by equal content, the oldest first; and where the content was not
    recorded, the oldest message of a fitting kind. The outermost callback handles the message; callbacks that it
    calls in its turn (of a behaviour on top of GenServer) run on the same account.
    """
    handled = np.full(len(calls.event), NONE)
    callbacks = {n: given for n, site in log.sites.items() if (given := _given(site)) is not None}
    if not callbacks:
        return handled
    boxes = _mailboxes(log, messages)
    frames = np.flatnonzero(np.isin(calls.site, list(callbacks)))
    frames = frames[np.isin(calls.process[frames], list(boxes))]
    events = calls.event[frames]
    values, cut = log.column("value")[events], (log.column("flags")[events] & int(Flag.TRUNCATED)) != 0
    distinct, where = np.unique(values, return_inverse=True)
    unknown = int(distinct[:1].tolist() == [NONE])
    shown = [Arguments()] * unknown + all_arguments(log.values, distinct[unknown:])
    columns = (column.tolist() for column in (frames, events, calls.process[frames], calls.site[frames], where, cut))
    taken = list[int]()
    for _, event, process, site, number, shortened in zip(*columns, strict=True):
        kinds, declared = callbacks[site]
        taken.append(boxes[process].take(kinds, shown[number], event, shortened, declared))
    message = np.array(taken, dtype=np.int64)
    found = message != NONE
    messages.handler[message[found]] = frames[found]
    handled[frames[found]] = messages.event[message[found]]
    declared_sites = [n for n, site in log.sites.items() if site.callback is not None]
    return np.where(np.isin(calls.site, declared_sites), _inherited(calls, handled), handled)


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

    def __init__(self, messages: Messages, received: list[int], mine: list[int], cut: set[int]) -> None:
        self._received = received  # receive event of each message
        self._shapes = messages.shapes
        self._mine = mine
        self._waiting = set(mine)
        self._cut = cut  # those whose content was cut to its budget

    @cached_property
    def _by_ref(self) -> dict[bytes, int]:
        """The first call with each reference."""
        shapes = self._shapes
        return {
            seen.ref: n for n in reversed(self._mine) if (seen := shapes[n]).kind == "call" and seen.ref is not None
        }

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

    def take(self, kinds: tuple[str, ...], args: Arguments, before: int, cut: bool, declared: bool) -> int:
        """The message that a callback called with `args` at event `before` handles, or -1.

        What is only named like a callback must show the very content; order alone does not make it one.
        """
        found = NONE
        if "call" in kinds:
            found = next((self._by_ref[ref] for ref in args.refs if ref in self._by_ref), NONE)
        if found == NONE and args.parts:
            same = [bodies for kind in kinds if (bodies := self._by_body.get(kind))]
            found = self._oldest([bodies[part] for bodies in same for part in args.parts if part in bodies], before)
        if found == NONE and declared:
            oldest = self._oldest((queue for kind in kinds if (queue := self._by_kind.get(kind))), before)
            if cut or not args.parts or oldest in self._cut:
                found = oldest
        if found in self._waiting and self._received[found] < before:
            self._waiting.discard(found)
            return found
        return NONE

    def _oldest(self, queues: Iterable[deque[int]], before: int) -> int:
        best, received = NONE, self._received
        for queue in queues:
            while queue and queue[0] not in self._waiting:
                queue.popleft()
            if queue and received[queue[0]] < before and (best == NONE or received[queue[0]] < received[best]):
                best = queue[0]
        return best


def _mailboxes(log: Log, messages: Messages) -> dict[int, _Mailbox]:
    received = messages.receive.tolist()
    cut = set(np.flatnonzero(lookup(log.column("flags"), messages.receive) & int(Flag.TRUNCATED) != 0).tolist())
    arrived = np.flatnonzero(messages.receive != NONE)
    arrived = arrived[np.lexsort((messages.receive[arrived], messages.receiver[arrived]))]
    owners, starts = np.unique(messages.receiver[arrived], return_index=True)
    parts = np.split(arrived, starts[1:])
    return {
        owner: _Mailbox(messages, received, part.tolist(), cut)
        for owner, part in zip(owners.tolist(), parts, strict=False)
    }
