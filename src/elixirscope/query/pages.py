"""Pages of messages and calls, as lists in a view want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.search import scan
from elixirscope.query.values import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    """A page of messages from `offset` on; `total` counts all that match."""

    total: int
    offset: int
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
    around: int | None = None,
) -> MessagePage:
    """Messages sent in [start, end) ns by or to `processes`, in order of time; `search` is looked for in their
    texts, and a `pattern` (see `query.patterns`) in their values. `around`: the page on which the last message sent by
    then (ns) is, rather than the one at `offset`. Raises `UsageError` for what is no pattern.
    """
    found = _searched(query, processes, search, pattern) if search or pattern else query.indexes.messages(processes)
    first, last = (_sent_before(query, found, bound) for bound in (start or 0, end))
    if around is not None:
        offset = max(0, _sent_before(query, found, around + 1) - first - 1) // max(1, limit) * limit
    low = min(first + max(0, offset), last)
    rows = query.indexes.take("messages", np.asarray(found[low : min(low + limit, last)]))
    return MessagePage(max(0, last - first), max(0, offset), [message_row(query, row) for row in rows])


def _sent_before(query: QueryCoordinator, messages: range | NDArray[Any], at: int | None) -> int:
    """How many of these rows, which ascend, were sent (else received) before `at` (ns); all of them for None."""
    if at is None:
        return len(messages)
    # A message is numbered by the event of its sending, and events are in order of time.
    row, _ = query.indexes.between("messages", "message", *query.indexes.between("events", "at", at, at))
    if isinstance(messages, range):
        return row
    return int(np.searchsorted(messages, np.asarray(row, messages.dtype)))


def _searched(
    query: QueryCoordinator, processes: Sequence[int] | None, search: str | None, pattern: str | None
) -> NDArray[Any]:
    """The rows of messages in which something is found, ascending."""
    where, params = list[str](), list[Any]()
    if processes is not None:
        where.append("(list_contains(?, m.from_process) or list_contains(?, m.to_process))")
        params += [list(processes)] * 2
    if search:
        where.append("contains(lower(concat_ws(' ', m.kind, m.tag, m.to_name, value_text(m.value))), lower(?))")
        params.append(search)
    if pattern:
        where.append("list_contains(?, m.value)")
        params.append(scan(query, pattern).matches().tolist())
    found = query.arrow(f"select m.message from raw.messages m where {' and '.join(where)} order by m.message", params)
    rows: NDArray[Any] = np.searchsorted(query.column("messages", "message"), found.column("message").to_numpy())
    return rows


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
