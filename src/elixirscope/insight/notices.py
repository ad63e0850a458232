"""Messages that nobody sent on purpose: the exit of a linked process, the death of a monitored one, a late answer.

A server that has no clause for one of them crashes, and its code alone does not tell where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.insight.values import requested, same, short
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom, Pid, Ref

_LAST = 64  # messages among which the one that was refused is sought


@dataclass(frozen=True)
class Notice:
    """What a refused message is: `why` it came, what to do (`advice`), and where it is seen."""

    why: str
    advice: str
    step: Evidence


def refused_message(history: History, process: int, term: Any, before: int) -> Row | None:
    """The last message of a process that is the refused term."""
    last = history.query.find_before("messages", "to_process", process, "message", before, _LAST)
    return next((row for row in last if same(requested(history.term(row["value"])), term)), None)


def notice(history: History, process: int, function: str, term: Any, before: int) -> Notice | None:
    """What a message is that no clause of `function` took; None when somebody sent it on purpose."""
    if not isinstance(term, tuple) or not term:
        return None
    label, message = history.label(process), refused_message(history, process, term, before)
    event = message["receive_event"] if message is not None else None
    if same(term[0], Atom("EXIT")) and len(term) == 3 and isinstance(term[1], Pid):
        other, reason = _named(history, term[1]), short(term[2], 80)
        return Notice(
            f"{label} traps exits (Process.flag/2) and is linked to {other}: when that ended ({reason}), the word of it"
            " came as a message.",
            f"Give {function} a clause for {{:EXIT, pid, reason}}; or start {other} without a link"
            " (Task.Supervisor.async_nolink/2), or do not trap exits.",
            history.evidence(event, f"{other}, linked to {label}, ended: {reason}"),
        )
    if same(term[0], Atom("DOWN")) and len(term) == 5:
        other = _named(history, term[3]) if isinstance(term[3], Pid) else short(term[3])
        return Notice(
            f"{label} monitors {other}: when that ended ({short(term[4], 80)}), the word of it came as a message.",
            f"Give {function} a clause for {{:DOWN, ref, :process, pid, reason}}; or end the monitor before, with"
            " Process.demonitor(ref, [:flush]).",
            history.evidence(event, f"{other}, monitored by {label}, ended: {short(term[4], 80)}"),
        )
    if len(term) == 2 and isinstance(term[0], Ref):
        sender = history.label(message["from_process"]) if message is not None else "another process"
        return Notice(
            f"{short(term[1], 40)} is an answer of {sender}, by its shape ({{ref, answer}}), for which {label} was no"
            " longer waiting: a call that it had given up, or a task that it did not await.",
            f"Await the task, give {function} a clause for {{ref, answer}}, or ignore what comes after a timeout.",
            history.evidence(event, f"{sender} answered {label} with {short(term[1], 40)}"),
        )
    return None


def _named(history: History, pid: Pid) -> str:
    return next((history.label(row["process"]) for row in history.query.processes if row["pid"] == str(pid)), str(pid))
