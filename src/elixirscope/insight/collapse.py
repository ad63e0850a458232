"""Collapses: which exits belong together, and the process that died by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from elixirscope.insight import tests
from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.insight.values import same
from elixirscope.query.row import Row

RECENT = 64
"""Exits before one among which the server is sought whose death ended it."""


@dataclass
class Collapse:
    """One process that died by itself, and those that died because of it."""

    process: int
    exit_event: int
    followers: list[tuple[int, int, bool]] = field(default_factory=list)  # (process, exit event, certain)
    gave_up: list[int] = field(default_factory=list)  # supervisors among them that would not restart it once more


def collapses(history: History) -> list[Collapse]:
    """The abnormal exits, each joined to the exit that it follows from."""
    found: dict[int, Collapse] = {}
    ended = [row for row in history.query.processes if row["exit_event"] is not None]
    for row in sorted(ended, key=lambda row: int(row["exit_event"])):
        crashed = row["exit_kind"] in ("crash", "killed")
        cause, certain = _followed(history, row, found, crashed)
        if cause is not None:
            cause.followers.append((row["process"], row["exit_event"], certain))
            found[row["process"]] = cause
        elif row["exit_kind"] == "crash":
            found[row["process"]] = Collapse(row["process"], row["exit_event"])
    _given_up(history, found)
    roots = {id(collapse): collapse for collapse in found.values()}
    return list(roots.values())


def _followed(history: History, row: Row, found: dict[int, Collapse], crashed: bool) -> tuple[Collapse | None, bool]:
    event = history.event(row["exit_event"])
    cause = history.event(event["cause"]) if event else None
    if (
        cause is not None
        and cause["process"] in found
        and history.processes[cause["process"]]["exit_event"] == cause["event"]
    ):
        return found[cause["process"]], True
    if not crashed or not found:
        return None, True
    reason = history.term(row["exit_value"])
    linked = {link["peer"] for link in history.query.find_all("links", "process", row["process"])}
    linked |= {link["process"] for link in history.query.find_all("links", "peer", row["process"])}
    candidates = [process for process in linked if process in found] + list(found)[-RECENT:]
    for process, collapse in ((process, found[process]) for process in reversed(candidates)):
        other = history.term(history.processes[process]["exit_value"])
        if process in linked and same(reason, other):
            return collapse, False
        if isinstance(reason, tuple) and len(reason) == 2 and same(reason[0], other) and _is_call(reason[1]):
            return collapse, False
    return None, True


def _given_up(history: History, found: dict[int, Collapse]) -> None:
    """Adds the supervisors that shut down because a child had died too often, and the children they shut down.

    Nobody told them to: the order of a parent to shut down is an exit signal, which a supervisor receives.
    """
    for row in history.query.processes:
        if row["kind"] != "supervisor" or row["exit_event"] is None or row["exit_kind"] != "shutdown":
            continue
        children = [p for p in history.query.find_all("processes", "supervisor", row["process"]) if p["exit_event"]]
        died = [p for p in children if p["process"] in found and p["exit_event"] < row["exit_event"]]
        last = max(died, key=lambda p: int(p["exit_event"]), default=None)
        if last is None or history.query.find("processes", "predecessor", last["process"]) or _ordered(history, row):
            continue
        collapse = found[last["process"]]
        ended = [p for p in children if p["process"] not in found and last["exit_event"] < p["exit_event"]]
        for process in [row, *(p for p in ended if p["exit_event"] < row["exit_event"])]:
            collapse.followers.append((process["process"], process["exit_event"], True))
            found[process["process"]] = collapse
        collapse.gave_up.append(row["process"])


def _ordered(history: History, supervisor: Row) -> bool:
    """Whether its parent had told the supervisor to end."""
    received = history.query.find_all("messages", "to_process", supervisor["process"])
    return any(m["kind"] == "exit" and m["from_process"] == supervisor["parent"] for m in received)


def _is_call(term: Any) -> bool:
    """`{GenServer, :call, [...]}`: the part of a reason that says that a request was under way."""
    return isinstance(term, tuple) and len(term) == 3 and term[1] == "call"


# What followed


def died_with(history: History, collapse: Collapse) -> list[Evidence]:
    """A step for each process that died because of the collapse."""
    return [
        history.evidence(
            event,
            f"{history.label(process)} had restarted it too often and gave up"
            if process in collapse.gave_up
            else f"{history.label(process)} died with it{'' if certain else ' (inferred from the same reason)'}",
        )
        for process, event, certain in sorted(collapse.followers, key=lambda follower: follower[1])
    ]


def tests_hit(history: History, collapse: Collapse) -> list[Row]:
    """The tests that a collapse reached: those whose process it ended, or left waiting; else the only one that ran."""
    at = int((history.event(collapse.exit_event) or {"at": 0})["at"])
    died = {collapse.process, *(process for process, _, _ in collapse.followers)}
    last = max([collapse.exit_event, *(event for _, event, _ in collapse.followers)])
    rows = tests.left_waiting(history, died, last, at)
    for process in died:
        rows += [row for row in tests.ran_in(history, process, at) if row not in rows]
    return rows or tests.alone_at(history, at)
