"""What expressions can call: Elixir's operators and the functions that only look at values."""

from __future__ import annotations

import operator as op
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any, Final

from elixirscope.errors import UsageError
from elixirscope.query.equality import identity, pairs, same
from elixirscope.recording.terms import (
    FALSE,
    NIL,
    TRUE,
    Atom,
    Bitstring,
    Fun,
    ImproperList,
    Pid,
    Port,
    Redacted,
    Ref,
    Term,
    Truncated,
    inspect,
)

_MOST_BITS: Final = 65_536
_MOST_BYTES: Final = 1_000_000
_STRUCT: Final = Atom("__struct__")


class EvaluationError(UsageError):
    """An expression that cannot be evaluated on these values: one hit's answer, not a failure of the question."""

    slug = "evaluation"


def known(term: Term) -> Term:
    """`term` when it was recorded. Raises `EvaluationError` for a secret, and for what was left out whole."""
    if isinstance(term, Redacted):
        raise EvaluationError("this value was redacted")
    if isinstance(term, Truncated) and term.shown is None:
        raise EvaluationError(f"this {term.kind} was left out to keep the value within its budget")
    return term


def truthy(term: Term) -> bool:
    """Everything but nil and false."""
    return not (isinstance(term, Atom) and term in ("nil", "false"))


def boolean(term: Term) -> bool:
    """True or false. Raises `EvaluationError` for anything else, as `and` does."""
    if isinstance(term, Atom) and term in ("true", "false"):
        return term == "true"
    raise EvaluationError(f"a boolean was expected, not {inspect(term, limit=60)}")


def shown(term: Term) -> bytes:
    """What interpolation makes of a term."""
    if isinstance(term, bytes):
        return term
    if isinstance(term, Atom):
        return b"" if term == NIL else term.removeprefix("Elixir.").encode()
    return inspect(term, limit=10_000).encode()


def _atom(value: bool) -> Atom:
    return TRUE if value else FALSE


def _number(term: Term) -> int | float:
    if isinstance(term, int | float) and not isinstance(term, bool):
        return term
    raise EvaluationError(f"a number was expected, not {inspect(term, limit=60)}")


def _integer(term: Term) -> int:
    if isinstance(term, int):
        return term
    raise EvaluationError(f"an integer was expected, not {inspect(term, limit=60)}")


def _whole(term: Term, kind: type, word: str) -> Any:
    if isinstance(term, Truncated):
        raise EvaluationError(f"only a part of this {term.kind} was recorded")
    if not isinstance(term, kind):
        raise EvaluationError(f"a {word} was expected, not {inspect(term, limit=60)}")
    return term


def _list(term: Term) -> list[Term]:
    found: list[Term] = _whole(term, list, "list")
    if found and isinstance(found[-1], Truncated) and found[-1].kind == "more":
        raise EvaluationError("only a part of this list was recorded")
    return found


def _map(term: Term) -> list[tuple[Term, Term]]:
    found = pairs(term)
    if found is None:
        raise EvaluationError(f"a map was expected, not {inspect(term, limit=60)}")
    if any(isinstance(key, Atom) and key == "$elixirscope_more" for key, _ in found):
        raise EvaluationError("only a part of this map was recorded")
    return found


def _arithmetic(apply: Callable[[Any, Any], Any]) -> Callable[[Term, Term], Term]:
    def run(one: Term, other: Term) -> Term:
        left, right = _number(one), _number(other)
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _MOST_BITS:
            raise EvaluationError("the number is too large")
        try:
            result = apply(left, right)
        except (ZeroDivisionError, OverflowError) as error:
            raise EvaluationError("bad argument in arithmetic expression") from error
        if isinstance(result, float) and (result != result or result in (float("inf"), float("-inf"))):
            raise EvaluationError("bad argument in arithmetic expression")
        return result

    return run


def _div(one: Term, other: Term) -> int:
    left, right = _integer(one), _integer(other)
    if right == 0:
        raise EvaluationError("bad argument in arithmetic expression")
    size = abs(left) // abs(right)
    return size if (left < 0) == (right < 0) else -size


def _joined(one: Term, other: Term) -> bytes:
    text: bytes = _whole(one, bytes, "binary") + _whole(other, bytes, "binary")
    if len(text) > _MOST_BYTES:
        raise EvaluationError("the text is too long")
    return text


