"""Equal things known by a number: of bytes by 63 bits of them, of numbers by a table."""

from __future__ import annotations

from typing import Final

import numpy as np

from elixirscope.correlate.columns import NONE, Ints
from elixirscope.kernels import I64, Bytes, kernel

_LEFT: Final = 0x2D358DCB  # odd, below 2^30: what is multiplied stays below 2^63
_RIGHT: Final = 0x3C6EF35F
_HALF: Final = 0xFFFFFFFF
_PLACE: Final = 0x7FFFFFFFFFFFFFFF
_SPREAD: Final = 40503


@kernel
def digest(data: Bytes, start: int, end: int) -> int:
    """63 bits of the bytes from `start` to before `end`: two halves, each folded with a multiplier, 4 bytes at a time.

    Two of a million different texts fall together with a probability below 10⁻⁶, unless they were made for it.
    """
    left, right = end - start, (end - start) ^ _HALF
    at = start & _PLACE  # so the compiler knows that no place counts from the end
    while at < end:
        if at + 4 <= end:
            four = data[at] + data[at + 1] * 256 + data[at + 2] * 65536 + data[at + 3] * 16777216
            at = (at + 4) & _PLACE
        else:
            four = data[at] + 0
            at = (at + 1) & _PLACE
        left = ((left ^ four) + 1) * _LEFT
        left = (left ^ left >> 29) & _HALF
        right = ((right ^ four) + 1) * _RIGHT
        right = (right ^ right >> 31) & _HALF
    return (left & 0x7FFFFFFF) << 32 | right


@kernel
def _mixed(before: int, key: int) -> int:
    """32 bits of a number, and of as many from before."""
    both = (((before ^ key & _HALF) + (key >> 32)) & _HALF) * _LEFT
    return (both ^ both >> 29) & _HALF


@kernel
def _number(left: I64, middle: I64, right: I64, slots: I64, codes: I64, firsts: I64) -> int:
    count, mask = 0, len(slots) - 1
    for place in range(len(left)):
        one, two, three = left[place], middle[place], right[place]
        slot = _mixed(_mixed(_mixed(0, one), two), three) & mask
        while slots[slot] >= 0:
            first = firsts[slots[slot]]
            if left[first] == one and middle[first] == two and right[first] == three:
                break
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = count
            firsts[count] = place
            count += 1
        codes[place] = slots[slot]
    return count


def numbered(*keys: Ints) -> tuple[Ints, Ints]:
    """For each key, of one to three parts, a number, the same for equal ones, in order of first appearance; and where
    each appears first."""
    size = len(keys[0])
    codes, firsts = np.empty(size, np.int64), np.empty(size, np.int64)
    left, middle, right = (keys * 3)[:3]
    count = _number(left, middle, right, table_for(size), codes, firsts)
    return codes, firsts[:count]


class Numbers:
    """A set of numbers that grows."""

    def __init__(self) -> None:
        self._keys, self._slots, self._count = np.empty(0, np.int64), table_for(0), 0

    def add(self, keys: Ints) -> None:
        """Have these in it."""
        most = self._count + len(keys)
        if most > len(self._keys):
            before = self._keys[: self._count]
            self._keys, self._slots = np.empty(2 * most, np.int64), table_for(2 * most)
            _add(before, self._slots, self._keys, 0)
        self._count = _add(keys, self._slots, self._keys, self._count)

    def __len__(self) -> int:
        return self._count

    def since(self, count: int) -> Ints:
        """Those in it that are not among its first `count`, in the order in which they came."""
        return self._keys[count : self._count]


@kernel
def _add(keys: I64, slots: I64, known: I64, count: int) -> int:
    """Add keys to the `count` that are known. Gives how many are then."""
    mask = len(slots) - 1
    for place in range(len(keys)):
        key = keys[place]
        slot = ((key & _HALF) + (key >> 32) * _SPREAD) & mask
        while slots[slot] >= 0 and known[slots[slot]] != key:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = count
            known[count] = key
            count += 1
    return count


def table_for(count: int) -> Ints:
    """An empty table with room for so many: its length is a power of two, and NONE is a free place."""
    return np.full(1 << max(2 * count, 2).bit_length(), NONE)
