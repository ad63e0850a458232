"""Timers, as the watched calls that set them tell: which one sent a message, and those that pile up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.values import requested, same, short
from elixirscope.query.row import Row

PENDING = 10
"""Timers with one message that a process has set for itself at once, before they are worth telling."""

LAST = 2_000
"""Timers of a process that are looked back through."""

ALL = 20_000
"""Timers of a recording that are looked at for those that pile up, the first."""

_LATE = 2 * 10**9  # ns that a timer may fire late
_SETS = "external and module in ('Process', ':erlang', 'erlang') and function = 'send_after'"


@dataclass(frozen=True)
class Timer:
    """A timer: the `call` that set it, `at` ns; `setting`: the message that was being handled then."""

    call: Row
    message: Any
    at: int
    due: int
    setting: int | None


def timer_of(history: History, frame: Row) -> Timer | None:
    """The timer whose message a callback handles: the last that was due before it came."""
    message = history.message(frame["message"])
    if message is None or message["from_process"] is not None or message["received_at"] is None:
        return None
    term = history.term(message["value"])
    rows = history.query.rows(
        f"select * from raw.calls where process = ? and call < ? and {_SETS} order by call desc limit ?",
        [frame["process"], frame["call"], LAST],
    )
    for row in rows:
        timer = _timer(history, row)
        if timer is not None and same(timer.message, term) and -_LATE <= timer.due - message["received_at"] <= 10**6:
            return timer
    return None


def _timer(history: History, row: Row) -> Timer | None:
    given = history.term(row["args"])
    if not isinstance(given, tuple) or len(given) < 3:
        return None
    _, message, wait = given[:3] if row["module"] == "Process" else (given[1], given[2], given[0])
    if not isinstance(wait, int):
        return None
    outer = next((each for call in reversed(history.enclosing(row["parent"])) if (each := history.call(call))), None)
    at = int(row["start"])
    return Timer(row, message, at, at + wait * 10**6, outer["message"] if outer is not None else None)


def pile_ups(history: History) -> Iterator[Finding]:
    """Timers that a process keeps setting anew while others with the same message are pending."""
    pending: dict[tuple[int, str], list[Timer]] = defaultdict(list)
    most: dict[tuple[int, str], list[Timer]] = {}
    again: dict[tuple[int, str], Row] = {}
    for row in history.query.rows(f"select * from raw.calls where {_SETS} order by call limit ?", [ALL]):
        timer = _timer(history, row)
        if timer is None:
            continue
        key = (row["process"], short(timer.message, 200))
        pending[key] = [each for each in pending[key] if each.due > timer.at] + [timer]
        if len(pending[key]) > len(most.get(key, [])):
            most[key] = list(pending[key])
        if key not in again and _handles(history, timer):
            frame = _handler(history, timer)
            again |= {key: frame} if frame is not None else {}
    for (process, message), timers in most.items():
        if len(timers) >= PENDING and (process, message) in again:
            yield _pile_up(history, process, message, timers, again[process, message])


def _pile_up(history: History, process: int, message: str, timers: list[Timer], again: Row) -> Finding:
    label, name = history.label(process), history.name(again)
    others = [timer for timer in timers if timer.setting is None or not _handles(history, timer)]
    also = [short(requested(history.term(row["value"])), 40) for t in others if (row := history.message(t.setting))]
    extra = f" {also[-1]} set one more each time it came." if also else ""
    first = timers[0].call
    blamed = next((frame for timer in reversed(others) if (frame := _handler(history, timer)) is not None), again)
    return Finding(
        kind="leak",
        title=f"Leak: {len(timers)} timers for {message} are pending at once in {label}, and each sets the next",
        confidence=0.7,
        location=history.clause(blamed),
        evidence=[
            history.evidence(first["call"], f"{label} set a timer for {message}", call=first["parent"]),
            history.evidence(again["call"], f"{name} handled {message}, and set the next", call=again["call"]),
            history.evidence(
                timers[-1].call["call"], f"by now {len(timers)} are pending", call=timers[-1].call["parent"]
            ),
        ],
        explanation=f"{name} sets a new timer for {message} whenever one fires, so each that was ever set goes on for"
        f" good.{extra} {label} is called {len(timers)} times as often as was meant.",
        suggestion=f"Keep the reference of the timer in the state of {label}, and cancel it before setting another"
        " (Process.cancel_timer/1); or set it only where none is pending.",
    )


def _handler(history: History, timer: Timer) -> Row | None:
    """The callback that ran when a timer was set."""
    message = history.message(timer.setting)
    return history.call(message["handle_call"]) if message is not None else None


def _handles(history: History, timer: Timer) -> bool:
    """Whether a timer was set while its own message was being handled."""
    message = history.message(timer.setting)
    return message is not None and same(history.term(message["value"]), timer.message)