def _appended(one: Term, other: Term) -> list[Term]:
    items = _list(one) + _list(other)
    if len(items) > _MOST_BYTES:
        raise EvaluationError("the list is too long")
    return items


def _without(one: Term, other: Term) -> list[Term]:
    left, gone = list(_list(one)), _list(other)
    if len(left) * len(gone) > _MOST_BYTES:
        raise EvaluationError("the lists are too long")
    for item in gone:
        place = next((n for n, kept in enumerate(left) if same(kept, item)), None)
        if place is not None:
            del left[place]
    return left


_RANK: Final[tuple[Any, ...]] = (int, float), Atom, Ref, Fun, Port, Pid, tuple, dict, list, bytes


def _rank(term: Term) -> int:
    if pairs(term) is not None:
        return 7
    if isinstance(term, ImproperList):
        return 8
    if isinstance(term, Bitstring):
        return 9
    if isinstance(term, Truncated | Redacted):
        raise EvaluationError("what was not recorded whole cannot be compared")
    return next(n for n, kind in enumerate(_RANK) if isinstance(term, kind))


def compare(one: Any, other: Any) -> int:
    """Erlang's order of terms: negative, 0 or positive. Raises `EvaluationError` for what was left out."""
    left, right = _rank(one), _rank(other)
    if left != right:
        return left - right
    if left in (0, 1, 9) and type(one) is not Bitstring and type(other) is not Bitstring:
        return int(one > other) - int(one < other)
    if left == 6:
        return len(one) - len(other) or _in_turn(list(one), list(other))
    if left == 8 and isinstance(one, list) and isinstance(other, list):
        return _in_turn(one, other) or len(one) - len(other)
    if left == 7:
        return _maps(one, other)
    mine, theirs = str(identity(one)), str(identity(other))
    return (mine > theirs) - (mine < theirs)


def _in_turn(one: list[Term], other: list[Term]) -> int:
    return next((order for a, b in zip(one, other, strict=False) if (order := compare(a, b))), 0)


def _maps(one: Term, other: Term) -> int:
    left, right = _map(one), _map(other)
    if len(left) != len(right):
        return len(left) - len(right)
    by_key = cmp_to_key(compare)
    mine, theirs = (sorted(found, key=lambda pair: by_key(pair[0])) for found in (left, right))
    keys = _in_turn([key for key, _ in mine], [key for key, _ in theirs])
    return keys or _in_turn([value for _, value in mine], [value for _, value in theirs])


def _ordered(holds: Callable[[int, int], bool]) -> Callable[[Term, Term], Atom]:
    return lambda one, other: _atom(holds(compare(one, other), 0))


def _equal(one: Term, other: Term) -> bool:
    """`==`: 1 equals 1.0."""
    return same(one, other) or compare(one, other) == 0


BINARY: Final[dict[str, Callable[[Term, Term], Term]]] = {
    "==": lambda a, b: _atom(_equal(a, b)),
    "!=": lambda a, b: _atom(not _equal(a, b)),
    "===": lambda a, b: _atom(same(a, b)),
    "!==": lambda a, b: _atom(not same(a, b)),
    "<": _ordered(op.lt),
    "<=": _ordered(op.le),
    ">": _ordered(op.gt),
    ">=": _ordered(op.ge),
    "+": _arithmetic(op.add),
    "-": _arithmetic(op.sub),
    "*": _arithmetic(op.mul),
    "/": _arithmetic(op.truediv),
    "<>": _joined,
    "++": _appended,
    "--": _without,
}


def _elem(term: Term, index: Term) -> Term:
    items: Any = term.shown if isinstance(term, Truncated) and isinstance(term.shown, tuple) else term
    found: tuple[Term, ...] = _whole(items, tuple, "tuple")
    place = _integer(index)
    if not 0 <= place < len(found):
        raise EvaluationError(f"there is no element {place}")
    return known(found[place])


def _head(term: Term) -> Term:
    items: Any = term.items if isinstance(term, ImproperList) else term
    found: list[Term] = _whole(items, list, "list")
    if not found:
        raise EvaluationError("the list is empty")
    return known(found[0])


def _tail(term: Term) -> Term:
    if isinstance(term, ImproperList):
        return ImproperList(term.items[1:], term.tail) if len(term.items) > 1 else term.tail
    found: list[Term] = _whole(term, list, "list")
    if not found:
        raise EvaluationError("the list is empty")
    return found[1:]


