"""Inside a value, a page at a time: what a tree view opens one by one, however large the term.

A place inside a value is named by positions: `0.2` is the third part of the first. The parts of a map are its pairs in
the order in which they are printed, named by their key; those of a list and a tuple are their elements.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import msgspec

from elixirscope.errors import NotFoundError, UsageError
from elixirscope.query.paths import key_path
from elixirscope.query.values import marks
from elixirscope.recording.fields import in_order
from elixirscope.recording.terms import (
    MORE_KEY,
    Atom,
    Bitstring,
    ElixirMap,
    Fun,
    ImproperList,
    Pid,
    Port,
    Redacted,
    Ref,
    Truncated,
    inspect,
    module_name,
)

PAGE: Final = 100
_TEXT: Final = 200


class Part(msgspec.Struct, frozen=True):
    """A value, or a part of one. `path` names it by positions, `where` as a person writes it (`.seats["A1"]`).

    `key` is what stands before it in its container; `children` how many parts it has itself; `left_out` how many parts
    or bytes the recorder left out directly in it (-1 when it did not count them).
    """

    path: str
    where: str
    key: str | None
    kind: str  # integer | float | atom | string | binary | bitstring | list | tuple | map | struct | pid | …
    text: str
    children: int
    left_out: int | None = None
    truncated: bool = False  # something in it was left out
    redacted: bool = False


class Children(msgspec.Struct, frozen=True):
    """A page of the parts of `of`; `total` counts all of them."""

    of: Part
    total: int
    offset: int
    children: list[Part]


def children(term: Any, path: str = "", offset: int = 0, limit: int = PAGE, *, whole: bool = False) -> Children:
    """The parts [offset, offset + limit) of what stands at `path` in `term`; `whole`: nothing was left out of it.

    Raises `UsageError` for what is no path, `NotFoundError` for one that leads nowhere.
    """
    here, where, key = _walk(term, path)
    prefix = f"{path}." if path else ""
    keyed = _parts(here)
    page = [
        _part(f"{prefix}{number}", where + step, name, part, whole)
        for number, (name, step, part) in islice(enumerate(keyed), max(offset, 0), max(offset, 0) + max(limit, 0))
    ]
    return Children(_part(path, where, key, here, whole), _count(here), offset, page)


def part_at(term: Any, path: str) -> Any:
    """The part of `term` at a path of positions. Raises as `children`."""
    return _walk(term, path)[0]


def _walk(term: Any, path: str) -> tuple[Any, str, str | None]:
    where, key = "", None
    for step in path.split(".") if path else ():
        if not (step.isascii() and step.isdigit()) or len(step) > 9:
            raise UsageError(f"{path[:80]!r} is no path into a value", "write positions, as 0.2")
        found = next(islice(_parts(term), int(step), None), None)
        if found is None:
            raise NotFoundError(f"there is nothing at {path[:80]} in this value", f"{_count(term)} parts at this level")
        key, place, term = found
        where += place
    return term, where, key


def _parts(term: Any) -> Any:
    """(key, step of the path, part) of each part, lazily."""
    if isinstance(term, (dict, ElixirMap)):
        return (
            (_key(key), key_path(key), value)
            for key, value in in_order(term)
            if not _counts(key) and not (isinstance(key, Atom) and key == "__struct__")
        )
    if isinstance(term, ImproperList):
        elements = ((str(n), f"[{n}]", item) for n, item in enumerate([*term.items, term.tail]))
        return ((("|" if int(k) == len(term.items) else k), step, item) for k, step, item in elements)
    if isinstance(term, list):
        return ((str(n), f"[{n}]", item) for n, item in enumerate(_elements(term)))
    if isinstance(term, Truncated) and isinstance(term.shown, tuple):
        term = term.shown
    if isinstance(term, tuple):
        return ((str(n), f"{{{n}}}", item) for n, item in enumerate(term))
    return iter(())


def _elements(term: list[Any]) -> list[Any]:
    """The recorded elements of a list: without the mark that counts the others."""
    return term[:-1] if term and isinstance(term[-1], Truncated) and term[-1].kind == "more" else term


def _count(term: Any) -> int:
    if isinstance(term, (dict, ElixirMap)):
        hidden = sum(1 for key, _ in term.items() if _counts(key) or (isinstance(key, Atom) and key == "__struct__"))
        return len(term) - hidden
    if isinstance(term, ImproperList):
        return len(term.items) + 1
    if isinstance(term, list):
        return len(_elements(term))
    if isinstance(term, Truncated):
        return len(term.shown) if isinstance(term.shown, tuple) else 0
    return len(term) if isinstance(term, tuple) else 0


def _counts(key: Any) -> bool:
    return isinstance(key, Atom) and key == MORE_KEY


def _key(key: Any) -> str:
    return f"{key}:" if isinstance(key, Atom) and key.isidentifier() else inspect(key, limit=_TEXT)


def _part(path: str, where: str, key: str | None, term: Any, whole: bool) -> Part:
    truncated, redacted = (False, False) if whole else marks(term)
    kind, text = kind_of(term), inspect(term, limit=_TEXT)
    return Part(path, where, key, kind, text, _count(term), _left_out(term), truncated, redacted)


def _left_out(term: Any) -> int | None:
    cut: Any = None
    if isinstance(term, list) and len(_elements(term)) != len(term):
        cut = term[-1].total
    elif isinstance(term, (dict, ElixirMap)):
        counted = [value for key, value in term.items() if _counts(key)]
        if not counted:
            return None
        cut = counted[0]
    elif isinstance(term, Truncated):
        shown = len(term.shown) if isinstance(term.shown, (tuple, bytes)) else 0
        cut = None if term.total is None else term.total - shown
    else:
        return None
    return cut if isinstance(cut, int) else -1


_KINDS: Final[tuple[tuple[Any, str], ...]] = (
    (Atom, "atom"),
    (bool, "atom"),
    (int, "integer"),
    (float, "float"),
    (ImproperList, "list"),
    (list, "list"),
    (tuple, "tuple"),
    (Bitstring, "bitstring"),
    (Pid, "pid"),
    (Port, "port"),
    (Ref, "reference"),
    (Fun, "function"),
    (Redacted, "redacted"),
)


def kind_of(term: Any) -> str:
    """The type of a term in Elixir's words; a struct by its name, what was cut by what it was."""
    if isinstance(term, bytes):
        try:
            term.decode("utf-8")
        except UnicodeDecodeError:
            return "binary"
        return "string"
    if isinstance(term, Truncated):
        return "list" if term.kind == "more" else term.kind
    if isinstance(term, (dict, ElixirMap)):
        name = next((v for k, v in term.items() if isinstance(k, Atom) and k == "__struct__"), None)
        return f"%{module_name(name)}{{}}" if isinstance(name, Atom) else "map"
    return next((name for kind, name in _KINDS if isinstance(term, kind)), "term")
