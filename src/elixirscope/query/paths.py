"""Places inside a value as a person writes them: `.seats["A1"]`, `.queue[0]`, `{1}`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from elixirscope.recording.terms import MORE_KEY, Atom, ElixirMap, ImproperList, Truncated, inspect

_ENDS = ".[{"


def key_path(key: Any) -> str:
    """The step of a path that a map key makes."""
    return _plain(key) if type(key) in (Atom, bytes) else _step(key)


def _step(key: Any) -> str:
    if isinstance(key, Atom) and key.isidentifier():
        return f".{key}"
    return f"[{inspect(key, limit=60)}]"


@lru_cache(1 << 16, typed=True)
def _plain(key: Any) -> str:
    return _step(key)


def at_path(term: Any, path: str) -> tuple[list[Any], bool]:
    """(what stands at `path` in `term`, whether all of it was recorded).

    Of a path that leads nowhere that is nothing; more than one thing where long keys are written alike.
    """
    found, whole = list[Any](), True
    todo = [(term, path)]
    while todo:
        part, rest = todo.pop()
        if not rest:
            found.append(part)
            continue
        inside = False
        for step, inner in _parts(part):
            if rest.startswith(step) and (len(rest) == len(step) or rest[len(step)] in _ENDS):
                todo.append((inner, rest[len(step) :]))
                inside = True
        whole = whole and (inside or not _was_cut(part))
    return found[::-1], whole


def touches(changed: str, path: str) -> bool:
    """Whether a change at one path concerns another: the same, inside it, or around it."""
    short, long = sorted((changed, path), key=len)
    return long.startswith(short) and (len(long) == len(short) or long[len(short)] in _ENDS or not short)


def _parts(term: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a term, each with its step."""
    if isinstance(term, (dict, ElixirMap)):
        return ((key_path(key), value) for key, value in term.items())
    if isinstance(term, ImproperList):
        term = [*term.items, term.tail]
    if isinstance(term, list):
        return (
            (f"[{number}]", part)
            for number, part in enumerate(term)
            if not isinstance(part, Truncated) or part.kind != "more"
        )
    if isinstance(term, Truncated) and isinstance(term.shown, tuple):
        term = term.shown
    if isinstance(term, tuple):
        return ((f"{{{number}}}", part) for number, part in enumerate(term))
    return iter(())


def _was_cut(term: Any) -> bool:
    """Whether parts of a term were left out that are not among its parts."""
    if isinstance(term, (dict, ElixirMap)):
        return any(isinstance(key, Atom) and key == MORE_KEY for key, _ in term.items())
    if isinstance(term, list):
        return bool(term) and isinstance(term[-1], Truncated) and term[-1].kind == "more"
    return isinstance(term, Truncated)
