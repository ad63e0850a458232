"""Process interaction DAG: process lives, and what passed between them."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from elixirscope.dags.base import SqlDag
from elixirscope.recording.format import Kind


class GraphNode(msgspec.Struct, frozen=True):
    """A process at a moment. `activity` counts its events in the window, `mailbox` the messages waiting."""

    process: int
    label: str
    kind: str | None
    alive: bool
    activity: int
    mailbox: int


class GraphEdge(msgspec.Struct, frozen=True):
    """supervises, link, monitor, spawn, message or exit; `count` of messages in the window, else 1."""

    source: int
    target: int
    kind: str
    count: int
    certain: bool
    reason: str | None


class Graph(msgspec.Struct, frozen=True):
    """The processes and their relations at a moment."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]


class InteractionDag(SqlDag):
    """node = process; edge kinds `spawn`, `supervises`, `link`, `monitor`, `name`, `message`, `exit`, `restart`."""

    name: ClassVar[str] = "interaction"
    NODES: ClassVar[str] = """
        select 'interaction' as dag, p.process::bigint as node, p.kind::varchar as kind, p.process, p.start as at,
        p.label
        from raw.processes p"""
    EDGES: ClassVar[str] = f"""
        select 'interaction' as dag, p.parent::bigint as source, p.process::bigint as target, 'spawn' as kind,
               true as certain, null::varchar as reason, p.start as at
        from raw.processes p where p.parent is not null
        union all
        select 'interaction', p.supervisor, p.process, 'supervises', true, null, p.start
        from raw.processes p where p.supervisor is not null
        union all
        select 'interaction', p.predecessor, p.process, 'restart', false, 'same role under the same supervisor', p.start
        from raw.processes p where p.predecessor is not null
        union all
        select 'interaction', l.process, l.peer, l.kind::varchar, l.certain, l.reason, l.at
        from raw.links l where l.process is not null and l.peer is not null
        union all
        select 'interaction', e.process, e.process, 'name', true, null, e.at
        from raw.events e where e.kind = {Kind.REGISTER.value}
        union all
        select 'interaction', m.from_process, m.to_process, 'message', m.certain, m.reason, coalesce(m.sent_at,
        m.received_at)
        from raw.messages m where m.from_process is not null and m.to_process is not null
        union all
        select 'interaction', c.process, e.process, 'exit', true, null, e.at
        from raw.events e join raw.events c on e.cause = c.event
        where e.kind in ({Kind.EXIT.value}, {Kind.RECEIVE.value}) and c.kind = {Kind.EXIT.value}"""

    def event_of(self, node: int) -> int | None:
        """Where a process begins: its spawn, or its first event."""
        row = self.query.process_row(node)
        mine = self.query.events_of(node)
        if row is not None and row["spawn_event"] is not None:
            return int(row["spawn_event"])
        return int(mine[0]) if len(mine) else None

    def label_of(self, node: int) -> str:
        """What a person calls the process."""
        return self.labels.process(node)

    def graph(self, at: int, window: int | None = None) -> Graph:
        """Who lived at `at` (ns), and what passed in the `window` ns before it (default: 1/50 of the recording)."""
        window = window if window is not None else max(int(self.query.recording.info.duration_ns) // 50, 1_000_000)
        since = at - window
        activity = {
            row["process"]: row["n"]
            for row in self.query.rows(
                "select process, count(*) n from raw.events where at > ? and at <= ? group by process", [since, at]
            )
        }
        waiting = {row["process"]: row["n"] for row in self.query.rows(_WAITING, [at, at])}
        shown = [row for row in self.query.processes if _shown(row, since, at)]
        known = {row["process"] for row in shown}
        nodes = [
            GraphNode(
                row["process"],
                self.labels.process(row["process"]),
                row["kind"],
                row["end"] is None or row["end"] > at,
                activity.get(row["process"], 0),
                waiting.get(row["process"], 0),
            )
            for row in shown
        ]
        params: dict[str, int] = {"at": at, "since": since}
        rows = self.query.rows(_GRAPH_EDGES, [params["at"]] * 2 + [since, at] * 3)
        edges = [
            GraphEdge(r["source"], r["target"], r["kind"], r["count"], r["certain"], r["reason"])
            for r in rows
            if r["source"] in known and r["target"] in known
        ]
        return Graph(nodes, edges)


def _shown(row: dict[str, Any], since: int, at: int) -> bool:
    """Alive at the moment, or gone so lately that its end is part of the picture."""
    return row["start"] <= at and (row["end"] is None or row["end"] > since)


WAITING_CONDITION = (
    """m.received_at <= ? and (m.handled_at > ? or (m.handled_at is null and m.kind in ('call', 'cast')))"""
)
"""SQL: message m was in a mailbox at a time (given twice). A message that no callback is known to have handled only
counts as
waiting when it is a call or a cast, since plain receives are not seen."""

_WAITING = f"""
    select m.to_process as process, count(*) n from raw.messages m join raw.processes p on p.process = m.to_process
    where {WAITING_CONDITION} group by all"""

_GRAPH_EDGES = f"""
    select supervisor as source, process as target, 'supervises' as kind, 1 as count, true as certain, null as reason
    from raw.processes where supervisor is not null
    union all
    select process, peer, kind::varchar, 1, certain, reason from raw.links
    where at <= ? and (until is null or until > ?) and process is not null and peer is not null
    union all
    select parent, process, 'spawn', 1, true, null from raw.processes where parent is not null and start > ? and
    start <= ?
    union all
    select from_process, to_process, 'message', count(*), bool_and(certain), any_value(reason) from raw.messages
    where coalesce(sent_at, received_at) > ? and coalesce(sent_at, received_at) <= ?
      and from_process is not null and to_process is not null group by all
    union all
    select c.process, e.process, 'exit', 1, true, null from raw.events e join raw.events c on e.cause = c.event
    where e.kind = {Kind.EXIT.value} and c.kind = {Kind.EXIT.value} and e.at > ? and e.at <= ?"""
