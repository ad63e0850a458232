"""Prints terms as IEx does, on one line or broken within a width.

A term becomes a tree of texts and groups; a group that does not fit its line is broken, one element
to a line. Fields of structs that are well known come as `fields.py` has them, of others in the order
of the recorded map: their definition is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from elixirscope.recording import text
from elixirscope.recording.fields import in_order
from elixirscope.recording.structs import known_struct
from elixirscope.recording.terms import (
    MORE_KEY,
    Atom,
    Bitstring,
    ElixirMap,
    Fun,
    ImproperList,
    Redacted,
    Term,
    Truncated,
)

_PARENT = re.compile(r"-(?P<name>.+)/(?P<arity>\d+)-(?P<inner>[^-/]*)-(?P<count>\d+)-")
_BRACKETS = {"list": ("[", "]"), "tuple": ("{", "}"), "map": ("%{", "}"), "binary": ("<<", ">>")}


@dataclass(frozen=True, slots=True)
class _Group:
    open: str
    items: tuple[_Doc, ...]
    close: str

    def flat(self) -> str:
        inner = ", ".join(item if isinstance(item, str) else item.flat() for item in self.items)
        return f"{self.open}{inner}{self.close}"


_Doc: TypeAlias = "str | _Group"


class Inspector:
    """One printing of one term, cut after `limit` characters, broken at `width` when there is one."""

    def __init__(self, limit: int, width: int | None) -> None:
        self._limit = limit
        self._width = width
        self._left = limit + 1  # characters still worth making

    def text(self, term: Term) -> str:
        """The printed term."""
        doc = self._doc(term)
        printed = _flat(doc) if self._width is None else _broken(doc, self._width, 0, 0)
        return printed if len(printed) <= self._limit else printed[: max(self._limit - 1, 0)] + "…"

    def _doc(self, term: Term, charlists: bool = True) -> _Doc:
        if isinstance(term, list):
            return self._list(term, charlists)
        if isinstance(term, tuple):
            return self._group("{", (self._doc(item, charlists) for item in term), "}")
        if isinstance(term, dict | ElixirMap):
            return self._map(term, charlists)
        if isinstance(term, ImproperList):
            *items, last = (self._doc(item, charlists) for item in term.items)
            tail = f"{_flat(last)} | {_flat(self._doc(term.tail, charlists))}"
            return self._group("[", (*items, tail), "]")
        if isinstance(term, Truncated):
            return self._truncated(term)
        leaf = self._leaf(term)
        self._left -= len(leaf)
        return leaf

    def _leaf(self, term: Term) -> str:
        if isinstance(term, str):
            return text.atom(term)
        if isinstance(term, bytes):
            return self._binary(term)
        if isinstance(term, int):
            return text.integer(term)
        if isinstance(term, float):
            return text.floating(term)
        if isinstance(term, Bitstring):
            last = term.data[-1] >> (8 - term.bits) if term.data else 0
            return text.binary(term.data[:-1], f"{last}::size({term.bits})")
        if isinstance(term, Fun):
            return _function(term)
        return "**redacted**" if isinstance(term, Redacted) else str(term)  # pids, ports, references

    def _group(self, opening: str, items: Iterable[_Doc], close: str) -> _Doc:
        made: list[_Doc] = []
        for item in items:  # lazily: what lies beyond the limit is never made
            made.append(item)
            self._left -= 2
            if self._left < 0:
                made.append("…")
                break
        if self._width is None:
            return opening + ", ".join(map(_flat, made)) + close
        return _Group(opening, tuple(made), close) if made else opening + close

    def _list(self, items: list[Term], charlists: bool) -> _Doc:
        if charlists and (chars := text.charlist(items)) is not None:
            self._left -= len(chars)
            return chars
        if items and all(_is_keyword(item) for item in items):
            return self._group("[", (self._keyed(name, value) for name, value in items), "]")
        return self._group("[", (self._doc(item, charlists) for item in items), "]")

    def _map(self, term: dict[Term, Term] | ElixirMap, charlists: bool) -> _Doc:
        pairs = list(in_order(term))
        opening = "%{"
        fields = dict(pairs) if isinstance(term, dict) else {}
        name = fields.get("__struct__")
        if isinstance(name, Atom) and name.startswith("Elixir."):
            special = known_struct(name, fields, self._known)
            if special is not None:
                self._left -= len(special)
                return special
            opening = f"%{text.atom(name)}{{"
            pairs = [pair for pair in pairs if pair[0] not in ("__struct__", "__exception__")]
        more = [value for key, value in pairs if key == MORE_KEY and isinstance(key, Atom)]
        shown = [pair for pair in pairs if not (isinstance(pair[0], Atom) and pair[0] == MORE_KEY)]
        keyword = all(_is_keyword(pair) for pair in shown)
        docs = (self._keyed(*pair) if keyword else self._arrow(*pair) for pair in shown)
        rest = (_more(count if isinstance(count, int) else None, "") for count in more)
        return self._group(opening, chain(docs, rest), "}")

    def _arrow(self, key: Term, value: Term) -> _Doc:
        label = f"{_flat(self._doc(key))} => "
        self._left -= 4
        return _prefixed(label, self._doc(value))

    def _keyed(self, name: Term, value: Term) -> _Doc:
        label = text.key(name) + " "
        self._left -= len(label)
        return _prefixed(label, self._doc(value))

    def _known(self, term: Term) -> str:
        """Flat text of what a struct with a form of its own holds; lists as lists, as MapSet does."""
        return _flat(self._doc(term, charlists=False))

    def _binary(self, data: bytes) -> str:
        """No more of it than can be shown is turned into text."""
        start = data[: max(self._left, 0) * 4 + 4]
        printed = text.string(start if len(start) == len(data) else _whole_characters(start))
        return printed if printed is not None else text.binary(start)

    def _truncated(self, cut: Truncated) -> _Doc:
        if cut.kind == "binary" and isinstance(cut.shown, bytes):
            whole = _whole_characters(cut.shown)
            shown = text.string(whole)
            if shown is None:
                whole, shown = cut.shown, text.binary(cut.shown)
            left = None if cut.total is None else cut.total - len(whole)
            self._left -= len(shown)
            return f"{shown} {_more(left, ' bytes')}"
        if isinstance(cut.shown, tuple):
            left = None if cut.total is None else cut.total - len(cut.shown)
            return self._group("{", (*(self._doc(item) for item in cut.shown), _more(left, "")), "}")
        if cut.kind == "more":
            return _more(cut.total, "")
        opening, close = _BRACKETS.get(cut.kind, (f"#{cut.kind}<", ">"))
        return f"{opening}{_more(cut.total, ' bytes' if cut.kind == 'binary' else '')}{close}"


def _more(count: int | None, unit: str) -> str:
    return "… more" if count is None else f"… {count:,} more{unit}"


def _flat(doc: _Doc) -> str:
    return doc if isinstance(doc, str) else doc.flat()


def _prefixed(prefix: str, doc: _Doc) -> _Doc:
    return prefix + doc if isinstance(doc, str) else replace(doc, open=prefix + doc.open)


def _broken(doc: _Doc, width: int, indent: int, after: int) -> str:
    """`doc` at column `indent`, with `after` characters to follow it on its last line."""
    flat = _flat(doc)
    if isinstance(doc, str) or indent + len(flat) + after <= width:
        return flat
    inner, last = " " * (indent + 2), len(doc.items) - 1
    lines = [
        f"{inner}{_broken(item, width, indent + 2, 1)}{'' if number == last else ','}"
        for number, item in enumerate(doc.items)
    ]
    return "\n".join([doc.open, *lines, " " * indent + doc.close])


def _is_keyword(pair: Term) -> bool:
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], Atom):
        return False
    return not pair[0].startswith("Elixir.")


def _whole_characters(data: bytes) -> bytes:
    """`data` without a UTF-8 character that was cut at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            need = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if back < need else data
        if byte < 0x80:
            break
    return data


def _function(fun: Fun) -> str:
    module = text.atom(fun.module)
    if fun.name is None:
        return f"#Function<{fun.index}.{fun.uniq}/{fun.arity} in {module}>"
    if parent := _PARENT.fullmatch(fun.name):
        return f"#Function<{parent['count']}/{fun.arity} in {module}.{text.function(parent['name'])}/{parent['arity']}>"
    if fun.name.startswith("-"):
        return f"#Function<{module}.{text.function(fun.name)}/{fun.arity}>"
    return f"&{module}.{text.function(fun.name)}/{fun.arity}"
