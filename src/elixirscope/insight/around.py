"""What gave a frame its values without being on its stack: the function around an anonymous one, a test's setup."""

from __future__ import annotations

from typing import Any

from elixirscope.insight.history import History
from elixirscope.insight.values import contains, distinctive
from elixirscope.query.row import Row


def written_in(history: History, fn: Row) -> Row | None:
    """The latest frame of the function that an anonymous one is written in, if that led to its call.

    It may have ended by calling what called the anonymous one, or have run in the process that started this one.
    """
    place = history.site(fn["site"]) or {}
    frames = history.enclosing(fn["call"])
    outermost = history.call(frames[-1]) if frames else None
    started = history.enclosing(outermost["remote_parent"]) if outermost else []
    for call in [*frames[1:], *started]:
        caller = history.call(call)
        tails = [row for row in history.children(call) if row["call"] < fn["call"] and row["outcome"] == "tail"]
        for row in [*reversed(tails), *([caller] if caller else [])]:
            around = history.site(row["site"]) or {}
            named = (row["module"], row["function"]) == (fn["module"], fn["function"])
            if named and row["site"] != fn["site"] and _within(place, around):
                return row
    return None


def _within(inner: Row, outer: Row) -> bool:
    """Whether a place in the source lies within the lines of another."""
    first, last = outer.get("line") or 0, outer.get("end_line") or outer.get("line") or 0
    return first <= (inner.get("line") or 0) <= last


def prepared(history: History, frame: Row, needle: Any) -> Row | None:
    """The setup that gave a test the value with its context, if `frame` is that of a test."""
    if not distinctive(needle) or all(test["call"] != frame["call"] for test in history.tests):
        return None
    returned = "select * from raw.calls where process = ? and call < ? and outcome = 'returned'"
    setups = " and starts_with(function, '__ex_unit_setup') order by call desc"
    rows = history.query.rows(returned + setups, [frame["process"], frame["call"]])
    return next((row for row in rows if contains(history.term(row["result"]), needle)), None)
