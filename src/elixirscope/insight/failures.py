"""Failed tests that no other finding explains: what was raised in the test's own process, and by which value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from elixirscope.insight import tests
from elixirscope.insight.assertion import Assertion, awaited, line_of, refused
from elixirscope.insight.changes import told
from elixirscope.insight.complaint import bad_values
from elixirscope.insight.findings import Evidence, Finding, Location
from elixirscope.insight.hints import hint
from elixirscope.insight.history import History
from elixirscope.insight.leftover import Leftover, leftover
from elixirscope.insight.lookups import Missing, literal, missing
from elixirscope.insight.origin import Origin, Tracer
from elixirscope.insight.outdated import Outdated, outdated
from elixirscope.insight.plugs import ALREADY_SENT, first_answer
from elixirscope.insight.sightings import received
from elixirscope.insight.started import named_in, taken
from elixirscope.insight.values import answered, path_text, short, suspect
from elixirscope.query.row import Row

_ASSERTION = "ExUnit.AssertionError"

CALLS = 20
"""Calls of a test that are looked at for those of its assertion, the last ones."""

MESSAGES = 3
"""Messages that came in place of an awaited one which are told, the last ones."""

SIDE = 40
"""Characters of a side of an assertion in a title."""


def unexplained(history: History, explained: set[int]) -> list[Finding]:
    """One finding per failed test that no other finding cites; `explained` holds events that told results."""
    return [_finding(history, test) for test in tests.failed(history) if test["end_event"] not in explained]


def _finding(history: History, test: Row) -> Finding:
    raised = _raised(history, test)
    rescuer = _rescuer(history, test, raised)
    if raised is not None and rescuer is not None:
        return _rescued(history, test, raised, rescuer)
    if raised is None and (assertion := refused(history, test)) is not None:
        return _asserted(history, test, assertion)
    if raised is None and (pattern := awaited(test)) is not None:
        return _awaiting(history, test, pattern)
    if raised is None:
        return _named(history, test) or _untold(history, test)
    if ALREADY_SENT in _said(test) and (twice := _sent_twice(history, test, raised)) is not None:
        return twice
    exception = _exception(history, test, raised)
    origin = _origin(history, test, raised, exception)
    by = f", by a {short(origin.value, 30)} from {history.name(origin.maker)}" if origin and origin.maker else ""
    line = exception["line"] if exception and exception["module"] == raised["module"] else None
    evidence = list(reversed(origin.steps)) if origin else []
    evidence.append(history.evidence(raised["end_event"], f"{history.shown(raised)} raised", call=raised["call"]))
    evidence.append(tests.failure(history, test))
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}, in {history.name(raised)}{by}",
        confidence=round(0.85 * origin.confidence, 2) if origin else 0.6,
        location=origin.location if origin and origin.location else history.place(raised, line),
        evidence=evidence,
        explanation=_explanation(history, test, raised, origin),
        suggestion=origin.missing.advice(history)
        if origin is not None and origin.missing is not None
        else f"Decide in {history.name((origin and origin.maker) or raised)} what should happen then.",
    )


def _sent_twice(history: History, test: Row, raised: Row) -> Finding | None:
    """A response that was sent though another function had answered already."""
    first = first_answer(history, raised)
    if first is None:
        return None
    frame, status = first
    name, second = history.name(frame), history.name(raised)
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}: {name} had answered {status}, and did not halt",
        confidence=0.8,
        location=history.clause(frame),
        evidence=[
            history.evidence(
                frame["end_event"], f"{name} returned a connection with status {status}", call=frame["call"]
            ),
            history.evidence(raised["end_event"], f"{second} was to answer as well", call=raised["call"]),
            tests.failure(history, test),
        ],
        explanation=f"{tests.summary(test)}. {name} had answered {status}, but the connection was not halted: the plugs"
        f" and the controller behind it still ran, and {second} was to answer once more.",
        suggestion=f"Let {name} call Plug.Conn.halt/1 on the connection that it has answered.",
    )


def _awaiting(history: History, test: Row, pattern: str) -> Finding:
    """A message that never came, and those that did."""
    frame, line = history.call(test["call"]), line_of(history, test)
    given = received(history, frame, int(frame["end_event"] or test["end_event"])) if frame else []
    came = [each for each in given if each.kind == "message" and each.row["kind"] == "info"][:MESSAGES]
    told = [
        f"{history.label(each.row['from_process'])} sent {short(each.term)}, which is not {pattern}" for each in came
    ]
    steps = [
        history.evidence(each.row["send_event"] or each.event, text, call=each.row["sender_call"])
        for each, text in zip(came, told, strict=True)
    ]
    last = f"; {short(came[0].term, SIDE)} came" if came else ""
    what = "What came was another: " + "; ".join(reversed(told)) if came else "No other message came either"
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}: {pattern} never came{last}",
        confidence=0.6,
        location=Location(test["module"] or "", test["name"] or "", 1, test["file"] or "", line or test["line"] or 0),
        evidence=[*reversed(steps), tests.failure(history, test)],
        explanation=f"The test waited for {pattern} in vain. {what}.",
        suggestion="Look whether who should have sent it ran, and to whom it sent: *Why not?* in the Cinema says.",
    )


def _named(history: History, test: Row) -> Finding | None:
    """A test that wanted a name which a process had already."""
    pid, line = named_in(_said(test)), line_of(history, test)
    told = taken(history, pid, history.call(test["call"]), test["end"] or 2**62) if pid is not None else None
    if told is None:
        return None
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}: the name was taken",
        confidence=0.75,
        location=Location(test["module"] or "", test["name"] or "", 1, test["file"] or "", line or test["line"] or 0),
        evidence=[told.step, tests.failure(history, test)],
        explanation=f"{tests.summary(test)}. {told.why}",
        suggestion=told.advice,
    )


def _untold(history: History, test: Row) -> Finding:
    """Nothing that was recorded has the value: the assertion, and the calls that it made."""
    said, line = tests.sides(test), line_of(history, test)
    calls = _called(history, test, said.get("code", ""))
    unseen = [frame for frame in calls if frame["result"] is None]
    wanted = said.get("right", "") if "=~" in said.get("code", "") else ""
    compared = ", ".join(
        f"{side} {tests.excerpt(said[side], wanted, SIDE)}" for side in ("left", "right") if side in said
    )
    text = f"No crash, race, or timeout explains it. {tests.summary(test)}."
    sought = _sought(history, unseen, said)
    if sought is not None:
        text += f" {sought[1].explained(history, sought[0])}"
    elif unseen:
        text += f" What {history.name(unseen[-1])} returned was not seen: it ended in {_end_of(history, unseen[-1])}."
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}{': ' + compared if compared else ''}",
        confidence=0.5,
        location=Location(test["module"] or "", test["name"] or "", 1, test["file"] or "", line or test["line"] or 0),
        evidence=[
            *(history.evidence(row["call"], f"it called {history.shown(row)}", call=row["call"]) for row in calls),
            tests.failure(history, test),
        ],
        explanation=text,
        suggestion=sought[1].advice(history)
        if sought is not None
        else "Open the Cinema at its end and step back to the first value that you did not expect.",
    )


def _sought(history: History, unseen: list[Row], said: dict[str, str]) -> tuple[Any, Missing] | None:
    """The lookup in a function whose result nobody saw that gave one side of the assertion for want of a key."""
    for frame in reversed(unseen):
        for side in ("left", "right"):
            value = literal(said.get(side, ""))
            found = missing(history, frame, value) if value is not None else None
            if found is not None:
                return value, found
    return None


def _called(history: History, test: Row, code: str) -> list[Row]:
    """The last call of the test to each function that the code of its assertion names, in order."""
    frame = history.call(test["call"])
    found: dict[str, Row] = {}
    for child in history.children(frame["call"])[-CALLS:] if frame and code else ():
        if re.search(rf"(?<![\w?!]){re.escape(child['function'])}\s?\(", code):
            found[f"{child['module']}.{child['function']}"] = child
    return sorted(found.values(), key=lambda row: int(row["call"]))


def _end_of(history: History, frame: Row) -> str:
    return f"{history.goes_on_in(frame) or 'code'}, which is not recorded"


def _asserted(history: History, test: Row, assertion: Assertion) -> Finding:
    if (stale := outdated(history, test, assertion)) is not None:
        return _stale(history, test, assertion, stale)
    if (found := leftover(history, test, assertion)) is not None:
        return _left(history, test, assertion, found)
    origin, value = assertion.origin, short(assertion.value, 40)
    maker = history.name(origin.maker) if origin.maker else None
    at = f" ({PurePosixPath(test['file'] or '').name}:{assertion.line})" if assertion.line else ""
    text = f"{tests.summary(test)}{at}. What was not expected is {value}, on the {assertion.side}"
    text += f": {'made in' if origin.made else origin.terminator + ' by'} {maker}." if maker else "."
    suggestion = f"Look at what {maker or 'it'} made {value} of"
    if origin.maker is not None and origin.maker["call"] == test["call"]:
        suggestion = (
            f"{value} is what the test itself put in: see who was to make another of it, or what it should expect"
        )
    more: list[Evidence] = []
    brief, place = "", origin.location
    if origin.missing is not None:
        text = text.rpartition(":")[0] + f". {origin.missing.explained(history, assertion.value)}"
        suggestion = origin.missing.advice(history).removesuffix(".")
    elif (found_hint := hint(history, test, assertion)) is not None:
        text += f" {found_hint.why}"
        suggestion = found_hint.advice.removesuffix(".")
        more, brief = _unlike(found_hint.steps, assertion.steps), found_hint.brief
        place = found_hint.location or place
    elif assertion.changed:
        text += f" It was made of a state that {assertion.changed} had changed last."
        suggestion += f", and at what {assertion.changed} did to the state before"
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}: {value}" + (f" from {maker}" if maker else "") + brief,
        confidence=round(0.7 * origin.confidence, 2),
        location=place
        or Location(
            test["module"] or "", test["name"] or "", 1, test["file"] or "", assertion.line or test["line"] or 0
        ),
        evidence=sorted(
            [*assertion.steps, *more, tests.failure(history, test)], key=lambda step: step.moment.event or 0
        ),
        explanation=text,
        suggestion=f"{suggestion}.",
    )


def _left(history: History, test: Row, assertion: Assertion, found: Leftover) -> Finding:
    """A value that another test is the cause of."""
    value, other = short(assertion.value, SIDE), tests.title(found.other)
    verb = "changed meanwhile" if found.meanwhile else "left"
    when = "while this test ran" if found.meanwhile else "before"
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}: {value} came of what {other} {'did' if found.meanwhile else 'had left'}",
        confidence=0.8,
        location=found.location,
        evidence=sorted(
            [*found.steps, *_unlike(assertion.steps, found.steps), tests.failure(history, test)],
            key=lambda step: step.moment.event or 0,
        ),
        explanation=f"{tests.summary(test)}. {value} came of {found.place}, which {other} {verb} {when}: {found.what}."
        " This test had not set it itself, so its result hangs on which tests run before it, or beside it.",
        suggestion=found.advice,
    )


def _unlike(steps: list[Evidence], others: list[Evidence]) -> list[Evidence]:
    told = {step.moment.event for step in others}
    return [step for step in steps if step.moment.event not in told]


def _stale(history: History, test: Row, assertion: Assertion, stale: Outdated) -> Finding:
    """A copy that nobody had told of a change."""
    holder, value = history.label(stale.process), short(assertion.value, SIDE)
    by, place = (history.name(stale.by), history.place(stale.by)) if stale.by else (stale.change.by, None)
    where = path_text(stale.path)
    change = told(history, stale.change)
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}: {value} was out of date, {holder} had replaced it",
        confidence=0.75,
        location=place,
        evidence=sorted(
            [*assertion.steps, change, tests.failure(history, test)], key=lambda step: step.moment.event or 0
        ),
        explanation=f"{tests.summary(test)}. What was answered was a copy: {holder} had replaced {value} in {where} by"
        f" then{f', asked by {by}' if by else ''}, and who had the copy was not told.",
        suggestion=f"Let {by or holder} bring the copy up to date as well, or drop it, when it changes {where} of"
        f" {holder}.",
    )


def _raised(history: History, test: Row) -> Row | None:
    """The innermost frame that an exception ended in the test's process, unless that is the test itself."""
    rows = history.query.rows(
        "select * from raw.calls where process = ? and start between ? and ? and outcome = 'raised' and not external"
        " order by call desc limit 1",
        [test["process"], test["start"], test["end"] or 2**62],
    )
    return rows[0] if rows and rows[0]["call"] != test["call"] else None


