"""Pages of messages and calls, as lists in a view want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.search import scan
from elixirscope.query.values import Value

PAGE = 200


class MessageRow(msgspec.Struct, frozen=True):
    """One message."""

    message: int
    kind: str | None
    sender: int | None = msgspec.field(name="from")
    to: int | None
    to_name: str | None
    sent_at: int | None
    received_at: int | None
    handled_at: int | None
    handle_call: int | None
    sender_call: int | None
    request: int | None
    reply: int | None
    tag: str | None
    value: Value | None
    certain: bool
    reason: str | None
    send_event: int | None
    receive_event: int | None


class MessagePage(msgspec.Struct, frozen=True):
    """A page of messages; `total` counts all that match."""

    total: int
    messages: list[MessageRow]


class CallRow(msgspec.Struct, frozen=True):
    """One frame; `children` counts the frames it called."""

    call: int
    parent: int | None
    depth: int
    process: int
    module: str | None
    function: str | None
    arity: int | None
    start: int
    end: int | None
    outcome: str | None
    args: Value | None
    result: Value | None
    children: int
    external: bool


class CallPage(msgspec.Struct, frozen=True):
    """A page of frames; `total` counts all that match."""

    calls: list[CallRow]
    total: int


def messages_page(
    query: QueryCoordinator,
    start: int | None = None,
    end: int | None = None,
    processes: Sequence[int] | None = None,
    search: str | None = None,
    limit: int = PAGE,
    offset: int = 0,
    pattern: str | None = None,
) -> MessagePage:
    """Messages sent in [start, end) ns by or to `processes`, in order of time; `search` is looked for in their
    texts, and a `pattern` (see `query.patterns`) in their values. Raises `UsageError` for what is no pattern.
    """
    at = "coalesce(m.sent_at, m.received_at)"
    where, params = ["true"], list[Any]()
    for bound, comparison in ((start, ">="), (end, "<")):
        if bound is not None:
            where.append(f"{at} {comparison} ?")
            params.append(bound)
    if processes is not None:
        where.append("(list_contains(?, m.from_process) or list_contains(?, m.to_process))")
        params += [list(processes)] * 2
    if search:
        where.append("contains(lower(concat_ws(' ', m.kind, m.tag, m.to_name, value_text(m.value))), lower(?))")
        params.append(search)
    if pattern:
        where.append("list_contains(?, m.value)")
        params.append(scan(query, pattern).matches().tolist())
    condition = " and ".join(where)
    total = query.rows(f"select count(*) as n from raw.messages m where {condition}", params)[0]["n"]
    rows = query.rows(
        f"select * from raw.messages m where {condition} order by {at}, m.message limit ? offset ?",
        [*params, limit, offset],
    )
    return MessagePage(total, [message_row(query, row) for row in rows])


def message_row(query: QueryCoordinator, row: dict[str, Any]) -> MessageRow:
    """A row of the messages table with its value as text."""
    return MessageRow(
        row["message"],
        row["kind"],
        row["from_process"],
        row["to_process"],
        row["to_name"],
        row["sent_at"],
        row["received_at"],
        row["handled_at"],
        row["handle_call"],
        row["sender_call"],
        row["request"],
        row["reply"],
        row["tag"],
        query.values.value(row["value"]),
        bool(row["certain"]),
        row["reason"],
        row["send_event"],
        row["receive_event"],
    )


def calls_page(
    query: QueryCoordinator,
    call: int | None = None,
    process: int | None = None,
    start: int | None = None,
    end: int | None = None,
    limit: int = PAGE,
    offset: int = 0,
) -> CallPage:
    """The frames that `call` called; or without it the outermost frames of `process` that touch [start, end) ns."""
    where, params = list[str](), list[Any]()
    if call is not None:
        where.append("(c.parent = ? or c.tail_of = ?)")
        params += [call, call]
    else:
        where.append("c.depth = 0")
    if process is not None:
        where.append("c.process = ?")
        params.append(process)
    if start is not None:
        where.append('coalesce(c."end", 9223372036854775807) >= ?')
        params.append(start)
    if end is not None:
        where.append("c.start < ?")
        params.append(end)
    condition = " and ".join(where)
    total = query.rows(f"select count(*) as n from raw.calls c where {condition}", params)[0]["n"]
    rows = query.rows(
        f"select * from raw.calls c where {condition} order by c.call limit ? offset ?", [*params, limit, offset]
    )
    return CallPage([_call_row(query, row) for row in rows], total)


def _call_row(query: QueryCoordinator, row: dict[str, Any]) -> CallRow:
    return CallRow(
        row["call"],
        row["parent"],
        row["depth"],
        row["process"],
        row["module"],
        row["function"],
        row["arity"],
        row["start"],
        row["end"],
        row["outcome"],
        query.values.value(row["args"]),
        query.values.value(row["result"]),
        query.count("calls", "parent", row["call"]),
        bool(row["external"]),
    )
