"""A race, and how it is told: a title as a person would say it, the proof step by step, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from elixirscope.insight import tests
from elixirscope.insight.findings import Evidence, Finding, Location
from elixirscope.insight.history import History
from elixirscope.insight.values import Key, Path, path_text, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom

_PARTICIPLES = {
    "sell": "sold", "put": "put", "take": "taken", "buy": "bought", "book": "booked", "reserve": "reserved",
    "give": "given away", "claim": "claimed", "assign": "assigned", "withdraw": "withdrawn", "spend": "spent",
    "create": "created", "register": "registered", "insert": "inserted", "add": "added", "write": "written",
    "checkout": "checked out", "lock": "locked", "acquire": "acquired", "pay": "paid", "charge": "charged",
}  # fmt: skip


@dataclass(frozen=True)
class Act:
    """One request in a race: what the client asked, and what came of it at `result_event`."""

    client: int
    event: int
    call: int | None
    result_event: int | None
    request: str
    outcome: str


@dataclass(frozen=True)
class Race:
    """Check, another's act, own act. `common` is the frame that encloses the client's check and act."""

    key: tuple[Any, ...]
    where: str
    thing: str
    common: int
    check: Act
    rival: Act | None  # the other client's own check
    other: Act
    act: Act
    overwrote: bool
    confidence: float
    lost_update: bool = False  # what was read was changed and written back, not just decided on
    advice: str | None = None  # where there is no server that could check by itself


def describe(history: History, race: Race, times: int) -> Finding:
    """The finding that tells a race; `times` is how often it was met."""
    common = history.call(race.common)
    check_line, act_line = (_line(history, common, step) for step in (race.check, race.act))
    place = history.place(common, check_line) if common else None
    return Finding(
        kind="race",
        title=f"{_title(race, common)}{f', {times} times' if times > 1 else ''}",
        confidence=race.confidence,
        location=place,
        evidence=_evidence(history, race, place, act_line),
        explanation=_explanation(history, race, common),
        suggestion=_suggestion(history, race, common),
    )


def thing_text(path: Path) -> str:
    """A place in a state as a person calls it: `.seats["A1"]` is `seat "A1"`."""
    names = [step.key for step in path if isinstance(step, Key)]
    if len(names) >= 2 and isinstance(names[0], Atom) and not isinstance(names[1], Atom):
        return f"{_singular(str(names[0]))} {short(names[1], 40)}"
    if len(path) == 1 and names and not isinstance(names[0], Atom):
        return f"key {short(names[0], 40)}"
    return path_text(path) if path else "the state"


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _title(race: Race, common: Row | None) -> str:
    verb = str(common["function"]).rstrip("!?").split("_")[0] if common else ""
    happened = (
        f"{_PARTICIPLES.get(verb, 'changed')} twice" if race.overwrote or verb in _PARTICIPLES else "changed in between"
    )
    if race.rival is not None:
        return f"Race: {race.thing} {happened} — two processes checked before either acted"
    return f"Race: {race.thing} {happened} — another process acted between check and act"


def _line(history: History, common: Row | None, step: Act) -> int | None:
    """The line of the common frame from which a step was made."""
    if common is None:
        return None
    last = history.query.find("calls", "tail_of", common["call"])
    if last is not None and last["call"] <= step.event and (line := history.call_line(common, last)) is not None:
        return line
    children = [child for child in history.children(common["call"]) if child["call"] <= step.event]
    if step.call == common["call"] and all(child["call"] != step.event for child in children):
        return None  # the frame sent it by code that is not recorded
    for child in reversed(children):
        line = history.event_line(child["call"]) if child["external"] else history.call_line(common, child)
        if line is not None:
            return line
    return None


def _evidence(history: History, race: Race, place: Location | None, act_line: int | None) -> list[Evidence]:
    me, rival = history.label(race.act.client), history.label(race.other.client)
    at = f" ({history.spot(place)})" if place else ""
    acted = f" ({history.spot(msgspec.structs.replace(place, line=act_line))})" if place and act_line else ""
    steps = [(race.check.event, f"{me} checked {race.check.request} in {race.where}{at}", race.check.call)]
    if race.check.result_event is not None:
        steps.append((race.check.result_event, f"{me} {race.check.outcome}", race.check.call))
    if race.rival is not None:
        steps.append(
            (race.rival.event, f"{rival} checked {race.rival.request} and {race.rival.outcome}", race.rival.call)
        )
    steps.append((race.other.event, f"{rival} acted: {race.other.request}", race.other.call))
    if race.other.result_event is not None:
        steps.append((race.other.result_event, f"in {race.where}, {race.thing}: {race.other.outcome}", None))
    steps.append((race.act.event, f"{me}, not knowing of it, acted too: {race.act.request}{acted}", race.act.call))
    if race.act.result_event is not None:
        over = ", so one of the two is lost" if race.lost_update else ", over what the other had written"
        over = over if race.overwrote else ""
        steps.append((race.act.result_event, f"in {race.where}, {race.thing}: {race.act.outcome}{over}", None))
    evidence = [
        history.evidence(event, text, call=call) for event, text, call in sorted(steps, key=lambda step: step[0])
    ]
    return evidence + [tests.failure(history, test) for test in _failed_tests(history, race)]


def _failed_tests(history: History, race: Race) -> list[Row]:
    event = history.event(race.act.event)
    rows: list[Row] = []
    for client in (race.act.client, race.other.client):
        for test in tests.ran_in(history, client, event["at"] if event else 0):
            if test["result"] == "failed" and test not in rows:
                rows.append(test)
    alone = tests.alone_at(history, event["at"]) if event and not rows else []
    return rows or [test for test in alone if test["result"] == "failed"]


def _explanation(history: History, race: Race, common: Row | None) -> str:
    function = history.name(common) if common else "The client"
    end = (
        "The second act overwrote the first, and with it one of the two changes is lost."
        if race.lost_update
        else f"The second act overwrote the first, so {race.thing} changed hands without anybody noticing."
        if race.overwrote
        else f"The second act was decided on a {race.thing} that had changed by then."
    )
    return (
        f"{function} asks {race.where} with {race.check.request} and, trusting the answer, sends {race.act.request}"
        f" in a second request. Between the two, {history.label(race.other.client)} sent {race.other.request}."
        f" Each request is safe; the gap between them is not. {end}"
    )


def _suggestion(history: History, race: Race, common: Row | None) -> str:
    function = history.name(common) if common else "the client"
    if race.advice is not None:
        return race.advice
    if race.lost_update:
        return (
            f"Make it one request that says what to change: let {race.where} itself compute the new value from the one"
            f" that it holds; then {function} need not read first."
        )
    return (
        f"Make check and act one request: let {race.where} itself check when it handles {race.act.request}, and answer"
        f" with an error when it is too late; then {function} need not ask first."
    )
