"""Timeouts and deadlocks: who gave up waiting, and what kept the one that was asked from answering."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from elixirscope.insight import tests
from elixirscope.insight.blame import Blame, Link, blame
from elixirscope.insight.collapse import Collapse, died_with, tests_hit
from elixirscope.insight.findings import Evidence, Finding, Location
from elixirscope.insight.history import History
from elixirscope.insight.values import duration, requested, short
from elixirscope.insight.waits import Wait, awaited, raised, streamed, unanswered
from elixirscope.query.row import Row

_CONFIDENCE = {"deadlock": 0.95, "slow": 0.9, "no reply": 0.8, "busy": 0.75, "unknown": 0.5}

_LOST = """
select coalesce(sum(count), 0)::bigint as count from raw.omissions
where kind = 'loss' and (process is null or list_contains(?, process))
and coalesce(at, 0) < ? and (until is null or until >= ?)
"""


@dataclass
class Case:
    """The waits that have one cause, the first told; `hit` are tests that it reached, `died` the processes."""

    wait: Wait
    blame: Blame
    times: int = 0
    circles: set[frozenset[int | None]] = field(default_factory=set)  # of a deadlock, each met by all who wait in it
    hit: list[Row] = field(default_factory=list)
    collapses: list[Collapse] = field(default_factory=list)


def timeouts(history: History, collapses: list[Collapse]) -> tuple[list[Finding], set[int]]:
    """One finding per cause, and the processes whose death it explains: `crashes` need not tell them again."""
    cases: dict[tuple[Any, ...], Case] = {}
    for wait in chain(unanswered(history), awaited(history), streamed(history)):
        found = blame(history, wait)
        if wait.ended is None and found.ending != "deadlock":
            continue  # still open: only a circle is sure never to be answered
        if found.ending == "unknown" and _may_be_to_come(history, wait):
            continue
        case = cases.setdefault(_key(history, found), Case(wait, found))
        case.circles.add(frozenset(link.message["message"] for link in found.circle))
        case.times = len(case.circles) if found.circle else case.times + 1
        if len(found.links) < len(case.blame.links):
            case.wait, case.blame = wait, found  # the shortest way says it best
        mine = [
            collapse for collapse in collapses if collapse.process == wait.client and collapse not in case.collapses
        ]
        case.collapses += mine
        case.hit += [test for test in _tests_hit(history, wait, mine) if test not in case.hit]
    explained = {collapse.process for case in cases.values() for collapse in case.collapses}
    return [_finding(history, case) for case in cases.values()], explained


def _may_be_to_come(history: History, wait: Wait) -> bool:
    """Whether the answer may be there and only be missing: of a recording without its end what one scheduler tells may
    be behind what another does. Then what ran out may be any later `receive … after`, as that of `Process.sleep/1`."""
    asked = wait.message["message"] is not None
    return asked and not history.recording.info.complete and not raised(history, wait.message)


def _key(history: History, found: Blame) -> tuple[Any, ...]:
    """Equal for waits with one cause: the place in the code, and for a deadlock all places of the circle."""
    if found.circle:
        return "deadlock", *sorted(link.frame["site"] if link.frame else -1 for link in found.circle)
    server = history.processes[found.links[-1].server]
    place = found.frame["site"] if found.frame else (server["label"], found.links[-1].message["tag"])
    return found.ending, place


def _tests_hit(history: History, wait: Wait, collapses: list[Collapse]) -> list[Row]:
    """The tests that the wait, or the deaths that followed from it, reached."""
    rows = [row for row in history.tests if row["process"] == wait.client and tests.during(row, wait.until)]
    for collapse in collapses:
        rows += [row for row in tests_hit(history, collapse) if row not in rows]
    return rows or tests.alone_at(history, wait.until)


def _finding(history: History, case: Case) -> Finding:
    found, wait = case.blame, case.wait
    confidence = _CONFIDENCE[found.ending]
    if not all(link.message.get("certain", True) for link in found.links):
        confidence *= 0.85
    if case.hit and all(test["result"] == "passed" for test in case.hit):
        confidence *= 0.4  # as with crashes: a test that passes all the same wants it
    title, explanation, suggestion = _told(history, case)
    lost = _lost(history, wait, found)
    if lost:
        confidence *= 0.4  # the answer, or what kept it back, may be among them
        explanation += f" {lost} were lost meanwhile, so that the cause may be another."
    return Finding(
        kind="deadlock" if found.ending == "deadlock" else "timeout",
        title=f"{title}, {case.times} times" if case.times > 1 else title,
        confidence=round(confidence, 2),
        location=_location(history, found),
        evidence=[*_way(history, found), *_ending(history, wait, found), *_consequences(history, case)],
        explanation=explanation,
        suggestion=suggestion,
    )


def _lost(history: History, wait: Wait, found: Blame) -> str | None:
    """How many events were dropped, while it was waited for, of those who waited or were asked; of processes that
    nobody could name, too."""
    concerned = sorted({wait.client, wait.server, *(link.server for link in found.links)})
    count = history.query.rows(_LOST, [concerned, wait.until, wait.since])[0]["count"]
    return f"{count:,} events of theirs" if count else None


# Telling


def _told(history: History, case: Case) -> tuple[str, str, str]:
    """Title, explanation, suggestion."""
    found, wait = case.blame, case.wait
    client, server = history.label(wait.client), history.label(wait.server)
    asked, last = _asked(history, wait.message), history.label(found.links[-1].server)
    waited = duration(wait.until - wait.since)
    what = f"awaited {server}" if wait.message["value"] is None else f"asked {server} {asked}"
    gave_up = f"{client} {what} and gave up after {waited}."
    if len(found.links) > 1:
        gave_up += f" {server} could not answer, because it was waiting itself: {_chain(history, found)}."
    where = history.name(found.frame) if found.frame else "unrecorded code"
    if found.ending == "deadlock":
        return _deadlock(history, case)
    if found.ending == "slow":
        went_on = history.goes_on_in(found.frame) if found.frame else None
        returned = found.frame is not None and found.frame["outcome"] in ("returned", "tail")
        spent = f"took {duration(_whole(found))}" if returned else "had not returned"
        if found.times > 1 or went_on:
            spent = f"took {duration(found.spent)}" + (f" in {found.times:,} calls" if found.times > 1 else "")
        external = found.frame is not None and found.frame["external"]
        inner = "" if external else " itself: nothing that was recorded inside of it took as long"
        inner = f", which ended by calling {went_on} (not recorded)" if went_on else inner
        return (
            f"Timeout: {client} gave up on {server} after {waited}; {where} {spent}",
            f"{gave_up} {duration(found.spent)} of that passed in {where} ({last}){inner}.",
            f"Make {where} faster, or let {client} wait longer for {last}."
            if found.links[-1].message["value"] is None
            else f"Make {where} faster, move the work out of {last} (a Task, and GenServer.reply/2 when it is done), or"
            " let the caller wait longer.",
        )
    if found.ending == "no reply":
        return (
            f"Timeout: {last} never answered {_asked(history, found.links[-1].message)}",
            f"{gave_up} {where} had handled the request, and nothing had answered it by then.",
            f"Let {where} return {{:reply, …}}, or see to it that every {{:noreply, …}} is followed by a"
            " GenServer.reply/2, whatever happens meanwhile.",
        )
    if found.ending == "busy":
        return (
            f"Timeout: {last} had {found.ahead:,} other messages to handle first",
            f"{gave_up} The request lay in the mailbox of {last} behind {found.ahead:,} others, which was busy for"
            f" {duration(found.spent)} of that; longest with {where}.",
            f"Ask {last} less often, let it do less per request, or share its work among several processes.",
        )
    return (
        f"Timeout: {client} gave up on {server} after {waited}",
        f"{gave_up} What {last} did meanwhile was not recorded.",
        f"Record the code of {last} as well, and look at what it does between the request and the timeout.",
    )


def _deadlock(history: History, case: Case) -> tuple[str, str, str]:
    names = [history.label(link.client) for link in case.blame.circle]
    wait = case.wait
    all_of_them = f"{', '.join(names[:-1])} and {names[-1]}"
    circle = "each other" if len(names) == 2 else f"one another in a circle ({' → '.join([*names, names[0]])})"
    end = (
        f"{history.label(wait.client)} gave up after {duration(wait.until - wait.since)}."
        if wait.ended is not None
        else "They were still waiting when the recording, or one of them, ended."
    )
    return (
        f"Deadlock: {all_of_them} wait for {circle}",
        f"A server answers one request at a time. {_chain(history, case.blame)}: none can go on before another has."
        f" {end}",
        f"Let {names[0]} send what {names[-1]} needs along with its request, or answer later ({{:noreply, …}} and"
        " GenServer.reply/2), so that no server waits for one that waits for it.",
    )


def _chain(history: History, found: Blame) -> str:
    parts = [
        f"{history.label(link.client)} waits for {history.label(link.server)} ({_asked(history, link.message)})"
        for link in (found.circle or found.links[1:])
    ]
    return ", ".join(parts)


def _way(history: History, found: Blame) -> Iterator[Evidence]:
    for link in found.links:
        within = _handling(history, link)
        client, server = history.label(link.client), history.label(link.server)
        awaits = link.message["value"] is None
        text = f"{client} awaited {server}" if awaits else f"{client} asked {server} {_asked(history, link.message)}"
        during = f" in {history.name(within)}" if within else ""
        yield history.evidence(
            link.message["send_event"],
            f"{text}{during}, and waited",
            call=within["call"] if within is not None else None,
        )


def _handling(history: History, link: Link) -> Row | None:
    """The frame that asked, else the one that waited."""
    sender = history.call(link.message["sender_call"])
    return link.frame if sender is None else sender


def _ending(history: History, wait: Wait, found: Blame) -> Iterator[Evidence]:
    frame = found.frame
    if frame is not None and found.ending == "slow":
        yield history.evidence(
            frame["call"],
            f"{history.shown(frame)} took {duration(found.spent)} of it"
            + (f", together with {found.times - 1:,} other calls of it" if found.times > 1 else ""),
            call=frame["call"],
        )
    elif frame is not None and found.ending == "no reply":
        result = short(history.term(frame["result"])) if frame["result"] is not None else "without a recorded result"
        yield history.evidence(frame["end_event"], f"{history.name(frame)} returned {result}", call=frame["call"])
    elif frame is not None and found.ending == "busy":
        yield history.evidence(
            frame["call"], f"{history.shown(frame)}, the longest that it handled meanwhile", call=frame["call"]
        )
    if wait.ended is not None:
        text = f"{history.label(wait.client)} gave up after {duration(wait.until - wait.since)}"
        yield history.evidence(wait.ended, text, call=wait.frame)


def _consequences(history: History, case: Case) -> Iterator[Evidence]:
    for collapse in case.collapses:
        yield history.evidence(collapse.exit_event, f"{history.label(collapse.process)} died of it")
        yield from died_with(history, collapse)
    yield from (tests.failure(history, test) for test in case.hit if test["result"] == "failed")


def _location(history: History, found: Blame) -> Location | None:
    """The slow frame; for a deadlock the line that asks and so closes the circle."""
    frame = found.frame
    if frame is None:
        first = found.links[-1].frame
        return history.place(first) if first is not None else None
    if found.ending == "deadlock":
        asking = history.call(found.links[-1].message["sender_call"])
        line = history.call_line(frame, asking) if asking is not None and asking["call"] != frame["call"] else None
        return history.place(frame, line)
    return history.clause(frame)


def _whole(found: Blame) -> int:
    """Ns that the frame to blame took, after the wait too."""
    frame = found.frame
    return int(frame["end"] - frame["start"]) if frame and frame["end"] is not None else found.spent


def _asked(history: History, message: Row) -> str:
    return str(message["tag"]) if message["value"] is None else short(requested(history.term(message["value"])), 40)
