"""A value opened part by part, as a tree view does."""

from __future__ import annotations

from typing import Any

import pytest

from elixirscope.errors import NotFoundError, UsageError
from elixirscope.query.children import children, part_at
from elixirscope.recording.terms import (
    MORE_KEY,
    Atom,
    Bitstring,
    ElixirMap,
    Fun,
    ImproperList,
    Pid,
    Redacted,
    Truncated,
)

SEATS = {Atom("free"): [b"A1", b"A2"], Atom("sold"): {b"B1": Atom("ann")}, 7: (1, 2.5)}


def test_parts_are_named_by_key_and_place() -> None:
    top = children(SEATS)
    assert [(c.path, c.where, c.key, c.kind, c.children) for c in top.children] == [
        ("0", ".free", "free:", "list", 2),
        ("1", ".sold", "sold:", "map", 1),
        ("2", "[7]", "7", "tuple", 2),
    ]
    inner = children(SEATS, "1")
    assert (inner.of.where, inner.total) == (".sold", 1)
    assert [(c.path, c.where, c.key, c.text) for c in inner.children] == [("1.0", '.sold["B1"]', '"B1"', ":ann")]
    assert part_at(SEATS, "2.1") == 2.5


def test_the_fields_of_a_known_struct_stand_as_they_are_printed() -> None:
    socket = {Atom("__struct__"): Atom("Elixir.Phoenix.Socket.Message"), Atom("ref"): b"1"}
    socket |= {Atom(name): name.encode() for name in ("payload", "event", "topic")}
    page = children({Atom("sent"): socket}, "0")
    assert [(c.path, c.key) for c in page.children] == [
        ("0.0", "topic:"),
        ("0.1", "event:"),
        ("0.2", "payload:"),
        ("0.3", "ref:"),
    ]
    assert page.of.text == '%Phoenix.Socket.Message{topic: "topic", event: "event", payload: "payload", ref: "1"}'
    assert part_at({Atom("sent"): socket}, "0.1") == b"event"


def test_a_huge_list_is_read_a_page_at_a_time() -> None:
    numbers = list(range(1_000, 101_000))
    page = children(numbers, "", 99_998, 10)
    assert page.total == 100_000
    assert [(c.path, c.text) for c in page.children] == [("99998", "100998"), ("99999", "100999")]
    assert children(numbers, "", 200_000).children == []


@pytest.mark.parametrize(
    ("term", "kind", "count", "left_out"),
    [
        ([1, 2, Truncated("more", None, 40)], "list", 2, 40),
        ({Atom("a"): 1, MORE_KEY: 3}, "map", 1, 3),
        (Truncated("tuple", (1, 2), 9), "tuple", 2, 7),
        (Truncated("binary", b"abc", 10), "binary", 0, 7),
        (Truncated("map", None, None), "map", 0, -1),
        ({Atom("__struct__"): Atom("Elixir.User"), Atom("id"): 1}, "%User{}", 1, None),
        (ElixirMap([([], 1), ({}, 2)]), "map", 2, None),
        (ImproperList([1, 2], Atom("x")), "list", 3, None),
        (Bitstring(b"\xf0", 4), "bitstring", 0, None),
        (b"\xff", "binary", 0, None),
        (Fun("Elixir.A", "f", 1), "function", 0, None),
        (Pid("n", 1, 2), "pid", 0, None),
        (Redacted(), "redacted", 0, None),
        (Atom("ok"), "atom", 0, None),
    ],
)
def test_what_a_term_is_and_what_was_left_out(term: Any, kind: str, count: int, left_out: int | None) -> None:
    answer = children(term)
    assert (answer.of.kind, answer.of.children, answer.of.left_out) == (kind, count, left_out)
    assert answer.total == len(answer.children) == count


def test_the_tail_of_an_improper_list_is_marked() -> None:
    assert [c.key for c in children(ImproperList([1], 2)).children] == ["0", "|"]


@pytest.mark.parametrize("path", ["x", "0.", "-1", "0..1", "٣"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(UsageError, match="no path"):
        children(SEATS, path)


@pytest.mark.parametrize("path", ["3", "0.2", "0.0.0", "999999999"])
def test_paths_that_lead_nowhere(path: str) -> None:
    with pytest.raises(NotFoundError, match="nothing at"):
        children(SEATS, path)


def test_what_is_known_to_be_whole_is_not_looked_through() -> None:
    assert children(SEATS, whole=True) == children(SEATS)
    cut = [Truncated("binary", b"long", 9), Redacted()]
    assert [(part.truncated, part.redacted) for part in children(cut).children] == [(True, False), (False, True)]
