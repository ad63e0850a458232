"""Retroactive prints: an expression evaluated at every passing of a line, over what was recorded there.

Known at a passing are the frame's parameters and the variables bound up to the end of that line. An expression that
fails on one passing (a variable not bound yet, a value that was cut) gives that passing an error, and no other.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from elixirscope.dags.occurrences import Occurrences
from elixirscope.errors import NotFoundError
from elixirscope.moment import Moment
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.expressions import Evaluated, Expression, compile_expression
from elixirscope.query.functions import EvaluationError, truthy
from elixirscope.query.labels import Labels
from elixirscope.query.row import Row
from elixirscope.query.values import Value
from elixirscope.recording.format import Kind

PAGE: Final = 100
SECONDS: Final = 5.0


class Print(msgspec.Struct, frozen=True):
    """What the expression was at one passing: a value, or why there is none."""

    moment: Moment
    process_label: str
    value: Value | None
    error: str | None


class Retro(msgspec.Struct, frozen=True):
    """A page of passings in order of time; `total` counts all of the line. `next` is the offset to go on from (None at
    the end): it comes early when evaluating took its time. `skipped` passings of this page did not hold `only`.
    `closures` of all passings are those of functions that are made on this very line, within a passing of the line.
    """

    file: str
    line: int
    expression: str
    total: int
    closures: int
    prints: list[Print]
    next: int | None
    skipped: int


def retro(
    query: QueryCoordinator,
    file: str,
    line: int,
    expression: str,
    *,
    only: str | None = None,
    limit: int = PAGE,
    offset: int = 0,
    seconds: float = SECONDS,
    within: tuple[int, int] | None = None,
) -> Retro:
    """`expression` at each passing of `line` of `file` (as in the view sites), a page of them.

    only: a second expression; passings where it is false, nil or fails are left out (and counted in `skipped`).
    within: only the passings between these times (ns).
    Raises `UsageError` for what is no expression, `NotFoundError` for a line at which nothing was recorded.
    """
    compiled = compile_expression(expression)
    condition = compile_expression(only) if only else None
    events = passings(query, file, line)
    if within is not None:
        times = query.column("events", "at")[events]
        events = events[(times >= within[0]) & (times <= within[1])]
    closures = _closures(query, file, line, events)
    search, labels, until = Occurrences(query), Labels(query), time.monotonic() + seconds
    prints: list[Print] = []
    skipped, at = 0, max(offset, 0)
    while at < len(events) and len(prints) < limit:
        event = int(events[at])
        at += 1
        variables = Evaluated({row["name"]: row["term"] for row in search.variables(event)})
        if condition is not None and not _holds(condition, variables):
            skipped += 1
        else:
            prints.append(_print(query, labels, compiled, variables, event))
        if time.monotonic() > until:
            break
    return Retro(file, line, expression, len(events), closures, prints, at if at < len(events) else None, skipped)


def passings(query: QueryCoordinator, file: str, line: int) -> NDArray[np.int64]:
    """The events that show a passing of a line, one each: where it binds variables the last binding of the line, else
    whatever was recorded there. Raises `NotFoundError`, naming near lines.
    """
    sites = query.rows("select site, kind, line from raw.sites where file = ? and hits > 0", [file])
    here = [row for row in sites if row["line"] == line]
    if not here:
        lines = sorted({row["line"] for row in sites if row["line"]}, key=lambda other: abs(other - line))[:3]
        near = f"something was recorded at lines {', '.join(map(str, sorted(lines)))}" if lines else _files(query)
        raise NotFoundError(f"nothing was recorded at {file}:{line}", near)
    binding = [row["site"] for row in here if row["kind"] == "bind"]
    wanted = binding or [row["site"] for row in here]
    events = np.flatnonzero(np.isin(query.column("events", "site"), wanted))
    kinds = query.column("events", "kind")[events]
    events, kinds = events[kinds != Kind.STATE], kinds[kinds != Kind.STATE]  # the return that holds it is there, too
    calls = query.column("events", "call")[events]
    calls = np.where(kinds == Kind.CALL, events, calls)
    # A line that binds twice in one frame, one after the other, is passed once: keep the last of each run
    order = np.lexsort((events, calls))
    sites_of = query.column("events", "site")[events][order]
    again = np.zeros(len(order), bool)
    again[:-1] = (calls[order][1:] == calls[order][:-1]) & (sites_of[1:] > sites_of[:-1]) & (calls[order][1:] >= 0)
    kept: NDArray[np.int64] = np.sort(events[order][~again])
    return kept


def _closures(query: QueryCoordinator, file: str, line: int, events: NDArray[np.int64]) -> int:
    """How many of the passings are in the frame of a function without a name that begins on this line."""
    made = query.rows("select site from raw.sites where file = ? and line = ? and kind = 'fn'", [file, line])
    calls = query.column("events", "call")[events]
    calls = calls[calls >= 0]
    return int(np.isin(query.column("events", "site")[calls], [row["site"] for row in made]).sum()) if made else 0


def _files(query: QueryCoordinator) -> str:
    known = query.rows("select distinct file from raw.sites where file is not null and hits > 0 order by file limit 6")
    return f"recorded files: {', '.join(row['file'] for row in known) or 'none'}"


def _holds(condition: Expression, variables: Evaluated) -> bool:
    try:
        return truthy(condition(variables))
    except EvaluationError:
        return False


def _print(query: QueryCoordinator, labels: Labels, compiled: Expression, variables: Evaluated, event: int) -> Print:
    row: Row = query.event(event)
    moment = Moment(row["at"], row["process"], event, row["call"])
    who = labels.process(row["process"])
    try:
        return Print(moment, who, query.values.of_term(compiled(variables)), None)
    except EvaluationError as error:
        return Print(moment, who, None, error.message)
