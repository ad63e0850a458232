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
    columns = {name: query.column("messages", name) for name in ("message", "sender_call", "sent_at", "received_at")}
    asks = query.indexes.worded("messages", "kind", lambda word: word == "call")
    replies = query.column("messages", "reply")
    rows = np.flatnonzero(asks & (columns["sender_call"] >= 0) & (columns["sent_at"] >= 0))
    frame, message, sent = (columns[name][rows].astype(np.int64) for name in ("sender_call", "message", "sent_at"))
    answered = np.full(len(rows), int(query.recording.info.duration_ns))
    given = np.flatnonzero(replies[rows] >= 0)
    places = np.searchsorted(columns["message"], replies[rows[given]])
    for name in ("sent_at", "received_at"):  # when it was received, and else when it was sent
        known = columns[name][places] >= 0
        answered[given[known]] = columns[name][places[known]]
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
