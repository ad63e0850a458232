"""Differences of terms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.dags.diff import diff, shown
from elixirscope.query.equality import identity, same
from elixirscope.recording.terms import Atom, make_map

LEAVES = st.one_of(st.integers(0, 3), st.binary(max_size=2), st.sampled_from([Atom("a"), Atom("nil")]), st.just(1.0))
TERMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.binary(max_size=1), st.sampled_from([Atom("x"), Atom("y")])), inner, max_size=3),
    ),
    max_leaves=12,
)


def changes(before: Any, after: Any) -> list[tuple[str, str]]:
    return [(change.path, change.op) for change in diff(before, after)]


@given(TERMS, TERMS)
def test_no_changes_means_the_same_and_only_that(one: Any, other: Any) -> None:
    assert (diff(one, other) == []) == same(one, other)
    assert diff(one, one) == []


KEYS = st.one_of(LEAVES, st.lists(st.integers(0, 1), max_size=1))
MAPS = st.lists(st.tuples(KEYS, LEAVES), max_size=3, unique_by=lambda pair: identity(pair[0])).map(make_map)


@given(st.one_of(TERMS, MAPS), st.one_of(TERMS, MAPS))
def test_terms_are_the_same_where_their_stand_ins_are(one: Any, other: Any) -> None:
    assert same(one, other) == (identity(one) == identity(other))


@given(TERMS, TERMS)
def test_the_way_back_has_as_many_changes(one: Any, other: Any) -> None:
    there, back = diff(one, other), diff(other, one)
    assert sorted(c.op for c in there if c.op == "change") == sorted(c.op for c in back if c.op == "change")
    assert sum(c.op == "add" for c in there) == sum(c.op == "remove" for c in back)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({Atom("a"): 1}, {Atom("a"): 2}, [(".a", "change")]),
        ({b"A1": 1}, {}, [('["A1"]', "remove")]),
        ({Atom("a"): {Atom("b"): (1, 2)}}, {Atom("a"): {Atom("b"): (1, 3)}}, [(".a.b{1}", "change")]),
        ([1, 2, 3], [0, 1, 2, 3], [("[0]", "add")]),
        ([1, 2, 3], [1, 2], [("[2]", "remove")]),
        ([1, 2, 3], [1, 9, 3], [("[1]", "change")]),
        (1, 1.0, [("", "change")]),
        (b"a", Atom("a"), [("", "change")]),
        ({Atom("__struct__"): Atom("Elixir.A")}, {Atom("__struct__"): Atom("Elixir.B")}, [("", "change")]),
    ],
)  # fmt: skip
def test_paths(before: Any, after: Any, expected: list[tuple[str, str]]) -> None:
    assert changes(before, after) == expected


def test_very_many_changes_are_all_told_or_end_with_a_word() -> None:
    before, after = dict.fromkeys(range(900), 0), dict.fromkeys(range(900), 1)
    assert len(diff(before, after)) == 900
    assert diff(before, after, 3) == diff(before, after)[:3]
    some = shown(diff(before, after), 500)
    assert len(some) == 501
    assert some[-1].after == "more changes than are shown"
    assert shown(some, 501) == some
