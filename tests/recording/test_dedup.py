"""Values by their bytes, wherever they lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elixirscope.kernels import Way, run
from elixirscope.recording.dedup import Dedup, Found
from elixirscope.recording.slices import digests
from elixirscope.recording.values import RawValues

Numbers = npt.NDArray[np.int64]

_BUFFERS = [memoryview(bytes(range(64)) * 12), memoryview(b"\x00\x01" * 400)]


def take(dedup: Dedup, ids: Numbers, places: Numbers, buffers: list[memoryview] = _BUFFERS) -> RawValues:
    return dedup.take(ids, Found(places, digests(buffers, places).reshape(-1, 2)), buffers)


@settings(max_examples=200)
@example([(0, 0, 1), (0, 0, 1), (1, 0, 1)])  # one file's values overlap, another's do not
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 100), st.sampled_from([0, 1, 2, 3, 256, 257, 300]))))
def test_ids_go_by_first_appearance_and_equal_bytes(places: list[tuple[int, int, int]]) -> None:
    ids = np.zeros(len(places), np.int64)
    values = take(Dedup(), ids, np.array(places, np.int64).reshape(-1, 3))
    seen = dict[bytes, int]()
    expected = [
        seen.setdefault(bytes(_BUFFERS[file][at : at + size]), len(seen)) if size else -1 for file, at, size in places
    ]
    assert ids.tolist() == expected
    assert [bytes(value) for value in values.new()] == list(seen)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 100), st.sampled_from([0, 1, 2, 3, 256, 257, 300])), min_size=1
    ),
    st.lists(st.integers(0, 20), max_size=4),
)
def test_ids_are_the_same_in_slices(places: list[tuple[int, int, int]], cuts: list[int]) -> None:
    whole, sliced = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    where = np.array(places, np.int64).reshape(-1, 3)
    new = list(take(Dedup(), whole, where).new())
    dedup, found = Dedup(), list[bytes | memoryview]()
    ends = [*sorted(cut for cut in cuts if cut < len(places)), len(places)]
    for start, end in zip([0, *ends], ends, strict=False):
        values = take(dedup, sliced[start:end], where[start:end])
        found += values.new()
        for number, (file, at, size) in zip(sliced[start:end].tolist(), places[start:end], strict=True):
            if size:
                assert values.bytes(number) == bytes(_BUFFERS[file][at : at + size])
    assert sliced.tolist() == whole.tolist()
    assert found == new


@pytest.mark.parametrize("way", ["interpreted", "compiled"])
def test_more_values_than_the_table_holds_at_first(way: Way) -> None:
    numbers = [*range(500), *range(300, 2500), *range(2500)]
    values = [b"%d" % number for number in numbers]
    sizes = np.array([len(value) for value in values])
    places = np.stack([np.zeros(len(sizes), np.int64), np.cumsum(sizes) - sizes, sizes], axis=1)
    ids, dedup, fresh = np.zeros(len(sizes), np.int64), Dedup(), list[list[int]]()
    buffers = [memoryview(b"".join(values))]
    with run(way):
        for first, last in pairwise([0, 500, 2700, len(sizes)]):
            found = take(dedup, ids[first:last], places[first:last], buffers)
            assert [found.bytes(number) for number in numbers[first:last]] == values[first:last]
            fresh.append(found.fresh.tolist())
    assert ids.tolist() == numbers
    assert fresh == [[*range(500)], [*range(500, 2500)], []]
