"""What an exception complains of: the values that its reason names, and that the function was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from elixirscope.insight.values import Key, distinctive, leaves, pairs, parts, same, short, struct_name, suspect
from elixirscope.recording.terms import Atom

# Reasons and exception fields that hold the value they complain of, and how sure it is that the value is to blame:
# a missing key may as well be the fault of the map.
_CARRIES_VALUE = {
    "badmatch": 1.0,
    "case_clause": 1.0,
    "try_clause": 1.0,
    "with_clause": 1.0,
    "badmap": 1.0,
    "badfun": 1.0,
}
_OF_THE_VM = frozenset(
    {"ArgumentError", "ArithmeticError", "FunctionClauseError", "UndefinedFunctionError", "BadMapError"}
    | {"KeyError", "Protocol.UndefinedError", "BadFunctionError", "ErlangError"}
)
_OF_INTEGERS = frozenset({"div", "rem", "band", "bor", "bxor", "bnot", "bsl", "bsr"})
_VALUE_FIELDS = {Atom("value"): 1.0, Atom("term"): 0.9}


def bad_values(reason: Any, arguments: Any, text: str = "") -> Iterator[tuple[Any, float]]:
    """The values that an exit reason complains of and how sure that is, the most telling first.

    `arguments` are those of the raising frame: what looks absent among them, or is kept under what the message `text`
    names, comes last.
    """
    inner, stack = (
        reason if isinstance(reason, tuple) and len(reason) == 2 and isinstance(reason[1], list) else (reason, [])
    )
    name = struct_name(inner)
    if isinstance(inner, tuple) and len(inner) >= 2 and isinstance(inner[0], Atom) and inner[0] in _CARRIES_VALUE:
        yield inner[1], _CARRIES_VALUE[inner[0]]
    if isinstance(inner, tuple) and len(inner) >= 2 and inner[0] == "badkey":
        yield from _without_key(*inner[1:3])
    if name is not None:
        fields = {step.key: value for step, value in parts(inner) if isinstance(step, Key)}
        for field_name, trust in _VALUE_FIELDS.items():
            if not same(fields.get(field_name, Atom("nil")), Atom("nil")):
                yield fields[field_name], trust
        if name == "KeyError":
            yield from _without_key(fields.get(Atom("key"), Atom("nil")))
    given = stack_arguments(stack)
    yield from ((value, 1.0) for value in given if suspect(value))
    if given and (inner == "function_clause" or name == "FunctionClauseError"):
        inside = [value for value in leaves(tuple(given)) if suspect(value)]
        yield from ((value, 0.8) for value in inside if len(inside) == 1)
        telling = [value for value in given if distinctive(value)]
        yield from ((value, 0.85 if len(telling) == 1 else 0.6) for value in telling)
        return  # what was refused is known: nothing else is to blame
    if inner == "badarith":
        wanted = int if given and isinstance(stack[0][1], Atom) and stack[0][1] in _OF_INTEGERS else int | float
        yield from ((value, 1.0) for value in given if not isinstance(value, wanted))
    if stack and isinstance(stack[0], tuple) and stack[0] and stack[0][0] == "nil":
        yield Atom("nil"), 1.0
    said_so = name is not None and name not in _OF_THE_VM  # its author knew what was wrong: not just any nil
    if isinstance(arguments, tuple) and not said_so:
        yield from ((value, 0.8) for value in arguments if suspect(value))
        absent = [value for value in leaves(arguments) if suspect(value)]
        yield from ((value, 0.6) for value in absent if len(absent) == 1)
    if text:
        yield from ((value, 0.8) for value in kept_under(arguments, text) if suspect(value))


def _without_key(key: Any, term: Any = None) -> Iterator[tuple[Any, float]]:
    """What may be wrong where a key is missing: the term that has it not; the key only if it is no atom, which the
    code itself most likely names."""
    if term is not None:
        yield term, 1.0 if suspect(term) else 0.8
    if not isinstance(key, Atom):
        yield key, 0.7


def kept_under(arguments: Any, text: str) -> Iterator[Any]:
    """What maps among the arguments keep under a key that the text of an exception names."""
    for step, value in pairs(arguments):
        if isinstance(step, Key) and distinctive(step.key) and short(step.key) in text:
            yield value


def stack_arguments(stack: list[Any]) -> list[Any]:
    """What the function that raised was given, where its stack trace has that."""
    if stack and isinstance(stack[0], tuple) and len(stack[0]) > 2 and isinstance(stack[0][2], list):
        return stack[0][2]
    return []
