"""Rows by a key, for tables larger than memory: stable counting sorts that go through a column in parts.

What comes out is two arrays: row numbers by group, and where each group starts. Groups are keys, or runs of 2^shift
keys where keys are as many as events: then a group holds a few rows, which are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.recording.arrays import Allocate

PART: Final = 1 << 20  # rows in memory at once
_ROWS_PER_GROUP: Final = 16


class Groups:
    """Row numbers by the value of an integer column; rows without a value (-1) are in none."""

    def __init__(self, keys: NDArray[Any], order: NDArray[Any], starts: NDArray[Any], shift: int) -> None:
        self._keys, self._order, self._starts, self._shift = keys, order, starts, shift

    def rows(self, key: int) -> NDArray[Any]:
        """The rows with `key`, ascending; of whatever unsigned type holds them."""
        group = key >> self._shift
        if key < 0 or group >= len(self._starts) - 1:
            return self._order[:0]
        rows = self._order[int(self._starts[group]) : int(self._starts[group + 1])]
        return rows if self._shift == 0 else rows[self._keys[rows] == key]


class Chosen:
    """A column of keys in which rows that are not wanted have none, worked out part by part."""

    def __init__(self, keys: NDArray[Any], wanted: Callable[[slice], NDArray[np.bool_]]) -> None:
        self._keys, self._wanted = keys, wanted

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, part: slice) -> NDArray[Any]:
        return np.where(self._wanted(part), self._keys[part], -1)


def parts(length: int) -> Iterator[slice]:
    """Slices that together cover `length` rows."""
    return (slice(start, min(start + PART, length)) for start in range(0, length, PART))


def number_type(length: int) -> type[np.unsignedinteger[Any]]:
    """What holds row numbers of a table."""
    return np.uint32 if length < 2**32 else np.uint64


def group(
    keys: NDArray[Any] | Chosen, groups: int, allocate: Allocate, *, shift: int = 0, through: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(row numbers by `keys` >> `shift`, where each of `groups` starts). Rows of a group keep their order: that of the
    table, or that of `through`, the row numbers to sort; `keys` are always by row of the table."""
    length = len(keys) if through is None else len(through)
    counts = np.zeros(groups, np.int64)
    for part in parts(length):
        found = _keys(keys, part, through, shift)
        counts += np.bincount(found[found >= 0], minlength=groups)
    starts = np.zeros(groups + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    order, cursor = allocate(int(starts[-1]), number_type(len(keys))), starts[:-1].copy()
    for part in parts(length):
        found = _keys(keys, part, through, shift)
        known = np.flatnonzero(found >= 0)
        ascending = in_order(found[known])
        rows, sorted_keys = known[ascending], found[known][ascending]
        if not len(rows):
            continue
        begin = np.flatnonzero(np.append(True, np.diff(sorted_keys) != 0))
        sizes = np.diff(np.append(begin, len(rows)))
        ranks = np.arange(len(rows)) - np.repeat(begin, sizes)
        order[cursor[sorted_keys] + ranks] = rows + part.start if through is None else through[part][rows]
        cursor[sorted_keys[begin]] += sizes
    return order, starts


class Grouped(NamedTuple):
    """What `group` made of the first `rows` rows of a column."""

    order: NDArray[Any]
    starts: NDArray[np.int64]
    rows: int
    shift: int


def regroup(before: Grouped, keys: NDArray[Any] | Chosen, groups: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """What `group` makes of `keys`, which have grown since: only what is new is sorted."""
    fresh, fresh_starts = group(_Rest(keys, before.rows), groups, np.empty, shift=before.shift)
    missing = np.full(groups + 1 - len(before.starts), before.starts[-1])
    old, new = np.diff(before.starts, append=missing), np.diff(fresh_starts)
    starts = np.zeros(groups + 1, np.int64)
    np.cumsum(old + new, out=starts[1:])
    places = np.arange(len(fresh)) + np.repeat(starts[:-1] + old - fresh_starts[:-1], new)
    there = np.ones(int(starts[-1]), np.bool_)
    there[places] = False
    order = np.empty(len(there), number_type(len(keys)))
    order[there] = before.order
    order[places] = fresh + before.rows
    return order, starts


class _Rest(Chosen):
    """The keys from row `first` on."""

    def __init__(self, keys: NDArray[Any] | Chosen, first: int) -> None:
        self._all, self._first = keys, first

    def __len__(self) -> int:
        return len(self._all) - self._first

    def __getitem__(self, part: slice) -> NDArray[Any]:
        found: NDArray[Any] = self._all[slice(part.start + self._first, part.stop + self._first)]
        return found


def shift_of(keys: NDArray[Any]) -> tuple[int, int]:
    """How `Groups` divides any column: (shift, groups)."""
    highest = max((int(keys[part].max(initial=-1)) for part in parts(len(keys))), default=-1)
    shift = 0
    while (highest >> shift) > max(len(keys) // _ROWS_PER_GROUP, 1 << 16):
        shift += 1
    return shift, (highest >> shift) + 1


def ascends(keys: NDArray[Any]) -> bool:
    """Whether a column is in order and has no -1 (null)."""
    last = 0
    for part in parts(len(keys)):
        found = keys[part]
        if int(found[0]) < last or (found[1:] < found[:-1]).any():
            return False
        last = int(found[-1])
    return True


def in_order(keys: NDArray[Any]) -> NDArray[np.int64]:
    """The stable order of `keys`. Small numbers fit 16 bits, which sort many times faster."""
    if len(keys):
        lowest, highest = int(keys.min()), int(keys.max())
        if highest - lowest < 2**16:
            return np.argsort((keys - lowest).astype(np.uint16), kind="stable")
    return np.argsort(keys, kind="stable")


def _keys(keys: NDArray[Any] | Chosen, part: slice, through: NDArray[Any] | None, shift: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = keys[part if through is None else through[part]].astype(np.int64)  # type: ignore[index]
    return found >> shift if shift else found  # -1 stays -1
