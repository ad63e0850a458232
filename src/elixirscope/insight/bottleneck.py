"""A server that many ask and that answers one after the other: what they wait for is their turn, not the answer."""

from __future__ import annotations

from collections.abc import Iterator

from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.values import duration
from elixirscope.query.row import Row

CALLERS = 10
"""Processes that ask a server before it can be a bottleneck."""

LEAST = 100_000_000
"""Ns that one of them must have waited for its turn."""

QUEUED = 0.8
"""The part of all waiting that was for the turn, from which on it is told."""

BUSY = 0.9
"""The part of the time from the first request to the last answer in which the server was at work."""

SERVERS = 8
"""Servers that are looked at, those at which one waited longest."""

_SLOW = """
select to_process as process from raw.messages where kind = 'call' and handled_at - received_at >= ?
group by all order by max(handled_at - received_at) desc limit ?
"""
_ASKED = """
select m.to_process as process, count(*) as times, count(distinct m.from_process) as callers,
       sum(m.handled_at - m.received_at) as queued, sum(r.sent_at - m.received_at) as waited,
       sum(r.sent_at - m.handled_at) as worked, max(r.sent_at) - min(m.received_at) as span,
       max(m.handled_at - m.received_at) as longest
from raw.messages m join raw.messages r on r.message = m.reply
where m.to_process = ? and m.kind = 'call' and m.handled_at is not null and m.received_at is not null
  and r.sent_at is not null
group by all having callers >= ?
"""
_LAST = """
select * from raw.messages where to_process = ? and kind = 'call' and handled_at is not null
order by handled_at - received_at desc limit 1
"""


def bottlenecks(history: History) -> Iterator[Finding]:
    """The servers of which it is so, the one that was waited for most first."""
    slow = [row["process"] for row in history.query.rows(_SLOW, [LEAST, SERVERS])]
    for row in (row for process in slow for row in history.query.rows(_ASKED, [process, CALLERS])):
        if row["queued"] >= QUEUED * row["waited"] and row["worked"] >= BUSY * row["span"]:
            yield _told(history, row)


def _told(history: History, row: Row) -> Finding:
    label, [last] = history.label(row["process"]), history.query.rows(_LAST, [row["process"]])
    frame = history.call(last["handle_call"])
    each, share = duration(row["worked"] // row["times"]), round(100 * row["queued"] / row["waited"])
    return Finding(
        kind="overload",
        title=f"Overload: {row['callers']:,} processes wait for {label}, {share} % of the time for their turn",
        confidence=0.7,
        location=history.clause(frame) if frame is not None else None,
        evidence=[
            history.evidence(last["send_event"], f"{history.label(last['from_process'])} asked {label}"),
            history.evidence(
                last["handle_call"], f"its turn came {duration(row['longest'])} later", call=last["handle_call"]
            ),
        ],
        explanation=f"{label} answers one request at a time, {each} each. {row['callers']:,} processes asked it"
        f" {row['times']:,} times, and of all the time that they waited {share} % went by before their turn came;"
        f" the longest waited {duration(row['longest'])}.",
        suggestion=f"Let {label} hand the work on (a Task, and GenServer.reply/2 when it is done), keep what is asked"
        " often in an ETS table that callers read by themselves, or run several of it.",
    )
