"""Waits: the requests that their clients gave up, or never saw answered, and the frame in which they waited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from elixirscope.insight.history import History
from elixirscope.insight.values import same
from elixirscope.query.busy import busy_with
from elixirscope.query.requests import requests
from elixirscope.query.row import Row
from elixirscope.recording.format import Kind
from elixirscope.recording.terms import Atom

_TIMEOUT, _EXIT = Atom("timeout"), Atom("exit")
_ARRIVALS = frozenset(
    {Kind.RECEIVE, Kind.GETTING_LINKED, Kind.GETTING_UNLINKED, Kind.SCHEDULED_IN, Kind.SCHEDULED_OUT, Kind.SPAWNED}
)
"""What happens to a process that waits: a RECEIVE is a message that reached its mailbox, read or not."""

LOOK_AHEAD = 4_096
"""Arrivals after a request among which the end of the wait is sought."""

SAMPLES = 200
"""Requests looked at per server and kind of request; further ones of the same kind say nothing new."""

_AWAITED = re.compile(r"Task\.await(?:_many)?\(.*?pid: (#PID<[\d.]+>)", re.S)
"""An exit of `Task.await/2` in the words of a failed test or an exception, and the first task that it names."""

_NEARLY = 0.9  # of its timeout a task that is killed for it has lived, at least

_STREAMED = re.compile(r"Task\.Supervised\.stream\((\d+)\)")
"""An exit of `Task.async_stream/3` in such words, and its timeout in ms."""

_UNANSWERED = """
select m.message, m.from_process as client, m.to_process as server, m.sent_at, m.send_event, m.sender_call, m.tag,
       m.value, m.handle_call, r.sent_at as answered_at
