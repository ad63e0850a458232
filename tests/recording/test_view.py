"""Which parts of a map are read ahead."""

from __future__ import annotations

import mmap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.recording.view import pages, view, will_need, will_need_rows

SPANS = st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 9_000)), min_size=1, max_size=12)


@given(address=st.integers(0, 20_000), size=st.sampled_from([1, 4, 8]), spans=SPANS)
def test_the_pages_of_some_parts_are_all_of_them_and_no_others(
    address: int, size: int, spans: list[tuple[int, int]]
) -> None:
    first, length = np.array(spans).T
    wanted = {
        page
        for low, many in spans
        for page in range(
            (address + low * size) // mmap.PAGESIZE, (address + (low + many) * size - 1) // mmap.PAGESIZE + 1
        )
    }
    runs = list(pages(address, size, first, first + length))
    assert [page for low, high in runs for page in range(low, high)] == sorted(wanted)
    assert all(low > high for (_, high), (low, _) in pairwise(runs))


def test_a_map_is_read_as_before_whatever_was_asked_for(tmp_path: Path) -> None:
    held = np.arange(40_000, dtype=np.int64)
    (tmp_path / "numbers").write_bytes(held.tobytes())
    mapped = np.frombuffer(view(tmp_path / "numbers", held.nbytes), np.int64)
    for first, behind in (([], []), ([30_000, 5], [40_000, 9]), ([0], [40_000])):
        for array in (mapped, held):  # of what is in memory there is nothing to read
            will_need(array, np.array(first, np.int64), np.array(behind, np.int64))
    data = view(tmp_path / "numbers", held.nbytes)
    words = pa.DictionaryArray.from_arrays(pa.Array.from_buffers(pa.int32(), 4, [None, data]), ["a"], safe=False)
    for column in (
        pa.Array.from_buffers(pa.int64(), len(held), [None, data]),
        words,
        pa.array([True, None]),
        pa.nulls(2),
    ):
        will_need_rows(column, 0, len(column))
        will_need_rows(column, len(column), len(column) + 9)  # as of what a writer has not written yet
    assert (mapped == held).all()
