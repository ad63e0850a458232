"""Who waited for the reply to each request, and how long.

A client function mostly ends in a tail call of `GenServer.call`: its own frame has ended when the request is sent, and
the one that waits is the nearest frame around it that is still open.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elixirscope.query.coordinator import QueryCoordinator


class Requests(NamedTuple):
    """All requests made in recorded code, by waiting frame (ascending), in parallel arrays. Times in ns.

    `answered` is when the reply arrived (else was sent); the recording's end where there was none.
    """

    frame: NDArray[np.int64]
    message: NDArray[np.int64]
    sent: NDArray[np.int64]
    answered: NDArray[np.int64]

    def of(self, call: int) -> list[tuple[int, int, int]]:
        """(message, sent, answered) of the requests that a frame waited for."""
        low, high = np.searchsorted(self.frame, [call, call + 1])
        mine = slice(int(low), int(high))
        return list(
            zip(self.message[mine].tolist(), self.sent[mine].tolist(), self.answered[mine].tolist(), strict=True)
        )


def requests(query: QueryCoordinator) -> Requests:
    """The requests of a recording, found once."""
    return Requests(*query.memo(("requests",), lambda: _find(query)).reshape(4, -1))


def _find(query: QueryCoordinator) -> NDArray[np.int64]:
    table = query.arrow(
        f"""select m.sender_call as frame, m.message, m.sent_at as sent,
            coalesce(r.received_at, r.sent_at, {int(query.recording.info.duration_ns)}) as answered
            from raw.messages m left join raw.messages r on r.message = m.reply
            where m.kind = 'call' and m.sender_call is not null and m.sent_at is not null"""
    )
    frame, message, sent, answered = (
        table.column(name).to_numpy() for name in ("frame", "message", "sent", "answered")
    )
    calls, parents, ended = (query.column("calls", name) for name in ("call", "parent", "end"))
    waiting = frame.copy()
    pending = np.arange(len(waiting))
    while len(pending):
        rows = np.searchsorted(calls, waiting[pending])
        over = (ended[rows] >= 0) & (ended[rows] < sent[pending])
        pending, rows = pending[over], rows[over]
        waiting[pending] = parents[rows]
        pending = pending[waiting[pending] >= 0]
    waiting = np.where(waiting < 0, -1, waiting)
    order = np.argsort(waiting, kind="stable")
    found: NDArray[np.int64] = np.concatenate([c[order] for c in (waiting, message, sent, answered)])
    return found
