"""Terms inside terms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.insight.values import (
    MISSING,
    Key,
    at,
    contains,
    diff,
    distinctive,
    elements,
    overlaps,
    path_text,
    paths,
    same,
    shared,
)
from elixirscope.recording.terms import Atom, make_map

NIL = Atom("nil")
SPRING = {Atom("__struct__"): Atom("Elixir.PromoCode"), Atom("campaign"): b"SPRING", Atom("percent"): NIL}

leaves = st.one_of(
    st.integers(-5, 2_000),
    st.sampled_from(["nil", "ok", "a1"]).map(Atom),
    st.binary(max_size=3),
    st.floats(allow_nan=False),
)
terms: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(leaves, inner, max_size=3).map(lambda found: make_map(list(found.items()))),
    ),
    max_leaves=12,
)


@given(terms, terms)
def test_a_value_is_found_where_paths_says_it_is(outer: Any, needle: Any) -> None:
    for path in paths(outer, needle):
        assert same(at(outer, path), needle)


@given(terms)
def test_every_term_contains_itself_at_the_empty_path(term: Any) -> None:
    assert paths(term, term)[0] == ()


@given(terms, terms)
def test_a_difference_is_told_exactly_where_it_is(before: Any, after: Any) -> None:
    changes = diff(before, after)
    assert bool(changes) == (not same(before, after))
    for change in changes:
        for term, told in ((before, change.before), (after, change.after)):
            if told is MISSING:
                with pytest.raises(KeyError):
                    at(term, change.path)
            else:
                assert same(at(term, change.path), told)


def test_a_changed_seat_is_one_change() -> None:
    before = {Atom("seats"): {b"A1": NIL, b"A2": NIL}}
    after = {Atom("seats"): {b"A1": b"Ada", b"A2": NIL}}
    (change,) = diff(before, after)
    assert path_text(change.path) == '.seats["A1"]'
    assert (change.before, change.after) == (NIL, b"Ada")


def test_only_telling_values_are_distinctive() -> None:
    common: list[Any] = [NIL, Atom("ok"), 3, [], {}, (Atom("ok"), NIL), [1, 2]]
    telling: list[Any] = [b"SPRING", 5_000, SPRING, (Atom("ok"), SPRING)]
    assert not any(map(distinctive, common))
    assert all(map(distinctive, telling))


def test_requests_share_what_both_name() -> None:
    free, put = (Atom("free?"), b"A1"), (Atom("put"), b"A1", b"Ada")
    assert shared(free, put) == [b"A1"]
    assert shared((Atom("free?"), b"A2"), put) == []
    assert elements((Atom("set"), NIL, Atom("ok"))) == []


def test_an_integer_is_not_the_float_of_the_same_value() -> None:
    assert not same(1, 1.0)
    assert not contains([1.0, b"1"], 1)
    assert not same(Atom("a"), b"a")


def test_a_place_overlaps_with_what_is_inside_it() -> None:
    seats = (Key(Atom("seats")),)
    assert overlaps(seats, (*seats, Key(b"A1")))
    assert not overlaps((*seats, Key(b"A2")), (*seats, Key(b"A1")))
