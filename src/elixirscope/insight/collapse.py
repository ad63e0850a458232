"""Collapses: which exits belong together, and the process that died by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from elixirscope.insight import gone, tests
from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.insight.values import same
from elixirscope.query.row import Row

RECENT = 64
"""Exits before one among which the server is sought whose death ended it."""

PERIOD = 5 * 10**9
"""Ns before a supervisor gave up within which deaths of the same child count: `max_seconds`, unless set otherwise."""

_SIGNAL = "died with it"
_REASON = "died with it (inferred from the same reason)"
_AGAIN = "was started in its place, and died too"


@dataclass
class Collapse:
    """One process that died by itself, and those that died because of it."""

    process: int
    exit_event: int
    followers: list[tuple[int, int, str]] = field(default_factory=list)  # (process, exit event, how it went)
    gave_up: list[int] = field(default_factory=list)  # supervisors among them that would not restart it once more
    again: list[int] = field(default_factory=list)  # those among them that were started in its place, and died too


def collapses(history: History) -> list[Collapse]:
    """The abnormal exits, each joined to the exit that it follows from."""
    found: dict[int, Collapse] = {}
    ended = [row for row in history.query.processes if row["exit_event"] is not None]
    for row in sorted(ended, key=lambda row: int(row["exit_event"])):
        crashed = row["exit_kind"] in ("crash", "killed")
        cause, how = _followed(history, row, found, crashed)
        if cause is not None:
            cause.followers.append((row["process"], row["exit_event"], how))
            found[row["process"]] = cause
        elif row["exit_kind"] == "crash":
            found[row["process"]] = Collapse(row["process"], row["exit_event"])
    _given_up(history, found)
    _asked_in_vain(history, found)
    roots = {id(collapse): collapse for collapse in found.values()}
    return list(roots.values())


def _followed(history: History, row: Row, found: dict[int, Collapse], crashed: bool) -> tuple[Collapse | None, str]:
    event = history.event(row["exit_event"])
    cause = history.event(event["cause"]) if event else None
    if (
        cause is not None
        and cause["process"] in found
        and history.processes[cause["process"]]["exit_event"] == cause["event"]
    ):
        return found[cause["process"]], _SIGNAL
    if not crashed or not found:
        return None, ""
    reason = history.term(row["exit_value"])
    linked = {link["peer"] for link in history.query.find_all("links", "process", row["process"])}
    linked |= {link["process"] for link in history.query.find_all("links", "peer", row["process"])}
    candidates = [process for process in linked if process in found] + list(found)[-RECENT:]
    for process, collapse in ((process, found[process]) for process in reversed(candidates)):
        other = history.term(history.processes[process]["exit_value"])
        if process in linked and same(reason, other):
            return collapse, _REASON
        if isinstance(reason, tuple) and len(reason) == 2 and same(reason[0], other) and gone.is_call(reason[1]):
            return collapse, _REASON
    return None, ""


def _given_up(history: History, found: dict[int, Collapse]) -> None:
    """Adds the supervisors that shut down because a child had died too often, and the children they shut down.

    Nobody told them to: the order of a parent to shut down is an exit signal, which a supervisor receives. The first
    death of that child began it all, and those that were started in its place belong to it.
    """
    for row in history.query.processes:
        if row["kind"] != "supervisor" or row["exit_event"] is None or row["exit_kind"] != "shutdown":
            continue
        children = [p for p in history.query.find_all("processes", "supervisor", row["process"]) if p["exit_event"]]
        died = [p for p in children if p["process"] in found and p["exit_event"] < row["exit_event"]]
        last = max(died, key=lambda p: int(p["exit_event"]), default=None)
        if last is None or history.query.find("processes", "predecessor", last["process"]) or _ordered(history, row):
            continue
        collapse = _begun(found, [p for p in died if _is_child(p, last) and p["end"] >= last["end"] - PERIOD])
        ended = [p for p in children if p["process"] not in found and last["exit_event"] < p["exit_event"]]
        for process in (p for p in ended if p["exit_event"] < row["exit_event"]):
            collapse.followers.append((process["process"], process["exit_event"], _SIGNAL))
            found[process["process"]] = collapse
        how = "had restarted it too often and gave up"
        collapse.followers.append((row["process"], row["exit_event"], how))
        collapse.gave_up.append(row["process"])
        found[row["process"]] = collapse


def _is_child(process: Row, other: Row) -> bool:
    """Whether two lives are of one child of a supervisor, the one started in place of the other."""
    if process["process"] == other["process"] or other["predecessor"] == process["process"]:
        return True
    if process["name"] is not None or other["name"] is not None:
        return bool(process["name"] == other["name"])
    return bool(process["module"] == other["module"] and process["incarnation"] != other["incarnation"])


def _begun(found: dict[int, Collapse], deaths: list[Row]) -> Collapse:
    """The collapse of the first of the deaths, with the others as what followed."""
    first, *later = sorted(deaths, key=lambda p: int(p["exit_event"]))
    collapse = found[first["process"]]
    for other in {id(each): each for each in (found[p["process"]] for p in later) if each is not collapse}.values():
        _join(found, collapse, other, _AGAIN)
        collapse.again.append(other.process)
    return collapse


def _asked_in_vain(history: History, found: dict[int, Collapse]) -> None:
    """Adds those that died because they asked a process that was gone: of what had ended that one, unless somebody had
    handed it out though it was dead."""
    for collapse in {id(each): each for each in found.values()}.values():
        asked = gone.missed(history, history.processes[collapse.process])
        cause = found.get(asked.life["process"]) if asked is not None and asked.life is not None else None
        if asked is None or cause is None or cause is collapse or asked.holder is not None:
            continue
        how = f"died too: it asked {asked.name}, which was gone by then"
        _join(found, cause, collapse, how)


def _join(found: dict[int, Collapse], cause: Collapse, other: Collapse, how: str) -> None:
    """Makes one collapse a part of another."""
    cause.followers += [(other.process, other.exit_event, how), *other.followers]
    cause.gave_up += other.gave_up
    cause.again += other.again
    for process in [process for process, each in found.items() if each is other]:
        found[process] = cause


def _ordered(history: History, supervisor: Row) -> bool:
    """Whether its parent had told the supervisor to end."""
    received = history.query.find_all("messages", "to_process", supervisor["process"])
    return any(m["kind"] == "exit" and m["from_process"] == supervisor["parent"] for m in received)


# What followed


def died_with(history: History, collapse: Collapse) -> list[Evidence]:
    """A step for each process that died because of the collapse."""
    return [
        history.evidence(
            event,
            f"{history.label(process)} {how}",
        )
        for process, event, how in sorted(collapse.followers, key=lambda follower: follower[1])
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