def _rescuer(history: History, test: Row, raised: Row | None) -> Row | None:
    """The frame that caught the exception which ended `raised`, when it is not what failed the test."""
    if raised is None or _ASSERTION.rpartition(".")[2] not in _said(test):
        return None
    for call in history.enclosing(raised["call"])[1:]:
        frame = history.call(call)
        if frame is not None and frame["outcome"] != "raised":
            return frame if frame["outcome"] == "returned" and frame["call"] != test["call"] else None
    return None


def _rescued(history: History, test: Row, raised: Row, rescuer: Row) -> Finding:
    """An exception that nobody was told of, for a function on its way had rescued it."""
    name, by, result = history.name(raised), history.name(rescuer), short(history.term(rescuer["result"]), SIDE)
    before = [child for child in history.children(raised["call"]) if not child["external"]]
    line = history.call_line(raised, before[-1]) if before else None
    steps = [
        history.evidence(child["call"], f"it called {history.shown(child)}", call=child["call"]) for child in before
    ]
    return Finding(
        kind="test",
        title=f"Failed: {tests.title(test)}: {by} rescued an exception of {name}, and returned {result}",
        confidence=0.6,
        location=history.place(raised, line) if line else history.clause(raised),
        evidence=[
            history.evidence(raised["call"], f"{by} ran {history.shown(raised)}", call=raised["call"]),
            *steps[-CALLS:],
            history.evidence(raised["end_event"], f"an exception ended {history.shown(raised)}", call=raised["call"]),
            history.evidence(rescuer["end_event"], f"{by} rescued it, and returned {result}", call=rescuer["call"]),
            tests.failure(history, test),
        ],
        explanation=f"{tests.summary(test)}. Before that, an exception ended {history.shown(raised)}, and {by} rescued"
        f" it: whoever called it was told {result}. What the exception said was not recorded.",
        suggestion=f"Look at what {name} did last; and let {by} rescue only the exceptions that it expects, or tell of"
        " the others.",
    )


