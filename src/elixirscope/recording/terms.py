"""Elixir terms in Python. `inspect` shows them as IEx would; `etf` reads and writes them.

Integers, floats, lists and tuples are Python's own; binaries are `bytes`; maps are `dict`, or
`ElixirMap` where Python cannot hold the keys (a list as key, or 1 beside 1.0).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from elixirscope.recording import text

Term: TypeAlias = Any


class Atom(str):
    """An atom; also `nil`, `true` and `false`. An Elixir module is `Atom("Elixir.Name")`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({str.__repr__(self)})"


NIL: Final = Atom("nil")
TRUE: Final = Atom("true")
FALSE: Final = Atom("false")

MARKER: Final = Atom("$elixirscope")  # first element of the tuples that stand for what was left out
MORE_KEY: Final = Atom("$elixirscope_more")  # the key that counts the pairs left out of a map


@dataclass(frozen=True, slots=True)
class Pid:
    """A process identifier as its own node prints it."""

    node: str
    id: int
    serial: int
    creation: int = 0

    def __str__(self) -> str:
        return f"#PID<0.{self.id}.{self.serial}>"


@dataclass(frozen=True, slots=True)
class Port:
    """A port identifier."""

    node: str
    id: int
    creation: int = 0

    def __str__(self) -> str:
        return f"#Port<0.{self.id}>"


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference; `ids` are its words, least significant first, as the external format has them."""

    node: str
    ids: tuple[int, ...]
    creation: int = 0

    def __str__(self) -> str:
        return f"#Reference<0.{'.'.join(str(word) for word in reversed(self.ids))}>"


@dataclass(frozen=True, slots=True)
class Fun:
    """A function. A closure has a name like `-run/1-fun-0-`, or none and an `index` and `uniq`; an
    external one (`&Mod.fun/1`) has a plain name. What a closure closed over is never kept."""

    module: str
    name: str | None
    arity: int
    index: int | None = None
    uniq: int | None = None


@dataclass(frozen=True, slots=True)
class ImproperList:
    """`[1, 2 | tail]`."""

    items: list[Term]
    tail: Term


@dataclass(frozen=True, slots=True)
class Bitstring:
    """A bitstring whose last byte holds only its `bits` highest bits (1–7)."""

    data: bytes
    bits: int


@dataclass(frozen=True, slots=True)
class Truncated:
    """What recording left out to keep a value within its budget.

    kind: `binary` (shown: the first bytes, total: bytes of the whole) · `more` (as the last element
    of a list: total more elements) · `tuple` (shown: the first elements) · any type name, with
    nothing shown, for a term that was too deep. total: its size, None when not counted.
    """

    kind: str
    shown: Term
    total: int | None


@dataclass(frozen=True, slots=True)
class Redacted:
    """A secret, replaced before it left the recorded program."""


class ElixirMap:
    """A map whose keys no Python dict can hold side by side; read it with `pairs`."""

    __slots__ = ("items_",)

    def __init__(self, items: Iterable[tuple[Term, Term]]) -> None:
        self.items_ = tuple(items)

    def items(self) -> tuple[tuple[Term, Term], ...]:
        return self.items_

    def __len__(self) -> int:
        return len(self.items_)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ElixirMap) or len(self) != len(other):
            return False
        rest = [(type(key), key, value) for key, value in other.items_]
        for key, value in self.items_:  # in any order; 1 is not 1.0
            if (type(key), key, value) not in rest:
                return False
            rest.remove((type(key), key, value))
        return True

    def __hash__(self) -> int:
        return hash((ElixirMap, len(self.items_)))

    def __repr__(self) -> str:
        return f"ElixirMap({list(self.items_)!r})"


def make_map(items: list[tuple[Term, Term]]) -> dict[Term, Term] | ElixirMap:
    """A dict when its keys stay distinct in Python, else an `ElixirMap`."""
    try:
        made = dict(items)
    except TypeError:
        return ElixirMap(items)
    return made if len(made) == len(items) else ElixirMap(items)


def inspect(term: Term, *, limit: int = 200, width: int | None = None) -> str:
    """`term` as IEx prints it, control characters escaped.

    limit: characters after which it is cut with `…`. width: None for one line, else the line
    width to break and indent within.
    """
    from elixirscope.recording.inspect import Inspector  # it needs the types above

    return Inspector(limit, width).text(term)


def module_name(atom: str) -> str:
    """A module as Elixir writes it: `TicketOffice.Seats`, `:gen_server`."""
    return text.atom(atom)
