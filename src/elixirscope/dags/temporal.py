"""Temporal DAG: events, each after the one before it in its process.

Wall-clock order between processes is for display, never for cause: there are no edges for it.
"""

from __future__ import annotations

from typing import ClassVar

from elixirscope.dags.base import SqlDag
from elixirscope.query.views import kind_text


class TemporalDag(SqlDag):
    """node = event; edge kind `next`, from an event to the following one of the same process."""

    name: ClassVar[str] = "temporal"
    NODES: ClassVar[str] = f"""
        select 'temporal' as dag, e.event as node, {kind_text("e.kind")} as kind, e.process, e.at,
               coalesce(c.module || '.' || c.function || '/' || c.arity, {kind_text("e.kind")}) as label
        from raw.events e left join raw.calls c on c.call = e.call"""
    EDGES: ClassVar[str] = """
        select 'temporal' as dag, e.previous as source, e.event as target, 'next' as kind,
               true as certain, null::varchar as reason, e.at
        from raw.events e where e.previous is not null"""
