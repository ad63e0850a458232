"""What makes a program slow without failing: mailboxes that grow, questions asked one by one, processes that pile up.

None of it is wrong by itself, so each must be large, and a test suite that passes is left alone: a burst that a test
sends on purpose looks the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from elixirscope.insight.bottleneck import bottlenecks
from elixirscope.insight.findings import Finding, Location
from elixirscope.insight.history import History
from elixirscope.insight.timers import pile_ups
from elixirscope.insight.values import duration, requested, short
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.row import Row

WAITING = 100
"""Messages that wait at once before a mailbox is worth telling."""

ASKED = 20
"""Requests of one kind, from one frame, before they are worth telling."""

PILED = 100
"""Processes that one function started and that all live on, before they are worth telling."""

LEAST = 50_000_000
"""Ns that something must cost to be told."""

SHARE = 0.5
"""The part of a frame's time that its requests must take, and of the recording over which processes pile up."""

_SAMPLE = 500


def loads(history: History) -> Iterator[Finding]:
    """What costs time or memory; nothing where tests ran and none failed."""
    if history.tests and not any(test["result"] == "failed" for test in history.tests):
        return
    for find in (_mailboxes, bottlenecks, _repetitions, _leaks, pile_ups):
        yield from find(history)
        checkpoint()


# Mailboxes

_BEHIND = """
select to_process as process, count(*) as taken, max(handled_at - received_at) as wait
from raw.messages where handled_at is not null and received_at is not null and kind in ('call', 'cast', 'info')
group by to_process having count(*) >= ? and max(handled_at - received_at) >= ? order by wait desc limit 8
"""
_DEPTH = """
with steps as (
  select received_at as at, 1 as step from raw.messages where to_process = $1 and {mine}
  union all
  select handled_at, -1 from raw.messages where to_process = $1 and {mine} and handled_at is not null
), depths as (select at, sum(step) over (order by at, step rows unbounded preceding) as depth from steps)
select at, depth from depths order by depth desc, at limit 1
"""
_MINE = "received_at is not null and kind in ('call', 'cast', 'info') and tag in (select tag from handled)"


def _mailboxes(history: History) -> Iterator[Finding]:
    for row in history.query.rows(_BEHIND, [WAITING, LEAST]):
        peak = _peak(history, row["process"])
        if peak is not None and peak["depth"] >= WAITING:
            yield _mailbox(history, row["process"], peak)


def _peak(history: History, process: int) -> Row | None:
    """When most messages waited, of the kinds that the process handles in recorded code: `at`, `depth`."""
    handled = (
        "with handled as (select distinct tag from raw.messages where to_process = $1 and handled_at is not null),"
    )
    sql = handled + _DEPTH.format(mine=_MINE).strip().removeprefix("with")
    return next(iter(history.query.rows(sql, [process])), None)


_WAITED = """
select *, coalesce(handled_at, $3) - received_at as wait from raw.messages
where to_process = $1 and received_at <= $2 and kind in ('call', 'cast', 'info')
  and (handled_at is null or handled_at > $2)
order by received_at desc
"""


_HANDLED = 'from raw.calls where process = ? and message is not null and "end" is not null'


def _mailbox(history: History, process: int, peak: Row) -> Finding:
    label, end = history.label(process), history.recording.info.duration_ns
    last = history.query.rows(_WAITED + " limit 1", [process, peak["at"], end])[0]
    longest = f'select * {_HANDLED} order by "end" - start desc limit 1'
    frame = next(iter(history.query.rows(longest, [process])), None)
    what = short(requested(history.term(last["value"])), 40)
    sender, deep = history.label(last["from_process"]), f"{peak['depth']:,}"
    still = "was still waiting at the end" if last["handled_at"] is None else f"waited {duration(last['wait'])}"
    each = _each(history, process)
    evidence = [
        history.evidence(
            last["receive_event"], f"{deep} messages waited in the mailbox of {label}, {what} from {sender} the last"
        )
    ]
    if frame is not None:
        evidence.append(
            history.evidence(
                frame["call"], f"{history.shown(frame)}, the longest that it was at one", call=frame["call"]
            )
        )
    if last["handle_call"] is not None:
        evidence.append(
            history.evidence(
                last["handle_call"], f"{what} was taken after {duration(last['wait'])}", call=last["handle_call"]
            )
        )
    return Finding(
        kind="overload",
        title=f"Overload: {label} fell behind, {deep} messages waited at once",
        confidence=0.7,
        location=history.clause(frame) if frame else None,
        evidence=evidence,
        explanation=f"{label} takes {duration(each)} for a message on average, and they came faster than that: at the"
        f" worst {deep} waited, and the last of these {still}.",
        suggestion=f"Do less per message in {history.name(frame) if frame else label}, share the work among several"
        f" processes, or let {sender} call instead of cast, so that it goes no faster than {label}.",
    )


def _each(history: History, process: int) -> int:
    [row] = history.query.rows(f'select avg("end" - start) as each {_HANDLED}', [process])
    return int(row["each"] or 0)


# Repetitions

