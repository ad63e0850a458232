"""What differs between two terms, as paths a person can read: `.seats["A1"]`, `.queue[0]`, `{1}`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any

import msgspec

from elixirscope.query.equality import identity, pairs, same
from elixirscope.query.paths import key_path
from elixirscope.recording.terms import Atom, inspect

_TEXT = 200
_DEPTH = 40
_PLAIN_STRUCTS = frozenset({"Date", "Time", "DateTime", "NaiveDateTime", "Decimal", "Range", "Regex", "URI", "Version"})


class Change(msgspec.Struct, frozen=True):
    """One difference. `before` is None for `add`, `after` for `remove`."""

    path: str
    op: str  # add | remove | change
    before: str | None
    after: str | None


def diff(before: Any, after: Any, most: int | None = None) -> list[Change]:
    """The differences of two terms, in the order of the terms; no more than `most`."""
    return list(islice(_differences(before, after, "", 0), most))


def shown(changes: list[Change], most: int) -> list[Change]:
    """The first of some changes; when there are more, a last one says so."""
    if len(changes) <= most:
        return changes
    return [*changes[:most], Change("…", "change", None, "more changes than are shown")]


def change_of(path: str, before: list[Any], after: list[Any]) -> list[Change]:
    """What became of what was at a path."""
    pairs_ = zip_longest(map(_text, before), map(_text, after))
    return [
        Change(path, "add" if old is None else "remove" if new is None else "change", old, new) for old, new in pairs_
    ]


def _differences(before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    if same(before, after):
        return
    old, new = pairs(before), pairs(after)
    if old is not None and new is not None and _open(before, after) and depth < _DEPTH:
        yield from _maps(old, new, path, depth)
    elif isinstance(before, list) and isinstance(after, list) and depth < _DEPTH:
        yield from _sequences(before, after, path, "[]", depth)
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after) and depth < _DEPTH:
        yield from _sequences(before, after, path, "{}", depth)
    else:
        yield Change(path, "change", _text(before), _text(after))


def _maps(old: list[tuple[Any, Any]], new: list[tuple[Any, Any]], path: str, depth: int) -> Iterator[Change]:
    unmatched = dict(enumerate(new))
    index = {identity(key): number for number, (key, _) in enumerate(new)}
    for key, value in old:
        number = index.get(identity(key))
        if number is None:
            yield Change(path + key_path(key), "remove", _text(value), None)
        else:
            del unmatched[number]
            yield from _differences(value, new[number][1], path + key_path(key), depth + 1)
    for key, value in unmatched.values():
        yield Change(path + key_path(key), "add", None, _text(value))


def _sequences(before: Any, after: Any, path: str, brackets: str, depth: int) -> Iterator[Change]:
    # A list that grew or shrank at its front (a stack) or end (a queue) is shown as that, not as every element changing
    head = _common(before, after)
    tail = min(_common(before[::-1], after[::-1]), min(len(before), len(after)) - head)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    for number in range(max(len(old), len(new))):
        here = f"{path}{brackets[0]}{head + number}{brackets[1]}"
        if number >= len(old):
            yield Change(here, "add", None, _text(new[number]))
        elif number >= len(new):
            yield Change(here, "remove", _text(old[number]), None)
        else:
            yield from _differences(old[number], new[number], here, depth + 1)


def _common(before: Any, after: Any) -> int:
    count = 0
    for old, new in zip(before, after, strict=False):
        if not same(old, new):
            break
        count += 1
    return count


def _open(before: Any, after: Any) -> bool:
    """Whether two maps are compared inside: not when their struct differs or reads better whole."""
    one, other = _struct(before), _struct(after)
    return one == other and (one is None or one not in _PLAIN_STRUCTS)


def _struct(term: Any) -> str | None:
    for key, value in pairs(term) or []:
        if isinstance(key, Atom) and key == "__struct__":
            return str(value).removeprefix("Elixir.")
    return None


def _text(term: Any) -> str:
    return inspect(term, limit=_TEXT)
