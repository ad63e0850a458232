"""Rows by key: a counting sort in parts gives what a stable sort of the whole would."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.query import grouping
from elixirscope.query.grouping import Chosen, Grouped, Groups, ascends, group, regroup, shift_of


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "PART", 7)
        patch.setattr(grouping, "_ROWS_PER_GROUP", 2)
        yield


@given(st.lists(st.integers(-1, 9), max_size=40), st.sampled_from([np.int32, np.int64, np.int8]))
def test_groups_hold_the_rows_of_each_key(keys: list[int], kind: type) -> None:
    column: np.ndarray = np.array(keys, kind)
    order, starts = group(column, 10, np.empty)
    assert [order[starts[key] : starts[key + 1]].tolist() for key in range(10)] == [
        np.flatnonzero(column == key).tolist() for key in range(10)
    ]


@given(
    st.lists(st.integers(-1, 9), max_size=40),
    st.lists(st.integers(-1, 14), max_size=40),
    st.integers(0, 2),
    st.booleans(),
)
def test_groups_of_a_column_that_grew_are_those_of_all_of_it(
    before: list[int], added: list[int], shift: int, chosen: bool
) -> None:
    column = np.array(before + added, np.int64)
    keys = Chosen(column, lambda part: column[part] % 2 == 0) if chosen else column
    known = Chosen(column[: len(before)], lambda part: column[part] % 2 == 0) if chosen else column[: len(before)]
    earlier = Grouped(*group(known, 10, np.empty, shift=shift), len(before), shift)
    for grown, whole in zip(regroup(earlier, keys, 15), group(keys, 15, np.empty, shift=shift), strict=True):
        assert grown.tolist() == whole.tolist()


@given(st.lists(st.integers(-1, 10**7) | st.integers(0, 3), max_size=40))
def test_any_column_has_its_rows_by_key(keys: list[int]) -> None:
    column = np.array(keys, np.int64)
    shift, count = shift_of(column)
    groups = Groups(column, *group(column, count, np.empty, shift=shift), shift)
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
