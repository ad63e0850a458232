"""An exception behind another: `terminate/2` was run because of the first, failed itself, and so hid it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elixirscope.correlate.reasons import describe, is_error, stack_of
from elixirscope.insight.history import History
from elixirscope.query.row import Row


@dataclass(frozen=True)
class Masked:
    """The first `reason`, told like a row of the view exceptions, the frame that it came out of, and `terminate`'s."""

    reason: Any
    exception: Row
    frame: Row | None
    terminate: Row


def masked(history: History, frame: Row | None) -> Masked | None:
    """What a `terminate` around the frame that raised had been run for; None when there is none, or no crash before."""
    for call in history.enclosing(frame["call"] if frame is not None else None):
        row = history.call(call)
        site = history.site(row["site"]) if row is not None else None
        if row is None or site is None or not site["callback"] or row["function"] != "terminate":
            continue
        given = history.term(row["args"])
        reason = given[0] if isinstance(given, tuple) and given else None
        stack = stack_of(reason)
        if stack is None:
            return None
        outer = history.call(row["parent"])
        entry = next((each for each in stack[1] if each.module == row["module"]), stack[1][0])
        type_, text = describe("error" if is_error(stack[0]) else "exit", stack[0])
        site = history.site(outer["site"]) if outer is not None else None
        exception = {
            "class": "error",
            "type": type_,
            "text": text,
            "module": entry.module,
            "function": entry.function,
            "arity": entry.arity,
            "file": site["file"] if site is not None else entry.file,
            "line": entry.line,
            "event": row["call"],
            "call": None,
        }
        return Masked(reason, exception, outer, row)
    return None
