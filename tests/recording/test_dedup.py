"""Values by their bytes, wherever they lie."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elixirscope.recording.dedup import dedup
from elixirscope.recording.log import EVENT_ROW

_BUFFERS = [memoryview(bytes(range(64)) * 12), memoryview(b"\x00\x01" * 400)]


@settings(max_examples=200, deadline=None)
@example([(0, 0, 1), (0, 0, 1), (1, 0, 1)])  # one file's values overlap, another's do not
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 100), st.sampled_from([0, 1, 2, 3, 256, 257, 300]))))
def test_ids_go_by_first_appearance_and_equal_bytes(places: list[tuple[int, int, int]]) -> None:
    rows = np.zeros(len(places), EVENT_ROW)
    values = dedup(rows, np.array(places, np.int64).reshape(-1, 3), _BUFFERS)
    seen = dict[bytes, int]()
    expected = [
        seen.setdefault(bytes(_BUFFERS[file][at : at + size]), len(seen)) if size else -1 for file, at, size in places
    ]
    assert rows["value"].tolist() == expected
    assert [bytes(value) for value in values.all()] == list(seen)
    assert values.sizes(np.arange(len(seen))).tolist() == [len(value) for value in seen]