def _size(term: Term) -> int:
    if isinstance(term, Truncated) and term.kind == "binary" and term.total is not None:
        return term.total
    return len(term.data) if isinstance(term, Bitstring) else len(_whole(term, bytes, "binary"))


def _length(term: Term) -> int:
    if isinstance(term, list) and term and isinstance(term[-1], Truncated) and term[-1].total is not None:
        return len(term) - 1 + term[-1].total
    return len(_list(term))


def _characters(term: Term) -> int:
    try:
        return len(_whole(term, bytes, "string").decode())
    except UnicodeDecodeError as error:
        raise EvaluationError("this binary is no string") from error


def _get(term: Term, key: Term, default: Term = NIL) -> Term:
    found = pairs(term)
    if found is None:
        raise EvaluationError(f"a map was expected, not {inspect(term, limit=60)}")
    return next((known(value) for name, value in found if same(name, key)), default)


def _struct(term: Term, name: Term = None) -> Atom:
    found = next((v for k, v in pairs(term) or () if isinstance(k, Atom) and k == _STRUCT), None)
    return _atom(isinstance(found, Atom) and (name is None or same(found, name)))


def _is(*kinds: Any) -> Callable[[Term], Atom]:
    return lambda term: _atom(isinstance(term, kinds) and not (kinds == (bytes,) and isinstance(term, Atom)))


def _count(term: Term) -> int:
    return len(_map(term)) if pairs(term) is not None else _length(term)


def _round(term: Term) -> int:
    number = _number(term)
    whole = abs(number)
    return int(whole + 0.5) * (1 if number >= 0 else -1) if isinstance(number, float) else number


FUNCTIONS: Final[dict[tuple[str, int], Callable[..., Term]]] = {
    ("length", 1): _length,
    ("map_size", 1): lambda term: len(_map(term)),
    ("tuple_size", 1): lambda term: (
        term.total
        if isinstance(term, Truncated) and term.kind == "tuple" and term.total is not None
        else len(_whole(term, tuple, "tuple"))
    ),
    ("byte_size", 1): _size,
    ("elem", 2): _elem,
    ("hd", 1): _head,
    ("tl", 1): _tail,
    ("inspect", 1): lambda term: inspect(term, limit=10_000).encode(),
    ("to_string", 1): shown,
    ("abs", 1): lambda term: abs(_number(term)),
    ("round", 1): _round,
    ("trunc", 1): lambda term: int(_number(term)),
    ("div", 2): _div,
    ("rem", 2): lambda a, b: _integer(a) - _div(a, b) * _integer(b),
    ("max", 2): lambda a, b: a if compare(a, b) >= 0 else b,
    ("min", 2): lambda a, b: a if compare(a, b) <= 0 else b,
    ("is_nil", 1): lambda term: _atom(isinstance(term, Atom) and term == NIL),
    ("is_atom", 1): _is(Atom),
    ("is_boolean", 1): lambda term: _atom(isinstance(term, Atom) and term in ("true", "false")),
    ("is_integer", 1): _is(int),
    ("is_float", 1): _is(float),
    ("is_number", 1): _is(int, float),
    ("is_binary", 1): lambda term: _atom(
        isinstance(term, bytes) or (isinstance(term, Truncated) and term.kind == "binary")
    ),
    ("is_bitstring", 1): _is(bytes, Bitstring),
    ("is_list", 1): _is(list, ImproperList),
    ("is_tuple", 1): lambda term: _atom(
        isinstance(term, tuple) or (isinstance(term, Truncated) and term.kind == "tuple")
    ),
    ("is_map", 1): lambda term: _atom(pairs(term) is not None),
    ("is_struct", 1): _struct,
    ("is_struct", 2): _struct,
    ("is_pid", 1): _is(Pid),
    ("is_reference", 1): _is(Ref),
    ("is_port", 1): _is(Port),
    ("is_function", 1): _is(Fun),
    ("is_map_key", 2): lambda term, key: _atom(any(same(name, key) for name, _ in _map(term))),
    ("Map.get", 2): _get,
    ("Map.get", 3): _get,
    ("Map.keys", 1): lambda term: [key for key, _ in _map(term)],
    ("Map.values", 1): lambda term: [value for _, value in _map(term)],
    ("Enum.count", 1): _count,
    ("String.length", 1): _characters,
}
