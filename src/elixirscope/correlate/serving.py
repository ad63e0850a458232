"""Which waiting message each callback handles: by reference, by equal content, or the oldest that fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.correlate.columns import NONE, Ints
from elixirscope.correlate.digests import table_for
from elixirscope.correlate.shapes import CALL, KINDS, arguments, arities
from elixirscope.kernels import I64, Bits, kernel
from elixirscope.recording.log import Site
from elixirscope.recording.values import RawValues

Mask = npt.NDArray[np.bool_]

# callback → the kinds of message it is given
_GIVEN = {
    "handle_call": ("call",),
    "handle_cast": ("cast",),
    "handle_info": ("info", "down", "exit", "timer", "reply", "io", "system"),
    "handle_event": ("call", "cast", "info", "down", "exit", "timer", "reply"),
}
_KINDS: Final = len(KINDS)


class Callbacks:
    """The sites that are callbacks, and what each is given."""

    def __init__(self, sites: dict[int, Site], size: int | None = None) -> None:
        size = max(sites, default=0) + 1 if size is None else size
        self.kinds = np.zeros(size, np.int64)  # per site the bits of the kinds; 0: no callback
        self.declared = np.zeros(size, dtype=bool)
        for number, site in sites.items():
            if (told := _given(site)) is not None:
                kinds, self.declared[number] = told
                self.kinds[number] = sum(1 << KINDS.index(kind) for kind in kinds)


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


class Given(NamedTuple):
    """The digests of what callbacks were called with: so `many` arguments of each, in `parts` from `first` on, and two
    `references` that the first two of them carry (0: none)."""

    first: Ints
    many: Ints
    parts: Ints
    references: Ints


@dataclass
class Asked:
    """The callbacks that ran, in order of event, in parallel arrays."""

    process: Ints
    event: Ints
    site: Ints
    given: Given  # its arguments
    cut: Mask  # the arguments were cut to their budget
    oldest: Ints  # rank of the oldest message that it may handle


@dataclass
class Offered:
    """The messages that wait, in order of arrival, in parallel arrays."""

    process: Ints
    received: Ints  # event
    rank: Ints
    cut: Mask  # the content was cut to its budget
    kind: Ints  # index into KINDS
    reference: Ints  # digests, 0 for none
    body: Ints


def digested(values: RawValues, ids: Ints) -> Given:
    """The arguments of callbacks, by their values (-1: not recorded)."""
    count = np.zeros(len(ids), np.int64)
    data, there, start, end = values.located(ids)
    arities(there, data, start, end, count)
    first = np.cumsum(count) - count
    parts, references = np.zeros(int(count.sum()), np.int64), np.zeros(2 * len(count), np.int64)
    arguments.expect(int((end - start).sum()) // 4)
    arguments(there, data, start, end, first, count, parts, references)
    return Given(first, count, parts, references)


def serve(callbacks: Callbacks, asked: Asked, offered: Offered) -> Ints:
    """For each callback the message that it handles, or -1."""
    found, entries = np.empty(len(asked.event), np.int64), len(offered.received)
    processes = 1 + int(max(asked.process.max(initial=0), offered.process.max(initial=0)))
    _serve(
        offered.process,
        offered.received,
        offered.rank,
        offered.cut,
        offered.kind,
        offered.reference.copy(),
        offered.body.copy(),
        table_for(entries),
        table_for(entries),
        *_links(entries, entries),
        *_links(entries, entries),
        *_links(_KINDS * processes, entries),
        np.zeros(entries, dtype=bool),
        asked.process,
        asked.event,
        callbacks.kinds[asked.site],
        callbacks.declared[asked.site],
        asked.cut,
        asked.oldest,
        *asked.given,
        found,
    )
    return found


def _links(queues: int, messages: int) -> tuple[Ints, Ints, Ints]:
    """Of so many empty queues the heads and tails, and of each message the next one."""
    return np.full(queues, NONE), np.full(queues, NONE), np.full(messages, NONE)


@kernel
def _serve(
    process: I64,
    received: I64,
    rank: I64,
    cut: Bits,
    kind: I64,
    reference: I64,
    body: I64,
    by_reference: I64,
    by_body: I64,
    head_reference: I64,
    tail_reference: I64,
    next_reference: I64,
    head_body: I64,
    tail_body: I64,
    next_body: I64,
    head_kind: I64,
    tail_kind: I64,
    next_kind: I64,
    taken: Bits,
    owner: I64,
    event: I64,
    kinds: I64,
    declared: Bits,
    short: Bits,
    oldest: I64,
    first: I64,
    count: I64,
    parts: I64,
    references: I64,
    found: I64,
) -> None:
    """Let each callback take its message. Every message stands in up to three queues: of calls to its process with its
    reference, of messages of its kind and content, and of all of its kind. A queue of the first two sorts is named by
    its first message, which a table finds by a key that takes the digest's place; `head`, `tail` and `next` are links.

    What is only named like a callback must show the very content; order alone does not make it one.
    """
    for message in range(len(process)):
        who, sort = process[message], kind[message]
        reference[message] = _key(who, CALL, reference[message]) if sort == CALL and reference[message] != 0 else -1
        if reference[message] >= 0:
            slot = _slot(by_reference, reference, reference[message])
            if by_reference[slot] < 0:
                by_reference[slot] = message
            _enter(by_reference[slot], message, head_reference, tail_reference, next_reference)
        body[message] = _key(who, sort, body[message])
        slot = _slot(by_body, body, body[message])
        if by_body[slot] < 0:
            by_body[slot] = message
        _enter(by_body[slot], message, head_body, tail_body, next_body)
        _enter(who * _KINDS + sort, message, head_kind, tail_kind, next_kind)
    for each in range(len(owner)):
        who, best = owner[each], -1
        if kinds[each] & 1 << CALL and count[each] > 0:
            for place in range(2):
                wanted = references[2 * each + place]
                if wanted != 0:
                    queue = by_reference[_slot(by_reference, reference, _key(who, CALL, wanted))]
                    best = _older(
                        best, queue, head_reference, next_reference, taken, rank, received, oldest[each], event[each]
                    )
        if best < 0:
            for place in range(count[each]):
                for sort in range(_KINDS):
                    if kinds[each] & 1 << sort and head_kind[who * _KINDS + sort] >= 0:
                        wanted = parts[first[each] + place]
                        queue = by_body[_slot(by_body, body, _key(who, sort, wanted))]
                        best = _older(
                            best, queue, head_body, next_body, taken, rank, received, oldest[each], event[each]
                        )
        if best < 0 and declared[each]:
            for sort in range(_KINDS):
                if kinds[each] & 1 << sort:
                    queue = who * _KINDS + sort
                    best = _older(best, queue, head_kind, next_kind, taken, rank, received, oldest[each], event[each])
            if best >= 0 and not (short[each] or count[each] == 0 or cut[best]):
                best = -1
        if best >= 0:
            taken[best] = True
        found[each] = best


@kernel
def _key(who: int, sort: int, content: int) -> int:
    """A number of a process, a kind and a digest: as good as the digest itself."""
    return content ^ ((who * _KINDS + sort) * 0x9E3779B1 & 0x7FFFFFFFFFFFFFFF)


@kernel
def _slot(slots: I64, keys: I64, wanted: int) -> int:
    """The place in a table where the queue of the messages with this key is, or would be."""
    mask = len(slots) - 1
    slot = ((wanted & 0xFFFFFFFF) + (wanted >> 32) * 31) & mask
    while slots[slot] >= 0 and keys[slots[slot]] != wanted:
        slot = (slot + 1) & mask
    return slot


@kernel
def _enter(queue: int, message: int, head: I64, tail: I64, after: I64) -> None:
    if head[queue] < 0:
        head[queue] = message
    else:
        after[tail[queue]] = message
    tail[queue] = message


@kernel
def _older(
    best: int,
    queue: int,
    head: I64,
    after: I64,
    taken: Bits,
    rank: I64,
    received: I64,
    oldest: int,
    before: int,
) -> int:
    """The first in a queue (-1: there is none) that may be taken, if it came before an event and before `best`."""
    if queue < 0:
        return best
    while head[queue] >= 0 and (taken[head[queue]] or rank[head[queue]] < oldest):
        head[queue] = after[head[queue]]
    first = head[queue]
    if first >= 0 and received[first] < before and (best < 0 or received[first] < received[best]):
        return first
    return best
