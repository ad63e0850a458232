"""Lost updates of a process by its own helpers: a function that it started computes with what the state held then, and
sends back what the state is to hold. What changed the state meanwhile is overwritten.

So loses a LiveView that starts a task in `handle_event`, and a server that has a slow answer computed elsewhere.
Told are changes of three sorts in one place: the helper was started when it held one value, a message of somebody else
made another of it, and then the helper's message a third, though the helper had not heard from the process since.
That the third was computed from the first is taken from the code: the helper's function names the variable, or the
field, that held it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elixirscope.insight import tests
from elixirscope.insight.bound import value_of
from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.telling import thing_text
from elixirscope.insight.values import MISSING, Change, Key, Path, at, contains, diff, incomplete, same, short
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom

SAMPLES = 200
"""Messages looked at in full of the helpers of one kind; further ones say nothing new."""

CONFIDENCE = 0.85

# States made by the message of a process that ran a function of somebody's, where the receiver's state changed between
# that process's birth and the message.
_SUSPECTS = """
select s.state, s.value as after_value, b.state as before, b.value as before_value, p.spawn_event,
       p.initial, m.from_process as helper, m.to_process as owner, m.send_event, m.tag, m.value as said, m.sender_call
from raw.states s
join raw.messages m on m.message = s.message
join raw.processes p on p.process = m.from_process
join raw.states b on b.state = s.previous
where (p.initial like 'anonymous fn/%' or p.kind = 'task') and s.previous > p.spawn_event and not s.restart
  and m.kind not in ('call', 'exit', 'down') and m.send_event is not null
order by s.state
"""
_FIRST = "select * from raw.calls where process = ? and parent is null order by call limit 1"
_OPEN = """
select * from raw.calls where process = ? and module = ? and function = ? and call < ?
  and (end_event is null or end_event > ?) order by call desc limit 1
