"""Which functions took the time of a window.

A frame's self time is its span without its callees. Frames are in order of their beginning, and every so many of them
the sums so far are kept by site, so a window of any length costs two rows of sums and its two ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.query.coordinator import QueryCoordinator

_EVERY: Final = 8192


class Hot(msgspec.Struct, frozen=True):
    """A function in a window: how often it was entered there, and ns spent in it itself."""

    module: str | None
    function: str | None
    arity: int | None
    calls: int
    self_ns: int


def top_functions(query: QueryCoordinator, start: int, end: int, limit: int | None = 20) -> list[Hot]:
    """Functions by the self time of their frames that began in [start, end) ns, the largest first."""
    begun = query.column("calls", "start")
    low, high = (int(n) for n in np.searchsorted(begun, [start, end]))
    counts, spent = _sums(query, low, high)
    found: dict[tuple[str | None, str | None, int | None], list[int]] = {}
    sites = query.memo(("profile", "sites"), lambda: np.unique(query.column("calls", "site")))
    first = query.memo(("profile", "first"), lambda: _first(query, sites))
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
    return query.memo(("profile", "self"), lambda: _self_times(query))


def _self_times(query: QueryCoordinator) -> NDArray[np.int64]:
    begun, ended = query.column("calls", "start"), query.column("calls", "end")
    spans = np.where(ended < 0, int(query.recording.info.duration_ns), ended) - begun
    parents = query.column("calls", "parent")
    inner = np.flatnonzero(parents >= 0)
    of = np.searchsorted(query.column("calls", "call"), parents[inner])
    own = spans.copy()
    np.subtract.at(own, of, spans[inner])
    lowest: NDArray[np.int64] = np.maximum(own, 0)
    return lowest


def _first(query: QueryCoordinator, sites: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(query.column("calls", "site"), return_index=True)[1].astype(np.int64)


def _sums(query: QueryCoordinator, low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(frames, self ns) per site of the rows [low, high) of the calls table."""
    sites = query.memo(("profile", "sites"), lambda: np.unique(query.column("calls", "site")))
    place = query.memo(("profile", "place"), lambda: np.searchsorted(sites, query.column("calls", "site")))
    size, own = len(sites), self_times(query)
    sums = query.memo(("profile", "sums"), lambda: _checkpoints(place, own, size).reshape(-1)).reshape(-1, 2, size)

    def until(row: int) -> NDArray[np.int64]:
        block = row // _EVERY
        rest = slice(block * _EVERY, row)
        counts = np.bincount(place[rest], minlength=size)
        both: NDArray[np.int64] = sums[block] + np.stack([counts, _weighed(place[rest], own[rest], size)])
        return both

    begun = until(high) - until(low)
    return begun[0], begun[1]


def _checkpoints(place: NDArray[np.int64], own: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Counts and sums per site of all rows before each `_EVERY`-th."""
    blocks = len(place) // _EVERY + 1
    key = np.arange(len(place)) // _EVERY * size + place
    both = np.stack([np.bincount(key, minlength=blocks * size), _weighed(key, own, blocks * size)])
    before: NDArray[np.int64] = np.zeros((blocks, 2, size), np.int64)
    before[1:] = np.cumsum(both.reshape(2, blocks, size).transpose(1, 0, 2), axis=0)[:-1]
    return before


def _weighed(key: NDArray[np.int64], weights: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Sums of whole numbers per key; in two halves, for floating point has 53 bits."""
    high = np.bincount(key, weights >> 26, minlength=size).astype(np.int64)
    low = np.bincount(key, weights & ((1 << 26) - 1), minlength=size).astype(np.int64)
    sums: NDArray[np.int64] = high * (1 << 26) + low
    return sums
