"""The indexes that the usual questions use, made ahead: after sealing, so that the first question is quick too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from elixirscope.query import density, profile, requests, timeline, touching

if TYPE_CHECKING:
    from elixirscope.dags import Dags

_IN_ORDER: Final = (
    ("events", "at"),
    ("calls", "call"),
    ("calls", "start"),
    ("messages", "message"),
    ("states", "state"),
    ("states", "at"),
)
_BY_KEY: Final = (
    ("events", "call"),
    ("events", "cause"),
    ("calls", "parent"),
    ("calls", "tail_of"),
    ("calls", "end_event"),
    ("calls", "remote_parent"),
    ("messages", "send_event"),
    ("messages", "receive_event"),
    ("messages", "sender_call"),
    ("states", "process"),
    ("states", "previous"),
    ("bindings", "call"),
    ("bindings", "event"),
    ("exceptions", "event"),
    ("exceptions", "call"),
    ("exceptions", "caught_event"),
    ("exceptions", "exit_event"),
    ("sites", "site"),
    ("tests", "event"),
)


def prepare(dags: Dags) -> None:
    """Make whatever is missing of them; quick when nothing is."""
    query, indexes = dags.query, dags.query.indexes
    for table, column in _IN_ORDER:
        if indexes.ascending(table, column):
            indexes.between(table, column, 0, 0)
    for table, column in _BY_KEY:
        indexes.numbers(table, column, 0)
    indexes.events_of(0)
    indexes.flow(0, 0, 0, 0)
    density.densities(query, density.edges(0, 1, 1)[0], [0])
    density.whole(query, 1)
    touching.frames(query, 0, 0, [], 0)
    touching.messages(query, 0, 0, [], 0)
    timeline.timeline(query, 0, 1, 1, [])
    timeline.prepare(query)
    requests.requests(query)
    profile.top_functions(query, 0, 0)
    dags.causality.clock(0)
    dags.causality.cone(max(query.event_count - 1, 0))
