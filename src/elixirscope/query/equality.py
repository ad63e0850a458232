"""Equality of terms as Elixir has it."""

from __future__ import annotations

from typing import Any

from elixirscope.recording.terms import Atom, ElixirMap

_WORDS = frozenset({Atom, bytes, int})
_CONTAINERS = frozenset({list, tuple, dict})


def pairs(term: Any) -> list[tuple[Any, Any]] | None:
    """Key and value of each pair of a map; None when the term is not a map."""
    return list(term.items()) if isinstance(term, (dict, ElixirMap)) else None


def same(one: Any, other: Any) -> bool:
    """Equality as Elixir's `===`: 1 and 1.0 differ, and so do an atom and a text."""
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other):
        return False
    if kind in _WORDS:
        return bool(one == other)
    if kind in _CONTAINERS and one != other:
        return False  # what differs in Python does in Elixir: much the quickest way to see it
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if kind is dict and all(type(key) in _WORDS for key in one):
        # Such keys are equal in Python only where they are in Elixir, or the map would be an `ElixirMap`.
        return all(type(key) in _WORDS for key in other) and all(
            key in other and same(value, other[key]) for key, value in one.items()
        )
    return bool(identity(one) == identity(other))


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
