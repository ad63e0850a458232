"""What a frame was given, where a value may be seen: results, replies, messages, its arguments, its state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elixirscope.insight.history import History
from elixirscope.insight.values import answered, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom

HOPS = 64
"""Calls in tail position that a result is followed through."""

MAIL = 64
"""Messages of a frame that are looked at, the last ones."""

INGREDIENTS = 3
"""Answers that are told of what a number was computed of."""

FRAMES = 8
"""Frames that are looked at of a process whose own code is not recorded, the last ones."""

_SAYS_NOTHING = frozenset({"down", "exit", "timer", "io"})


@dataclass(frozen=True)
class Sighting:
    """Something that a frame was given: `kind` is result, reply, message, arguments or state."""

    kind: str
    event: int
    term: Any
    row: Row


def sightings(history: History, frame: Row, before: int) -> Iterator[Sighting]:
    """All that a frame was given before an event, the latest first; of its states only the last."""
    yield from received(history, frame, before)
    if frame["args"] is not None:
        yield Sighting("arguments", frame["call"], history.term(frame["args"]), frame)
    site = history.site(frame["site"])
    if site and site["callback"]:
        yield from _state(history, frame["process"], frame["call"])


def received(history: History, frame: Row, before: int) -> list[Sighting]:
    """What those that the frame called and asked, and who wrote to it, gave it before `before`, the latest first."""
    found: list[Sighting] = []
    for child in reversed(history.children(frame["call"])):
        if child["call"] < before and (result := _result(history, child, before)) is not None:
            found.append(result)
    replies = list(_replies(history, frame, before))
    told = {reply.row["message"] for reply in replies}
    mail = (letter for letter in _mail(history, frame, before) if letter.row["message"] not in told)
    return sorted([*found, *replies, *mail], key=lambda sighting: -sighting.event)


def ingredients(history: History, frame: Row, before: int) -> Iterator[tuple[Sighting, str]]:
    """What a number or a text may have been computed of, and how that is told: the last answers that the frame got."""
    given = [
        (each, each.term if each.kind == "result" else answered(each.term)) for each in received(history, frame, before)
    ]
    for sighting, term in [each for each in given if not isinstance(each[1], Atom) and each[1] != []][:INGREDIENTS]:
        made = sighting.kind == "result"
        who = history.shown(sighting.row) if made else history.label(sighting.row["from_process"])
        yield sighting, f"{who} had {'returned' if made else 'sent'} {short(term)}"


def answers(history: History, frames: list[Row], before: int) -> Iterator[Sighting]:
    """The answers to requests that the frames sent, until `before`."""
    for sender in frames:
        for request in history.query.find_all("messages", "sender_call", sender["call"]):
            reply = history.message(request["reply"])
            if reply is None or (reply["receive_event"] or reply["message"]) >= before:
                continue
            yield Sighting("reply", reply["receive_event"] or reply["message"], history.term(reply["value"]), reply)


def left_by(history: History, process: int | None, before: int) -> Iterator[Sighting]:
    """What a process had when code of it that is not recorded sent something: its state, and what its last frames
    had returned to that code."""
    if process is None:
        return
    yield from _state(history, process, before)
    for frame in history.query.find_before("calls", "process", process, "call", before, FRAMES):
        if frame["parent"] is None and (result := _result(history, frame, before)) is not None:
            yield result


def _state(history: History, process: int, before: int) -> Iterator[Sighting]:
    for state in history.states_before(process, before):
        yield Sighting("state", state["state"], history.term(state["value"]), state)
        return


def _result(history: History, call: Row, before: int) -> Sighting | None:
    """What a call gave back, followed through the calls in its tail position."""
    for _ in range(HOPS):
        if call["outcome"] == "returned" and call["end_event"] is not None:
            if call["end_event"] >= before or call["result"] is None:
                return None
            return Sighting("result", call["end_event"], history.term(call["result"]), call)
        if call["outcome"] != "tail":
            return None
        following = history.query.find("calls", "tail_of", call["call"])
        if following is None:
            return None
        call = following
    return None


def _replies(history: History, frame: Row, before: int) -> Iterator[Sighting]:
    """Answers to the requests that the frame, or a frame that ended in a tail call, sent."""
    children = [child for child in history.children(frame["call"]) if child["call"] < before]
    yield from answers(history, [frame, *(child for child in children if child["outcome"] == "tail")], before)


def _mail(history: History, frame: Row, before: int) -> Iterator[Sighting]:
    """The messages that were taken out of the mailbox while the frame ran: an awaited task's answer, a `receive`."""
    last = history.query.find_before("messages", "to_process", frame["process"], "message", before, MAIL)
    for message in last:
        event = message["receive_event"]
        if (
            message["from_process"] is None
            or event is None
            or not frame["call"] < event < before
            or message["handle_call"] is not None
        ):
            continue
        if message["kind"] not in _SAYS_NOTHING and message["value"] is not None:
            yield Sighting("message", event, history.term(message["value"]), message)
