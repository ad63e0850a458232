"""Equality of terms as Elixir has it."""

from __future__ import annotations

from typing import Any

from elixirscope.recording.terms import ElixirMap


def pairs(term: Any) -> list[tuple[Any, Any]] | None:
    """Key and value of each pair of a map; None when the term is not a map."""
    return list(term.items()) if isinstance(term, (dict, ElixirMap)) else None


def same(one: Any, other: Any) -> bool:
    """Equality as Elixir's `===`: 1 and 1.0 differ, and so do an atom and a text."""
    return type(one) is type(other) and identity(one) == identity(other)


def identity(term: Any) -> Any:
    """A hashable stand-in for a term, equal only for identical terms."""
    if isinstance(term, (list, tuple)):
        return (type(term).__name__, tuple(identity(part) for part in term))
    found = pairs(term)
    if found is not None:
        return ("map", frozenset((identity(key), identity(value)) for key, value in found))
    if isinstance(term, float):
        return ("float", repr(term))
    try:
        hash(term)
    except TypeError:
        return (type(term).__name__, repr(term))
    return (type(term).__name__, term)
