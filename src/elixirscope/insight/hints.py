"""Hints on a value that a failed assertion refused: what happened to it that its origin alone does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elixirscope.insight.assertion import Assertion, names, prints
from elixirscope.insight.changes import last_changes
from elixirscope.insight.findings import Evidence, Location
from elixirscope.insight.history import History
from elixirscope.insight.lookups import kind_of, name_of, overlooked
from elixirscope.insight.tests import sides
from elixirscope.insight.timers import Timer, timer_of
from elixirscope.insight.values import Key, Path, diff, duration, pairs, parts, path_text, requested, same, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom

FRAMES = 300
"""Frames of a test's process that are looked at, the last ones."""

RESULTS = 500
"""Results before a value was replaced among which that is sought which it had replaced."""


@dataclass(frozen=True)
class Hint:
    """`brief` for a title, `why` for the explanation, what to do, the moments that show it, and the place to change
    where that is not the one that made the value."""

    brief: str
    why: str
    advice: str
    steps: list[Evidence]
    location: Location | None = None


def hint(history: History, test: Row, assertion: Assertion) -> Hint | None:
    """The most telling of them; None where there is none."""
    for find in (_replaced, _outlived, _left_alone, _overlooked, _twins):
        found = find(history, test, assertion)
        if found is not None:
            return found
    return None


# What was wanted had been there, and was replaced


def _replaced(history: History, test: Row, assertion: Assertion) -> Hint | None:
    """The maker was given what the assertion wanted, under the key that it names, and put the refused value there."""
    said, maker = sides(test), assertion.origin.maker
    wanted = said.get("right" if assertion.side == "left" else "left")
    if maker is None or not assertion.origin.made or maker["args"] is None:
        return None
    key, given = _kept_under(history.term(maker["args"]), said, wanted)
    if key is None or not any(
        same(step, key) and same(value, assertion.value) for step, value in pairs((history.term(maker["result"]),))
    ):
        return None
    name, was, now = history.name(maker), short(given, 40), short(assertion.value, 40)
    before = _maker_of(history, maker, key, given)
    by = f" of {history.name(before)}" if before is not None else ""
    halted = _halted(history.term(maker["args"]))
    advice = f"See why {name} still ran"
    advice += f" after {history.name(before)} had set {was}" if before is not None else f", or let it keep {was}"
    steps = [history.evidence(maker["call"], f"{name} was given {was} in {_dotted(key)}", call=maker["call"])]
    if before is not None:
        text = f"{history.shown(before)} returned {was} in {_dotted(key)}"
        steps.insert(0, history.evidence(before["end_event"], text, call=before["call"]))
    return Hint(
        brief=f", in place of the {was}{by}",
        why=f"{name} was given {was}{by}, and replaced it with {now}.",
        advice=advice + (": halted was false. A plug that answers has to call Plug.Conn.halt/1." if halted else "."),
        steps=steps,
    )


def _kept_under(arguments: Any, said: dict[str, str], wanted: str | None) -> tuple[Key | None, Any]:
    for step, value in pairs(arguments):
        if isinstance(step, Key) and names(step.key, said) and prints(value, wanted):
            return step, value
    return None, None


def _maker_of(history: History, maker: Row, key: Key, value: Any) -> Row | None:
    """The first of the last functions that had returned the value under the key, before it was replaced."""
    rows = history.returned_before(maker["process"], maker["call"], RESULTS)
    found = None
    for row in rows:
        held = [inner for step, inner in pairs((history.term(row["result"]),)) if step == key]
        if any(same(inner, value) for inner in held):
            found = row
        elif held:
            break
    return found


def _halted(arguments: Any) -> bool:
    """Whether something among the arguments could be halted and was not."""
    return any(step == Key(Atom("halted")) and same(value, Atom("false")) for step, value in pairs(arguments))


def _dotted(key: Key) -> str:
    return f".{key.key}" if isinstance(key.key, Atom) else short(key.key)


# A timer that fired when what it was for was over


def _outlived(history: History, test: Row, assertion: Assertion) -> Hint | None:
    """The value was made when a timer fired; since that was set, other messages had changed the state."""
    maker = assertion.origin.maker
    frames = [history.call(call) for call in history.enclosing(maker["call"] if maker is not None else None)]
    frame = next((each for each in reversed(frames) if each is not None), None)
    timer = timer_of(history, frame) if frame is not None else None
    if frame is None or timer is None:
        return None
    since = [
        change
        for change in last_changes(history, frame["process"], int(frame["call"]))
        if change.state["at"] > timer.at
        and change.by
        and change.state["message"] != timer.setting
        and change.by != short(timer.message, 40)  # one that comes again and again
    ]
    if not since:
        return None
    ago = duration(int(frame["start"]) - timer.at)
    what, setter = short(timer.message, 40), _setter(history, timer)
    meanwhile = ", ".join(dict.fromkeys(str(change.by) for change in reversed(since)))
    return Hint(
        brief=f", when a timer fired that {setter} had set {ago} before",
        why=f"{history.name(frame)} ran because a timer fired ({what}), which {setter} had set {ago} before. Since"
        f" then {meanwhile} had changed the state: what the timer was set for was over.",
        advice="Keep the timer in the state and cancel it when what it is for is over (Process.cancel_timer/1); or send"
        " a reference along with its message, and ignore one that is not the last.",
        steps=[history.evidence(timer.call["call"], f"{setter} set a timer for {what}", call=timer.call["parent"])],
    )


