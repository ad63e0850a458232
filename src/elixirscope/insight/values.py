"""Terms inside terms: where a value sits in another, how such a place is written, and what differs between two.

A path is a tuple of steps from the outside in: `Key(k)` into a map, an `int` into a tuple or a list. All walks are
bounded, because recorded values are whatever the program had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elixirscope.recording.terms import MORE_KEY, Atom, ElixirMap, Truncated, inspect

WALK_LIMIT = 20_000
"""Terms looked at in one walk; what lies beyond counts as not found."""


@dataclass(frozen=True)
class Key:
    """A step into a map, by key."""

    key: Any

    def __hash__(self) -> int:
        return hash(repr(self.key))  # map keys may be terms that Python cannot hash


Step = Key | int
Path = tuple[Step, ...]

_STRUCT = Atom("__struct__")
_COMMON = frozenset({"nil", "true", "false", "ok", "error", "undefined", "normal", "noreply", "reply", "infinity"})


def parts(term: Any) -> Iterator[tuple[Step, Any]]:
    """The terms directly inside `term`, each with the step that leads to it. Struct names are no part."""
    if isinstance(term, dict | ElixirMap):
        for key, value in term.items():
            if not (isinstance(key, Atom) and key == _STRUCT):
                yield Key(key), value
    elif isinstance(term, tuple | list):
        yield from enumerate(term)


def same(left: Any, right: Any) -> bool:
    """Equality as `===`: 1 is not 1.0, and an atom is not a string."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    return bool(left == right)


def paths(term: Any, needle: Any) -> list[Path]:
    """Every place in `term` at which `needle` sits, the outermost first."""
    found: list[Path] = []
    queue: list[tuple[Path, Any]] = [((), term)]
    for path, here in queue:
        if same(here, needle):
            found.append(path)
        elif len(queue) < WALK_LIMIT:
            queue.extend(((*path, step), inner) for step, inner in parts(here))
    return found


def pairs(term: Any) -> Iterator[tuple[Step, Any]]:
    """Every term anywhere inside `term`, with its last step, the outermost first."""
    queue = list(parts(term))
    for step, here in queue:
        yield step, here
        if len(queue) < WALK_LIMIT:
            queue.extend(parts(here))


def leaves(term: Any) -> Iterator[Any]:
    """The terms anywhere inside `term` that hold no others."""
    return (here for _, here in pairs(term) if next(parts(here), None) is None)


def contains(term: Any, needle: Any) -> bool:
    """Whether `needle` sits anywhere in `term`."""
    return bool(paths(term, needle))


def incomplete(term: Any) -> bool:
    """Whether a part of `term` was left out when it was recorded, so that it may hold more than is seen."""
    return isinstance(term, Truncated) or any(
        isinstance(inner, Truncated) or same(step, Key(MORE_KEY)) for step, inner in pairs(term)
    )


def at(term: Any, path: Path) -> Any:
    """The term at `path`. Raises `KeyError` when `term` has no such place."""
    for step in path:
        for candidate, inner in parts(term):
            if candidate == step:
                term = inner
                break
        else:
            raise KeyError(step)
    return term


def distinctive(term: Any) -> bool:
    """Whether finding an equal term elsewhere says that it is the same one.

    `nil`, `true`, small numbers and empty containers are everywhere: equal ones prove nothing.
    """
    if isinstance(term, Atom):
        return False
    if isinstance(term, bool | int | float):
        return isinstance(term, float) or abs(term) > 1_000
    if isinstance(term, bytes):
        return len(term) >= 2
    if isinstance(term, tuple | list | dict | ElixirMap):
        inside = list(parts(term))
        named = len(inside) > 1 and any(isinstance(step, Key) and distinctive(step.key) for step, _ in inside)
        return named or any(distinctive(inner) for _, inner in inside) or struct_name(term) is not None
    return True


def struct_name(term: Any) -> str | None:
    """`TicketOffice.PromoCode` for a struct, else None."""
    if isinstance(term, dict | ElixirMap):
        for key, value in term.items():
            if isinstance(key, Atom) and key == _STRUCT:
                return str(value).removeprefix("Elixir.")
    return None


