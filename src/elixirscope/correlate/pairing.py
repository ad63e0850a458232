"""Pairing two event streams on equal keys, in order: the k-th with the k-th."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from elixirscope.correlate.columns import Ints


def pair(
    causes: Sequence[Ints], effects: Sequence[Ints], cause_at: Ints, effect_at: Ints
) -> Iterator[tuple[int, int, bool, bool]]:
    """Pairs (position in causes, position in effects, repeated, uneven) of events with the same key.

    Both sides are in time order; a key is given as parallel columns. Within a key the k-th cause belongs to the k-th
    effect while no effect comes before its cause. Where one does, a cause was lost before it: that effect
    stays alone and the count starts again from there. `repeated`: the key occurs more than once on a side;
    `uneven`: effects outnumber causes or an effect had to be left alone, so the pairs may be shifted.
    """
    if not len(cause_at) or not len(effect_at):
        return
    codes, other = _codes(causes, effects)
    by_cause, by_effect = np.argsort(codes, kind="stable"), np.argsort(other, kind="stable")
    keys, start, count = np.unique(codes[by_cause], return_index=True, return_counts=True)
    effect_start = np.searchsorted(other[by_effect], keys, side="left")
    effect_end = np.searchsorted(other[by_effect], keys, side="right")
    groups = zip(start.tolist(), count.tolist(), effect_start.tolist(), effect_end.tolist(), strict=True)
    cause_times, effect_times = cause_at[by_cause].tolist(), effect_at[by_effect].tolist()
    cause_positions, effect_positions = by_cause.tolist(), by_effect.tolist()
    for first, length, begin, end in groups:
        if begin == end:
            continue
        repeated = length > 1 or end - begin > 1
        matched: list[tuple[int, int]] = []
        skipped = end - begin > length
        i = first
        for j in range(begin, end):
            if i == first + length:
                break
            if cause_times[i] <= effect_times[j]:
                matched.append((i, j))
                i += 1
            else:
                skipped = True
        for i, j in matched:
            yield cause_positions[i], effect_positions[j], repeated, skipped


def _codes(left: Sequence[Ints], right: Sequence[Ints]) -> tuple[Ints, Ints]:
    """One number per distinct key over both sides."""
    size = len(left[0])
    codes = np.zeros(size + len(right[0]), dtype=np.int64)
    for a, b in zip(left, right, strict=True):
        values, column = np.unique(np.concatenate([a, b]), return_inverse=True)
        codes = codes * len(values) + column
        codes = np.unique(codes, return_inverse=True)[1]
    return codes[:size], codes[size:]
