"""A copy that was out of date: what a failed assertion refused had been replaced elsewhere by what it wanted.

A cache that was not told of a change answers with the old value. The state of another process then holds what the
assertion expected, under the key that it names, and had held the refused value there before.
"""

from __future__ import annotations

from dataclasses import dataclass

from elixirscope.insight.assertion import Assertion, names, prints
from elixirscope.insight.changes import Changed, last_set
from elixirscope.insight.history import History
from elixirscope.insight.tests import sides
from elixirscope.insight.values import Key, Path, at, pairs, paths, same
from elixirscope.query.row import Row

HOLDERS = 200
"""Processes whose states are looked at."""


@dataclass(frozen=True)
class Outdated:
    """`process` had had what was expected at `path` since `change`; `by`: the frame of the client that changed it."""

    process: int
    path: Path
    change: Changed
    by: Row | None


def outdated(history: History, test: Row, assertion: Assertion) -> Outdated | None:
    """Where what was expected was, at the last step of the refused value; None where nobody had replaced it."""
    said = sides(test)
    wanted = said.get("right" if assertion.side == "left" else "left")
    event = max((step.moment.event or 0 for step in assertion.steps), default=0)
    told = {step.moment.process for step in assertion.steps}
    holders = [row["process"] for row in history.query.processes if row["process"] in told]
    for process in holders[:HOLDERS]:
        state = next(history.states_before(process, event), None)
        term = history.term(state["value"]) if state is not None else None
        for step, value in pairs(term):
            if not isinstance(step, Key) or not names(step.key, said) or not prints(value, wanted):
                continue
            for path in [path for path in paths(term, value) if path[-1:] == (step,)][:1]:
                change = last_set(history, process, event, path)
                if change is not None and _replaced(history, change, path, assertion):
                    return Outdated(process, path, change, _asker(history, test, change))
    return None


def _replaced(history: History, change: Changed, path: Path, assertion: Assertion) -> bool:
    if change.before is None:
        return False
    try:
        return same(at(history.term(change.before["value"]), path), assertion.value)
    except KeyError:
        return False


def _asker(history: History, test: Row, change: Changed) -> Row | None:
    """The client's frame from which the change was asked for: beyond the server's own interface, if there is one."""
    message = history.message(change.state["message"])
    frames = [
        row for call in history.enclosing(message["sender_call"] if message else None) if (row := history.call(call))
    ]
    own = [row for row in frames if row["call"] != test["call"]]
    beyond = [row for row in own if row["module"] != own[0]["module"]]
    return next(iter(beyond or own), None)
