"""Messages that no `receive` of their process takes: they stay in its mailbox, and whoever waits for an answer waits in
vain. Told only of what the source shows: every clause of every `receive` that the process ran is without a match.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from elixirscope.insight import tests
from elixirscope.insight.findings import Evidence, Finding
from elixirscope.insight.history import History
from elixirscope.insight.receives import Clause, Receive, receives
from elixirscope.insight.values import duration, short
from elixirscope.insight.waits import went_on
from elixirscope.query.row import Row
from elixirscope.recording.format import Kind

PILE = 100
"""Unread messages of one shape that slow down each further `receive`, though nobody waits for an answer."""

GROUPS = 100
"""Shapes of messages, each to one process, that are looked at, the most frequent."""

SAMPLES = 50
"""Messages of a shape that are looked at, the last ones."""

_SENT = """
select to_process as process, tag, count(*) as times from raw.messages m join raw.processes p on p.process = to_process
where m.kind = 'info' and sender_call is not null and handle_call is null and receive_event is not null
  and value is not null and from_process <> to_process and p.kind in ('process', 'task')
group by all order by times desc limit ?
"""
_ALIKE = """
select * from raw.messages where to_process = ? and tag is not distinct from ? and kind = 'info'
  and sender_call is not null and handle_call is null and receive_event is not null and value is not null
  and from_process <> to_process order by message desc limit ?
