"""How the state of a server came to be: its last changes, and the one that set a place in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise, takewhile

from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.insight.values import MISSING, Missing, Path, at, diff, path_text, requested, same, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Fun, Term

CHANGES = 3
"""Changes of a state that are told, the last ones."""

VERSIONS = 5_000
"""States of one process that are looked back through."""


@dataclass(frozen=True)
class Changed:
    """A version of a state that differs from the one before; `by`: the request that it came of, if known."""

    state: Row
    before: Row | None
    by: str | None
    frame: Row | None


def last_changes(history: History, process: int, before: int) -> list[Changed]:
    """The last changes of a process's state before an event, the latest first."""
    return list(islice((change for change in _changes(history, process, before) if change.before), CHANGES))


def last_set(history: History, process: int, before: int, path: Path) -> Changed | None:
    """The change that gave a place in a process's state what it held at an event."""
    for change in _changes(history, process, before):
        older = _at(history.term(change.before["value"]), path) if change.before else MISSING
        if not same(older, _at(history.term(change.state["value"]), path)):
            return change
    return None


def told(history: History, change: Changed) -> Evidence:
    """A change as a step of proof."""
    label = history.label(change.state["process"])
    why = f"by {change.by}" if change.by else f"in {history.name(change.frame)}" if change.frame else "unseen"
    what = (
        _difference(history.term(change.before["value"]), history.term(change.state["value"]))
        if change.before
        else short(history.term(change.state["value"]))
    )
    return history.evidence(change.state["state"], f"{label}'s state changed {why}: {what}")


def _changes(history: History, process: int, before: int) -> Iterator[Changed]:
    """The versions of a state that differ from the one before, the latest first; the first of all is one."""
    states = takewhile(lambda row: row["process"] == process, history.states_before(process, before))
    for newer, older in islice(pairwise(chain(states, [None])), VERSIONS):
        if newer is None:
            return
        if older is None or newer["version"] != older["version"]:
            frame = history.call(newer["call"])
            message = history.message(frame["message"]) if frame else None
            by = _request(history, message) if message else None
            yield Changed(newer, older, by, frame)


def _request(history: History, message: Row) -> str:
    """A request as a person calls it; the function that an `Agent` is sent by who sent it."""
    request = requested(history.term(message["value"]))
    if not (isinstance(request, tuple) and len(request) == 2 and isinstance(request[1], Fun)):
        return short(request, 40)
    sender = history.call(message["sender_call"])
    return f"Agent.{request[0]}(…)" + (f" in {history.name(sender)}" if sender is not None else "")


def _at(term: Term, path: Path) -> Term | Missing:
    try:
        return at(term, path)
    except KeyError:
        return MISSING


def _difference(before: Term, after: Term) -> str:
    changes = diff(before, after)
    parts = [
        f"{path_text(change.path)} from {'nothing' if change.before is MISSING else short(change.before, 30)}"
        f" to {'nothing' if change.after is MISSING else short(change.after, 30)}"
        for change in changes[:2]
    ]
    return ", ".join(parts) + (f" and {len(changes) - 2} more" if len(changes) > 2 else "")
