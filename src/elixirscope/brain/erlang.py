"""Writes Erlang terms as text that `file:consult/1` reads back."""

from __future__ import annotations

import re

_PLAIN_ATOM = re.compile(r"[a-z][A-Za-z0-9_@]*")
# Words that read as something else when they stand unquoted.
_RESERVED = frozenset(
    {
        "after",
        "and",
        "andalso",
        "band",
        "begin",
        "bnot",
        "bor",
        "bsl",
        "bsr",
        "bxor",
        "case",
        "catch",
        "cond",
        "div",
        "else",
        "end",
        "fun",
        "if",
        "let",
        "maybe",
        "not",
        "of",
        "or",
        "orelse",
        "receive",
        "rem",
        "try",
        "when",
        "xor",
    }
)


class Atom(str):
    """Text that stands for an atom; a plain `str` stands for a binary."""

    __slots__ = ()


def to_text(term: object) -> str:
    """`term` as Erlang source text ending in a full stop, encoded for a UTF-8 file.

    `str` becomes a binary, `Atom` and `bool` atoms, `int`, `list`, `tuple`, `dict` themselves.
    """
    return _write(term, 0) + ".\n"


def _write(term: object, indent: int) -> str:
    if isinstance(term, bool):
        return "true" if term else "false"
    if isinstance(term, Atom):
        plain = _PLAIN_ATOM.fullmatch(term) and term not in _RESERVED
        return str(term) if plain else f"'{_escaped(term, chr(39))}'"
    if isinstance(term, str):
        return f'<<"{_escaped(term, chr(34))}"/utf8>>' if term else "<<>>"
    if isinstance(term, int):
        return str(term)
    if isinstance(term, tuple):
        return "{" + ", ".join(_write(item, indent) for item in term) + "}"
    if isinstance(term, list):
        return _block("[", [_write(item, indent + 2) for item in term], "]", indent)
    if isinstance(term, dict):
        pairs = [f"{_write(key, indent + 2)} => {_write(value, indent + 2)}" for key, value in term.items()]
        return _block("#{", pairs, "}", indent)
    raise TypeError(f"no Erlang text for {type(term).__name__}")


def _block(opening: str, items: list[str], closing: str, indent: int) -> str:
    if not items:
        return opening + closing
    pad = "\n" + " " * (indent + 2)
    return opening + pad + f",{pad}".join(items) + closing


def _escaped(text: str, quote: str) -> str:
    return "".join(f"\\{c}" if c in (quote, "\\") else c if c.isprintable() else f"\\x{{{ord(c):x}}}" for c in text)
