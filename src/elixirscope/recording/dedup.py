"""Each distinct value once: ids in order of first appearance.

Within a slice, short values are compared by Arrow, all of a file together; long ones, and those of different slices,
are the same when their XXH3-128 is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_128_digest

from elixirscope.recording.values import RawValues, Slices

_SHORT: Final = 256  # bytes
_LONGEST_RUN: Final = 1 << 23

Numbers = npt.NDArray[np.int64]


class Dedup:
    """Gives values their ids, slice by slice. Of the values of earlier slices it keeps 16 bytes each."""

    def __init__(self, buffers: list[memoryview]) -> None:
        self.buffers = buffers
        self._index: ValueIndex | None = None  # made for the second slice: the first has nothing to compare with
        self._before: tuple[Numbers, dict[int, bytes]] | None = None  # of the first slice's values: places, digests

    def take(self, rows: npt.NDArray[np.void], places: Numbers) -> RawValues:
        """Give every row of the next slice its value's id, and the values of the slice.

        places: for each row the number of a buffer, and where in it the value starts and how long it is; 0 for none.
        """
        with_value = np.flatnonzero(places[:, 2])
        ids, found, digests = _distinct(places[with_value], self.buffers)
        rows["value"] = -1
        if self._before is None:
            self._before = found, digests
            rows["value"][with_value] = ids
            return RawValues(Slices(self.buffers, found), fresh=np.arange(len(found)))
        if self._index is None:
            self._index = ValueIndex()
            self._index.ids(self._digests(*self._before))
        known = self._index.count
        numbers = self._index.ids(self._digests(found, digests))
        rows["value"][with_value] = numbers[ids]
        order = np.argsort(numbers, kind="stable")
        return RawValues(Slices(self.buffers, found[order], numbers[order]), fresh=np.arange(known, self._index.count))

    def _digests(self, places: Numbers, known: dict[int, bytes]) -> npt.NDArray[np.uint64]:
        """XXH3-128 of each value, as two numbers; `known`: of some of them."""
        buffers = self.buffers
        columns = enumerate(zip(*(places[:, column].tolist() for column in range(3)), strict=True))
        joined = b"".join(
            [
                known.get(value) or xxh3_128_digest(buffers[number][start : start + size])
                for value, (number, start, size) in columns
            ]
        )
        return np.frombuffer(joined, "<u8").reshape(-1, 2)


class ValueIndex:
    """Ids of values by 96 bits of their digest, in sorted runs that are merged while they are small.

    Two different values among 10⁹ fall together with a probability below 10⁻¹¹.
    """

    def __init__(self) -> None:
        self.count = 0
        self._runs: list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]] = []

    def ids(self, digests: npt.NDArray[np.uint64]) -> Numbers:
        """The ids of distinct values; those not seen before are given the next ones, in order."""
        order = np.argsort(digests[:, 0], kind="stable")  # looked up in order, neighbours meet the same memory
        high, low = digests[order, 0], digests[order, 1].astype(np.uint32)
        found = np.full(len(high), -1)
        for keys, rest, ids in self._runs:
            place = np.searchsorted(keys, high)
            while True:  # more than once only where 64 bits fall together
                near = np.minimum(place, len(keys) - 1)
                same = (keys[near] == high) & (place < len(keys))
                hit = same & (rest[near] == low)
                found[hit] = ids[near[hit]]
                again = same & ~hit & (found < 0)
                if not again.any():
                    break
                place = np.where(again, place + 1, len(keys))
        fresh = found < 0
        numbers = np.empty(len(found), np.int64)
        numbers[order] = found
        new = np.flatnonzero(numbers < 0)
        numbers[new] = np.arange(self.count, self.count + len(new))
        self.count += len(new)
        if len(new):
            self._runs.append((high[fresh], low[fresh], numbers[order[fresh]].astype(np.uint32)))
            self._merge()
        return numbers

    def _merge(self) -> None:
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= min(2 * len(self._runs[-1][0]), _LONGEST_RUN):
            first, second = self._runs.pop(), self._runs.pop()
            keys = np.concatenate([second[0], first[0]])
            order = np.argsort(keys, kind="stable")
            rest, ids = (np.concatenate([second[column], first[column]])[order] for column in (1, 2))
            self._runs.append((keys[order], rest, ids))


def _distinct(chosen: Numbers, buffers: list[memoryview]) -> tuple[Numbers, Numbers, dict[int, bytes]]:
    """For each of these places the number of its value, in order of first appearance; the first place of each; and
    the digests of those that were compared by them."""
    codes, count = np.full(len(chosen), -1), 0
    short = chosen[:, 2] <= _SHORT
    by_file = [np.flatnonzero(short & (chosen[:, 0] == number)) for number in range(len(buffers))]
    found = [
        (mine, _parts(buffer, chosen[mine, 1], chosen[mine, 2]))
        for buffer, mine in zip(buffers, by_file, strict=True)
        if len(mine)
    ]
    # All short values are compared in one way, or equal ones of two files would not be known as such.
    parts = [(mine[part[1]], part[0]) for mine, part in found if part is not None]
    if parts and len(parts) == len(found):
        encoded = pa.chunked_array([values for _, values in parts]).dictionary_encode()
        for (mine, _), chunk in zip(parts, encoded.chunks, strict=True):
            codes[mine] = chunk.indices.to_numpy()
        count = len(encoded.chunk(0).dictionary)
    rest = np.flatnonzero(codes < 0)
    digests: dict[bytes, int] = {}
    columns = zip(*(chosen[rest, column].tolist() for column in range(3)), strict=True)
    codes[rest] = [
        digests.setdefault(xxh3_128_digest(buffers[number][start : start + size]), count + len(digests))
        for number, start, size in columns
    ]
    count += len(digests)
    first = np.empty(count, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    begins = np.zeros(len(codes), dtype=bool)
    begins[first] = True
    numbers = (np.cumsum(begins) - 1)[first]  # of each code
    ids = numbers[codes]
    known = dict(zip(numbers[count - len(digests) :].tolist(), digests, strict=True))
    return ids, chosen[np.flatnonzero(begins)], known


def _parts(buffer: memoryview, starts: Numbers, sizes: Numbers) -> tuple[pa.Array, Numbers] | None:
    """These parts of a buffer in order of their starts, and that order; None when they overlap."""
    order = np.argsort(starts, kind="stable")
    bounds = np.stack([starts[order], starts[order] + sizes[order]], axis=1).ravel()
    if (np.diff(bounds) < 0).any():
        return None
    # One array over the whole buffer, of which every other element is a value and the rest lies between.
    whole = [None, pa.py_buffer(bounds), pa.py_buffer(buffer)]
    parts = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(bounds) - 1, whole)
    return parts.take(pa.array(np.arange(0, len(bounds), 2))), order