"""
_RAN = """
select process, site, max(call) as call from raw.calls where list_contains(?, process) and not external
group by all order by call
"""


@dataclass(frozen=True)
class Waiting:
    """A `receive` in the function of a frame, the last that the process ran of it."""

    frame: Row
    receive: Receive


def unread(history: History) -> list[Finding]:
    """One finding per process and shape of message that it never takes; none where tests ran and none failed."""
    if history.tests and not tests.failed(history):
        return []
    groups = history.query.rows(_SENT, [GROUPS])
    waits = _waiting(history, sorted({int(group["process"]) for group in groups})) if groups else {}
    found: dict[tuple[object, ...], Finding] = {}
    for group in groups:
        waiting = waits.get(group["process"], [])
        letters = history.query.rows(_ALIKE, [group["process"], group["tag"], SAMPLES]) if waiting else []
        terms = [history.term(letter["value"]) for letter in letters]
        if not letters or any(each.receive.may_take(term) for each in waiting for term in terms):
            continue
        told = _told(history, group, waiting, letters)
        if told is not None:
            found.setdefault((waiting[-1].frame["site"], group["tag"]), told)
    return list(found.values())


def _waiting(history: History, processes: list[int]) -> dict[int, list[Waiting]]:
    """Per process the blocks of all functions that it ran, that of the last one at the end."""
    blocks: dict[int, list[Receive]] = {}
    found: dict[int, list[Waiting]] = {}
    for row in history.query.rows(_RAN, [processes]):
        if row["site"] not in blocks:
            blocks[row["site"]] = _blocks(history, row["site"])
        frame = history.call(row["call"]) if blocks[row["site"]] else None
        if frame is not None:
            found.setdefault(row["process"], []).extend(Waiting(frame, block) for block in blocks[row["site"]])
    return found


def _blocks(history: History, site: int) -> list[Receive]:
    row = history.site(site)
    lines = history.recording.source(row["file"]) if row and row["file"] and row["line"] else None
    if row is None or lines is None:
        return []
    return receives(lines, row["line"], row["end_line"] or row["line"])


def _told(history: History, group: Row, waiting: list[Waiting], letters: Sequence[Row]) -> Finding | None:
    gave_up = [letter for letter in letters if (row := _gave_up(history, letter)) is not None and row]
    idle = _idle(history, group["process"], int(letters[0]["receive_event"]))
    if not gave_up and not idle and group["times"] < PILE:
        return None
    last, place = waiting[-1], letters[-1]
    term, frame = history.term(place["value"]), last.frame
    near = last.receive.nearest(term)
    name, label, what = history.name(frame), history.label(group["process"]), short(term)
    sender = history.call(place["sender_call"])
    by = history.name(sender) if sender is not None else history.label(place["from_process"])
    times = group["times"]
    many = f"{times:,} such messages wait unread" if times > 1 else "it stays in the mailbox"
    who = name if label == name else f"{label} waits in {name}, which"
    patterns = _either([clause.text for clause in last.receive.clauses])
    text = f"{who} waits for {patterns}. {what}, which {by} sends, is none of these: {many}."
    text += _difference(near, term)
    text += _consequence(history, gave_up, idle, times, label)
    return Finding(
        kind="unread",
        title=f"Unread: {name} never takes {short(term, 40)}"
        + (f"; {times:,} such messages wait" if times > 1 else ""),
        confidence=0.85 if gave_up else 0.7 if times >= PILE else 0.6,
        location=history.place(frame, near.line),
        evidence=list(_evidence(history, letters, gave_up, what, near)),
        explanation=text,
        suggestion=f"Let {by} send what the `receive` expects, or give it a clause for {what}; a last clause for all"
        " else, which logs it, makes such messages seen.",
    )


def _gave_up(history: History, letter: Row) -> Row | None:
    """The event at which a `receive … after` of the sender ran out, if that is what it did next."""
    row = went_on(history, {"client": letter["from_process"], "send_event": letter["send_event"]})
    return row if row is not None and row["kind"] == Kind.RECEIVE else None


def _idle(history: History, process: int, since: int) -> bool:
    """Whether a process did nothing by itself after an event, until it was ended or the recording was."""
    mine = history.query.events_of(process)
    later = mine[int(np.searchsorted(mine, since, side="right")) :]
    kinds = history.query.column("events", "kind")[later]
    return bool(np.isin(kinds, [Kind.RECEIVE, Kind.EXIT]).all())


def _either(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _difference(near: Clause, term: object) -> str:
    """In what a message differs from the clause that is most like it."""
    if not isinstance(term, tuple) or near.pattern is None or near.tag == "*":
        return ""
    head = short(term[0], 40) if term else ""
    if near.tag != head:
        return f" {near.text} is most like it, but begins with {near.tag}, not {head}."
    if near.parts is not None and near.parts != len(term):
        return f" {near.text} is most like it, but has {near.parts} parts, not {len(term)}."
    return f" {near.text} is most like it, but not in all its parts."


def _consequence(history: History, gave_up: list[Row], idle: bool, times: int, label: str) -> str:
    if gave_up:
        first = gave_up[-1]
        waited = _gave_up(history, first) or first
        wait = duration(int(waited["at"] - first["sent_at"]))
        often = f", {len(gave_up):,} times" if len(gave_up) > 1 else ""
        return f" {history.label(first['from_process'])} waited for an answer in vain ({wait}{often})."
    if times >= PILE:
        return f" Each further `receive` of {label} has to look at all of them first, and takes longer for it."
    return f" {label} has done nothing since." if idle else ""


def _evidence(
    history: History, letters: Sequence[Row], gave_up: list[Row], what: str, near: Clause
) -> Iterator[Evidence]:
    first = letters[-1]
    sender, label = history.label(first["from_process"]), history.label(first["to_process"])
    yield history.evidence(first["send_event"], f"{sender} sent {what} to {label}", call=first["sender_call"])
    yield history.evidence(
        first["receive_event"], f"it lay in the mailbox of {label}; line {near.line} has {near.text}"
    )
    for letter in gave_up[-1:]:
        row = _gave_up(history, letter)
        if row is not None:
            yield history.evidence(row["event"], f"{history.label(letter['from_process'])} gave up waiting")
    for test in tests.failed(history):
        if any(test["process"] == letter["from_process"] for letter in letters):
            yield tests.failure(history, test)