def _setter(history: History, timer: Timer) -> str:
    frame, message = history.call(timer.call["parent"]), history.message(timer.setting)
    outer = history.call(message["handle_call"]) if message is not None else None
    if message is None or outer is None:
        return history.name(frame) if frame is not None else "unrecorded code"
    return f"{history.name(outer)} on {short(requested(history.term(message['value'])), 40)}"


# Two keys of one name


def _twins(history: History, test: Row, assertion: Assertion) -> Hint | None:
    """A state on the way of the value has two keys of one name and of different kinds."""
    last = max((step.moment.event or 0 for step in assertion.steps), default=0)
    for process in dict.fromkeys(step.moment.process for step in reversed(assertion.steps)):
        if process is None or process == test["process"]:
            continue
        state = next(history.states_before(process, last + 1), None)
        found = next(_twin_keys(history.term(state["value"])), None) if state is not None else None
        if state is None or found is None:
            continue
        one, other = found
        label = history.label(process)
        kinds = f"{short(one)}, {kind_of(one)}, and {short(other)}, {kind_of(other)}"
        return Hint(
            brief="",
            why=f"The state of {label} has two keys of one name: {kinds}. One was likely meant to be the other.",
            advice=f"Let all who write to {label} use keys of one kind.",
            steps=[history.evidence(state["state"], f"the state of {label} has {kinds}")],
        )
    return None


def _twin_keys(term: Any) -> Iterator[tuple[Any, Any]]:
    for here in [term, *(value for _, value in pairs(term))]:
        seen: dict[str, Any] = {}
        for step, _ in parts(here):
            if not isinstance(step, Key):
                break
            other = seen.setdefault(name_of(step.key), step.key)
            if kind_of(other) != kind_of(step.key):
                yield other, step.key


# What else changed beside it, or was sought in vain on the way


def _left_alone(history: History, test: Row, assertion: Assertion) -> Hint | None:
    """The last function that was given the value within a map, and returned that map with other places changed."""
    said = sides(test)
    for row in reversed(_own(history, test)):
        kept = _kept(history.term(row["args"]), history.term(row["result"]), said, assertion.value)
        if kept is None:
            continue
        key, changed = kept
        name = history.name(row)
        others = " and ".join(path_text(path) for path in changed[:2]) + (" and more" if len(changed) > 2 else "")
        return Hint(
            brief=f", which {history.name(row)} left as it was",
            why=f"{name} changed {others} beside it, and left {_dotted(key)} as it was.",
            advice=f"Let {name} make {_dotted(key)} anew as well, or compute it where it is used instead.",
            steps=[history.evidence(row["end_event"], f"{name} changed {others} alone", call=row["call"])],
            location=history.clause(row),
        )
    return None


def _kept(given: Any, result: Any, said: dict[str, str], value: Any) -> tuple[Key, list[Path]] | None:
    """The key of the value, and what changed beside it from the map that was given to the one that was returned."""
    before, after = (
        [here for here in [term, *(inner for _, inner in pairs(term))] if _holds(here, said, value) is not None]
        for term in (given, result)
    )
    if not before or not after:
        return None
    key = _holds(after[0], said, value)
    changed = [change.path for change in diff(before[0], after[0]) if not _private(change.path)]
    return (key, changed) if key is not None and changed and all(path for path in changed) else None


def _holds(term: Any, said: dict[str, str], value: Any) -> Key | None:
    """The key, named by the assertion, under which a map keeps the value."""
    for step, inner in parts(term):
        if isinstance(step, Key) and isinstance(step.key, Atom) and same(inner, value) and names(step.key, said):
            return step
    return None


def _private(path: Path) -> bool:
    return any(isinstance(step, Key) and str(step.key).startswith("_") for step in path)


def _overlooked(history: History, test: Row, assertion: Assertion) -> Hint | None:
    """A lookup of the test's own functions for a key that was there by another kind: `:coupon` for `"coupon"`."""
    for row in _own(history, test):
        found = overlooked(history, row)
        if found is None:
            continue
        name = history.name(row)
        return Hint(
            brief=f"; {name} found no {short(found.key)}",
            why=f"On the way {name} looked up {found.text}: {found.told()}.",
            advice=f"Let {name} look up {short(found.alike())}.",
            steps=[history.evidence(row["call"], f"{name}: {found.told()}", call=row["call"])],
            location=history.place(row, found.line),
        )
    return None


def _own(history: History, test: Row) -> list[Row]:
    """The last frames of a test's own process."""
    frame = history.call(test["call"])
    if frame is None:
        return []
    rows = history.query.rows(
        "select * from raw.calls where process = ? and call > ? and call < ? and not external and args is not null"
        " order by call desc limit ?",
        [test["process"], frame["call"], int(frame["end_event"] or test["end_event"]), FRAMES],
    )
    return [row for row in reversed(rows) if history.written(row)]
