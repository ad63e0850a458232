"""Each distinct value once: ids in order of first appearance.

Short values are compared by Arrow, all of a file together; long ones are the same when their XXH3-128 is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_128_digest

from elixirscope.recording.values import RawValues, Slices

_SHORT: Final = 256  # bytes

Numbers = npt.NDArray[np.int64]


def dedup(rows: npt.NDArray[np.void], places: Numbers, buffers: list[memoryview]) -> RawValues:
    """Give every row its value's id, and the values.

    places: for each row the number of a buffer, and where in it the value starts and how long it is; 0 for none.
    """
    with_value = np.flatnonzero(places[:, 2])
    chosen = places[with_value]
    codes, count = np.full(len(chosen), -1), 0
    short = chosen[:, 2] <= _SHORT
    by_file = [np.flatnonzero(short & (chosen[:, 0] == number)) for number in range(len(buffers))]
    found = [
        _encoded(buffer, chosen[mine, 1], chosen[mine, 2])
        for buffer, mine in zip(buffers, by_file, strict=True)
        if len(mine)
    ]
    # All short values are compared in one way, or equal ones of two files would not be known as such.
    encodings = [encoding for encoding in found if encoding is not None]
    dictionaries = list[pa.Array]()
    if len(encodings) == len(found):
        for mine, encoded in zip((mine for mine in by_file if len(mine)), encodings, strict=True):
            codes[mine] = encoded.indices.to_numpy() + count
            count += len(encoded.dictionary)
            dictionaries.append(encoded.dictionary)
    if len(dictionaries) > 1:
        same = pa.concat_arrays(dictionaries).dictionary_encode().indices.to_numpy()
        known = codes >= 0
        codes[known] = same[codes[known]]
    rest = np.flatnonzero(codes < 0)
    digests: dict[bytes, int] = {}
    columns = zip(*(chosen[rest, column].tolist() for column in range(3)), strict=True)
    codes[rest] = [
        digests.setdefault(xxh3_128_digest(buffers[number][start : start + size]), count + len(digests))
        for number, start, size in columns
    ]
    ids = pa.array(codes).dictionary_encode().indices.to_numpy()
    first = np.empty(int(ids.max(initial=-1)) + 1, np.int64)
    first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)
    rows["value"] = -1
    rows["value"][with_value] = ids
    return RawValues(Slices(buffers, chosen[first]))


def _encoded(buffer: memoryview, starts: Numbers, sizes: Numbers) -> pa.DictionaryArray | None:
    """These parts of a buffer, as a dictionary of the distinct ones; None when they overlap."""
    order = np.argsort(starts, kind="stable")
    bounds = np.stack([starts[order], starts[order] + sizes[order]], axis=1).ravel()
    if (np.diff(bounds) < 0).any():
        return None
    # One array over the whole buffer, of which every other element is a value and the rest lies between.
    whole = [None, pa.py_buffer(bounds), pa.py_buffer(buffer)]
    parts = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(bounds) - 1, whole)
    encoded = parts.take(pa.array(np.arange(0, len(bounds), 2))).dictionary_encode()
    back = np.empty(len(order), np.int64)
    back[order] = encoded.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(back, encoded.dictionary)
