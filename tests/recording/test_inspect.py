"""Terms as IEx prints them. The same against Elixir itself is in test_real_terms."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.recording.terms import (
    MORE_KEY,
    Atom,
    Bitstring,
    Fun,
    ImproperList,
    Redacted,
    Term,
    Truncated,
    inspect,
    module_name,
)
from tests.recording.samples import terms


def struct(name: str, **fields: Term) -> Term:
    return {Atom("__struct__"): Atom(f"Elixir.{name}")} | {Atom(key): value for key, value in fields.items()}


ISO = Atom("Elixir.Calendar.ISO")
DAY = {"calendar": ISO, "year": 2026, "month": 3, "day": 9}
CLOCK = {"hour": 7, "minute": 5, "second": 1, "microsecond": (1200, 4)}


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (Atom("ok"), ":ok"),
        (Atom("nil"), "nil"),
        (Atom("valid?"), ":valid?"),
        (Atom("with space"), ':"with space"'),
        (Atom(""), ':""'),
        (Atom("Elixir.Foo.Bar"), "Foo.Bar"),
        (Atom("Elixir"), "Elixir"),
        (Atom("Elixir.foo"), ':"Elixir.foo"'),
        (Atom("Foo"), ":Foo"),
        (Atom("+"), ":+"),
        (Atom("::"), ':"::"'),
        (Atom("été"), ":été"),
        (b'say "hi" #{x}\n', r'"say \"hi\" \#{x}\n"'),
        (b"\x1b[31mred", r'"\e[31mred"'),
        (b"\x01\x02", "<<1, 2>>"),
        (b"\xff", "<<255>>"),
        (b"", '""'),
        (Bitstring(b"\x01\xa0", 3), "<<1, 5::size(3)>>"),
        ([104, 105], '~c"hi"'),
        ([104, 300], "[104, 300]"),
        ([], "[]"),
        ([(Atom("a"), 1), (Atom("b c"), 2)], '[a: 1, "b c": 2]'),
        ([(Atom("Elixir.Foo"), 1)], "[{Foo, 1}]"),
        (ImproperList([1, 2], 3), "[1, 2 | 3]"),
        ({Atom("a"): 1}, "%{a: 1}"),
        ({b"a": 1, Atom("b"): 2}, '%{"a" => 1, :b => 2}'),
        ({}, "%{}"),
        ((), "{}"),
        (Fun("Elixir.Enum", "map", 2), "&Enum.map/2"),
        (Fun("Elixir.Foo", "-run!/1-fun-3-", 2), "#Function<3/2 in Foo.run!/1>"),
        (Fun("Elixir.Foo", None, 2, 1, 77), "#Function<1.77/2 in Foo>"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e16, "1.0e16"),
        (0.1, "0.1"),
        (1.5e-7, "1.5e-7"),
        (123456.789, "123456.789"),
        (struct("Foo", a=1), "%Foo{a: 1}"),
        (struct("ArgumentError", __exception__=Atom("true"), message=b"x"), '%ArgumentError{message: "x"}'),
        (struct("Date", **DAY), "~D[2026-03-09]"),
        (struct("Time", calendar=ISO, **CLOCK), "~T[07:05:01.0012]"),
        (struct("NaiveDateTime", **DAY, **CLOCK), "~N[2026-03-09 07:05:01.0012]"),
        (struct("Range", first=1, last=9, step=2), "1..9//2"),
        (struct("MapSet", map={1: [], 2: []}), "MapSet.new([1, 2])"),
        (struct("Regex", source=b"a/b\\d", opts=b"i"), r"~r/a\/b\d/i"),
        (struct("Date", year=Truncated("map", None, 1)), "%Date{year: %{… 1 more}}"),
        (struct("Decimal", sign=1, coef=1999, exp=-2), 'Decimal.new("19.99")'),
        (struct("Decimal", sign=-1, coef=5, exp=-3), 'Decimal.new("-0.005")'),
        (struct("Decimal", sign=1, coef=42, exp=0), 'Decimal.new("42")'),
        (struct("Decimal", sign=1, coef=12, exp=3), 'Decimal.new("1.2E+4")'),
        (struct("Decimal", sign=1, coef=1, exp=-9), 'Decimal.new("1E-9")'),
        (struct("Decimal", sign=-1, coef=Atom("inf"), exp=0), 'Decimal.new("-Infinity")'),
        (struct("Decimal", sign=1, coef=Atom("NaN"), exp=0), 'Decimal.new("NaN")'),
        (struct("Decimal", sign=1), "%Decimal{sign: 1}"),
        (
            struct("Ecto.Association.NotLoaded", __field__=Atom("posts"), __owner__=Atom("Elixir.U")),
            "#Ecto.Association.NotLoaded<association :posts is not loaded>",
        ),
        (
            struct("Ecto.Schema.Metadata", state=Atom("loaded"), source=b"users"),
            '#Ecto.Schema.Metadata<:loaded, "users">',
        ),
        (Truncated("binary", b"abc", 9216), '"abc" … 9,213 more bytes'),
        (Truncated("binary", "é".encode()[:1], 9), '"" … 9 more bytes'),
        (Truncated("binary", b"ab" + "é".encode()[:1], 9), '"ab" … 7 more bytes'),
        ([1, 200, Truncated("more", None, 12)], "[1, 200, … 12 more]"),
        ([1, 200, Truncated("more", None, None)], "[1, 200, … more]"),
        (Truncated("tuple", (1, 2), 5), "{1, 2, … 3 more}"),
        (Truncated("map", None, 3), "%{… 3 more}"),
        ({Atom("a"): 1, MORE_KEY: 1200}, "%{a: 1, … 1,200 more}"),
        (Redacted(), "**redacted**"),
    ],
)
def test_one_line(term: Term, text: str) -> None:
    assert inspect(term) == text


def test_a_utc_datetime_and_one_elsewhere() -> None:
    utc = {"utc_offset": 0, "std_offset": 0, "time_zone": b"Etc/UTC", "zone_abbr": b"UTC"}
    berlin = {"utc_offset": 3600, "std_offset": 3600, "time_zone": b"Europe/Berlin", "zone_abbr": b"CEST"}
    assert inspect(struct("DateTime", **DAY, **CLOCK, **utc)) == "~U[2026-03-09 07:05:01.0012Z]"
    local = "#DateTime<2026-03-09 07:05:01.0012+02:00 CEST Europe/Berlin>"
    assert inspect(struct("DateTime", **DAY, **CLOCK, **berlin)) == local


def test_modules() -> None:
    assert [module_name(name) for name in ("Elixir.A.B", "gen_server", "my mod")] == ["A.B", ":gen_server", ':"my mod"']


@given(terms, st.integers(1, 300))
def test_never_longer_than_its_limit_and_a_prefix_of_the_whole(term: Term, limit: int) -> None:
    cut, whole = inspect(term, limit=limit), inspect(term, limit=10**6)
    assert len(cut) <= limit
    assert cut == whole if len(whole) <= limit else whole.startswith(cut.removesuffix("…").rstrip("…"))


@given(terms)
def test_no_control_character_gets_through(term: Term) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", inspect(term, limit=10**6))


@given(terms, st.integers(10, 100))
def test_broken_text_says_the_same_as_the_line(term: Term, width: int) -> None:
    line, broken = inspect(term, limit=10**6), inspect(term, limit=10**6, width=width)
    assert re.sub(r"\s", "", broken) == re.sub(r"\s", "", line)
    assert broken == line or len(line) > width


def test_a_wide_term_is_broken_one_element_to_a_line() -> None:
    term = {Atom("seats"): {b"A1": b"alice", b"A2": b"bob"}, Atom("sold"): 2}
    expected = '%{\n  seats: %{\n    "A1" => "alice",\n    "A2" => "bob"\n  },\n  sold: 2\n}'
    assert inspect(term, width=24) == expected


def test_a_million_elements_are_not_printed_to_show_ten() -> None:
    assert inspect([300] * 1_000_000, limit=20) == "[300, 300, 300, 300…"


def test_integers_of_any_size() -> None:
    assert inspect(10**3000, limit=5000) == "1" + "0" * 3000
    assert inspect(1 << 100_000, limit=20) == "0x1" + "0" * 16 + "…"
