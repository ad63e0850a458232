"""Patterns in Elixir's own syntax, matched against recorded values.

`%{status: :error}` (a map with at least that), `%User{}` (a struct, by its whole name or its last part), `{:ok, _}`,
`[first | _]`, `"text" <> _`, numbers, atoms, variables (one name, one value), `a | b` for either, `pattern when guard`
and `left = right`. What recording left out of a value matches only `_` and variables.

Before anything is decoded, a value's bytes are searched for the atoms and texts that a match must contain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.query import literals
from elixirscope.query.matchers import ANYTHING, Bindings, Compiler, Matcher, Needles
from elixirscope.query.paths import key_path
from elixirscope.recording.terms import Atom, ElixirMap, ImproperList, Term, Truncated

_COMPRESSED: Final = b"\x83\x50"  # the beginning of a compressed term


class Found(NamedTuple):
    """Where in a value a pattern matched: by positions, as a person writes it, and the part itself."""

    path: str
    where: str
    term: Term
    bindings: Bindings


class Pattern:
    """A compiled pattern."""

    def __init__(self, text: str, matcher: Matcher, needles: Needles, *, fold: bool = False) -> None:
        self.text = text
        self.needles = needles
        self._matcher = matcher
        self._fold = fold  # needles are lower case, and case does not matter

    def match(self, term: Term) -> Bindings | None:
        """The variables of a match of the whole `term`; None when it does not match."""
        bindings: Bindings = {}
        return bindings if self._matcher(term, bindings) else None

    def may_match(self, raw: bytes | memoryview) -> bool:
        """Whether bytes of the external format (of one value or of several) can hold a match at all: all texts and
        atoms of one are in there.
        """
        data = raw if isinstance(raw, bytes) else bytes(raw)
        if _COMPRESSED in data:  # nothing can be seen from outside
            return True
        data = data.lower() if self._fold else data
        return any(all(needle in data for needle in needles) for needles in self.needles)

    def find(self, term: Term) -> Iterator[Found]:
        """Every part of `term` that matches, from the outside in; `term` itself has the path ""."""
        pending: list[tuple[str, str, Term]] = [("", "", term)]
        while pending:
            path, where, part = pending.pop()
            bindings = self.match(part)
            if bindings is not None:
                yield Found(path, where, part, bindings)
            prefix = f"{path}." if path else ""
            inner = [(f"{prefix}{n}", where + step, inside) for n, (step, inside) in enumerate(steps(part))]
            pending += reversed(inner)


def steps(term: Term) -> list[tuple[str, Term]]:
    """The parts directly inside a term with their steps of a path, numbered as `query.children` numbers them."""
    if isinstance(term, (dict, ElixirMap)):
        return [
            (key_path(key), value)
            for key, value in term.items()
            if not (isinstance(key, Atom) and key in ("__struct__", "$elixirscope_more"))
        ]
    if isinstance(term, ImproperList):
        return [(f"[{n}]", part) for n, part in enumerate([*term.items, term.tail])]
    if isinstance(term, list):
        return [
            (f"[{n}]", part) for n, part in enumerate(term) if not isinstance(part, Truncated) or part.kind != "more"
        ]
    if isinstance(term, Truncated):
        term = term.shown
    return [(f"{{{n}}}", part) for n, part in enumerate(term)] if isinstance(term, tuple) else []


def parse(text: str) -> Pattern:
    """The pattern that `text` is. Raises `UsageError`, saying what is not understood."""
    return compile_pattern(literals.parse_one(text.strip(), "pattern"))


def compile_pattern(node: Node) -> Pattern:
    """The pattern of a syntax node. Raises `UsageError`."""
    matcher, needles = Compiler().compile(node)
    return Pattern(syntax.text(node), matcher, tuple(dict.fromkeys(needles)))


def text_pattern(text: str) -> Pattern:
    """What contains `text` in a string or an atom, ignoring case."""
    wanted = text.casefold()

    def match(value: Term, _: Bindings) -> bool:
        data = value.shown if isinstance(value, Truncated) and value.kind == "binary" else value
        found = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        return isinstance(found, str) and wanted in found.casefold()

    needles = (frozenset((wanted.encode(),)),) if wanted.isascii() else ANYTHING
    return Pattern(text, match, needles, fold=True)
