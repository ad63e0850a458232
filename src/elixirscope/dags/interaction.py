"""Process interaction DAG: process lives, and what passed between them."""

from __future__ import annotations

from typing import ClassVar

from elixirscope.dags.base import SqlDag
from elixirscope.dags.processgraph import Graph, GraphEdge, GraphNode, process_graph
from elixirscope.recording.format import Kind


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

    def graph(
        self,
        at: int,
        window: int | None = None,
        *,
        within: tuple[int, int] | None = None,
        process: int | None = None,
        most: int | None = None,
        nodes: int | None = None,
    ) -> Graph:
        """Who lived at `at` (ns), and what passed in the `window` ns before it (default: 1/50 of the recording), or in
        `within`, from its first ns to its last: then also who lived only then.

        With `most`, messages only between that many of the busiest pairs, and those to and from `process`. With
        `nodes`, only so many processes: `process` and whom it deals with, then those that did most.
        """
        if within is not None:
            since, until = within
            return process_graph(self.query, at, since - 1, until=until, process=process, most=most, nodes=nodes)
        window = window if window is not None else max(int(self.query.recording.info.duration_ns) // 50, 1_000_000)
        return process_graph(self.query, at, at - window, process=process, most=most, nodes=nodes)


__all__ = ["Graph", "GraphEdge", "GraphNode", "InteractionDag"]
