"""Terms as JSON, for whoever takes a value elsewhere. What JSON cannot say is said in words, not dropped."""

from __future__ import annotations

from typing import Any

from elixirscope.recording.terms import Atom, ElixirMap, ImproperList, Redacted, Truncated, inspect

_CONSTANTS = {"nil": None, "true": True, "false": False}


def plain(term: Any) -> Any:
    """`term` in the types of JSON: tuples are arrays, atoms strings, maps with keys that are no names arrays of pairs.

    Pids, references, functions and binaries that are no text are the text that IEx would print.
    """
    if isinstance(term, Atom):
        return _CONSTANTS.get(term, str(term).removeprefix("Elixir."))
    if term is None or isinstance(term, (bool, int, float)):
        return term
    if isinstance(term, bytes):
        return _text(term)
    if isinstance(term, (dict, ElixirMap)):
        pairs = [(key, plain(value)) for key, value in term.items()]
        if all(isinstance(key, (Atom, bytes)) and isinstance(_text(key), str) for key, _ in pairs):
            return {str(_text(key)): value for key, value in pairs}
        return [[plain(key), value] for key, value in pairs]
    if isinstance(term, ImproperList):
        return [*map(plain, term.items), plain(term.tail)]
    if isinstance(term, (list, tuple)):
        return [plain(part) for part in term]
    if isinstance(term, Truncated) and isinstance(term.shown, tuple):
        return [*map(plain, term.shown), "… more was not recorded"]
    return "redacted" if isinstance(term, Redacted) else inspect(term)


def _text(key: Atom | bytes) -> str:
    if isinstance(key, bytes):
        try:
            return key.decode("utf-8")
        except UnicodeDecodeError:
            return inspect(key)
    return str(key)
