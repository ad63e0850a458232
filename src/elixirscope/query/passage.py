"""What reached a lane through processes that are not shown: causality kept when lanes are hidden.

A hidden process that receives one message and then sends another passes causality on. For each message from a hidden
process into a visible one, the walk goes back to the last message that its sender had received before, and on through
hidden senders until one is visible: the nearest cause in the order of the programs (happens-before, Lamport 1978).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from elixirscope.query.coordinator import QueryCoordinator

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOPS_MOST: Final = 8


class Passage(msgspec.Struct, frozen=True):
    """From a send in `start` at `sent_at` to the receipt of `message` in `end`, through the processes `via`."""

    message: int
    start: int
    end: int
    sent_at: int
    received_at: int
    via: list[int]


def passages(
    query: QueryCoordinator, start: int, end: int, shown: Collection[int], through: Collection[int], most: int
) -> list[Passage]:
    """Passages into `shown` that arrive in [start, end] ns by way of `through`; at most `most`."""
    found: list[Passage] = []
    if not through or not shown:
        return found
    visible, passing = set(shown), set(through)
    by_sender = _sorted(query, "from_process", "sent_at")
    for process in passing:
        for row in _between(query, by_sender, process, "sent_at", start, end):
            if row["to_process"] in visible and row["received_at"] is not None and len(found) < most:
                passage = _back(query, row, visible, passing)
                if passage is not None:
                    found.append(passage)
    return sorted(found, key=lambda one: one.message)


def _back(query: QueryCoordinator, last: dict[str, Any], visible: set[int], passing: set[int]) -> Passage | None:
    via: list[int] = []
    row = last
    for _ in range(HOPS_MOST):
        hidden = row["from_process"]
        via.append(hidden)
        before = _before(query, hidden, row["sent_at"])
        if before is None or before["from_process"] is None or before["sent_at"] is None:
            return None
        if before["from_process"] in visible:
            if before["from_process"] == last["to_process"]:
                return None  # it came back to where it began: nothing passed from one lane to another
            return Passage(
                last["message"],
                before["from_process"],
                last["to_process"],
                before["sent_at"],
                last["received_at"],
                via[::-1],
            )
        if before["from_process"] not in passing:
            return None
        row = before
    return None


def _before(query: QueryCoordinator, process: int, at: int) -> dict[str, Any] | None:
    """The last message that `process` received before `at`."""
    order = _sorted(query, "to_process", "received_at")
    owners = query.column("messages", "to_process")[order]
    low, high = np.searchsorted(owners, [process, process + 1])
    times = query.column("messages", "received_at")[order[low:high]]
    place = int(np.searchsorted(times, at))
    return None if place == 0 or times[place - 1] < 0 else _row(query, int(order[low + place - 1]))


def _between(
    query: QueryCoordinator, order: NDArray[np.int64], process: int, column: str, start: int, end: int
) -> list[dict[str, Any]]:
    owners = query.column("messages", "from_process")[order]
    low, high = np.searchsorted(owners, [process, process + 1])
    times = query.column("messages", column)[order[low:high]]
    first, last = np.searchsorted(times, [start, end + 1])
    return [_row(query, number) for number in order[low + first : low + last].tolist()]


def _sorted(query: QueryCoordinator, owner: str, time: str) -> NDArray[np.int64]:
    """Row numbers of the messages by owner and time."""
    return query.memo(
        ("passage", owner, time),
        lambda: np.lexsort((query.column("messages", time), query.column("messages", owner))).astype(np.int64),
    )


def _row(query: QueryCoordinator, number: int) -> dict[str, Any]:
    names = ("message", "from_process", "to_process", "sent_at", "received_at")
    values = {name: int(query.column("messages", name)[number]) for name in names}
    return {name: None if value < 0 else value for name, value in values.items()}
