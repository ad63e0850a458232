"""The message that led to a crash, where no bad value says more."""

from __future__ import annotations

from typing import Any

from elixirscope.insight.collapse import Collapse
from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.insight.notices import refused_message
from elixirscope.insight.values import requested, short
from elixirscope.query.row import Row

_LAST = 16  # messages among which one that asks for something is sought
_REQUESTS = frozenset({"call", "cast", "info"})
_STARTS = 8
"""Processes up, each started by the next, among which the message is sought that led to a crash."""


def trigger(history: History, collapse: Collapse, frame: Row | None, refused: Any) -> list[Evidence]:
    """Without a bad value: the message that was being handled; the last that came, if no code was seen handling it."""
    message = refused_message(history, collapse.process, refused, collapse.exit_event) if refused is not None else None
    if message is not None:
        return [_sent(history, message, "which no clause takes")]
    if frame is None:
        last = history.query.find_before(
            "messages", "to_process", collapse.process, "message", collapse.exit_event, _LAST
        )
        asked = [message for message in last if message["value"] is not None and message["kind"] in _REQUESTS]
        return [_sent(history, message, "the last that it got") for message in asked[:1]]
    then, call = "which was being handled", frame["call"]
    for _ in range(_STARTS):
        frames = history.enclosing(call)
        for outer in map(history.call, reversed(frames)):
            message = history.message(outer["message"]) if outer else None
            if message is not None:
                return [_sent(history, message, then)]
        outermost = history.call(frames[-1]) if frames else None
        call = outermost["remote_parent"] if outermost else None
        then = "which was being handled by the one that started it"
    return []


def _sent(history: History, message: Row, then: str) -> Evidence:
    text = f"{history.label(message['from_process'])} sent {short(requested(history.term(message['value'])))}, {then}"
    return history.evidence(message["send_event"] or message["message"], text)
