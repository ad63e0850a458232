"""Which functions took the time of a window.

A frame's self time is its span without its callees. Frames are in order of their beginning, and every so many of them
the sums so far are kept by site, so a window of any length costs two rows of sums and its two ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from elixirscope.query.grouping import parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.query.coordinator import QueryCoordinator
    from elixirscope.recording.arrays import Allocate

_EVERY: Final = 8192


class Hot(msgspec.Struct, frozen=True):
    """A function in a window: how often it was entered there, and ns spent in it itself."""

    module: str | None
    function: str | None
    arity: int | None
    calls: int
    self_ns: int


class _Sites(NamedTuple):
    """Per site that was called: its number and the first row of the calls table that has it; and by site number its
    place among them."""

    numbers: NDArray[Any]
    first: NDArray[np.int64]
    places: NDArray[np.int64]


def top_functions(query: QueryCoordinator, start: int, end: int, limit: int | None = 20) -> list[Hot]:
    """Functions by the self time of their frames that began in [start, end) ns, the largest first."""
    low, high = query.indexes.between("calls", "start", start, end)
    counts, spent = _sums(query, low, high)
    found: dict[tuple[str | None, str | None, int | None], list[int]] = {}
    first = _sites(query).first
    table = query.recording.table("calls").select(["module", "function", "arity"])
    for place in np.flatnonzero(counts).tolist():
        (name,) = table.slice(int(first[place]), 1).to_pylist()
        total = found.setdefault((name["module"], name["function"], name["arity"]), [0, 0])
        total[0] += int(counts[place])
        total[1] += int(spent[place])
    ranked = [Hot(*name, calls=calls, self_ns=ns) for name, (calls, ns) in found.items()]
    return sorted(ranked, key=lambda hot: -hot.self_ns)[:limit]


def self_times(query: QueryCoordinator) -> NDArray[np.int64]:
    """Per row of the calls table its self time in ns; an open frame counts until the recording's end."""
    return query.indexes.arrays("profile.self", lambda allocate: (_self_times(query, allocate),))[0]


def _self_times(query: QueryCoordinator, allocate: Allocate) -> NDArray[np.int64]:
    begun, ended = query.column("calls", "start"), query.column("calls", "end")
    calls, parents = query.column("calls", "call"), query.column("calls", "parent")
    own: NDArray[np.int64] = allocate(len(begun), np.int64)
    last = int(query.recording.info.duration_ns)
    for part in parts(len(begun)):
        ends = ended[part]
        spans = np.where(ends < 0, last, ends) - begun[part]
        own[part] = spans
        inner = np.flatnonzero(parents[part] >= 0)
        # A frame comes after the one that called it: what is subtracted from is there already
        np.subtract.at(own, np.searchsorted(calls, parents[part][inner]), spans[inner])
    for part in parts(len(begun)):
        np.maximum(own[part], 0, out=own[part])
    return own


def first_calls(query: QueryCoordinator) -> NDArray[np.int64]:
    """For each site that was called the row of its first call."""
    return _sites(query).first


def _sites(query: QueryCoordinator) -> _Sites:
    def make(_: Allocate) -> tuple[NDArray[Any], ...]:
        column = query.column("calls", "site")
        seen = dict[int, int]()
        for part in parts(len(column)):
            sites, rows = np.unique(column[part], return_index=True)
            for site, row in zip(sites.tolist(), rows.tolist(), strict=True):
                seen.setdefault(site, row + part.start)
        numbers = np.array(sorted(seen), np.int64)
        places = np.zeros(int(numbers.max(initial=-1)) + 2, np.int64)
        places[numbers] = np.arange(len(numbers))  # -1, no site, is the last
        return numbers, np.array([seen[site] for site in numbers.tolist()], np.int64), places

    return _Sites(*query.indexes.arrays("profile.places", make))


def _sums(query: QueryCoordinator, low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(frames, self ns) per site of the rows [low, high) of the calls table."""
    sites, column, own = _sites(query), query.column("calls", "site"), self_times(query)
    size = len(sites.numbers)
    (flat,) = query.indexes.arrays("profile.sums", lambda allocate: (_checkpoints(column, sites, own, allocate),))
    sums = flat.reshape(-1, 2, size)

    def until(row: int) -> NDArray[np.int64]:
        block = row // _EVERY
        rest = slice(block * _EVERY, row)
        both: NDArray[np.int64] = sums[block] + _both(sites.places[column[rest]], own[rest], size)
        return both

    begun = until(high) - until(low)
    return begun[0], begun[1]


def _checkpoints(column: NDArray[Any], sites: _Sites, own: NDArray[np.int64], allocate: Allocate) -> NDArray[np.int64]:
    """Counts and sums per site of all rows before each `_EVERY`-th, one after the other."""
    size, blocks = len(sites.numbers), len(column) // _EVERY + 1
    flat: NDArray[np.int64] = allocate(blocks * 2 * size, np.int64)
    before, sums = flat.reshape(blocks, 2, size), np.zeros((2, size), np.int64)
    for block in range(blocks):
        before[block] = sums
        rows = slice(block * _EVERY, (block + 1) * _EVERY)
        sums = sums + _both(sites.places[column[rows]], own[rows], size)
    return flat


def _both(places: NDArray[np.int64], own: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.stack([np.bincount(places, minlength=size), _weighed(places, own, size)])


def _weighed(key: NDArray[np.int64], weights: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Sums of whole numbers per key; in two halves, for floating point has 53 bits."""
    high = np.bincount(key, weights >> 26, minlength=size).astype(np.int64)
    low = np.bincount(key, weights & ((1 << 26) - 1), minlength=size).astype(np.int64)
    sums: NDArray[np.int64] = high * (1 << 26) + low
    return sums
