"""Many short parts of mapped files at once: told by their places, read, digested or copied where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
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
        """The places of values, which are there."""
        if self._ids is None or not len(ids):
            return self.places[ids]
        # Most are new ones, whose ids follow each other up to the last
        found = np.maximum(ids - (int(self._ids[-1]) + 1 - len(self._ids)), 0)
        older = np.flatnonzero(self._ids[found] != ids)
        found[older] = np.searchsorted(self._ids, ids[older])
        return self.places[found]

    def located(self, ids: Numbers) -> tuple[Octets, Numbers, Numbers]:
        """The memory in which values lie, which are there, and where in it they start and end. They are within their
        files: kernels do not look. It is there as long as the buffers are."""
        start, end = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
        if not self.places[:, 2].any():
            return np.empty(0, np.uint8), start, end
        data, begins, limits = self._spanned
        if _locate.is_due(len(ids)):
            known = np.empty(0, np.int64) if self._ids is None else self._ids
            _within(_locate(np.ascontiguousarray(ids), known, self.places.ravel(), begins, limits, start, end))
            return data, start, end
        file, first, size = self.of(ids).T
        _within(not ((first < 0) | (size < 0) | (first + size > limits[file])).any())
        start = begins[file] + first
        return data, start, start + size

    def copy(self, places: Numbers, into: Octets) -> None:
        """What is at these places, one after the other, into the beginning of `into`."""
        total = int(places[:, 2].sum())
        if total and _copy.is_due(total // _WORK):
            if total > len(into):
                raise IndexError(f"{total} bytes do not fit into {len(into)}")
            _within(_copy(np.ascontiguousarray(places).ravel(), *self._spanned, into))
            return
        each = zip(*places.T.tolist(), strict=True)
        joined = b"".join([self.buffers[file][at : at + size] for file, at, size in each])
        into[:total] = np.frombuffer(joined, np.uint8)

    @cached_property
    def _spanned(self) -> tuple[Octets, Numbers, Numbers]:
        return _spanned(self.buffers)

    def between(self, first: int, last: int) -> Numbers:
        """The places of the values from one to another, which are all there."""
        start = first if self._ids is None else int(np.searchsorted(self._ids, first))
        return self.places[start : start + last + 1 - first]


def no_value(value_id: int, count: int) -> NotFoundError:
    """The error for an id that none of `count` values has."""
    return NotFoundError(f"there is no value {value_id}", f"values are numbered from 0 to {count - 1}")


def digests(buffers: list[memoryview], places: Numbers) -> npt.NDArray[np.uint64]:
    """The XXH3-128 of each place: its lower half, then its upper half. Of an empty one, whatever is there."""
    found = np.empty(2 * len(places), np.uint64)
    sizes = places[:, 2]
    if (total := int(sizes.sum())) and xxh3.digests.is_due(total // _WORK):
        flat = np.ascontiguousarray(places).ravel()
        _within(xxh3.digests(flat, *_spanned(buffers), xxh3.SECRET, np.empty(8, np.uint64), found))
        return found
    there = np.flatnonzero(sizes)
    each = zip(*places[there].T.tolist(), strict=True)
    joined = b"".join([xxh3_128_digest(buffers[file][at : at + size]) for file, at, size in each])
    found.reshape(-1, 2)[there, ::-1] = np.frombuffer(joined, ">u8").reshape(-1, 2)
    return found


class _Memory:
    """Bytes from an address on, for NumPy."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": (size,), "data": (address, True)}


def _spanned(buffers: list[memoryview]) -> tuple[Octets, Numbers, Numbers]:
    """All of the memory from the first of these buffers to the last as one array, so that a kernel can go from one to
    the other; where in it each begins; and how long it is. What lies between must not be touched. Not all are empty."""
    sizes = np.array([len(buffer) for buffer in buffers], np.int64)
    starts = np.array([np.frombuffer(buffer, np.uint8).ctypes.data if len(buffer) else 0 for buffer in buffers])
    lowest = int(starts[sizes > 0].min())
    highest = int((starts + sizes)[sizes > 0].max())
    return np.asarray(_Memory(lowest, highest - lowest)), starts - lowest, sizes


def _within(whole: bool) -> None:
    if not whole:
        raise IndexError("a value lies outside of its file")


@kernel
def _locate(ids: I64, known: I64, places: I64, begins: I64, limits: I64, start: I64, end: I64) -> bool:
    """Where values start and end, of which `known` are the numbers, in order, unless it is empty: then they count from
    0. False for one that is not there, or outside of its file."""
    count = len(places) // 3
    ahead = known[len(known) - 1] + 1 - len(known) if len(known) > 0 else 0
    for each in range(len(ids)):
        number = ids[each]
        place = number - ahead if number > ahead else 0
        if place < 0 or place >= count:
            return False
        # Most are new ones, whose numbers follow each other up to the last
        if len(known) > 0 and known[place] != number:
            place, beyond = 0, count
            while place < beyond:
                middle = (place + beyond) // 2
                if known[middle] < number:
                    place = middle + 1
                else:
                    beyond = middle
            if place == count or known[place] != number:
                return False
        file, first, size = places[3 * place], places[3 * place + 1], places[3 * place + 2]
        if first < 0 or size < 0 or first + size > limits[file]:
            return False
        start[each] = begins[file] + first
        end[each] = start[each] + size
    return True


@kernel
def _copy(places: I64, data: Bytes, begins: I64, limits: I64, into: U8) -> bool:
    """The parts at `places`, one after the other; false for one outside of its file."""
    end = 0
    for place in range(0, len(places), 3):
        file, start, size = places[place], places[place + 1], places[place + 2]
        if start < 0 or size < 0 or start + size > limits[file]:
            return False
        copy_bytes(into, end, data, begins[file] + start, size)
        end += size
    return True
