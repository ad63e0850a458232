"""Rows by key: a counting sort in parts gives what a stable sort of the whole would."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.query import grouping
from elixirscope.query.grouping import Chosen, Groups, ascends, group, group_by, regroup


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "PART", 7)
        patch.setattr(grouping, "_ROWS_PER_GROUP", 2)
        yield


@settings(deadline=None)
@given(st.lists(st.integers(-1, 9), max_size=40), st.sampled_from([np.int32, np.int64, np.int8]))
def test_groups_hold_the_rows_of_each_key(keys: list[int], kind: type) -> None:
    column: np.ndarray = np.array(keys, kind)
    order, starts = group(column, 10, np.empty)
    assert [order[starts[key] : starts[key + 1]].tolist() for key in range(10)] == [
        np.flatnonzero(column == key).tolist() for key in range(10)
    ]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), max_size=40), st.lists(st.integers(0, 14), max_size=40))
def test_groups_of_a_column_that_grew_are_those_of_all_of_it(before: list[int], added: list[int]) -> None:
    keys = np.array(before + added, np.int64)
    found = regroup(*group(keys[: len(before)], 10, np.empty), keys, 15)
    for grown, whole in zip(found, group(keys, 15, np.empty), strict=True):
        assert grown.tolist() == whole.tolist()


@settings(deadline=None)
@given(st.lists(st.integers(-1, 10**7) | st.integers(0, 3), max_size=40))
def test_any_column_has_its_rows_by_key(keys: list[int]) -> None:
    column = np.array(keys, np.int64)
    order, starts, shift = group_by(column, np.empty)
    groups = Groups(column, order, starts, int(shift[0]))
    for key in {*keys, 5, 10**8} - {-1}:
        assert groups.rows(key).tolist() == np.flatnonzero(column == key).tolist()


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 3)), max_size=40))
def test_a_sort_through_another_keeps_its_order(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array([pair[n] for pair in pairs], np.int64) for n in (0, 1))
    by_second, _ = group(second, 4, np.empty)
    order, _ = group(first, 5, np.empty, through=by_second)
    known = np.flatnonzero(first >= 0)
    assert order.tolist() == known[np.lexsort((known, second[known], first[known]))].tolist()


@given(st.lists(st.integers(0, 4), max_size=40))
def test_rows_that_are_not_wanted_are_in_no_group(keys: list[int]) -> None:
    column = np.array(keys, np.int64)
    order, _ = group(Chosen(column, lambda part: column[part] % 2 == 0), 5, np.empty)
    assert sorted(order.tolist()) == np.flatnonzero(column % 2 == 0).tolist()


@given(st.lists(st.integers(-1, 30), max_size=20))
def test_a_column_in_order_is_known(keys: list[int]) -> None:
    assert ascends(np.array(keys, np.int64)) == (sorted(keys) == keys and -1 not in keys)
