"""`{:error, {:already_started, pid}}`: who had started the process that has the name, and when."""

from __future__ import annotations

import re
from typing import Any

from elixirscope.insight import tests
from elixirscope.insight.history import History
from elixirscope.insight.notices import Notice
from elixirscope.insight.values import duration, same
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom, Pid

_TOLD = re.compile(r"\{:already_started, (#PID<[\d.]+>)\}")


def holder_of_name(term: Any) -> str | None:
    """The pid in an answer that says that the name was taken."""
    inner = term[1] if isinstance(term, tuple) and len(term) == 2 and same(term[0], Atom("error")) else term
    taken = isinstance(inner, tuple) and len(inner) == 2 and same(inner[0], Atom("already_started"))
    return str(inner[1]) if taken and isinstance(inner[1], Pid) else None


def named_in(text: str) -> str | None:
    """The pid in the words of a failure that say that the name was taken."""
    found = _TOLD.search(text)
    return found[1] if found else None


def taken(history: History, pid: str, frame: Row | None, at: int) -> Notice | None:
    """Who had started the process with the name, before `frame`, or while it ran; `at`: ns of the refusal."""
    lives = [row for row in history.processes.values() if row["pid"] == pid and row["start"] is not None]
    life = next((row for row in reversed(lives) if row["start"] <= at), None)
    if life is None:
        return None
    label, by, ago = history.label(life["process"]), history.label(life["parent"]), duration(at - int(life["start"]))
    owner = next(reversed(tests.ran_in(history, life["process"], life["start"])), None)
    mine = next(reversed(tests.ran_in(history, frame["process"], at)), None) if frame is not None else None
    step = history.evidence(life["spawn_event"], f"{by} started {label}, which has the name since")
    looked = _looked(history, frame) if frame is not None else None
    if frame is not None and life["parent"] != frame["process"] and (looked or frame["start"] <= life["start"]):
        name = history.name(frame)
        before = f"{name} had looked ({history.shown(looked)}) and found nobody" if looked is not None else ""
        before = before or f"{label} did not exist yet when {name} began"
        return Notice(
            f"{before}: {by} started {label} meanwhile, {ago} before.",
            f"Let {name} take {{:error, {{:already_started, pid}}}} for an answer: that pid is the one to use. To look"
            " first and start then is a race, and stays one.",
            step,
        )
    if owner is not None and (mine is None or owner["event"] != mine["event"]):
        return Notice(
            f"{label} had been started {ago} before, in {tests.title(owner)}, and was still there.",
            f"Start {label} with start_supervised!/1, which ends it with its test; or under a name of its own in each"
            " test, if they run at the same time (async: true).",
            step,
        )
    return Notice(
        f"{label} had been started {ago} before, by {by}.",
        f"Use the {label} that runs already, or start another one under a name of its own.",
        step,
    )


def _looked(history: History, frame: Row) -> Row | None:
    """The watched call by which a function had looked for the name, and found nobody."""
    for child in history.children(frame["call"]):
        if child["external"] and child["module"] == "Registry" and history.term(child["result"]) in ([], Atom("nil")):
            return child
    return None
