"""Why did it not happen? A message that was not handled or not answered, a call that did not end, a function or a
message that never came: the answer from what was recorded, each step with the moment that shows it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from elixirscope.dags import Dags
from elixirscope.errors import NotFoundError
from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.query.busy import busy_with
from elixirscope.query.row import Row
from elixirscope.query.search import SECONDS, scan
from elixirscope.recording.format import Kind

_FOLLOWED = 8  # requests followed from process to process
_ALIKE = 1_000  # messages of a shape looked at
_JUDGED = 50  # of those, the first that get a verdict each
_CLAUSE_ERRORS = ("FunctionClauseError", "CaseClauseError", ":function_clause", ":case_clause")


class WhyNot(msgspec.Struct, frozen=True):
    """The answer. `verdict` is one of:

    happened · never_sent · nobody (the name had no process) · dead (the process had ended) · on_its_way · queued
    (behind `behind` others) · not_taken (received, and no recorded callback took it) · no_clause · crashed ·
    still_running · no_reply (handled without an answer) · not_called · not_recorded · searching (some seconds did not
    suffice: ask again to go on).
    `certain` is false when a step rests on an inference, `reason` then names it.
    """

    verdict: str
    text: str
    evidence: list[Evidence]
    behind: int | None = None
    certain: bool = True
    reason: str | None = None


def why_not_message(dags: Dags, message: int) -> WhyNot:
    """Why a message (its number in the view messages) was not handled or, for a call, not answered.

    Raises `NotFoundError`.
    """
    detective = _Detective(dags)
    row = detective.history.message(message)
    if row is None:
        raise NotFoundError(f"e{message} is not a message", "the view messages lists them")
    return detective.message(row, _FOLLOWED)


def why_not_call(dags: Dags, call: int) -> WhyNot:
    """Why a frame did not return. Raises `NotFoundError`."""
    detective = _Detective(dags)
    frame = detective.history.call(call)
    if frame is None:
        raise NotFoundError(f"e{call} is not a function call", "the view calls lists them")
    return detective.call(frame, _FOLLOWED)


def why_not_function(dags: Dags, function: str) -> WhyNot:
    """Why a function, written `Mod.fun/2` or by the end of that (`Last.fun/2`), was not called."""
    return _Detective(dags).function(function)


def why_not_sent(dags: Dags, pattern: str, process: int | None = None) -> WhyNot:
    """Why no message of a shape (see `query.patterns`) was handled by `process`, or by anybody. Raises `UsageError`."""
    return _Detective(dags).sent(pattern, process)


class _Detective:
    def __init__(self, dags: Dags) -> None:
        self.history = History(dags)
        self._dags = dags
        self._query = dags.query
        self._end = int(dags.query.recording.info.duration_ns)

    # Messages

    def message(self, row: Row, followed: int) -> WhyNot:
        """The verdict on one message."""
        history, what = self.history, f"{row['kind']} {row['tag'] or ''}".rstrip()
        receiver = (
            history.label(row["to_process"]) if row["to_process"] is not None else str(row["to_name"] or "nobody")
        )
        steps: list[Evidence] = []
        if row["send_event"] is not None:
            sender = history.label(row["from_process"])
            steps.append(history.evidence(row["send_event"], f"{sender} sends {what} to {receiver}"))
        found = self._message(row, what, receiver, steps, followed)
        if row["certain"] or found.reason is not None:
            return found
        return msgspec.structs.replace(found, certain=False, reason=row["reason"])

    def _message(self, row: Row, what: str, receiver: str, steps: list[Evidence], followed: int) -> WhyNot:
        history = self.history
        reply = history.message(row["reply"])
        if reply is not None:
            shown = reply["receive_event"] if reply["receive_event"] is not None else reply["message"]
            return WhyNot("happened", f"it was answered: {what}", [*steps, history.evidence(shown, "the answer")])
        if row["to_process"] is None:
            return self._nobody(row, what, steps)
        life = history.processes.get(row["to_process"])
        ended = life["end"] if life is not None else None
        if (
            ended is not None
            and row["sent_at"] is not None
            and ended <= row["sent_at"]
            and row["receive_event"] is None
        ):
            steps.insert(0, self._exit(row["to_process"]))
            return WhyNot("dead", f"{receiver} had ended before it was sent", steps)
        if row["receive_event"] is None:
            if ended is not None:
                return WhyNot("crashed", f"{receiver} ended before it arrived", [*steps, self._exit(row["to_process"])])
            if not self._receives(row["to_process"]):
                return WhyNot("not_recorded", f"what {receiver} receives was not recorded", steps)
            return WhyNot("on_its_way", "the recording ends before it arrived", steps)
        steps.append(history.evidence(row["receive_event"], f"it enters the mailbox of {receiver}"))
        frame = history.call(row["handle_call"])
        if frame is None:
            return self._waiting(row, receiver, ended, steps)
        steps.append(history.evidence(frame["call"], f"{history.name(frame)} takes it", call=frame["call"]))
        handled = self.call(frame, followed)
        if handled.verdict != "happened":
            return msgspec.structs.replace(handled, evidence=[*steps, *handled.evidence])
        if row["kind"] != "call":
            return WhyNot("happened", f"it was handled by {history.name(frame)}", [*steps, *handled.evidence])
        result = self._query.values.text(frame["result"]) or "something that was not recorded"
        last = history.evidence(frame["end_event"], f"{history.name(frame)} returns {result}", call=frame["call"])
        return WhyNot(
            "no_reply", f"{history.name(frame)} ended without an answer, and none was sent later", [*steps, last]
        )

    def _nobody(self, row: Row, what: str, steps: list[Evidence]) -> WhyNot:
        name = row["to_name"]
        had = [life for life in self.history.processes.values() if name is not None and life["name"] == name]
        before = [life for life in had if life["end"] is not None and life["end"] <= (row["sent_at"] or 0)]
        if before:
            last = max(before, key=lambda life: int(life["end"]))
            steps.insert(0, self._exit(last["process"]))
            return WhyNot("dead", f"{name} had ended before {what} was sent", steps)
        later = [life for life in had if life["start"] is not None and life["start"] >= (row["sent_at"] or 0)]
        if later:
            first = min(later, key=lambda life: int(life["start"]))
            steps.append(self.history.evidence(first["spawn_event"], f"{name} begins only now"))
        return WhyNot("nobody", f"no process had the name {name}" if name else "its receiver is not known", steps)

    def _waiting(self, row: Row, receiver: str, ended: int | None, steps: list[Evidence]) -> WhyNot:
        """Received, and never taken by a recorded callback."""
        process, arrived = row["to_process"], row["received_at"]
        if not self._query.count("calls", "process", process):
            return WhyNot(
                "not_recorded", f"the code of {receiver} was not recorded: what it did with it is not known", steps
            )
        until = self._end if ended is None else ended
        behind = self._ahead(row, until)
        running = self._running(process, until)
        if ended is not None:
            clause = self._clause_error(process)
            steps += [
                self.history.evidence(f["call"], f"{self.history.name(f)} is running", call=f["call"])
                for f in running[-1:]
            ]
            steps.append(self._exit(process))
            if clause:
                return WhyNot("no_clause", f"no clause of {clause} takes it, and {receiver} ended of that", steps)
            return WhyNot("crashed", f"{receiver} ended before it took it", steps, behind or None)
        if running:
            frame = running[-1]
            steps.append(
                self.history.evidence(frame["call"], f"{self.history.name(frame)} is still running", call=frame["call"])
            )
        if behind:
            others = f"{behind} other message{'s' if behind > 1 else ''}"
            return WhyNot("queued", f"it waits in the mailbox of {receiver} behind {others}", steps, behind)
        if running:
            return WhyNot(
                "still_running", f"it waits until {receiver} has ended {self.history.name(running[0])}", steps, 0
            )
        handled = busy_with(self._query, process, arrived + 1, until)
        steps += [self.history.evidence(call, "what it ran afterwards", call=call) for call in handled[:1]]
        return WhyNot("not_taken", f"no recorded callback of {receiver} took it", steps, 0)

    def _ahead(self, row: Row, until: int) -> int:
        """How many messages had arrived before and were still to be taken."""
        rows = self._query.rows(
            """select count(*) as n from raw.messages where to_process = ? and received_at <= ? and receive_event < ?
            and (handled_at is null or handled_at >= ?) and kind <> 'reply'""",
            [row["to_process"], row["received_at"], row["receive_event"], until],
        )
        return int(rows[0]["n"])

    def _running(self, process: int, at: int) -> list[Row]:
        """The frames of a process that were open at `at` ns, the outermost first."""
        rows = self._query.rows(
            """select * from raw.calls where process = ? and start <= ? and ("end" is null or "end" >= ?)
            order by depth""",
            [process, at, at],
        )
        return [row for row in rows if not row["external"] or row["end"] is None]

    # Frames

    def call(self, frame: Row, followed: int) -> WhyNot:
        """The verdict on one frame."""
        history, name = self.history, self.history.name(frame)
        if frame["outcome"] in ("returned", "tail"):
            return WhyNot("happened", f"{name} ended", [history.evidence(frame["end_event"], f"{name} ends")])
        if frame["outcome"] == "raised":
            shown = next(iter(self._query.find_all("exceptions", "call", frame["call"])), None)
            what = ": ".join(part for part in (shown["type"], shown["text"]) if part) if shown else "an exception"
            event = shown["event"] if shown is not None else frame["end_event"]
            step = history.evidence(event, f"{name} ends on {what[:160]}", call=frame["call"])
            clause = shown is not None and shown["type"] in _CLAUSE_ERRORS
            text = f"no clause matches in {name}" if clause else f"{name} crashed first: {what[:160]}"
            return WhyNot("no_clause" if clause else "crashed", text, [step])
        life = history.processes.get(frame["process"])
        if life is not None and life["end"] is not None:
            text = f"{history.label(frame['process'])} ended while {name} ran"
            return WhyNot("crashed", text, [self._exit(frame["process"])])
        return self._still(frame, followed)

    def _still(self, frame: Row, followed: int) -> WhyNot:
        """Still running at the recording's end; when it waits for an answer, why that does not come."""
        history, name = self.history, self.history.name(frame)
        inner = next(iter(reversed(self._running(frame["process"], self._end))), frame)
        step = history.evidence(inner["call"], f"{history.name(inner)} is still running at the end", call=inner["call"])
        asked = self._query.rows(
            """select * from raw.messages where from_process = ? and kind = 'call' and reply is null and sent_at >= ?
            order by sent_at desc limit 1""",
            [frame["process"], frame["start"]],
        )
        if asked and followed:
            after = self.message(asked[0], followed - 1)
            text = f"{name} waits for an answer from {history.label(asked[0]['to_process'])}: {after.text}"
            return WhyNot("still_running", text, [step, *after.evidence], after.behind, after.certain, after.reason)
        return WhyNot("still_running", f"{name} was still running when the recording ended", [step])

    # What never came

    def function(self, function: str) -> WhyNot:
        """The verdict on a function."""
        function = self._whole_name(function)
        module, _, rest = function.rpartition(".")
        name, _, arity = rest.rpartition("/")
        sites = self._query.rows(
            "select * from raw.sites where module = ? and function = ? and arity = try_cast(? as integer)",
            [module, name, arity],
        )
        called = self._query.rows(
            """select call from raw.calls where module = ? and function = ? and arity = try_cast(? as integer)
            order by call limit 1""",
            [module, name, arity],
        )
        if called:
            step = self.history.evidence(called[0]["call"], "the first call", call=called[0]["call"])
            return WhyNot("happened", f"{function} was called", [step])
        if sites:
            return WhyNot("not_called", f"{function} was ready to be recorded, and nothing called it", [])
        gaps = [g for g in self._query.recording.info.coverage if module and g.subject and module in g.subject]
        if gaps:
            return WhyNot("not_recorded", f"{gaps[0].subject} was not recorded: {gaps[0].reason}", [])
        known = self._query.rows(
            """select distinct function || '/' || arity as f from raw.sites
            where module = ? and kind = 'function' order by f limit 8""",
            [module],
        )
        hint = f"recorded of {module}: {', '.join(row['f'] for row in known)}" if known else f"nothing of {module} was"
        return WhyNot("not_recorded", f"{function} is no function that was recorded; {hint}", [])

    def _whole_name(self, function: str) -> str:
        """The one recorded function whose name ends so; what was asked where there is none, or more than one."""
        found = self._query.rows(
            """with names as (select distinct module || '.' || function || '/' || arity as name from raw.sites
               where module is not null and function is not null)
            select name from names where name = ? or ends_with(name, '.' || ?) order by name <> ?, name limit 2""",
            [function] * 3,
        )
        return str(found[0]["name"]) if found and (len(found) == 1 or found[0]["name"] == function) else function

    def sent(self, pattern: str, process: int | None) -> WhyNot:
        """The verdict on messages of a shape to a process."""
        search = scan(self._query, pattern)
        alike = self._carrying(search.matches(SECONDS))
        rows = [row for row in self._query.indexes.take("messages", alike[:_ALIKE]) if row["kind"] != "reply"]
        who = "anybody" if process is None else self.history.label(process)
        mine = rows if process is None else [row for row in rows if row["to_process"] == process]
        if mine:
            verdicts = [
                (self.message(row, _FOLLOWED), row)
                for row in sorted(mine, key=lambda row: int(row["message"]))[:_JUDGED]
            ]
            failed = [verdict for verdict, _ in verdicts if verdict.verdict != "happened"]
            return failed[0] if failed else verdicts[0][0]
        others = [
            self.history.evidence(row["message"], f"{self.history.label(row['from_process'])} sends one to {name}")
            for row in rows[:5]
            if (name := self._receiver(row))
        ]
        if not search.complete:
            looked = f"{search.searched:,} of {len(self._query.recording.values):,} values"
            text = f"nothing like {pattern} was sent to {who} in the first {looked}: ask again to go on"
            return WhyNot("searching", text, others)
        elsewhere = ": it was sent to others only" if others else ""
        return WhyNot("never_sent", f"nothing like {pattern} was sent to {who}{elsewhere}", others)

    def _carrying(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the messages with one of these values, ascending."""
        carried, wanted = self._query.column("messages", "value"), np.zeros(len(self._query.recording.values) + 1, bool)
        wanted[values] = True  # the last, of no value (-1), never is
        found: NDArray[np.int64] = np.flatnonzero(wanted[carried])
        return found

    def _receiver(self, row: Row) -> str:
        return (
            self.history.label(row["to_process"]) if row["to_process"] is not None else str(row["to_name"] or "nobody")
        )

    # Evidence

    def _exit(self, process: int) -> Evidence:
        life = self.history.processes[process]
        reason = self._query.values.text(life["exit_value"]) or "a reason that was not recorded"
        return self.history.evidence(life["exit_event"], f"{self.history.label(process)} ends: {reason}")

    def _receives(self, process: int) -> bool:
        mine = self._query.events_of(process)
        return bool((self._query.column("events", "kind")[mine] == Kind.RECEIVE).any())

    def _clause_error(self, process: int) -> str | None:
        """The function whose clauses did not match, when a process ended of that."""
        life = self.history.processes[process]
        shown = self._query.find("exceptions", "exit_event", life["exit_event"])
        shown = shown or self._query.find("exceptions", "event", life["exit_event"])
        if shown is None or shown["type"] not in _CLAUSE_ERRORS:
            return None
        return f"{shown['module']}.{shown['function']}/{shown['arity']}" if shown["function"] else "its code"
