"""What the variables of a frame were bound to, and which of its calls gave back what nobody saw."""

from __future__ import annotations

from typing import Any

from elixirscope.insight.history import History
from elixirscope.insight.values import contains, distinctive, same
from elixirscope.query.row import Row
from elixirscope.recording.terms import Truncated


def value_of(history: History, binding: Row) -> Any:
    """What a variable was bound to; a marker that equals nothing where that was cut."""
    values, position = history.term(binding["value"]), binding["position"]
    known = isinstance(values, tuple) and position < len(values)
    return values[position] if known else Truncated("unrecorded", None, None)


def first_holding(history: History, frame: Row, before: int, needle: Any) -> Row | None:
    """The first binding of the frame, up to an event, that holds the value or a container around it."""
    for row in history.query.find_all("bindings", "call", frame["call"]):
        if row["event"] <= before and contains(value_of(history, row), needle):
            return row
    return None


def bound_unseen(history: History, frame: Row, before: int, needle: Any) -> Row | None:
    """The call that ended in unrecorded code just before a variable was bound to just the value, a common one."""
    if distinctive(needle):
        return None
    rows = [row for row in history.query.find_all("bindings", "call", frame["call"]) if row["event"] <= before]
    for row in reversed(rows):
        if same(value_of(history, row), needle):
            asked = [child for child in history.children(frame["call"]) if child["call"] < row["event"]]
            return asked[-1] if asked and history.goes_on_in(asked[-1]) is not None else None
    return None


def last_unseen(history: History, frame: Row, before: int, value: Any) -> Row | None:
    """The last call that the frame made, where nobody saw what it gave back: it ended in unrecorded code."""
    if distinctive(value):
        return None
    for last in reversed(history.children(frame["call"])):
        clean_up = (history.site(last["site"]) or {}).get("callback")  # after the exception: a `terminate`
        if last["call"] < before and not last["external"] and not clean_up:
            return last if history.goes_on_in(last) is not None else None
    return None
