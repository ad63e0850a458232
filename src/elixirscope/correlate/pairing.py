"""Pairing two event streams on equal keys, in order: the k-th with the k-th."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.correlate.columns import Ints


class Pairs(NamedTuple):
    """Positions in causes and effects, in parallel; `repeated`: the key occurs more than once on a side; `uneven`:
    effects outnumber causes or an effect had to be left alone, so the pairs may be shifted."""

    cause: Ints
    effect: Ints
    repeated: npt.NDArray[np.bool_]
    uneven: npt.NDArray[np.bool_]


def pair(causes: Sequence[Ints], effects: Sequence[Ints], cause_at: Ints, effect_at: Ints) -> Pairs:
    """Pairs events with the same key.

    Both sides are in time order; a key is given as parallel columns. Within a key the k-th cause belongs to the k-th
    effect while no effect comes before its cause. Where one does, a cause was lost before it: that effect
    stays alone and the count starts again from there.
    """
    codes, other = _codes(causes, effects)
    kinds = int(max(codes.max(initial=-1), other.max(initial=-1))) + 1
    by_cause, by_effect = np.argsort(codes, kind="stable"), np.argsort(other, kind="stable")
    count, effect_count = np.bincount(codes, minlength=kinds), np.bincount(other, minlength=kinds)
    first, begin = np.cumsum(count) - count, np.cumsum(effect_count) - effect_count
    # As if nothing was lost: the k-th of a key with the k-th.
    key = codes[by_cause]
    rank = np.arange(len(by_cause)) - first[key]
    both = rank < effect_count[key]
    key, i = key[both], np.flatnonzero(both)
    j = begin[key] + rank[both]
    late = cause_at[by_cause[i]] > effect_at[by_effect[j]]
    shifted = np.zeros(kinds, dtype=bool)
    shifted[key[late]] = True
    kept = ~shifted[key]
    found = [np.stack([key[kept], i[kept], j[kept]])]
    cause_times, effect_times = cause_at[by_cause], effect_at[by_effect]
    for code in np.flatnonzero(shifted).tolist():
        spans = (int(first[code]), int(count[code]), int(begin[code]), int(effect_count[code]))
        found.append(_one_by_one(code, cause_times, effect_times, *spans))
    key, i, j = np.concatenate(found, axis=1)
    repeated = (count[key] > 1) | (effect_count[key] > 1)
    uneven = shifted[key] | (effect_count[key] > count[key])
    return Pairs(by_cause[i], by_effect[j], repeated, uneven)


def _one_by_one(
    code: int, cause_times: Ints, effect_times: Ints, first: int, count: int, begin: int, effects: int
) -> Ints:
    """(code, cause, effect) of the pairs of one key in which some effect comes before its cause."""
    matched: list[tuple[int, int, int]] = []
    i, causes = first, cause_times[first : first + count].tolist()
    for j, time in enumerate(effect_times[begin : begin + effects].tolist(), begin):
        if i == first + count:
            break
        if causes[i - first] <= time:
            matched.append((code, i, j))
            i += 1
    return np.array(matched, dtype=np.int64).reshape(-1, 3).T


def _codes(left: Sequence[Ints], right: Sequence[Ints]) -> tuple[Ints, Ints]:
    """One number per distinct key over both sides."""
    size = len(left[0])
    codes = np.zeros(size + len(right[0]), dtype=np.int64)
    for a, b in zip(left, right, strict=True):
        column = pa.array(np.concatenate([a, b]).astype(np.int64)).dictionary_encode()
        codes = codes * max(len(column.dictionary), 1) + column.indices.to_numpy()
        codes = pa.array(codes).dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes[:size], codes[size:]
