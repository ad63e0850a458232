"""Many short parts of mapped files at once: told by their places, read, digested or copied where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from elixirscope.errors import NotFoundError
from elixirscope.kernels import I64, U8, Bytes, kernel
from elixirscope.recording import xxh3
from elixirscope.recording.instructions import copy_bytes

Numbers = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

_WORK: Final = 64
"""Bytes that count for one element when it is asked whether a kernel is worth compiling."""


class Slices:
    """Places in mapped files, read when asked for: rows of (file, start, length). `ids`: the ids of the values there,
    in order; None when they are all from 0."""

    def __init__(self, buffers: list[memoryview], places: Numbers, ids: Numbers | None = None) -> None:
        self.buffers = buffers
        self.places = places
        self._ids = ids

    @classmethod
    def of_values(cls, values: Sequence[bytes | memoryview]) -> Slices:
        """Values that are not in files."""
        sizes = np.array([len(value) for value in values], np.int64)
        places = np.stack([np.zeros(len(sizes), np.int64), np.cumsum(sizes) - sizes, sizes], axis=1)
        return cls([memoryview(b"".join(values))], places)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, value_id: int) -> memoryview:
        count = len(self) if self._ids is None else int(self._ids[-1]) + 1 if len(self._ids) else 0
        if not 0 <= value_id < count:
            raise no_value(value_id, count)
        file, start, size = self.of(np.array([value_id]))[0].tolist()
        part: memoryview = self.buffers[file][start : start + size]
        return part

    def of(self, ids: Numbers) -> Numbers:
        """The places of values."""
        return self.places[ids if self._ids is None else np.searchsorted(self._ids, ids)]


def no_value(value_id: int, count: int) -> NotFoundError:
    """The error for an id that none of `count` values has."""
    return NotFoundError(f"there is no value {value_id}", f"values are numbered from 0 to {count - 1}")


def digests(buffers: list[memoryview], places: Numbers) -> npt.NDArray[np.uint64]:
    """The XXH3-128 of each place, none of which is empty: its lower half, then its upper half."""
    found = np.empty(2 * len(places), np.uint64)
    starts, sizes = np.ascontiguousarray(places[:, 1]), np.ascontiguousarray(places[:, 2])
    if xxh3.digests.is_due(int(sizes.sum()) // _WORK):
        for file, chosen in by_file(buffers, places):
            xxh3.digests(chosen, np.frombuffer(buffers[file], np.uint8), starts, sizes, xxh3.SECRET, found)
        return found
    each = zip(places[:, 0].tolist(), starts.tolist(), sizes.tolist(), strict=True)
    joined = b"".join([xxh3_128_digest(buffers[file][at : at + size]) for file, at, size in each])
    found.reshape(-1, 2)[:, ::-1] = np.frombuffer(joined, ">u8").reshape(-1, 2)
    return found


def copy(buffers: list[memoryview], places: Numbers, into: Octets) -> None:
    """What is at these places, one after the other, into the beginning of `into`."""
    starts, sizes = np.ascontiguousarray(places[:, 1]), np.ascontiguousarray(places[:, 2])
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    if _copy.is_due(total // _WORK):
        if total > len(into):
            raise IndexError(f"{total} bytes do not fit into {len(into)}")
        for file, chosen in by_file(buffers, places):
            _copy(chosen, np.frombuffer(buffers[file], np.uint8), starts, sizes, ends, into)
        return
    each = zip(places[:, 0].tolist(), starts.tolist(), sizes.tolist(), strict=True)
    into[:total] = np.frombuffer(b"".join([buffers[file][at : at + size] for file, at, size in each]), np.uint8)


def by_file(buffers: list[memoryview], places: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Each file that is there, and which of the places are in it. They are within it: kernels do not look."""
    order = np.argsort(places[:, 0].astype(np.uint16), kind="stable")  # few bits sort much faster
    files = places[order, 0]
    limits = np.array([len(buffer) for buffer in buffers], np.int64)[files]
    starts, sizes = places[order, 1], places[order, 2]
    if ((starts < 0) | (sizes < 0) | (starts + sizes > limits)).any():
        raise IndexError("a value lies outside of its file")
    bounds = [*np.flatnonzero(np.diff(files, prepend=-1)).tolist(), len(files)]
    for first, last in pairwise(bounds):
        yield int(files[first]), order[first:last]


@kernel
def _copy(chosen: I64, data: Bytes, starts: I64, sizes: I64, ends: I64, into: U8) -> None:
    """The parts of `data` that were chosen, each to where it ends."""
    for number in range(len(chosen)):
        place = chosen[number]
        copy_bytes(into, ends[place] - sizes[place], data, starts[place], sizes[place])
