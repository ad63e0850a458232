"""Of very many processes those are told that tell most, and how many others there are below them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.errors import UsageError
from elixirscope.film import Film
from elixirscope.query.cast import called, cast, nearest_shown, only
from elixirscope.query.tree import supervision_order

pytestmark = pytest.mark.beam


@pytest.fixture(scope="module")
def film(example_recording: Path) -> Film:
    """The example's recording, opened."""
    return Film.open(example_recording)


FORESTS = st.integers(1, 40).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(-1, size - 1), min_size=size, max_size=size),
        st.lists(st.booleans(), min_size=size, max_size=size),
    )
)


@given(FORESTS)
def test_the_nearest_above_that_is_shown_is_found_however_far(forest: tuple[list[int], list[bool]]) -> None:
    """Circles, which damaged recordings may have, lead nowhere."""
    above, shown = forest

    def nearest(process: int) -> int:
        seen, upper = {process}, above[process]
        while upper != -1 and not shown[upper]:
            if upper in seen:
                return -1
            seen.add(upper)
            upper = above[upper]
        return upper

    found = nearest_shown(np.array(above), np.array(shown))
    assert found.tolist() == [nearest(process) for process in range(len(above))]


def test_all_are_told_in_tree_order(film: Film) -> None:
    told = cast(film.query)
    expected = [(row["process"], depth) for row, depth in supervision_order(film.query.processes)]
    assert [(row["process"], row["depth"]) for row in told.rows] == expected
    assert (told.total, told.more) == (len(expected), 0)
    assert not any(row["more"] for row in told.rows)
    calls = set(film.query.column("calls", "process").tolist()) | set(film.query.column("states", "process").tolist())
    assert {row["process"] for row in told.rows if row["coded"]} == calls


@pytest.mark.parametrize("most", [1, 7, 40])
def test_of_many_some_are_told_and_the_others_counted(film: Film, most: int) -> None:
    whole = {row["process"]: row for row in cast(film.query).rows}
    wanted = sorted(whole)[-3:]
    told = cast(film.query, most, wanted)
    shown = [row["process"] for row in told.rows]
    assert set(wanted) <= set(shown)
    assert len(shown) == max(most, len(wanted))
    assert told.total == len(whole) == len(shown) + sum(row["more"] for row in told.rows) + told.more
    place = {"depth", "more"}
    for row in told.rows:
        assert _but(row, place) == _but(whole[row["process"]], place)
    order = [process for process in whole if process in shown]
    assert sorted(order) == sorted(shown)


def test_who_has_others_below_comes_before_who_has_none(film: Film) -> None:
    rows = cast(film.query).rows
    uppers = {row["supervisor"] if row["supervisor"] is not None else row["parent"] for row in rows} - {None}
    alone = [row["process"] for row in rows if row["kind"] in ("process", "task") and row["name"] is None]
    leaves = set(alone) - uppers
    told = {row["process"] for row in cast(film.query, len(rows) - len(leaves)).rows}
    assert not told & leaves


def test_others_are_found_by_name_or_number(film: Film) -> None:
    rows = film.query.processes
    wanted = [row for row in rows if "task" in f"{row['label']} {row['name']} {row['module']} {row['pid']}".lower()]
    found = called(film.query, "TASK", 1)
    assert found.total == len(wanted) > 1
    assert [row["process"] for row in found.rows] == [wanted[0]["process"]]
    assert called(film.query, str(rows[5]["pid"]), 10).rows[0]["process"] == rows[5]["process"]
    assert called(film.query, "nobody is called so", 10).rows == []
    assert [row["process"] for row in only(film.query, [3, 99_999, 1, 3]).rows] == [3, 1]


def test_none_is_no_number_to_show(film: Film) -> None:
    with pytest.raises(UsageError):
        cast(film.query, 0)


def _but(row: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
