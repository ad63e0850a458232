"""A response that was sent twice: who had answered first, and had not halted the connection."""

from __future__ import annotations

from typing import Any

from elixirscope.insight.history import History
from elixirscope.insight.values import Key, pairs, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom

ALREADY_SENT = "AlreadySentError"

FRAMES = 500
"""Frames before the second answer among which the first one is sought."""

_STATUS = Key(Atom("status"))


def first_answer(history: History, raised: Row) -> tuple[Row, str] | None:
    """The first function of a process, written by a person, that returned a connection with a status before `raised`
    was to answer; and the status."""
    rows = history.returned_before(raised["process"], raised["end_event"], FRAMES)
    found = None
    for row in rows:
        status = _status(history.term(row["result"]))
        if status is not None and _status(history.term(row["args"])) is None:
            found = (row, short(status))
    if found is None:
        return None
    by = _by_person(history, found[0])
    return (by, found[1]) if by is not None else None


def _by_person(history: History, row: Row) -> Row | None:
    """The function itself; of one that a macro made (a pipeline) the last that it called, where a person wrote that."""
    while not history.written(row):
        inner = [child for child in history.children(row["call"]) if not child["external"]]
        if not inner:
            return None
        row = inner[-1]
    return row


def _status(term: Any) -> int | None:
    return next((value for step, value in pairs((term,)) if step == _STATUS and isinstance(value, int)), None)
