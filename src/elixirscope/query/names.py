"""What a person calls a function: as one writes it, and those that ExUnit makes by what they were written as."""

from __future__ import annotations

import re

from elixirscope.query.row import Row

_SETUP = re.compile(r"__ex_unit_(setup(?:_all)?)(?:_\d+)*(?:__)?")
_TEST = re.compile(r"(test|doctest|property) ")


def spoken(module: str | None, function: str) -> str:
    """`Seats.put`, `setup of SeatsTest`, `test no seat is sold twice (SeatsTest)`."""
    if setup := _SETUP.fullmatch(function):
        return f"{setup[1]} of {module}"
    if _TEST.match(function):
        return f"{function} ({module})"
    return f"{module}.{function}" if module else function


def mfa(row: Row | None) -> str:
    """`TicketOffice.Seats.put/2` of a row with module, function and arity."""
    if row is None or row["function"] is None:
        return "unknown code"
    name = spoken(row["module"], row["function"])
    return name if _SETUP.fullmatch(row["function"]) or _TEST.match(row["function"]) else f"{name}/{row['arity']}"
