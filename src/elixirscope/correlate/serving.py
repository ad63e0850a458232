"""Which waiting message each callback handles: by reference, by equal content, or the oldest that fits.

Mostly each callback fits one queue of equal messages and each message one such queue; then the k-th callback of a queue
handles its k-th message, and all are found at once. Processes where that does not hold are served event by event.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.correlate.alike import AllArguments, Arguments, all_arguments
from elixirscope.correlate.columns import NONE, Ints
from elixirscope.correlate.shapes import Shape
from elixirscope.recording.log import Log, Site

Mask = npt.NDArray[np.bool_]

# callback → the kinds of message it is given
_GIVEN = {
    "handle_call": ("call",),
    "handle_cast": ("cast",),
    "handle_info": ("info", "down", "exit", "timer", "reply", "io", "system"),
    "handle_event": ("call", "cast", "info", "down", "exit", "timer", "reply"),
}


_KINDS: Final = ("call", "cast", "info", "down", "exit", "timer", "reply", "io", "system")
_NUMBER: Final = {kind: number for number, kind in enumerate(_KINDS)}
_CALL: Final = 1 << _NUMBER["call"]


class Callbacks:
    """The sites that are callbacks, and what each is given."""

    def __init__(self, sites: dict[int, Site]) -> None:
        self.given = {n: given for n, site in sites.items() if (given := _given(site)) is not None}
        self.sites = np.array(sorted(self.given), dtype=np.int64)
        size = int(self.sites.max(initial=0)) + 1
        self.kinds = np.zeros(size, np.int64)  # per site the bits of the kinds
        self.declared = np.zeros(size, dtype=bool)
        for number, (kinds, declared) in self.given.items():
            self.kinds[number] = sum(1 << _NUMBER[kind] for kind in kinds)
            self.declared[number] = declared


@dataclass
class Asked:
    """The callbacks that ran, in order of event, in parallel arrays."""

    process: Ints
    event: Ints
    site: Ints
    value: Ints  # its arguments
    cut: Mask  # the arguments were cut to their budget
    oldest: Ints  # rank of the oldest message that it may handle


@dataclass
class Offered:
    """The messages that wait, in order of arrival, in parallel arrays."""

    process: Ints
    received: Ints  # event
    rank: Ints
    cut: Mask  # the content was cut to its budget
    shapes: list[Shape]


def serve(log: Log, callbacks: Callbacks, asked: Asked, offered: Offered) -> Ints:
    """For each callback the message that it handles, or -1."""
    distinct, where = np.unique(asked.value, return_inverse=True)
    unknown = int(distinct[:1].tolist() == [NONE])
    where -= unknown  # -1: no arguments
    shown = all_arguments(log.values, distinct[unknown:])
    found, irregular = _at_once(callbacks, asked, offered, shown, where)
    if irregular.any():
        found[irregular] = one_by_one(callbacks, asked, offered, shown, where, np.flatnonzero(irregular))
    return found


def _at_once(
    callbacks: Callbacks, asked: Asked, offered: Offered, shown: AllArguments, where: Ints
) -> tuple[Ints, Mask]:
    """Also the callbacks of processes that must be served one by one."""
    count, entries = len(asked.event), len(offered.received)
    found = np.full(count, NONE)
    if not count or not entries:
        return found, np.zeros(count, dtype=bool)
    kinds = callbacks.kinds[asked.site]
    seen = offered.shapes
    kind = np.fromiter((_NUMBER[shape.kind] for shape in seen), np.int64, entries)
    by_ref = np.flatnonzero(np.fromiter((s.kind == "call" and s.ref is not None for s in seen), np.bool_, entries))
    refs, of_refs = _codes([seen[number].ref or b"" for number in by_ref.tolist()], shown.refs.content)
    bodies, of_parts = _codes([shape.body for shape in seen], shown.parts.content)
    processes = int(max(asked.process.max(), offered.process.max())) + 1

    # Every queue has a number: of calls with a reference even ones, of messages with a content odd ones.
    ref_queue = np.full(entries, NONE)
    ref_queue[by_ref] = 2 * (refs * processes + offered.process[by_ref])
    body_queue = 2 * ((bodies * len(_KINDS) + kind) * processes + offered.process) + 1
    frame, place = _spread(where, shown.refs.of)
    code = of_refs[shown.refs.at[place]]
    fits = (kinds[frame] & _CALL) != 0
    first = _there(frame[fits], 2 * (code * processes + asked.process[frame])[fits], ref_queue)
    frame, place = _spread(where, shown.parts.of)
    with_parts = frame
    code = of_parts[shown.parts.at[place]]
    fits = np.isin(code, bodies)
    frame, code = frame[fits], code[fits]
    wanted = list[Ints]()
    for number in np.unique(kind).tolist():
        fits = (kinds[frame] >> number & 1) != 0
        queue = 2 * ((code[fits] * len(_KINDS) + number) * processes + asked.process[frame[fits]]) + 1
        wanted.append(np.stack([frame[fits], queue]))
    frames, queues = np.concatenate(wanted, axis=1)
    second = _there(frames, queues, body_queue)

    # What a reference names comes before equal content.
    queue, irregular = np.full(count, NONE), np.zeros(processes, dtype=bool)
    for frames, queues in (second, first):
        several = np.bincount(frames, minlength=count) > 1
        irregular[asked.process[several]] = True
        queue[frames] = queues
    free = (queue == NONE) & callbacks.declared[asked.site]
    shortened = np.zeros(processes, dtype=bool)
    shortened[offered.process[offered.cut]] = True
    without = np.bincount(with_parts, minlength=count) == 0
    irregular[asked.process[free & (asked.cut | without | shortened[asked.process])]] = True

    used = np.unique(queue[queue != NONE])
    in_ref, in_body = np.isin(ref_queue, used), np.isin(body_queue, used)
    irregular[offered.process[in_ref & in_body]] = True
    of_entry = np.where(in_ref, ref_queue, np.where(in_body, body_queue, NONE))
    mine, theirs = np.flatnonzero(queue != NONE), np.flatnonzero(of_entry != NONE)
    mine = mine[np.argsort(queue[mine], kind="stable")]
    theirs = theirs[np.argsort(of_entry[theirs], kind="stable")]
    begin, end = (np.searchsorted(of_entry[theirs], queue[mine], side) for side in ("left", "right"))
    turn = begin + np.arange(len(mine)) - np.searchsorted(queue[mine], queue[mine])
    entry = theirs[np.minimum(turn, max(len(theirs) - 1, 0))]
    fits = (turn < end) & (offered.received[entry] < asked.event[mine]) & (offered.rank[entry] >= asked.oldest[mine])
    irregular[asked.process[mine[~fits]]] = True
    found[mine] = entry
    left = irregular[asked.process]
    found[left] = NONE
    return found, left


def _codes(left: list[bytes], right: list[bytes]) -> tuple[Ints, Ints]:
    """One number per distinct content over both."""
    column = pa.array([*left, *right], pa.large_binary()).dictionary_encode()
    codes = column.indices.to_numpy().astype(np.int64)
    return codes[: len(left)], codes[len(left) :]


def _spread(where: Ints, of: Ints) -> tuple[Ints, Ints]:
    """For callbacks that show the terms `where`, whose parts are `of` terms: pairs (callback, place of a part)."""
    first, end = np.searchsorted(of, where), np.searchsorted(of, where, side="right")
    counts = end - first
    frame = np.repeat(np.arange(len(where)), counts)
    return frame, np.arange(len(frame)) - np.repeat(np.cumsum(counts) - counts - first, counts)


def _there(frames: Ints, queues: Ints, having: Ints) -> tuple[Ints, Ints]:
    """Of pairs (callback, queue) those whose queue has messages, each once."""
    here = np.isin(queues, having)
    frames, queues = frames[here], queues[here]
    order = np.lexsort((queues, frames))
    frames, queues = frames[order], queues[order]
    fresh = (np.diff(frames, prepend=NONE) != 0) | (np.diff(queues, prepend=NONE) != 0)
    return frames[fresh], queues[fresh]


def one_by_one(
    callbacks: Callbacks, asked: Asked, offered: Offered, shown: AllArguments, where: Ints, chosen: Ints
) -> Ints:
    """The plain way, for some callbacks."""
    owners = np.unique(asked.process[chosen])
    theirs = np.flatnonzero(np.isin(offered.process, owners))
    theirs = theirs[np.argsort(offered.process[theirs], kind="stable")]
    having, starts = np.unique(offered.process[theirs], return_index=True)
    received, ranks = offered.received.tolist(), offered.rank.tolist()
    cut = set(np.flatnonzero(offered.cut).tolist())
    boxes = {
        owner: _Mailbox(offered.shapes, received, ranks, part.tolist(), cut)
        for owner, part in zip(having.tolist(), np.split(theirs, starts[1:]), strict=False)
    }
    columns = (column[chosen].tolist() for column in (asked.event, asked.process, asked.site, asked.cut, asked.oldest))
    taken = list[int]()
    for number, event, owner, site, cut_short, oldest in zip(where[chosen].tolist(), *columns, strict=True):
        box = boxes.get(owner)
        kinds, declared = callbacks.given[site]
        args = shown.of_call(number)
        taken.append(NONE if box is None else box.take(kinds, args, event, cut_short, declared, oldest))
    return np.array(taken, dtype=np.int64)


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
