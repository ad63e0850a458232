"""Which frame handled which message: a receive is only the arrival, handling is the callback's CALL."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

import numpy as np

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, lookup
from elixirscope.correlate.messages import Messages
from elixirscope.correlate.shapes import Shape, arguments, from_reference
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
    events = calls.event[frames]
    values, cut = log.rows["value"][events], (log.rows["flags"][events] & int(Flag.TRUNCATED)) != 0
    columns = (column.tolist() for column in (frames, events, calls.process[frames], calls.site[frames], values, cut))
    for frame, event, process, site, value, shortened in zip(*columns, strict=True):
        box = boxes.get(process)
        if box is None:
            continue
        kinds, declared = callbacks[site]
        args = log.values.bytes(value) if value != NONE else b""
        message = box.take(kinds, args, event, shortened, declared)
        if message != NONE:
            messages.handler[message] = frame
            handled[frame] = messages.event[message]
    declared_sites = [n for n, site in log.sites.items() if site.callback is not None]
    return np.where(np.isin(calls.site, declared_sites), _inherited(calls, handled), handled)


def _inherited(calls: Calls, handled: Ints) -> Ints:
    """Passes each frame's message on to the frames it calls; callers come before the called."""
    account = handled.tolist()
    for frame, (parent, tail_of) in enumerate(zip(calls.parent.tolist(), calls.tail_of.tolist(), strict=True)):
        if account[frame] == NONE:
            caller = tail_of if tail_of != NONE else parent
            if caller != NONE:
                account[frame] = account[caller]
    return np.array(account, dtype=np.int64)


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
    """The messages of one process that no frame has handled yet."""

    def __init__(self, received: list[int]) -> None:
        self._received = received  # receive event of each message
        self._waiting: set[int] = set()
        self._cut: set[int] = set()  # those whose content was cut to its budget
        self._by_ref: dict[bytes, int] = {}
        self._by_body: defaultdict[tuple[str, bytes], deque[int]] = defaultdict(deque)
        self._by_kind: defaultdict[str, deque[int]] = defaultdict(deque)

    def add(self, message: int, seen: Shape, cut: bool) -> None:
        self._waiting.add(message)
        if cut:
            self._cut.add(message)
        if seen.kind == "call" and seen.ref is not None:
            self._by_ref.setdefault(seen.ref, message)
        self._by_body[seen.kind, seen.body].append(message)
        self._by_kind[seen.kind].append(message)

    def take(self, kinds: tuple[str, ...], args: bytes, before: int, cut: bool, declared: bool) -> int:
        """The message that a callback called with `args` at event `before` handles, or -1.

        What is only named like a callback must show the very content; order alone does not make it one.
        """
        parts = arguments(args) if args else []
        found = NONE
        if "call" in kinds:
            refs = (ref for part in parts[:2] if (ref := from_reference(part)) is not None)
            found = next((self._by_ref[ref] for ref in refs if ref in self._by_ref), NONE)
        if found == NONE and parts:
            found = self._oldest((self._by_body.get((kind, part)) for kind in kinds for part in parts), before)
        if found == NONE and declared:
            oldest = self._oldest((self._by_kind.get(kind) for kind in kinds), before)
            if cut or not parts or oldest in self._cut:
                found = oldest
        if found in self._waiting and self._received[found] < before:
            self._waiting.discard(found)
            return found
        return NONE

    def _oldest(self, queues: Iterable[deque[int] | None], before: int) -> int:
        best = NONE
        for queue in queues:
            while queue and queue[0] not in self._waiting:
                queue.popleft()
            if (
                queue
                and self._received[queue[0]] < before
                and (best == NONE or self._received[queue[0]] < self._received[best])
            ):
                best = queue[0]
        return best


def _mailboxes(log: Log, messages: Messages) -> dict[int, _Mailbox]:
    received = messages.receive.tolist()
    receivers = messages.receiver.tolist()
    cut = (lookup(log.rows["flags"], messages.receive) & int(Flag.TRUNCATED) != 0).tolist()
    boxes: dict[int, _Mailbox] = {}
    for message in np.argsort(messages.receive, kind="stable").tolist():
        if received[message] == NONE:
            continue
        process = receivers[message]
        if process not in boxes:
            boxes[process] = _Mailbox(received)
        boxes[process].add(message, messages.shapes[message], cut[message])
    return boxes
