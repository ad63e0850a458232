"""A failed assertion: which call gave the value that was not expected, who made it, and which state it was made from.

ExUnit tells the two sides as text. The latest answer that the test was given and that prints like one of them is the
value; from there it is followed back like any other. Made from the state of a server, it leads to the messages that had
last changed that state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.insight.origin import Origin, Tracer
from elixirscope.insight.values import MISSING, answered, diff, path_text, requested, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Term, inspect

_PART = re.compile(r"^(code|left|right):\s+(.*?)\s*(?=^(?:code|left|right):|\Z)", re.MULTILINE | re.DOTALL)
_PRINTED = 4_000
"""Characters of a side that are compared."""

_CHANGES = 3
"""Changes of a state that are told, the last ones before the value was made of it."""


@dataclass(frozen=True)
class Assertion:
    """The value that an assertion refused (`side` of it), and where it came from."""

    value: Term
    side: str
    origin: Origin
    steps: list[Evidence]
    changed: str | None  # the message that last changed the state that the value was made from
    line: int | None  # of the assertion in the test's file


def refused(history: History, test: Row) -> Assertion | None:
    """What the failed assertion of `test` refused; None when it was no assertion, or no answer prints like a side."""
    said = dict(_PART.findall(test["text"] or ""))
    frame = history.call(test["call"])
    if frame is None or "AssertionError" not in (test["text"] or ""):
        return None
    before = int(frame["end_event"] or history.query.event_count)
    for sighting in Tracer(history, None).received(frame, before):
        value = answered(sighting.term) if sighting.kind == "reply" else sighting.term
        side = next((name for name in ("left", "right") if _prints(value, said.get(name))), None)
        if side is not None:
            origin = Tracer(history, value).trace(frame, sighting.event + 1)
            changes, last = _changes(history, origin)
            return Assertion(value, side, origin, [*changes, *reversed(origin.steps)], last, _line(history, test, said))
    return None


def _prints(value: Term, text: str | None) -> bool:
    """Whether a value prints like a side of an assertion, which may be broken into lines."""
    return text is not None and "".join(inspect(value, limit=_PRINTED).split()) == "".join(text.split())


def _line(history: History, test: Row, said: dict[str, str]) -> int | None:
    """The line of the assertion, sought in the recorded source from the head of the test on."""
    code = said.get("code", "").partition("\n")[0].strip()
    source = history.recording.source(test["file"]) if test["file"] else None
    if not code or source is None:
        return None
    first = test["line"] or 1
    return next((n for n in range(first, len(source) + 1) if source[n - 1].strip() == code), None)


def _changes(history: History, origin: Origin) -> tuple[list[Evidence], str | None]:
    """The last changes of the state that the callback around the value's maker was given, and the last request."""
    for call in history.enclosing(origin.maker["call"] if origin.maker else None):
        frame = history.call(call)
        site = history.site(frame["site"]) if frame else None
        if frame is not None and site is not None and site["callback"]:
            told = list(_told(history, frame))
            return [step for step, _ in reversed(told)], next((asked for _, asked in told if asked), None)
    return [], None


def _told(history: History, callback: Row) -> Iterator[tuple[Evidence, str | None]]:
    label = history.label(callback["process"])
    told = 0
    states = history.states_before(callback["process"], callback["call"])
    newer = next(states, None)
    for older in states:
        if newer is None or older["process"] != callback["process"] or told == _CHANGES:
            return
        if newer["version"] != older["version"]:
            frame = history.call(newer["call"])
            message = history.message(frame["message"]) if frame else None
            asked = short(requested(history.term(message["value"])), 40) if message else None
            why = f"by {asked}" if asked else f"in {history.name(frame)}" if frame else "unseen"
            yield (
                history.evidence(
                    newer["state"], f"{label}'s state changed {why}: {_difference(history, older, newer)}"
                ),
                asked,
            )
            told += 1
        newer = older


def _difference(history: History, older: Row, newer: Row) -> str:
    changes = diff(history.term(older["value"]), history.term(newer["value"]))
    parts = [
        f"{path_text(change.path)} from {'nothing' if change.before is MISSING else short(change.before, 30)}"
        f" to {'nothing' if change.after is MISSING else short(change.after, 30)}"
        for change in changes[:2]
    ]
    return ", ".join(parts) + (f" and {len(changes) - 2} more" if len(changes) > 2 else "")
