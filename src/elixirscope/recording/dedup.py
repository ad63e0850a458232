"""Each distinct value once: ids in order of first appearance. Equal are values of which 96 bits of XXH3-128 are."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.kernels import I32, I64, kernel
from elixirscope.recording.instructions import soon
from elixirscope.recording.slices import Slices
from elixirscope.recording.values import RawValues

_LEAST: Final = 1 << 10
_NUMBER: Final = (1 << 31) - 1
_HALF: Final = (1 << 32) - 1
_AHEAD: Final = 16  # events whose values' places in the table are on their way from memory

Numbers = npt.NDArray[np.int64]


class Found(NamedTuple):
    """What is known of the values of events, a row for each."""

    places: Numbers  # number of a buffer, and where in it the value starts and how long it is; 0 for none
    digests: npt.NDArray[np.uint64]  # as `slices.digests` gives them, two to a row

    @classmethod
    def empty(cls, count: int) -> Found:
        """So many rows to be filled."""
        return cls(np.empty((count, 3), np.int64), np.empty((count, 2), np.uint64))


class Dedup:
    """Gives values their ids, slice by slice. Of the values of earlier slices it keeps what `ValueIndex` does."""

    def __init__(self, events: int = 0) -> None:
        """`events`: as many as there will be, where that is known."""
        self._index = ValueIndex(events)

    def take(self, value: Numbers, found: Found, buffers: list[memoryview]) -> RawValues:
        """Set `value` of every row of the next slice to its value's id (-1: none), and give the values of the slice,
        which lie in `buffers`."""
        known, places = self._index.count, found.places
        firsts = self._index.number(found.digests.ravel(), places, value)
        ids = value[firsts]
        fresh = ids >= known
        before = firsts[~fresh]
        order = np.concatenate([before[np.argsort(ids[~fresh])], firsts[fresh]])  # fresh ids ascend
        numbers = value[order] if known else None
        return RawValues(Slices(buffers, places[order], numbers), fresh=np.arange(known, self._index.count))


class ValueIndex:
    """Ids of values by 96 bits of their digest, in one table: 24 to 48 bytes for each.

    Two different values among 10⁹ fall together with a probability below 10⁻¹¹.
    """

    def __init__(self, places: int = 0) -> None:
        """`places`: as many as will be asked for in all, where that is known."""
        self.count = 0
        self._places = places
        self._numbered = 0
        self._calls = 0
        self._table = np.zeros(2 * _LEAST, np.int64)  # upper half of a digest; 32 bits of its lower half, and id + 1
        self._met = np.zeros(_LEAST, np.int32)  # at which call each id was met last

    def number(self, digests: npt.NDArray[np.uint64], places: Numbers, value: Numbers) -> Numbers:
        """Set `value` of each place to the id of the value there, -1 where it is empty; those not seen before are given
        the next ids, in order. Gives where each of these ids is for the first time. digests: as `slices.digests`."""
        self._calls += 1
        halves, flat = digests.view(np.int64), np.ascontiguousarray(places).ravel()
        firsts = np.empty(len(value), np.int64)
        state = np.array([self.count, 0, 0])
        while _find(halves, flat, self._table, self._met, self._calls, value, firsts, state) < len(value):
            self._grow(int(state[0]), self._numbered + int(state[2]))
        self.count = int(state[0])
        self._numbered += len(value)
        return firsts[: state[1]].copy()

    def _grow(self, count: int, numbered: int) -> None:
        """Make room for as many values as are to be expected, after `count` in so many places; within bounds, for the
        first places may be unlike the others."""
        slots, expected = len(self._table) // 2, count * self._places // numbered
        slots = max(2 * slots, min(8 * slots, 1 << (3 * expected // 2).bit_length()))
        grown = np.zeros(2 * slots, np.int64)
        _move(self._table, grown)
        self._table = grown
        self._met = np.append(self._met, np.zeros(slots - len(self._met), np.int32))


@kernel
def _find(digests: I64, places: I64, table: I64, met: I32, call: int, numbers: I64, firsts: I64, state: I64) -> int:
    """Number values from `state[2]` on, until the table is two thirds full. Gives how many have their number.

    state: how many ids there are, how many of them this call has met, how many values it has numbered.
    """
    last = len(table) // 2 - 1
    count, found, place = state[0], state[1], state[2]
    while place < len(numbers) and 3 * count <= 2 * last:
        ahead = place + _AHEAD if place + _AHEAD < len(numbers) else place
        if places[3 * ahead + 2] != 0:
            soon(table, 2 * (digests[2 * ahead + 1] & last))
        if places[3 * place + 2] == 0:
            numbers[place] = -1
            place += 1
            continue
        high, low = digests[2 * place + 1], digests[2 * place] & _HALF
        slot = high & last
        while table[2 * slot + 1] != 0 and (table[2 * slot] != high or table[2 * slot + 1] >> 31 != low):
            slot = (slot + 1) & last
        if table[2 * slot + 1] == 0:
            count += 1
            table[2 * slot] = high
            table[2 * slot + 1] = low << 31 | count
        number = (table[2 * slot + 1] & _NUMBER) - 1
        numbers[place] = number
        if met[number] != call:
            met[number] = call
            firsts[found] = place
            found += 1
        place += 1
    state[0], state[1], state[2] = count, found, place
    return place


@kernel
def _move(table: I64, grown: I64) -> None:
    """Put what a table holds into a larger one."""
    last = len(grown) // 2 - 1
    for old in range(len(table) // 2):
        if table[2 * old + 1] != 0:
            slot = table[2 * old] & last
            while grown[2 * slot + 1] != 0:
                slot = (slot + 1) & last
            grown[2 * slot] = table[2 * old]
            grown[2 * slot + 1] = table[2 * old + 1]