_ASKED = """
select m.from_process as client, m.to_process as server, m.tag, count(*) as times,
       sum(r.received_at - m.sent_at) as waited, min(m.message) as first
from raw.messages m join raw.messages r on r.message = m.reply
where m.kind = 'call' and m.sender_call is not null and r.received_at is not null
group by all having count(*) >= ? and sum(r.received_at - m.sent_at) >= ? order by waited desc limit 16
"""
_WITHIN = """
select m.message, m.value, m.sent_at, m.send_event, r.received_at - m.sent_at as waited
from raw.messages m join raw.messages r on r.message = m.reply
where m.from_process = ? and m.to_process = ? and m.tag is not distinct from ? and m.kind = 'call'
  and m.message between ? and ? and r.received_at is not null order by m.message
"""


def _repetitions(history: History) -> Iterator[Finding]:
    told: set[tuple[int, str]] = set()
    for group in history.query.rows(_ASKED, [ASKED, LEAST]):
        found = _repeating(history, group)
        if found is None:
            continue
        frame, inner, asked = found
        if (frame["site"], str(group["tag"])) not in told:
            told.add((frame["site"], str(group["tag"])))
            yield _repetition(history, group, frame, inner, asked)


def _repeating(history: History, group: Row) -> tuple[Row, Row | None, Sequence[Row]] | None:
    """The innermost frame that asked often enough and mostly waited, what it called to ask, and what it asked."""
    first = history.message(group["first"])
    inner: Row | None = None
    for call in history.enclosing(first["sender_call"] if first else None):
        frame = history.call(call)
        if frame is None or frame["end_event"] is None:
            inner = frame
            continue
        args = [group["client"], group["server"], group["tag"], frame["call"], frame["end_event"]]
        asked: Sequence[Row] = history.query.rows(_WITHIN, args)
        waited = sum(row["waited"] for row in asked)
        if len(asked) >= ASKED and waited >= LEAST:
            return (frame, inner, asked) if waited >= SHARE * (frame["end"] - frame["start"]) else None
        inner = frame
    return None


def _repetition(history: History, group: Row, frame: Row, inner: Row | None, asked: Sequence[Row]) -> Finding:
    server, name = history.label(group["server"]), history.name(frame)
    waited, whole = sum(row["waited"] for row in asked), frame["end"] - frame["start"]
    requests = [short(requested(history.term(row["value"])), 60) for row in asked[:_SAMPLE]]
    different = len(set(requests))
    line = None
    if inner is not None:
        line = history.place(inner).line if history.is_fn(inner) else history.call_line(frame, inner)
    times = f"{len(asked):,} times"
    few = f" Only {different} of the first {len(requests)} requests differ." if different <= len(requests) / 2 else ""
    return Finding(
        kind="repetition",
        title=f"Repetition: {name} asks {server} {requests[0]} and the like {times}, one after the other",
        confidence=0.7,
        location=history.place(frame, line or None),
        evidence=[
            history.evidence(frame["call"], f"{history.shown(frame)} took {duration(whole)}", call=frame["call"]),
            history.evidence(asked[0]["send_event"], f"it asked {server} {requests[0]}, the first of {times}"),
            history.evidence(
                asked[-1]["send_event"], f"{duration(waited)} of its time had gone into waiting by its last request"
            ),
        ],
        explanation=f"{name} took {duration(whole)}, and waited {duration(waited)} of that for answers of {server}"
        f" to the same kind of request, {times}, each sent only when the one before was answered.{few}",
        suggestion=f"Ask {server} once, for all of them, before the loop"
        + (", and keep the answers." if few else ", or ask for several at the same time (Task.async_stream)."),
    )


# Processes that pile up

_PILED = """
select parent, module, initial, count(*) as born, min(start) as first, max(start) as last, max(process) as newest
from raw.processes where parent is not null
group by parent, module, initial having count(*) >= ? and count("end") * 20 <= count(*) order by born desc limit 8
"""


def _leaks(history: History) -> Iterator[Finding]:
    whole = history.recording.info.duration_ns
    for row in history.query.rows(_PILED, [PILED]):
        if row["last"] - row["first"] < SHARE * whole:
            continue  # a pool, filled at once
        process = history.processes[row["newest"]]
        parent, what = history.label(row["parent"]), row["module"] or row["initial"] or "an unknown function"
        spawn = process["spawn_event"]
        yield Finding(
            kind="leak",
            title=f"Leak: {row['born']:,} processes of {what} were started, and they do not end",
            confidence=0.5,
            location=_started_at(history, process),
            evidence=[
                history.evidence(spawn, f"{parent} started {history.label(row['newest'])}, the last of {row['born']:,}")
            ],
            explanation=f"{parent} started {row['born']:,} processes of {what} over"
            f" {duration(row['last'] - row['first'])}, and hardly one has ended since.",
            suggestion="Let each end when its work is done (return :stop, or a timeout for idle ones), or let whoever"
            " starts them stop them.",
        )


def _started_at(history: History, process: Row) -> Location | None:
    """The function that the process runs first, as far as it was recorded."""
    frame = history.query.find("calls", "process", process["process"])
    return history.place(frame) if frame is not None else None
