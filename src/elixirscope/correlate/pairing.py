"""Pairing two event streams on equal keys, in order: each effect with the oldest cause that is still without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.correlate.columns import NONE, Ints
from elixirscope.correlate.digests import numbered
from elixirscope.kernels import I64, Bits, kernel
from elixirscope.recording.log import Log

Mask = npt.NDArray[np.bool_]

WAIT: Final = 10_000_000_000
"""ns that a cause waits for its effect: signals within a machine take microseconds."""

REASONS: Final = (
    None,
    "an equal message was received shortly before without its send being recorded",
    "the receive does not say who sent the message; paired by content",
    "the send does not say whose alias it went to; paired by content",
    "events were lost, and nothing in the message tells it from an equal one",
)
_CERTAIN, UNEVEN, NO_SENDER, NO_RECEIVER, LOST = range(len(REASONS))


class Pairs(NamedTuple):
    """Positions in causes and effects, in parallel; `crowded`: another cause of the key was on its way meanwhile."""

    cause: Ints
    effect: Ints
    crowded: Mask


def pair(causes: Sequence[Ints], effects: Sequence[Ints], cause_at: Ints, effect_at: Ints) -> Pairs:
    """Pairs events with the same key.

    Both sides are in time order; a key is given as parallel columns. Within a key, each effect in turn takes the oldest
    cause before it that is not taken and not older than `WAIT`; where there is none, it stays alone.
    """
    codes, other, kinds = _codes(causes, effects)
    effect, crowded = np.full(len(codes), NONE), np.zeros(len(codes), dtype=bool)
    follower, first = np.empty(len(codes), np.int64), np.full(kinds, NONE)
    _pair(
        codes, other, np.ascontiguousarray(cause_at), np.ascontiguousarray(effect_at), follower, first, effect, crowded
    )
    cause = np.flatnonzero(effect != NONE)
    return Pairs(cause, effect[cause], crowded)


@kernel
def _pair(
    cause_key: I64,
    effect_key: I64,
    cause_at: I64,
    effect_at: I64,
    follower: I64,
    first: I64,
    effect: I64,
    crowded: Bits,
) -> None:
    """Find for each cause its effect. `first` of each key and of each cause the `follower` with its key are a queue."""
    for cause in range(len(cause_key) - 1, -1, -1):
        follower[cause] = first[cause_key[cause]]
        first[cause_key[cause]] = cause
    for each in range(len(effect_key)):
        key, time = effect_key[each], effect_at[each]
        while first[key] >= 0 and cause_at[first[key]] < time - WAIT:
            first[key] = follower[first[key]]
        if first[key] >= 0 and cause_at[first[key]] <= time:
            effect[first[key]] = each
            first[key] = follower[first[key]]
    for cause in range(len(cause_key)):
        after = follower[cause]
        near = after >= 0 and cause_at[after] - cause_at[cause] <= WAIT
        if near and (effect[cause] < 0 or cause_at[after] < effect_at[effect[cause]]):
            crowded[cause] = crowded[after] = True


def _codes(left: Sequence[Ints], right: Sequence[Ints]) -> tuple[Ints, Ints, int]:
    """One number per distinct key over both sides; and how many there are."""
    size = len(left[0])
    codes, firsts = numbered(*(np.concatenate(both, dtype=np.int64) for both in zip(left, right, strict=True)))
    return codes[:size], codes[size:], len(firsts)


@dataclass
class Sends:
    """Sends in order of event, in parallel arrays."""

    process: Ints
    peer: Ints
    ref: Ints
    at: Ints
    nowhere: Mask  # to a name that nobody had
    crowded: Mask  # known to have been on its way together with an equal one


class Received(NamedTuple):
    """`receive`: per send the index of its receive or -1, and `reason`: why that is not certain, an index into
    `REASONS`. `strays`: receives
    without a send, as (sender, receiver, hash, time)."""

    receive: Ints
    reason: Ints
    crowded: Mask
    strays: Ints


def pair_all(log: Log, sends: Sends, receives: Ints, strays: Ints) -> Received:
    """Sends with receives (places in the log). `strays`: those of earlier slices.

    On sender, receiver and hash; where the receive names no sender, on receiver and hash; where the send went to an
    alias, on sender and hash. What a receive takes depends on nothing that comes after it.
    """
    partner = np.full(len(sends.at), NONE)
    why = np.zeros(len(sends.at), np.int64)
    crowded = sends.crowded.copy()
    taken = np.zeros(len(receives), dtype=bool)
    receiver, sender, at, ref = (
        log.column(name)[receives].astype(np.int64, copy=False) for name in ("process", "peer", "at", "ref")
    )
    sent_to, came_from = (sends.peer != NONE) & ~sends.nowhere, sender != NONE

    def join(s: Ints, r: Ints, by_sender: bool, by_receiver: bool) -> Ints:
        """Pair the sends `s` with the receives `r` on the hash and the ends that are known. Gives those that were."""
        none_s, none_r = np.zeros(len(s), dtype=np.int64), np.zeros(len(r), dtype=np.int64)
        keys_s = (sends.process[s] if by_sender else none_s, sends.peer[s] if by_receiver else none_s, sends.ref[s])
        keys_r = (sender[r] if by_sender else none_r, receiver[r] if by_receiver else none_r, ref[r])
        pairs = pair(keys_s, keys_r, sends.at[s], at[r])
        crowded[s] |= pairs.crowded
        partner[s[pairs.cause]], taken[r[pairs.effect]] = r[pairs.effect], True
        return s[pairs.cause]

    plain_s, plain_r = np.flatnonzero(sent_to), np.flatnonzero(came_from)
    nameless = np.flatnonzero(~came_from)
    if len(nameless) and len(plain_s):
        codes, other, _ = _codes((sends.peer[plain_s], sends.ref[plain_s]), (receiver, ref))
        blind = np.unique(other[nameless])
        both = np.intersect1d(blind, other[came_from])
        mixed_s, mixed_r = np.isin(codes, both), np.isin(other, both)
        _in_turn(
            sends, plain_s[mixed_s], np.flatnonzero(mixed_r), (codes[mixed_s], other[mixed_r]), sender, at, partner
        )
        taken[partner[partner != NONE]] = True
        paired = plain_s[mixed_s & (partner[plain_s] != NONE)]
        why[paired[sender[partner[paired]] == NONE]] = NO_SENDER
        alone = np.isin(codes, blind) & ~mixed_s
        why[join(plain_s[alone], np.flatnonzero(np.isin(other, blind) & ~mixed_r), False, True)] = NO_SENDER
        plain_s, plain_r = plain_s[~(alone | mixed_s)], np.flatnonzero(came_from & ~mixed_r)
    join(plain_s, plain_r, True, True)
    # To an alias: the send names no process, but its reference makes the message unlike any other.
    alias = np.flatnonzero((sends.peer == NONE) & ~sends.nowhere)
    if len(alias):
        paired = join(alias, np.flatnonzero(came_from & ~taken), True, False)
        why[paired[crowded[paired]]] = NO_RECEIVER
    left = np.flatnonzero(came_from & ~taken)
    fresh = np.stack([sender[left], receiver[left], ref[left], at[left]], axis=1)
    strays = np.concatenate([strays, fresh])
    paired = np.flatnonzero((partner != NONE) & sent_to & (why == _CERTAIN))
    after = _after_strays(strays, sends, paired, at[partner[paired]])
    why[paired[after]] = UNEVEN
    return Received(partner, why, crowded, strays)


def _in_turn(sends: Sends, s: Ints, r: Ints, codes: tuple[Ints, Ints], sender: Ints, at: Ints, partner: Ints) -> None:
    """The plain way, for messages of which some receives name their sender and some do not."""
    waiting: dict[int, list[int]] = {}
    for number, code in zip(s.tolist(), codes[0].tolist(), strict=True):
        waiting.setdefault(code, []).append(number)
    for number, code in zip(r.tolist(), codes[1].tolist(), strict=True):
        who, time = int(sender[number]), int(at[number])
        for send in waiting.get(code, ()):
            fits = who in (NONE, sends.process[send]) and time - WAIT <= sends.at[send] <= time
            if fits:
                partner[send] = number
                waiting[code].remove(send)
                break


def _after_strays(strays: Ints, sends: Sends, paired: Ints, received_at: Ints) -> Mask:
    """Of paired sends, those whose receive came within `WAIT` after a stray of the same key."""
    if not len(strays) or not len(paired):
        return np.zeros(len(paired), dtype=bool)
    keys = (sends.process[paired], sends.peer[paired], sends.ref[paired])
    codes, other, _ = _codes(keys, tuple(strays[:, column] for column in range(3)))
    code, time = np.concatenate([codes, other]), np.concatenate([received_at, strays[:, 3]])
    stray = np.arange(len(code)) >= len(codes)
    order = np.lexsort((~stray, time, code))
    last = np.maximum.accumulate(np.where(stray[order], np.arange(len(order)), NONE))
    before = np.where(last == NONE, 0, order[np.maximum(last, 0)])
    hit = (last != NONE) & (code[before] == code[order]) & (time[order] - time[before] <= WAIT)
    found = np.empty(len(order), dtype=bool)
    found[order] = hit
    return found[: len(codes)]
