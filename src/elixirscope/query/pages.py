"""Pages of messages and calls, as lists in a view want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.row import Row
from elixirscope.query.search import SECONDS, Scan, scan
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
    """A page of messages from `offset` on; `total` counts all that match, of those found so far: `complete` says that
    all values were searched, `searched` how many of `values`. Ask again to go on searching. `held`: the page is the one
    that the question said is at hand, and its messages are not told again.
    """

    total: int
    offset: int
    messages: list[MessageRow]
    complete: bool
    searched: int
    values: int
    held: bool = False


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
    held: tuple[int, int] | None = None,
) -> MessagePage:
    """Messages sent in [start, end) ns by or to `processes`, in order of time; `search` is looked for in their kinds,
    tags, names, and in the strings and atoms of their values, and a `pattern` (see `query.patterns`) in their values,
    for some seconds. `around`: the page on which the last message sent by then (ns) is, rather than the one at
    `offset`; it is the same one for any window that it fits in. `held`: the first message of a page of the same
    `processes` that is at hand, and how many are on it. Raises `UsageError` for what is no pattern.
    """
    found: range | NDArray[Any] = query.indexes.messages(processes)
    scans = list[Scan]()
    if search or pattern:
        chosen = np.ones(len(query.column("messages", "message")), np.bool_)
        if search:
            scans.append(scan(query, search, plain=True))
            chosen &= _named(query, search) | _carrying(query, scans[-1])
        if pattern:
            scans.append(scan(query, pattern))
            chosen &= _carrying(query, scans[-1])
        found = np.flatnonzero(chosen) if isinstance(found, range) else found[chosen[found]]
    first, last = (_sent_before(query, found, bound) for bound in (start or 0, end))
    if around is not None:
        row = max(first, min(_sent_before(query, found, around + 1), last) - 1)
        offset = max(first, min(row // max(1, limit) * limit, last - limit)) - first
    low = min(first + max(0, offset), last)
    page = np.asarray(found[low : min(low + limit, last)])
    values = len(query.recording.values)
    searched = min((one.searched for one in scans), default=values)
    same = len(page) > 0 and held == (int(query.column("messages", "message")[page[0]]), len(page))
    rows = [] if same else query.indexes.take("messages", page)
    query.values.soon(row["value"] for row in rows)
    shown = [message_row(query, row) for row in rows]
    return MessagePage(max(0, last - first), max(0, offset), shown, searched >= values, searched, values, same)


def _sent_before(query: QueryCoordinator, messages: range | NDArray[Any], at: int | None) -> int:
    """How many of these rows, which ascend, were sent (else received) before `at` (ns); all of them for None."""
    if at is None:
        return len(messages)
    # A message is numbered by the event of its sending, and events are in order of time.
    row, _ = query.indexes.between("messages", "message", *query.indexes.between("events", "at", at, at))
    if isinstance(messages, range):
        return row
    return int(np.searchsorted(messages, np.asarray(row, messages.dtype)))


def _named(query: QueryCoordinator, text: str) -> NDArray[np.bool_]:
    """Per message whether its kind, tag or receiver's name has `text` in it, ignoring case."""
    wanted = text.strip().casefold()
    kind, tag, name = (
        query.indexes.worded("messages", column, lambda word: wanted in word.casefold())
        for column in ("kind", "tag", "to_name")
    )
    found: NDArray[np.bool_] = kind | tag | name
    return found


def _carrying(query: QueryCoordinator, search: Scan) -> NDArray[np.bool_]:
    """Per message whether its value was found by a search, which goes on for some seconds at most."""
    wanted = np.zeros(len(query.recording.values) + 1, np.bool_)
    wanted[search.matches(SECONDS)] = True  # the last, of no value (-1), never is
    found: NDArray[np.bool_] = wanted[query.column("messages", "value")]
    return found


def message_row(query: QueryCoordinator, row: Row) -> MessageRow:
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
    indexes = query.indexes
    if call is not None:
        rows = np.union1d(indexes.numbers("calls", "parent", call), indexes.numbers("calls", "tail_of", call))
        rows = rows if process is None else rows[query.column("calls", "process")[rows] == process]
    else:
        rows = _outermost(query, process)
    begun, ended = (query.column("calls", name)[rows] for name in ("start", "end"))
    chosen = np.ones(len(rows), np.bool_)
    if start is not None:
        chosen &= (ended < 0) | (ended >= start)
    if end is not None:
        chosen &= begun < end
    rows = rows[chosen]
    shown = indexes.take("calls", rows[offset : offset + limit])
    return CallPage([_call_row(query, row) for row in shown], len(rows))


def _outermost(query: QueryCoordinator, process: int | None) -> NDArray[Any]:
    """Rows of the frames that nothing recorded called, of one process or of all."""
    if process is None:
        return query.indexes.seek("calls", "depth", 0)
    mine: NDArray[Any] = query.indexes.numbers("calls", "process", process)
    outer: NDArray[Any] = mine[query.column("calls", "depth")[mine] == 0]
    return outer


def _call_row(query: QueryCoordinator, row: Row) -> CallRow:
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
