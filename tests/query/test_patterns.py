"""Patterns in Elixir's syntax against terms, and the bytes that are searched before anything is decoded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elixirscope.errors import UsageError
from elixirscope.query.patterns import parse, text_pattern
from elixirscope.recording import etf
from elixirscope.recording.terms import (
    FALSE,
    NIL,
    TRUE,
    Atom,
    Bitstring,
    ElixirMap,
    Fun,
    ImproperList,
    Pid,
    Redacted,
    Term,
    Truncated,
    inspect,
)

USER = {Atom("__struct__"): Atom("Elixir.My.User"), Atom("name"): b"Ada", Atom("age"): 36}
CUT = Truncated("tuple", (Atom("put"), 1), 3)


@pytest.mark.parametrize(
    ("pattern", "term", "matches"),
    [
        ("%{age: 36}", USER, True),
        ("%{age: 37}", USER, False),
        ("%{}", USER, True),
        ("%{}", [], False),
        ("%{missing: _}", USER, False),
        ("%{7 => _}", {7: NIL}, True),
        ("%{1 => _}", {1.0: NIL}, False),
        ("%{[] => 1}", ElixirMap([([], 1), ({}, 2)]), True),
        ('%{{1, "a"} => x}', {(1, b"a"): 2}, True),
        ("%User{}", USER, True),
        ("%My.User{age: a}", USER, True),
        ("%Use{}", USER, False),
        ("%ser{} | %_{}", USER, None),
        ("%_{age: _}", USER, True),
        ("%_{}", {}, False),
        ("{:ok, _}", (Atom("ok"), 1), True),
        ("{:ok, _}", (Atom("ok"),), False),
        ("{x, x}", (1, 1), True),
        ("{x, x}", (1, 1.0), False),
        ("{x, _, x} | {x, x, _}", (1, 1, 2), True),
        ("{:put, _, _}", CUT, True),
        ("{:put, _, 2}", CUT, False),
        ("[]", [], True),
        ("[1, 2]", [1, 2], True),
        ("[1]", [1, 2], False),
        ("[1 | rest]", [1], True),
        ("[_, 2 | [3 | _]]", [1, 2, 3], True),
        ("[1 | 2]", ImproperList([1], 2), True),
        ("[_ | _]", ImproperList([1, 3], 2), True),
        ("[1, 2]", [1, 2, Truncated("more", None, 3)], False),
        ("[a: 1]", [(Atom("a"), 1)], True),
        ("[a: 1, b: _]", [(Atom("a"), 1), (Atom("b"), 2)], True),
        ('"Ada"', b"Ada", True),
        ('"a\\nb\\u00e9"', "a\nbé".encode(), True),
        ('"A" <> _', b"Ada", True),
        ('"A" <> "da"', b"Ada", True),
        ('"B" <> _', b"Ada", False),
        ('"Ad" <> _', Truncated("binary", b"Ada", 99), True),
        ('"Ada"', Truncated("binary", b"Ada", 99), False),
        ("<<1, 2>>", b"\1\2", True),
        ("1", 1, True),
        ("1", 1.0, False),
        ("-1.5", -1.5, True),
        ("1_000", 1000, True),
        ("0xff", 255, True),
        ("?a", 97, True),
        (":ok", Atom("ok"), True),
        (":ok", b"ok", False),
        (':"with space"', Atom("with space"), True),
        ("nil", NIL, True),
        ("true", TRUE, True),
        ("false", TRUE, False),
        ("My.User", Atom("Elixir.My.User"), True),
        ('~c"abc"', [97, 98, 99], True),
        ("'abc'", [97, 98, 99], True),
        ('pid("0.12.3")', Pid("a@b", 12, 3), True),
        ('pid("0.12.4")', Pid("a@b", 12, 3), False),
        ("{:a, n} when n > 3 and is_integer(n)", (Atom("a"), 4), True),
        ("{:a, n} when n > 3", (Atom("a"), 2), False),
        ("{:a, n} when n.x > 3", (Atom("a"), 2), False),
        ("{_, _} = {a, 2}", (1, 2), True),
        ("_", Redacted(), True),
        ("{_}", Redacted(), False),
        (
            "~D[2024-02-29]",
            {
                Atom("__struct__"): Atom("Elixir.Date"),
                Atom("calendar"): Atom("Elixir.Calendar.ISO"),
                Atom("year"): 2024,
                Atom("month"): 2,
                Atom("day"): 29,
            },
            True,
        ),
    ],
)
def test_patterns(pattern: str, term: Any, matches: bool | None) -> None:
    if matches is None:
        with pytest.raises(UsageError):
            parse(pattern)
        return
    assert (parse(pattern).match(term) is not None) is matches


def test_variables_are_told() -> None:
    assert parse("%{name: n, age: a}").match(USER) == {"n": b"Ada", "a": 36}


def test_parts_are_found_with_their_place() -> None:
    found = list(parse("%{age: _}").find((1, [USER, {Atom("age"): 1}])))
    assert [(f.where, f.path) for f in found] == [("{1}[0]", "1.0"), ("{1}[1]", "1.1")]


@pytest.mark.parametrize(
    ("pattern", "column"),
    [("%{status: ", "column"), ("{:ok", "column"), ("1 2", "column"), ("", "one pattern"), ("1; 2", "one pattern")],
)
def test_what_is_not_elixir_says_where(pattern: str, column: str) -> None:
    with pytest.raises(UsageError, match=column):
        parse(pattern)


@pytest.mark.parametrize(
    "pattern", ["fn x -> x end", "foo(1)", "&1", '"#{x}"', "1 + 2", "<<x::8>>", "%{x => 1}", "^x", "<<300>>"]
)
def test_what_is_no_pattern_says_what_is(pattern: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(pattern)
    assert error.value.hint


def test_endless_patterns_are_refused() -> None:
    with pytest.raises(UsageError, match="too long"):
        parse("1 | " * 2_000 + "1")
    with pytest.raises(UsageError, match="too deep"):
        parse("{" * 200 + "1" + "}" * 200)


_SCALARS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([Atom("ok"), Atom("error"), NIL, FALSE, Atom("Elixir.A.B"), Atom("é"), Atom("odd name")]),
    st.text(max_size=12).map(str.encode),
)
_KEYS = st.one_of(st.integers(0, 300), st.sampled_from([Atom("a"), Atom("b c")]), st.text(max_size=5).map(str.encode))
_TERMS: st.SearchStrategy[Term] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(_KEYS, inner, max_size=4),
    ),
    max_leaves=12,
)


@example([34])  # escapes in charlists
@example([10, 35, 123, 92, 65])
@given(_TERMS)
def test_every_term_matches_itself_as_it_is_printed(term: Term) -> None:
    printed = inspect(term, limit=100_000)
    if "…" in printed or len(printed) > 4_000:
        return
    pattern = parse(printed)
    assert pattern.match(term) is not None
    assert pattern.may_match(etf.encode(term))


@given(_TERMS, _TERMS)
def test_bytes_never_rule_out_a_match(one: Term, other: Term) -> None:
    pattern = parse(inspect(one, limit=100_000))
    whole = (other, [one, other])
    assert next(pattern.find(whole), None) is not None
    assert pattern.may_match(etf.encode(whole))


def test_bytes_rule_out_what_cannot_match() -> None:
    pattern = parse("%{status: :error} | {:timeout, _}")
    assert not pattern.may_match(etf.encode({Atom("status"): Atom("ok")}))
    assert pattern.may_match(etf.encode({Atom("status"): Atom("error")}))
    assert pattern.may_match(etf.encode((Atom("timeout"), 1)))


def test_texts_are_found_whatever_their_case() -> None:
    pattern = text_pattern("Spring")
    for term in (b"in SPRING", Atom("spring_sale"), [Truncated("binary", b"spring", 99)]):
        assert next(pattern.find(term), None) is not None
        assert pattern.may_match(etf.encode(term))
    assert next(pattern.find([1, b"summer"]), None) is None
    assert not pattern.may_match(etf.encode(b"summer"))


def test_odd_terms_do_not_upset_a_search() -> None:
    odd = [Bitstring(b"\xf0", 4), Fun("m", "f", 1), Redacted(), ElixirMap([([], 1)]), Truncated("map", None, None)]
    assert list(parse("{:never}").find(odd)) == []
