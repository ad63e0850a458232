"""The external term format: what is written reads back, what is damaged is refused."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.recording import etf
from elixirscope.recording.terms import (
    Atom,
    Bitstring,
    ElixirMap,
    Fun,
    ImproperList,
    Pid,
    Port,
    Redacted,
    Ref,
    Term,
    Truncated,
    inspect,
)
from tests.recording.samples import terms


@given(terms)
def test_what_is_written_reads_back(term: Term) -> None:
    encoded = etf.encode(term)
    assert etf.decode(encoded) == term
    assert etf.encode(etf.decode(encoded)) == encoded  # 1 and 1.0 are equal in Python, not here


@given(terms, st.data())
def test_a_cut_term_is_refused(term: Term, data: st.DataObject) -> None:
    encoded = etf.encode(term)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(etf.DecodeError):
        etf.decode(encoded[:cut])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_term_or_a_decode_error(noise: bytes) -> None:
    try:
        term = etf.decode(b"\x83" + noise)
    except etf.DecodeError:
        return
    assert isinstance(inspect(term), str)


@pytest.mark.parametrize(
    "term",
    [
        Pid("a@b", 123, 4, 99),
        Port("a@b", 2**40, 7),
        Ref("a@b", (1, 2, 3), 4),
        ImproperList([1, 2], Atom("x")),
        Bitstring(b"\xff\xe0", 3),
        Fun("Elixir.Foo", "-run/1-fun-0-", 2),
        Truncated("binary", b"abc", 9216),
        Truncated("more", None, 12),
        Truncated("more", None, None),
        Truncated("tuple", (1, 2), 30),
        Truncated("struct", None, None),
        Redacted(),
        ElixirMap([(1, b"int"), (1.0, b"float")]),
        ElixirMap([([1], b"list")]),
        (),
        [],
        {},
        tuple(range(300)),
        -(2**2100),
        Atom("é" * 255),
    ],
)
def test_the_rarer_terms_read_back(term: Term) -> None:
    assert etf.decode(etf.encode(term)) == term


def test_maps_with_keys_equal_in_python_keep_both() -> None:
    term = etf.decode(etf.encode(ElixirMap([(1, Atom("a")), (1.0, Atom("b"))])))
    assert inspect(term) == "%{1 => :a, 1.0 => :b}"


@pytest.mark.parametrize(
    ("encoded", "term"),
    [
        (b"\x64\0\x02\xe9a", Atom("éa")),  # ATOM_EXT, Latin-1
        (b"\x73\x02ok", Atom("ok")),  # SMALL_ATOM_EXT
        (b"\x6b\0\x03abc", [97, 98, 99]),  # STRING_EXT
        (b"\x63" + b"1.50000000000000000000e+00".ljust(31, b"\0"), 1.5),  # FLOAT_EXT
        (b"\x67\x77\x01a" + struct.pack(">IIB", 5, 6, 1), Pid("a", 5, 6, 1)),  # PID_EXT
        (b"\x59\x77\x01a" + struct.pack(">II", 5, 6), Port("a", 5, 6)),  # NEW_PORT_EXT
        (b"\x72\0\x01\x77\x01a\x02" + struct.pack(">I", 9), Ref("a", (9,), 2)),  # NEW_REFERENCE_EXT
        (b"\x71\x77\x05lists\x77\x03map\x61\x02", Fun("lists", "map", 2)),  # EXPORT_EXT
    ],
)
def test_tags_that_we_do_not_write(encoded: bytes, term: Term) -> None:
    assert etf.decode(b"\x83" + encoded) == term


def test_a_closure_gives_up_what_it_closed_over() -> None:
    inner = b"\x02" + bytes(range(16)) + struct.pack(">II", 3, 1) + b"\x77\x01m" + b"\x61\x03\x62\0\0\0\x07"
    pid = b"\x58\x77\x01n" + struct.pack(">III", 1, 2, 3)
    fun = b"\x70" + struct.pack(">I", 0) + inner + pid + b"\x6d\0\0\0\x06secret"
    assert etf.decode(b"\x83" + fun) == Fun("m", None, 2, 3, 0x00010203)


def test_compressed_terms() -> None:
    plain = etf.encode([b"x" * 1000])[1:]
    assert etf.decode(b"\x83P" + struct.pack(">I", len(plain)) + zlib.compress(plain)) == [b"x" * 1000]


def test_a_compressed_term_larger_than_it_says_is_refused() -> None:
    bomb = zlib.compress(b"\0" * 10_000_000)
    with pytest.raises(etf.DecodeError, match="not as long"):
        etf.decode(b"\x83P" + struct.pack(">I", 10) + bomb)
    with pytest.raises(etf.DecodeError, match="too large"):
        etf.decode(b"\x83P" + struct.pack(">I", 2**32 - 1) + bomb)


def test_nesting_without_end_is_cut_and_not_followed() -> None:
    deep = etf.decode(b"\x83" + b"\x6c\0\0\0\1" * 100_000 + b"\x6a" * 100_001)
    assert "… 1 more" in inspect(deep, limit=10_000)


def test_a_length_that_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(etf.DecodeError):
        etf.decode(b"\x83\x6c\xff\xff\xff\xff\x61\x01")


def test_bytes_after_the_term_are_refused() -> None:
    with pytest.raises(etf.DecodeError, match="1 bytes follow"):
        etf.decode(etf.encode(1) + b"\0")


def test_a_tuple_of_the_program_that_only_looks_like_a_marker_stays_a_tuple() -> None:
    term = (Atom("$elixirscope"), Atom("binary"), 3)
    assert etf.decode(etf.encode(term)) == term
