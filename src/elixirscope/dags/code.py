"""Code execution DAG: frames, from caller to callee, and across processes from who asked to who worked for it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from elixirscope.dags.base import SqlDag
from elixirscope.query.guests import guest_frame
from elixirscope.query.row import Row
from elixirscope.query.values import Value
from elixirscope.recording.format import Kind

_LOOK_BACK = 50  # events of a frame searched for one with a line
_TAILS_SHOWN = 3  # of a loop that calls itself in tail position


class FrameRow(msgspec.Struct, frozen=True):
    """One frame of a stack. `remote` marks the first frame of another process, which asked for the one above it."""

    call: int
    module: str | None
    function: str | None
    arity: int | None
    file: str | None
    line: int | None
    start: int
    end: int | None
    outcome: str | None
    args: Value | None
    result: Value | None
    process: int
    remote: bool


class CodeDag(SqlDag):
    """node = CALL event of a frame; edge kinds `call`, `tail` and `remote`."""

    name: ClassVar[str] = "code"
    NODES: ClassVar[str] = """
        select 'code' as dag, c.call as node,
               case when c.external then 'external' else 'frame' end as kind, c.process, c.start as at,
               c.module || '.' || c.function || '/' || c.arity as label
        from raw.calls c"""
    EDGES: ClassVar[str] = """
        select 'code' as dag, c.parent as source, c.call as target, 'call' as kind,
               true as certain, null::varchar as reason, c.start as at
        from raw.calls c where c.parent is not null
        union all
        select 'code', c.tail_of, c.call, 'tail', true, null, c.start from raw.calls c where c.tail_of is not null
        union all
        select 'code', c.remote_parent, c.call, 'remote', coalesce(m.certain, true), m.reason, c.start
        from raw.calls c left join raw.messages m on m.message = c.message where c.remote_parent is not null"""

    def innermost(self, event: int) -> Row | None:
        """The row of the frame that was running in the event's process just then; None outside recorded code.

        At a frame's own last event (its RETURN, its RAISE) it still counts as running, and so does a frame whose tail
        call went into code that is not recorded. At a state of a framework's process it is the program's callback that
        came back with it.
        """
        row = self.query.event(event)
        if row["kind"] == Kind.STATE and (guest := guest_frame(self.query, row["call"], event)) is not None:
            return guest
        return self.query.find("calls", "call", event if row["kind"] == Kind.CALL else row["call"])

    def stack(self, event: int, limit: int | None = None) -> list[FrameRow]:
        """The frames open at an event, innermost first, going on in the process that asked, and so on; `limit` of them.

        A frame that was entered by a tail call is followed by the one that it took over from, which has ended.
        """
        rows, frame, remote, tails = list[FrameRow](), self.innermost(event), False, 0
        seen = set[int]()
        while frame is not None and frame["call"] not in seen and len(rows) != limit:
            seen.add(frame["call"])
            rows.append(self.row(frame, remote=remote))
            remote = False
            tails = tails + 1 if frame["tail_of"] is not None else 0
            above = self.query.find("calls", "call", frame["tail_of"]) if 0 < tails <= _TAILS_SHOWN else None
            above = above or self.query.find("calls", "call", frame["parent"])
            if above is None:
                above, remote = self._asker(frame), True
            frame = above
        return rows

    def _asker(self, frame: Row) -> Row | None:
        """The frame that waits for this one, or spawned its process. Who sent a cast or plain message has gone on."""
        message = self.query.find("messages", "message", frame["message"])
        if message is not None and message["kind"] != "call":
            return None
        return self.query.find("calls", "call", frame["remote_parent"])

    def place(self, call: int, event: int) -> tuple[str | None, int | None]:
        """(file, line) where a frame was last seen at or before `event`; its head when nothing else is known."""
        for row in self.query.find_before("events", "call", call, "event", event + 1, limit=_LOOK_BACK):
            site = self.query.find("sites", "site", row["site"])
            if site is not None and site["file"] is not None and site["line"] is not None:
                return site["file"], site["line"]
        frame = self.query.find("calls", "call", call)
        site = self.query.find("sites", "site", frame["site"]) if frame is not None else None
        return (site["file"], site["line"]) if site is not None else (None, None)

    def children(self, call: int) -> list[FrameRow]:
        """The frames that a frame called, in order; tail calls and frames in other processes included."""
        found = {
            row["call"]: row
            for column in ("parent", "tail_of", "remote_parent")
            for row in self.query.find_all("calls", column, call)
        }
        parent = self.query.find("calls", "call", call)
        process = parent["process"] if parent else None
        return [self.row(row, remote=row["process"] != process) for _, row in sorted(found.items())]

    def row(self, frame: Row, *, remote: bool = False) -> FrameRow:
        """A row of the calls table as a frame, with texts."""
        site = self.query.find("sites", "site", frame["site"])
        value = self.query.values.value
        return FrameRow(
            frame["call"],
            frame["module"],
            frame["function"],
            frame["arity"],
            site["file"] if site else None,
            site["line"] if site else None,
            frame["start"],
            frame["end"],
            frame["outcome"],
            value(frame["args"]),
            value(frame["result"]),
            frame["process"],
            remote,
        )
