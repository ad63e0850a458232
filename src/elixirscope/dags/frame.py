"""`frame_at`: one moment, seen in all seven DAGs at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from elixirscope.dags.code import FrameRow
from elixirscope.dags.picture import Binding, Gap, Picture, Waiting
from elixirscope.dags.processgraph import mailboxes
from elixirscope.dags.state import StateView
from elixirscope.errors import NotFoundError
from elixirscope.moment import Moment
from elixirscope.query.labels import EventRow
from elixirscope.query.sources import LineValue, SourceView, source_view

if TYPE_CHECKING:
    from elixirscope.dags import Dags

_CAUSES = 12
_FRAMES_MOST = 200
_MAILBOX_MOST = 500
_NOBODYS: Final[NDArray[Any]] = np.empty(0, np.int64)
_LATELY = 64  # events of a process among which it is seen whom it deals with
_SERVERS = frozenset({"gen_server", "gen_statem", "agent"})


def frame_at(dags: Dags, moment: Moment, *, graph: bool = True) -> Picture:
    """See `Dags.frame_at`."""
    query = dags.query
    event = _event(dags, moment)
    row = dags.state.labels.row(event) if event is not None else None
    at = row.at if row is not None and moment.event is not None else moment.at
    process = row.process if row is not None else moment.process
    frames = dags.code.stack(event, _FRAMES_MOST + 1) if event is not None else []
    stack = frames[:_FRAMES_MOST]
    bindings = _bindings(dags, event) if event is not None else []
    mailbox = _mailbox(dags, process, at) if process is not None else _NOBODYS
    innermost = stack[0] if stack and not stack[0].remote else None
    state = dags.state.view(event) if event is not None else None
    return Picture(
        moment=Moment(
            at=at, process=process, event=event, call=innermost.call if innermost else None, value=moment.value
        ),
        event=row,
        stack=stack,
        bindings=bindings,
        source=_source(dags, row, innermost, bindings) if row is not None else None,
        state=state,
        beside=_beside(dags, event, at, stack) if event is not None and state is None else None,
        mailbox=_waiting(dags, mailbox[:_MAILBOX_MOST], at),
        deeper=len(frames) > len(stack),
        waiting=len(mailbox),
        graph=dags.interaction.graph(at) if graph else None,
        causes=dags.causality.why(event, limit=_CAUSES) if event is not None else [],
        performance=dags.performance.spent(innermost.call) if innermost else None,
        coverage=[Gap(row.subject, row.reason) for row in query.recording.info.coverage],
    )


def _event(dags: Dags, moment: Moment) -> int | None:
    """The event that the moment means: its own, else the last one before its time."""
    if moment.event is not None:
        dags.query.event(moment.event)
        return moment.event
    if moment.process is not None and dags.query.process_row(moment.process) is None:
        raise NotFoundError(
            f"there is no process {moment.process} in this recording", "`elixirscope processes` lists them"
        )
    return dags.query.event_at(moment.at, moment.process)


def _beside(dags: Dags, event: int, at: int, stack: list[FrameRow]) -> StateView | None:
    """The state of the server that a process without one deals with: the one it talked to most of late, else the
    one on whose behalf it acts."""
    process = dags.query.event(event)["process"]
    mine = dags.query.indexes.events_of(process)
    last = int(np.searchsorted(mine, np.asarray(event, mine.dtype), side="right"))
    peers = dags.query.column("events", "peer")[mine[max(0, last - _LATELY) : last]]
    talk = [peer for peer, _ in Counter(peers[peers >= 0].tolist()).most_common()]
    for peer in [*talk, *(frame.process for frame in stack if frame.remote)]:
        row = dags.query.process_row(peer)
        if peer != process and row is not None and row["kind"] in _SERVERS:
            known = dags.query.event_at(at, peer)
            if known is not None and (view := dags.state.view(known)) is not None:
                return view
    return None


def _bindings(dags: Dags, event: int) -> list[Binding]:
    value = dags.query.values.of_term
    return [
        Binding(
            row["name"],
            value(row["term"]),
            row["at"],
            row["event"],
            row["line"],
            value(row["before"]["term"]) if row["before"] is not None else None,
        )
        for row in dags.dataflow.named_values(event)
    ]


def _source(dags: Dags, row: EventRow, frame: FrameRow | None, bindings: list[Binding]) -> SourceView | None:
    """The code at the event; for events without a place of their own, or whose frame is another's, where its frame was
    last seen."""
    file, line = row.file, row.line
    if frame is not None and (file is None or line is None or (row.call is not None and row.call != frame.call)):
        file, line = dags.code.place(frame.call, row.event)
    if file is None or line is None:
        return None
    values = [LineValue(b.line, f"{b.name} = {b.value.text}") for b in bindings if b.line is not None]
    return source_view(dags.query, file, line, values)


def _mailbox(dags: Dags, process: int, at: int) -> NDArray[Any]:
    """The numbers of the messages that wait in a mailbox, the oldest first."""
    waiting = mailboxes(dags.query, at)
    mine = waiting[dags.query.column("messages", "to_process")[waiting] == process]
    order: NDArray[Any] = np.argsort(dags.query.column("messages", "received_at")[mine], kind="stable")
    return np.asarray(mine[order])


def _waiting(dags: Dags, messages: NDArray[Any], at: int) -> list[Waiting]:
    rows = dags.query.recording.table("messages").take(messages).to_pylist()
    return [
        Waiting(r["message"], r["from_process"], r["tag"], r["sent_at"], r["received_at"], at - r["received_at"])
        for r in rows
    ]