def elements(term: Any) -> list[Any]:
    """The leaves of a request that can name a thing: strings, numbers, telling atoms, pids; without the leading tag."""
    leaves: list[Any] = []
    queue: list[Any] = list(term[1:]) if isinstance(term, tuple) and term and isinstance(term[0], Atom) else [term]
    for here in queue:
        inner = [value for _, value in parts(here)]
        if inner and len(queue) < WALK_LIMIT:
            queue.extend(inner)
        elif isinstance(here, Atom):
            if here not in _COMMON:
                leaves.append(here)
        elif not isinstance(here, tuple | list | dict | ElixirMap | Truncated):
            leaves.append(here)
    return leaves


def shared(left: Any, right: Any) -> list[Any]:
    """The leaves that both requests name, in the order of the first."""
    others = elements(right)
    return [leaf for leaf in elements(left) if any(same(leaf, other) for other in others)]


@dataclass(frozen=True)
class Change:
    """One place that differs. `before` or `after` is `Missing` where the place did not exist."""

    path: Path
    before: Any
    after: Any


class Missing:
    """Stands for "no such place"."""


MISSING = Missing()


def diff(before: Any, after: Any) -> list[Change]:
    """The smallest places that differ between two terms."""
    changes: list[Change] = []
    queue: list[tuple[Path, Any, Any]] = [((), before, after)]
    for path, old, new in queue:
        if same(old, new):
            continue
        opened = (isinstance(old, dict | ElixirMap) and isinstance(new, dict | ElixirMap)) or (
            isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new)
        )
        if not opened or len(queue) >= WALK_LIMIT:
            changes.append(Change(path, old, new))
            continue
        olds, news = dict(parts(old)), dict(parts(new))
        for step in [*olds, *(step for step in news if step not in olds)]:
            queue.append(((*path, step), olds.get(step, MISSING), news.get(step, MISSING)))
    return changes


def overlaps(left: Path, right: Path) -> bool:
    """Whether one place is, or lies inside, the other."""
    short = min(len(left), len(right))
    return left[:short] == right[:short]


def path_text(path: Path) -> str:
    """A path as one writes it in Elixir: `.seats["A1"]`, `elem 1` as `[1]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif isinstance(step.key, Atom):
            text += f".{step.key}"
        else:
            text += f"[{short(step.key)}]"
    return text or "the whole value"


def requested(term: Any) -> Any:
    """The request inside `{:"$gen_call", from, request}` or `{:"$gen_cast", request}`."""
    if isinstance(term, tuple) and term and term[0] in ("$gen_call", "$gen_cast"):
        return term[-1]
    return term


def answered(term: Any) -> Any:
    """The answer inside `{ref, answer}`."""
    return term[1] if isinstance(term, tuple) and len(term) == 2 else term


def suspect(value: Any) -> bool:
    """Whether a value looks like the absence of a real one."""
    return not isinstance(value, Truncated) and (
        value == "nil" or value == "undefined" or (isinstance(value, tuple) and len(value) > 0 and value[0] == "error")
    )


def argument_list(term: Any) -> bool:
    """A bare tuple or list says little: it is rebuilt at every call."""
    return isinstance(term, list) or (
        isinstance(term, tuple) and not any(isinstance(step, Key) for step, _ in parts(term)) and len(term) < 2
    )


def outermost(term: Any, needle: Any) -> Path:
    """The first place in `term` at which `needle` sits; the empty path where it sits nowhere."""
    found = paths(term, needle)
    return found[0] if found else ()


def short(term: Any, limit: int = 60) -> str:
    """The term as IEx prints it, cut to one short line."""
    text = inspect(term, limit=limit)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def duration(ns: int) -> str:
    """`300 ms`, `5.0 s`, `12 µs`."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            return f"{ns / size:.1f} {unit}" if ns < 10 * size and unit == "s" else f"{ns / size:.0f} {unit}"
    return f"{ns} ns"