from raw.messages m left join raw.messages r on r.message = m.reply
where m.kind = 'call' and m.send_event is not null and m.from_process <> m.to_process and r.receive_event is null
qualify row_number() over (partition by m.to_process, m.tag order by m.message) <= ?
order by m.message
"""


@dataclass(frozen=True)
class Wait:
    """A request without an answer in time.

    `message` is its row (`client`, `server`, `sent_at`, `send_event`, `value`, `handle_call`, …; for a task that was
    awaited what started it, without `value`), `frame` the frame of
    the client that waited (None where it was not recorded), [`since`, `until`) the wait in ns. `ended` is the event
    with which the client gave up; None when it had not by the end of the recording, or until it was ended from outside.
    """

    message: Row
    frame: int | None
    since: int
    until: int
    ended: int | None

    @property
    def client(self) -> int:
        """Who asked."""
        return int(self.message["client"])

    @property
    def server(self) -> int:
        """Who was asked."""
        return int(self.message["server"])


def unanswered(history: History) -> Iterator[Wait]:
    """The requests that were given up (`ended`) and those still open, in order; not those whose server had died."""
    frames = _waiting_frames(history)
    for row in history.query.rows(_UNANSWERED, [SAMPLES]):
        ended = went_on(history, row)
        until = ended["at"] if ended else int(history.recording.info.duration_ns)
        if _ended_by(history, row["server"], until):
            continue
        if row["answered_at"] is not None and row["answered_at"] < until:
            continue  # and that it was received is missing: `ended` is of something else
        by_itself = ended is not None and _by_itself(history, row, ended)
        frame = frames.get(row["message"])
        yield Wait(row, frame, row["sent_at"], until, ended["event"] if ended is not None and by_itself else None)


def awaited(history: History) -> Iterator[Wait]:
    """The waits of `Task.await` that ended a process or failed a test."""
    for owner, text, event in _gave_up(history, "%Task%await%"):
        named = _AWAITED.search(text or "")
        task = next(
            (row for row in history.query.processes if named and row["pid"] == named[1] and row["parent"] == owner),
            None,
        )
        mine = history.query.events_of(owner).tolist() if task is not None else []
        last = next((e for e in reversed(mine) if e < event and _is_marker(history, e)), None)
        if task is None or last is None:
            continue
        ended = history.event(int(last))
        before = [e for e in mine if e < last and history.query.column("events", "kind")[e] not in _ARRIVALS]
        began = history.event(int(before[-1])) if before else None
        if ended is None or began is None:
            continue
        first = next(iter(busy_with(history.query, task["process"], task["start"], ended["at"])), None)
        asked = {"client": owner, "server": task["process"], "sent_at": began["at"], "send_event": began["event"]}
        asked |= {
            "message": None,
            "tag": "Task.await",
            "value": None,
            "handle_call": first,
            "sender_call": began["call"],
        }
        yield Wait(asked, began["call"], began["at"], ended["at"], ended["event"])


def streamed(history: History) -> Iterator[Wait]:
    """The waits of `Task.async_stream` for a task that had not ended in time: the stream kills it, and exits."""
    for owner, text, event in _gave_up(history, "%Task.Supervised.stream(%"):
        if not (named := _STREAMED.search(text or "")):
            continue
        helpers = {row["process"] for row in history.query.find_all("processes", "parent", owner)}
        killed = [
            row
            for row in history.query.processes
            if row["parent"] in helpers and row["exit_kind"] == "killed" and row["exit_event"] < event
            and row["end"] - row["start"] >= _NEARLY * int(named[1]) * 1_000_000
        ]  # fmt: skip
        for task in killed[-1:]:
            asked = {"client": owner, "server": task["process"], "sent_at": task["start"], "message": None}
            asked |= {"send_event": task["spawn_event"], "sender_call": None, "tag": "Task.async_stream", "value": None}
            asked["handle_call"] = next(
                iter(busy_with(history.query, task["process"], task["start"], task["end"])), None
            )
            yield Wait(asked, None, task["start"], task["end"], int(task["exit_event"]))


def _gave_up(history: History, like: str) -> list[tuple[int, str | None, int]]:
    """(process, words, event) of the failed tests, and of the exceptions whose words are like that."""
    texts = [(test["process"], test["text"], test["end_event"]) for test in history.tests if test["result"] == "failed"]
    exceptions = history.query.rows("select process, text, event from raw.exceptions where text like ?", [like])
    return texts + [(row["process"], row["text"], row["event"]) for row in exceptions]


def _is_marker(history: History, event: int) -> bool:
    row = history.event(int(event))
    return row is not None and _timed_out(history, row)


def _waiting_frames(history: History) -> dict[int, int]:
    """Request → the frame that waited for it."""
    found = requests(history.query)
    return {int(m): int(f) for f, m in zip(found.frame, found.message, strict=True) if f >= 0}


def went_on(history: History, request: Row) -> Row | None:
    """The first event of the client after its request that it made itself, or that says that it stopped waiting."""
    mine = history.query.events_of(request["client"])
    first = int(np.searchsorted(mine, request["send_event"], side="right"))
    kinds = history.query.column("events", "kind")
    for event in mine[first : first + LOOK_AHEAD].tolist():
        if kinds[event] not in _ARRIVALS:
            return history.event(event)
        row = history.event(event)
        if row is not None and row["peer"] is None and _timed_out(history, row):
            return row
    return None


def _timed_out(history: History, row: Row) -> bool:
    """Whether the event is the VM's own word that a `receive … after` ran out."""
    return row["kind"] == Kind.RECEIVE and row["cause"] is None and same(history.term(row["value"]), _TIMEOUT)


def _ended_by(history: History, process: int, at: int) -> bool:
    row = history.processes.get(process)
    return row is not None and row["end"] is not None and row["end"] <= at


def _by_itself(history: History, request: Row, ended: Row) -> bool:
    """Whether the client stopped waiting by a timeout, and was not ended from outside, or answered unseen."""
    return _timed_out(history, ended) or raised(history, request)


def raised(history: History, request: Row) -> bool:
    """Whether an exception tells that a request was given up."""
    rows = history.query.find_all("exceptions", "process", request["client"])
    return any(row["event"] >= request["send_event"] and _is_timeout(history, row) for row in rows)


def _is_timeout(history: History, exception: Row) -> bool:
    """`{:timeout, {GenServer, :call, [...]}}`: raised, or what a process ended with."""
    told = history.term(exception["value"])
    reason = told[1] if isinstance(told, tuple) and len(told) > 1 and same(told[0], _EXIT) else told
    called = reason[1] if isinstance(reason, tuple) and len(reason) == 2 and same(reason[0], _TIMEOUT) else None
    return isinstance(called, tuple) and len(called) == 3 and same(called[1], Atom("call"))