def _exception(history: History, test: Row, raised: Row) -> Row | None:
    rows = history.query.find_all("exceptions", "process", test["process"])
    found = [row for row in rows if row["call"] == raised["call"] and row["type"] != _ASSERTION]
    return found[-1] if found else None


def _origin(history: History, test: Row, raised: Row, exception: Row | None) -> Origin | None:
    """Where the bad value was made, when one is recognised and it was not made by the raising function itself."""
    for value, trust in _values(history, test, raised, exception):
        origin = Tracer(history, value).trace(raised, raised["end_event"])
        origin.confidence *= trust
        if origin.made and origin.maker is not None and origin.maker["call"] != raised["call"]:
            return origin
    return None


def _said(test: Row) -> str:
    """What the test failed with: the VM tells nothing of an exception that ExUnit caught."""
    return str(test["text"] or "")


def _values(history: History, test: Row, raised: Row, exception: Row | None) -> Iterator[tuple[Any, float]]:
    """What the exception complains of; else the last answer that the function got, if it looks like an absence."""
    reason = history.term(exception["value"]) if exception else None
    if isinstance(reason, tuple) and len(reason) >= 2:
        reason = reason[1]
    yield from bad_values(reason, history.term(raised["args"]), exception["text"] or "" if exception else _said(test))
    if "bad argument in arithmetic" in _said(test):
        yield from _zero(history, raised)
    for child in reversed(history.children(raised["call"])):
        result = history.term(child["result"])
        if child["outcome"] == "returned" and suspect(result):
            yield result, 0.9
        return


def _zero(history: History, raised: Row) -> Iterator[tuple[Any, float]]:
    """A zero that the function was given last, where it divides."""
    site = history.site(raised["site"]) or {}
    lines = history.recording.source(site["file"]) if site.get("file") and site.get("line") else None
    code = "\n".join(lines[site["line"] - 1 : site["end_line"] or site["line"]]) if lines else ""
    if re.search(r"[^/]/[^/\d]|\b(div|rem)\(", code) is None:
        return
    for sighting in received(history, raised, int(raised["end_event"])):
        value = sighting.term if sighting.kind == "result" else answered(sighting.term)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
            yield value, 0.8
        return


def _explanation(history: History, test: Row, raised: Row, origin: Origin | None) -> str:
    text = f"{tests.summary(test)}, raised in {history.name(raised)}."
    if origin is None or origin.maker is None:
        return text
    if origin.missing is not None:
        return f"{text} {origin.missing.explained(history, origin.value)}"
    made = f"was made by {history.name(origin.maker)}: nothing that it was given contains it"
    return f"{text} The bad value, {short(origin.value)}, {made}."
