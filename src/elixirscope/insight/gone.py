"""Requests to a process that was no more, not yet, or never there: which it was, since when, and who had handed it out.

The client dies of `:noproc`, or of the reason with which the process ended before it had answered. That is rarely the
client's mistake: the process had ended, nobody started it again, or somebody kept its pid though told of its death.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from elixirscope.insight.findings import Evidence, Finding
from elixirscope.insight.history import History
from elixirscope.insight.sightings import received
from elixirscope.insight.values import contains, duration, same, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom, Pid

_NO_PROCESS = Atom("noproc")
_LOOK_AHEAD = 64  # callbacks after the word of a death among which the one that was given it is sought
_AT_ONCE = 10 * 10**6  # ns within which a supervisor starts a child again
_WITHOUT_COMPLAINT = ("normal", "shutdown", "noproc")


@dataclass(frozen=True)
class Holder:
    """Who handed out a process that was dead: in the frame `gave`, at `event`; `told` is its frame that was given the
    word of the death, and left it where it was."""

    process: int
    event: int
    gave: Row | None
    told: Row | None


@dataclass(frozen=True)
class Missed:
    """A request to `name` that nobody could answer: `life` had had the name and ended, `later` began only afterwards.

    `at`: ns when the client died of it; `during`: the process ended while it was being asked.
    """

    name: str
    request: Any
    at: int
    during: bool
    life: Row | None
    later: Row | None
    holder: Holder | None


def is_call(term: Any) -> bool:
    """`{GenServer, :call, [...]}`: the part of a reason that says that a request was under way."""
    return isinstance(term, tuple) and len(term) == 3 and same(term[1], Atom("call"))


def missed(history: History, client: Row) -> Missed | None:
    """Whom a process that died had asked in vain; None when its reason does not say so."""
    reason = history.term(client["exit_value"])
    if not (isinstance(reason, tuple) and len(reason) == 2 and is_call(reason[1])):
        return None
    arguments = reason[1][2]
    if _plain(reason[0]) is None or not isinstance(arguments, list) or not arguments:
        return None
    event = history.event(client["exit_event"])
    at, target = int(event["at"]) if event else 0, arguments[0]
    had = [row for row in history.processes.values() if _has(row, target)]
    before = [row for row in had if row["end"] is not None and row["end"] <= at]
    after = [row for row in had if row["start"] is not None and row["start"] > at]
    life = max(before, key=lambda row: int(row["exit_event"]), default=None)
    later = min(after, key=lambda row: int(row["start"]), default=None)
    holder = _holder(history, client, life, target) if life is not None and isinstance(target, Pid) else None
    during = not same(reason[0], _NO_PROCESS)
    name = history.label(life["process"]) if life is not None else short(target)
    return Missed(name, arguments[1] if len(arguments) > 1 else None, at, during, life, later, holder)


def reason_of(history: History, life: Row) -> str:
    """Why a process ended, in a word or two: `ArithmeticError`, `:normal`."""
    found = history.query.find("exceptions", "exit_event", life["exit_event"])
    return str(found["type"]) if found is not None else short(history.term(life["exit_value"]), 60)


def _plain(reason: Any) -> str | None:
    """The reason, when it is one that complains of nothing."""
    inner = reason[0] if isinstance(reason, tuple) and reason else reason
    return str(inner) if isinstance(inner, Atom) and inner in _WITHOUT_COMPLAINT else None


def _has(row: Row, target: Any) -> bool:
    if isinstance(target, Pid):
        return bool(row["pid"] == str(target))
    return row["name"] is not None and row["name"] == short(target)


def _holder(history: History, client: Row, life: Row, target: Pid) -> Holder | None:
    """Who told the client of the process after its death; the client itself, when it had kept it in its state."""
    frame = _last_frame(history, client)
    given = received(history, frame, client["exit_event"]) if frame is not None else []
    for sighting in given:
        row = sighting.row
        if sighting.kind in ("reply", "message") and row["from_process"] is not None:
            sent = row["send_event"] or row["message"]
            if sent > life["exit_event"] and contains(sighting.term, target):
                request = history.message(row["request"])
                gave = history.call(row["sender_call"]) or history.call(request["handle_call"] if request else None)
                return Holder(row["from_process"], int(sent), gave, _told(history, row["from_process"], life, target))
    state = next(history.states_before(client["process"], client["exit_event"]), None)
    if state is None or not contains(history.term(state["value"]), target):
        return None
    told = _told(history, client["process"], life, target)
    return Holder(client["process"], int(state["state"]), frame, told)


def _last_frame(history: History, client: Row) -> Row | None:
    """The frame from which a process asked last, with the function around it: what it was given, it was given there."""
    last = next(
        iter(history.query.find_before("calls", "process", client["process"], "call", client["exit_event"])), None
    )
    outer = history.call(last["parent"]) if last is not None and last["outcome"] == "tail" else None
    return outer or last


def _told(history: History, process: int, life: Row, target: Pid) -> Row | None:
    """The frame of a process that was given the word of the death, and left the pid in the state."""
    for message in history.query.find_all("messages", "to_process", process):
        if message["kind"] in ("down", "exit") and message["from_process"] == life["process"]:
            frame = history.call(message["handle_call"]) or _takes(history, process, message, target)
            if frame is None or frame["end_event"] is None:
                continue
            state = next(history.states_before(process, int(frame["end_event"]) + 1), None)
            if state is not None and contains(history.term(state["value"]), target):
                return frame
    return None


def _takes(history: History, process: int, message: Row, target: Pid) -> Row | None:
    """The callback that was given a message whose content was cut, by the process that it names."""
    frames = "select * from raw.calls where process = ? and call > ? and function = 'handle_info' order by call limit ?"
    for frame in history.query.rows(frames, [process, message["receive_event"] or message["message"], _LOOK_AHEAD]):
        given = history.term(frame["args"])
        first = given[0] if isinstance(given, tuple) and given else None
        if isinstance(first, tuple) and first and first[0] in ("DOWN", "EXIT") and contains(first, target):
            return frame
    return None


# Telling


def nobody_there(history: History, client: Row, asked: Missed) -> Finding:
    """The finding that tells of a client which died because whom it asked was not there."""
    who, frame = history.label(client["process"]), _last_frame(history, client)
    request = "" if asked.request is None else f" {short(asked.request, 40)}"
    asking = f"{who} asked {asked.name}{request}"
    where = history.name(frame) if frame is not None else who
    last = history.evidence(client["exit_event"], f"{who} died: {asked.name} was not there", call=_number(frame))
    if asked.life is None:
        return _never(history, asked, where, frame, asking, last)
    since = duration(max(0, asked.at - int(asked.life["end"])))
    reason = reason_of(history, asked.life)
    ended = history.evidence(asked.life["exit_event"], f"{asked.name} ended: {reason}")
    text = f"{asking} {since} after it had ended ({reason})."
    if asked.during:
        text = f"{asking}, which ended ({reason}) before it had answered."
    if asked.holder is not None:
        return _kept(history, client, asked, asked.holder, text, [ended, last])
    again, advice = _not_again(history, asked)
    verb = "ended before it answered" if asked.during else "had ended"
    return Finding(
        kind="crash",
        title=f"Crash: {where} asked {asked.name}, which {verb}",
        confidence=0.65,
        location=history.clause(frame) if frame is not None else None,
        evidence=[ended, last],
        explanation=f"{text}{again}",
        suggestion=advice,
    )


def _number(frame: Row | None) -> int | None:
    return int(frame["call"]) if frame is not None else None


def _kept(history: History, client: Row, asked: Missed, holder: Holder, text: str, steps: list[Evidence]) -> Finding:
    """Somebody held on to a process that was dead."""
    itself = holder.process == client["process"]
    label, told = history.label(holder.process), holder.told
    if told is not None:
        name = history.name(told)
        word = f"{label} was told of the death, and {name} left {asked.name} in its state"
        steps.append(history.evidence(told["end_event"], word, call=told["call"]))
        why = f" {label} had been told of that death, but {name} left {asked.name} in the state."
        advice = f"Let {name} take a process out of the state when word comes that it has ended ({{:DOWN, …}})."
    else:
        why = f" {label} was not told of that death: it did not monitor {asked.name}."
        advice = f"Let {label} monitor the processes that it keeps (Process.monitor/1), and drop them on {{:DOWN, …}}."
    if not itself:
        steps.append(history.evidence(holder.event, f"{label} gave {asked.name} to {history.label(client['process'])}"))
    blamed = told or holder.gave
    return Finding(
        kind="crash",
        title=f"Crash: {asked.name} was asked when it was dead; {label} had kept it",
        confidence=0.9 if told is not None else 0.75,
        location=history.clause(blamed) if blamed is not None else None,
        evidence=sorted(steps, key=lambda step: step.moment.event or 0),
        explanation=f"{text}{'' if itself else f' It had {asked.name} from {label}.'}{why}",
        suggestion=advice,
    )


def _never(history: History, asked: Missed, where: str, frame: Row | None, asking: str, last: Evidence) -> Finding:
    """Nobody had the name by then."""
    steps = [last]
    if asked.later is not None:
        after = duration(int(asked.later["start"]) - asked.at)
        steps.append(history.evidence(asked.later["spawn_event"], f"{asked.name} began only now"))
        title, text = f"Crash: {where} asked {asked.name} before that was started", f" It was started {after} later."
        advice = f"Start {asked.name} before whoever asks it: a supervisor starts its children in their order."
    else:
        names = [str(row["name"]) for row in history.processes.values() if row["name"] is not None]
        close = get_close_matches(asked.name, names, 1, 0.8)
        like = f" {close[0]} is like it." if close else ""
        title = f"Crash: {where} asked {asked.name}, which nobody had started"
        text = f" No process had that name or number in this recording.{like}"
        advice = f"Start {asked.name} (as a child of a supervisor, or in the test with start_supervised!/1)."
        advice = f"Ask {close[0]}, if that is meant; or start {asked.name}." if close else advice
    return Finding(
        kind="crash",
        title=title,
        confidence=0.65,
        location=history.clause(frame) if frame is not None else None,
        evidence=steps,
        explanation=f"{asking}.{text}",
        suggestion=advice,
    )


def _not_again(history: History, asked: Missed) -> tuple[str, str]:
    """Why nobody had the name again, as far as that is known, and what to do."""
    life = asked.life or {}
    if asked.later is not None:
        after = duration(int(asked.later["start"]) - asked.at)
        return (
            f" It was started again {after} after it was asked.",
            f"Expect that {asked.name} may be away for a moment while it is restarted: ask again, or do without it.",
        )
    lived = not_restarted(history, life)
    if lived is None:
        return "", f"Find out why {asked.name} ended, and who should have started it again."
    return (
        f" {lived}",
        f"Let {asked.name} be started again (`restart: :permanent`, the default), or do not let it end.",
    )


def not_restarted(history: History, life: Row) -> str | None:
    """That the supervisor of a process lived on and did not start it again; None where that is not so."""
    supervisor = history.processes.get(life["supervisor"]) if life.get("supervisor") is not None else None
    if supervisor is None or life["parent"] != supervisor["process"] or life["end"] is None:
        return None
    siblings = history.query.find_all("processes", "supervisor", supervisor["process"])
    again = any(row["start"] >= life["end"] and row["module"] == life["module"] for row in siblings)
    if again or (supervisor["end"] is not None and supervisor["end"] <= life["end"] + _AT_ONCE):
        return None
    return (
        f"{history.label(supervisor['process'])}, its supervisor, lived on and did not start it again: a child with"
        " `restart: :temporary` is never restarted, one with `:transient` only when it crashed."
    )
