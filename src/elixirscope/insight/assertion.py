"""A failed assertion: which call gave the value that was not expected, who made it, and which state it was made from.

ExUnit tells the two sides as text. The latest answer that the test was given and that prints like one of them is the
value; from there it is followed back like any other. Made from the state of a server, it leads to the messages that had
last changed that state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from elixirscope.insight.changes import last_changes, last_set, told
from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.insight.origin import Origin, Tracer
from elixirscope.insight.sightings import Sighting, received
from elixirscope.insight.tests import sides
from elixirscope.insight.values import Key, Path, answered, pairs, path_text, paths, same, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom, Term, inspect

_PRINTED = 4_000
"""Characters of a side that are compared."""


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
    """What the failed assertion of `test` refused; None when it was no assertion, or nothing it was given prints like
    a side, as a whole or as what stands under a key that its code names (`state.reserved["b"]`)."""
    said = sides(test)
    frame = history.call(test["call"])
    if frame is None or not said:
        return None
    given = received(history, frame, int(frame["end_event"] or history.query.event_count))
    for sighting in given:
        value = sighting.term if sighting.kind == "result" else answered(sighting.term)
        if (side := _side(value, said)) is not None:
            return _followed(history, test, frame, sighting, value, side)
    for sighting in given:
        for step, value in pairs(sighting.term):
            if isinstance(step, Key) and names(step.key, said) and (side := _side(value, said)) is not None:
                held = _held(history, sighting, step, value)
                if held is not None:
                    return _kept(history, test, *held, value, side)
                return _followed(history, test, frame, sighting, value, side)
    return None


def awaited(test: Row) -> str | None:
    """The pattern of the message that a test awaited in vain with `assert_receive` or `assert_received`."""
    said = re.search(r"no matching message.*?^code:\s+assert_received? (.*?)\n", test["text"] or "", re.S | re.M)
    return said[1].strip() if said else None


def line_of(history: History, test: Row) -> int | None:
    """The line of the assertion, sought in the recorded source from the head of the test on."""
    code = sides(test).get("code", "").partition("\n")[0].strip()
    source = history.recording.source(test["file"]) if test["file"] else None
    if not code or source is None:
        return None
    first = test["line"] or 1
    lines = ((number, source[number - 1].strip()) for number in range(first, len(source) + 1))
    return next((number for number, line in lines if line == code or line.startswith(f"{code},")), None)


def _side(value: Term, said: dict[str, str]) -> str | None:
    return next((name for name in ("left", "right") if prints(value, said.get(name))), None)


def names(key: Term, said: dict[str, str]) -> bool:
    """Whether the code of an assertion names a key: `.total`, `[:total]`, `["b"]`."""
    name = str(key) if isinstance(key, Atom) else short(key)
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said.get("code", "")) is not None


def _followed(history: History, test: Row, frame: Row, sighting: Sighting, value: Term, side: str) -> Assertion:
    origin = Tracer(history, value).trace(frame, sighting.event + 1)
    changes, last = _changes(history, origin)
    return Assertion(value, side, origin, [*changes, *reversed(origin.steps)], last, line_of(history, test))


def _held(history: History, sighting: Sighting, step: Key, value: Term) -> tuple[Row, int, Path] | None:
    """The server that answered with its state, and where in that a value stood, if that is what it answered with."""
    if sighting.kind not in ("message", "reply") or sighting.row["send_event"] is None:
        return None
    answer = sighting.row
    state = next(history.states_before(answer["from_process"], answer["send_event"]), None)
    if state is None or not same(answered(sighting.term), history.term(state["value"])):
        return None
    places = (path for path in paths(answered(sighting.term), value) if path and path[-1] == step)
    return next(((answer, int(answer["from_process"]), path) for path in places), None)


def _kept(history: History, test: Row, answer: Row, process: int, path: Path, value: Term, side: str) -> Assertion:
    """What a server kept at a place of its state, with who had set that and the last changes of all."""
    sent = int(answer["send_event"])
    changes = last_changes(history, process, sent)
    change = last_set(history, process, sent, path)
    origin = Origin(value)
    if change is not None:
        origin.maker = change.frame
        origin.location = history.place(change.frame) if change.frame else None
        origin.terminator = f"was set in {path_text(path)}"
        if all(change.state["state"] != other.state["state"] for other in changes):
            changes.append(change)
    label = history.label(process)
    shown = history.evidence(
        answer["receive_event"] or sent, f"{label} answered with its state: {path_text(path)} was {short(value)}"
    )
    steps = [*(told(history, each) for each in reversed(changes)), shown]
    by = next((each.by for each in changes if each.by), None)
    return Assertion(value, side, origin, steps, by, line_of(history, test))


def prints(value: Term, text: str | None) -> bool:
    """Whether a value prints like a side of an assertion, which may be broken into lines."""
    return text is not None and "".join(inspect(value, limit=_PRINTED).split()) == "".join(text.split())


def _changes(history: History, origin: Origin) -> tuple[list[Evidence], str | None]:
    """The last changes of the state that the callback around the value's maker was given, and the last request."""
    for call in history.enclosing(origin.maker["call"] if origin.maker else None):
        frame = history.call(call)
        site = history.site(frame["site"]) if frame else None
        if frame is not None and site is not None and site["callback"]:
            changes = last_changes(history, frame["process"], frame["call"])
            return [told(history, each) for each in reversed(changes)], next(
                (each.by for each in changes if each.by), None
            )
    return [], None
