"""Prints terms as IEx does."""

from __future__ import annotations

import re

from elixirscope.recording.terms import Term

_ALIAS = re.compile(r"Elixir(\.[A-Z][A-Za-z0-9_]*)+")
_PLAIN = re.compile(r"[a-z_][A-Za-z0-9_@]*[?!]?")


def atom_text(atom: str) -> str:
    """An atom as Elixir source: `:ok`, `nil`, `Foo.Bar`, `:"with space"`."""
    if atom in ("nil", "true", "false"):
        return str(atom)
    if _ALIAS.fullmatch(atom):
        return atom.removeprefix("Elixir.")
    if _PLAIN.fullmatch(atom):
        return f":{atom}"
    return f':"{atom}"'


class Inspector:
    """One printing of one term."""

    def __init__(self, limit: int, width: int | None) -> None:
        self.limit = limit
        self.width = width

    def text(self, term: Term) -> str:
        return repr(term)
