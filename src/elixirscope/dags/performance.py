"""Performance DAG: frames as spans of time, and what each waited for."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import numpy as np

from elixirscope.dags.base import SqlDag, Step
from elixirscope.dags.critical import CriticalPath, critical_path
from elixirscope.errors import NotFoundError
from elixirscope.query.requests import requests
from elixirscope.query.row import Row
from elixirscope.recording.format import Kind


class Spent(msgspec.Struct, frozen=True):
    """Where the time of a frame went (ns). An open frame counts until the recording's end.

    `self_ns` is what neither its callees nor its waiting for replies took; `wait_mailbox_ns` is how long the
    message that it handles had waited before, outside the span; `scheduled_out_ns` is null unless scheduling was
    recorded.
    """

    self_ns: int
    wait_mailbox_ns: int
    wait_reply_ns: int
    span_ns: int
    scheduled_out_ns: int | None = None


_REPLY = """
    select c.call, m.message, m.handle_call, m.sent_at, coalesce(r.received_at, r.sent_at) as answered_at,
           m.certain and coalesce(r.certain, true) as certain, coalesce(m.reason, r.reason) as reason
    from raw.messages m join raw.calls c on c.call = m.sender_call
    left join raw.messages r on r.message = m.reply
    where m.kind = 'call'"""


class PerformanceDag(SqlDag):
    """node = CALL event of a span; edge kinds `contains` (caller → callee) and `waits-for` (frame → the frame that
    answers it)."""

    name: ClassVar[str] = "performance"
    NODES: ClassVar[str] = """
        select 'performance' as dag, c.call as node, 'span' as kind, c.process, c.start as at,
               c.module || '.' || c.function || '/' || c.arity as label
        from raw.calls c"""
    EDGES: ClassVar[str] = f"""
        select 'performance' as dag, c.parent as source, c.call as target, 'contains' as kind,
               true as certain, null::varchar as reason, c.start as at
        from raw.calls c where c.parent is not null
        union all
        select 'performance', w.call, w.handle_call, 'waits-for', w.certain, w.reason, w.sent_at
        from ({_REPLY}) w where w.handle_call is not null"""

    def spent(self, call: int) -> Spent:
        """Where the time of a frame went. Raises `NotFoundError`."""
        frame = self._frame(call)
        end = self._end(frame)
        span = end - frame["start"]
        children = [(row["start"], self._end(row)) for row in self.query.find_all("calls", "parent", call)]
        waits = [(sent, answered) for _, sent, answered in requests(self.query).of(call)]
        busy = _covered([*children, *waits], frame["start"], end)
        message = self.query.find("messages", "message", frame["message"])
        mailbox = 0
        if message is not None and message["received_at"] is not None:
            mailbox = max(0, (message["handled_at"] or frame["start"]) - message["received_at"])
        reply = _covered(waits, frame["start"], end)
        return Spent(span - busy, mailbox, reply, span, self._scheduled_out(frame, end))

    def _frame(self, call: int) -> Row:
        frame = self.query.find("calls", "call", call)
        if frame is None:
            raise NotFoundError(f"e{call} is not a function call", "the view calls lists them")
        return frame

    def _end(self, frame: Row) -> int:
        end = frame["end"]
        return int(end if end is not None else self.query.recording.info.duration_ns)

    def _scheduled_out(self, frame: Row, end: int) -> int | None:
        kinds, times = self.query.column("events", "kind"), self.query.column("events", "at")
        order, starts = self.query.indexes.by_process(
            "events.scheduling", lambda part: np.isin(kinds[part], list(_SCHEDULING))
        )
        process = frame["process"]
        mine = order[int(starts[process]) : int(starts[process + 1])] if process < len(starts) - 1 else order[:0]
        if not len(mine):
            return None
        bounds = self.query.indexes.between("events", "at", frame["start"], end + 1)
        low, high = (int(n) for n in np.searchsorted(mine, np.array(bounds, mine.dtype)))
        near = mine[max(0, low - 1) : high + 1]  # with one on either side: what the frame begins and ends in
        spans, since = list[tuple[int, int]](), None
        for kind, at in zip(kinds[near].tolist(), times[near].tolist(), strict=True):
            if kind == Kind.SCHEDULED_OUT:
                since = at
            elif since is not None:
                spans.append((since, at))
                since = None
        return _covered(spans, frame["start"], end)

    def path(
        self, call: int, limit: int | None = None, offset: int = 0, within: tuple[int, int] | None = None
    ) -> CriticalPath:
        """The stretches of time that together made `call` last as long, or those of them in `within` (ns, ns); a page.
        Raises `NotFoundError`."""
        return critical_path(self.query, call, limit=limit, offset=offset, within=within)

    def critical_path(self, call: int) -> list[Step]:
        """The chain of frames that decided how long `call` took: at each frame, the callee or answering frame that
        ended last.
        """
        steps, frame, of = list[Step](), self._frame(call), call
        seen = {call}
        while True:
            below = [
                (self._end(row), row, kind)
                for kind, row in self._below(frame)
                if row["call"] not in seen and row["start"] <= self._end(frame)
            ]
            if not below:
                return steps
            _, frame, kind = max(below, key=lambda item: (item[0], item[1]["call"]))
            seen.add(frame["call"])
            steps.append(self.step(frame["call"], kind, True, None, of))
            of = frame["call"]

    def _below(self, frame: Row) -> list[tuple[str, Row]]:
        found = [("contains", row) for row in self.query.find_all("calls", "parent", frame["call"])]
        for message in self.query.find_all("messages", "sender_call", frame["call"]):
            answering = self.query.find("calls", "call", message["handle_call"])
            if message["kind"] == "call" and answering is not None:
                found.append(("waits-for", answering))
        return found


_SCHEDULING = frozenset({Kind.SCHEDULED_IN.value, Kind.SCHEDULED_OUT.value})


def _covered(spans: list[tuple[int, int]], start: int, end: int) -> int:
    """How much of [start, end] the spans cover together (they may overlap)."""
    total, reached = 0, start
    for low, high in sorted(spans):
        low, high = max(low, reached), min(high, end)
        if high > low:
            total += high - low
            reached = high
    return total