"""
_HEARD = """
select 1 from raw.messages where from_process = ? and to_process = ? and send_event > ? and receive_event < ? limit 1
"""
_SPOKE = "select distinct from_process as process from raw.messages where to_process = ? and from_process is not null"

_CHAIN = re.compile(r"(?<![\w.:@&\"])([a-z_]\w*(?:\.[a-z_]\w*)*)(?![\w(:])")


@dataclass(frozen=True)
class Stale:
    """One such turn: `change` overwrote what `rival`, another state of the owner, had made of `held`."""

    suspect: Row
    frame: Row  # the owner's, that started the helper
    function: Row  # the helper's first frame
    change: Change
    held: Any
    rival: Row
    others: int  # more places of the same turn


def stale_updates(history: History) -> list[Finding]:
    """One finding per function and place, the first instance of each."""
    helpers = "initial like 'anonymous fn/%' or kind = 'task'"
    if not history.query.rows(f"select 1 from raw.processes where {helpers} limit 1"):
        return []
    looked_at: dict[tuple[Any, ...], int] = defaultdict(int)
    found: dict[tuple[Any, ...], list[Stale]] = defaultdict(list)
    for suspect in history.query.rows(_SUSPECTS):
        checkpoint()
        kind = (suspect["initial"], suspect["tag"])
        looked_at[kind] += 1
        if looked_at[kind] <= SAMPLES and (stale := _stale(history, suspect)) is not None:
            found[stale.function["site"], path_key(stale.change.path)].append(stale)
    return [_told(history, turns[0], len(turns)) for turns in found.values()]


def path_key(path: Path) -> tuple[Any, ...]:
    """The fields that a path goes through, whatever else it does."""
    return tuple(str(step.key) for step in path if isinstance(step, Key) and isinstance(step.key, Atom))


def _stale(history: History, suspect: Row) -> Stale | None:
    function = next(iter(history.query.rows(_FIRST, [suspect["helper"]])), None)
    if function is None or not history.is_fn(function):
        return None
    born, owner = suspect["spawn_event"], suspect["owner"]
    started = [owner, function["module"], function["function"], born, born]
    frame = next(iter(history.query.rows(_OPEN, started)), None)
    first = next(history.states_before(owner, born), None)
    if frame is None or first is None:
        return None
    said, then = history.term(suspect["said"]), history.term(first["value"])
    before, after = history.term(suspect["before_value"]), history.term(suspect["after_value"])
    names = set(_mentioned(history, function))
    lost = []
    for change in diff(before, after):
        held = _at(then, change.path)
        made = change.after is not MISSING and not incomplete(change.after) and contains(said, change.after)
        if made and not same(held, change.before) and _named(history, frame, change.path, held, names):
            lost.append((change, held))
    # What can be read at a glance is told: of a list and its sum, the sum.
    for change, held in sorted(lost, key=lambda each: len(short(each[0].after))):
        rival = _rival(history, suspect, change)
        if rival is None or history.query.rows(
            _HEARD, [owner, suspect["helper"], rival["state"], suspect["send_event"]]
        ):
            continue
        return Stale(suspect, frame, function, change, held, rival, len(lost) - 1)
    return None


def _at(term: Any, path: Path) -> Any:
    try:
        return at(term, path)
    except KeyError:
        return MISSING


def _mentioned(history: History, function: Row) -> Iterator[str]:
    """What is named in the source of a function: variables, and fields of variables as `socket.assigns.total`."""
    site = history.site(function["site"])
    lines = history.recording.source(site["file"]) if site and site["file"] else None
    if site is None or lines is None or not site["line"]:
        return
    for line in lines[site["line"] - 1 : site["end_line"] or site["line"]]:
        yield from _CHAIN.findall(line.split("#")[0])


def _named(history: History, frame: Row, path: Path, held: Any, names: set[str]) -> bool:
    """Whether the function names what was held: by a variable that was bound to it, or as that field of one."""
    field = path_key(path)[-1:]
    if not field:
        return False
    if any("." in name and name.rsplit(".", 1)[-1] == field[0] for name in names):
        return True
    bound = history.query.find_all("bindings", "call", frame["call"])
    return any(row["name"] in names and same(value_of(history, row), held) for row in bound)


def _rival(history: History, suspect: Row, change: Change) -> Row | None:
    """The state with which the place became what the change overwrote, by the message of another process."""
    rival = None
    for state in history.states_before(suspect["owner"], suspect["state"]):
        if state["state"] < suspect["spawn_event"] or not same(
            _at(history.term(state["value"]), change.path), change.before
        ):
            break
        rival = state
    message = history.message(rival["message"]) if rival is not None else None
    return rival if message is not None and message["from_process"] != suspect["helper"] else None


def _told(history: History, stale: Stale, times: int) -> Finding:
    suspect, change, frame, function = stale.suspect, stale.change, stale.frame, stale.function
    owner, helper = history.label(suspect["owner"]), history.label(suspect["helper"])
    message = history.message(stale.rival["message"])
    assert message is not None  # it is what made the rival
    thing = thing_text(change.path).rpartition(".")[2]
    held, made, lost = (_text(value) for value in (stale.held, change.after, change.before))
    rival, said = short(history.term(message["value"])), short(history.term(suspect["said"]))
    more = f" (and {stale.others} other place{'s' * (stale.others > 1)} likewise)" if stale.others else ""
    by, here, name = history.label(message["from_process"]), history.place(function), history.name(frame)
    steps = [
        (suspect["spawn_event"], f"{owner} started {helper} when {thing} was {held}", frame["call"]),
        (stale.rival["state"], f"{rival} from {by} made {thing} {lost}", stale.rival["call"]),
        (suspect["send_event"], f"{helper}, which knew nothing of it, sent {said}", suspect["sender_call"]),
        (suspect["state"], f"with that {owner} made {thing} {made}, and {lost} is lost", None),
    ]
    evidence = [history.evidence(event, text, call=call) for event, text, call in sorted(steps, key=lambda s: s[0])]
    evidence += [tests.failure(history, test) for test in _failed_tests(history, suspect)]
    again = f", {times} times" if times > 1 else ""
    return Finding(
        kind="race",
        title=f"Lost update: {thing} of {owner} was overwritten with what was computed from an older state{again}",
        confidence=CONFIDENCE,
        location=here,
        evidence=evidence,
        explanation=f"{name} starts a function that computes with {thing} as it is then: {held}. While it ran, {rival}"
        f" made {thing} {lost}. Then its own message came, {said}, and {thing} became {made}{more}: what had come in"
        f" between is lost. A state may change while somebody else computes with a copy of it.",
        suggestion=f"Let the function send what it found out, and compute the new {thing} from the state that there is"
        " when the message comes.",
    )


def _text(value: Any) -> str:
    return "not there" if value is MISSING else short(value, 40)


def _failed_tests(history: History, suspect: Row) -> list[Row]:
    """The failed tests that were about the owner: they, or who serves them, had sent it something."""
    event = history.event(suspect["state"])
    when = event["at"] if event else 0
    found: list[Row] = []
    for row in [{"process": suspect["owner"]}, *history.query.rows(_SPOKE, [suspect["owner"]])]:
        found += [test for test in tests.ran_in(history, row["process"], when) if test not in found]
    running = [test for test in found if tests.during(test, when)] or tests.alone_at(history, when)
    return [test for test in running if test["result"] == "failed"]
