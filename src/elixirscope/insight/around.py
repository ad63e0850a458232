"""What gave a frame its values without being on its stack: the function around an anonymous one, a test's setup."""

from __future__ import annotations

import re
from typing import Any

from elixirscope.insight.history import History
from elixirscope.insight.values import contains, distinctive, short
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


def literal(history: History, frame: Row, callee: Row, value: Any) -> int | None:
    """The line on which a frame gave a value that is everywhere, such as 2, to what it called, where it stands there as
    a literal: an equal one elsewhere says nothing then."""
    if distinctive(value) or frame["call"] == callee["call"] or history.is_fn(callee):
        return None
    site = history.site(frame["site"]) or {}
    source = history.recording.source(site["file"]) if site.get("file") and site.get("line") else None
    if source is None:
        return None
    token = re.compile(rf"(?<![\w.:\"]){re.escape(short(value))}(?![\w.\"])")
    call = re.compile(rf"(?<![\w?!]){re.escape(callee['function'])}\s?\(")
    first, last = site["line"] + 1, min(site["end_line"] or site["line"] + 60, len(source))
    lines = ((number, source[number - 1].split("#")[0]) for number in range(first, last + 1))
    return next((number for number, text in lines if call.search(text) and token.search(text)), None)
