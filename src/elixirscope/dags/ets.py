"""ETS tables as the data flow sees them: which watched call read or wrote which table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elixirscope.query.cancellation import checkpoint
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.equality import same
from elixirscope.query.row import Row
from elixirscope.recording.terms import inspect

READS: Final = frozenset(
    ("lookup", "lookup_element", "take", "match", "match_object", "select", "tab2list", "first", "last", "next", "prev")
)
WRITES: Final = frozenset(("insert", "insert_new", "update_element", "update_counter"))


class Access(NamedTuple):
    """A watched call to `:ets` and the table that it is about."""

    call: int
    table: Any

    @property
    def label(self) -> str:
        """The table in words."""
        return f"ETS table {inspect(self.table, limit=60)}"

    def same_table(self, other: Access) -> bool:
        """Whether both are about one table."""
        return same(self.table, other.table)


def accesses(query: QueryCoordinator, frame: Row) -> Access | None:
    """The table that a frame reads or writes; None when it is no watched call to `:ets`."""
    if not frame["external"] or frame["module"] not in (":ets", "ets"):
        return None
    arguments = query.values.elements(frame["args"])
    return Access(frame["call"], arguments[0]) if arguments else None


def writes_before(query: QueryCoordinator, frame: Row) -> Iterator[Row]:
    """The frames that wrote to the table which `frame` reads, before it did, the last first."""
    read = accesses(query, frame)
    if read is not None and frame["function"] in READS:
        calls = _calls(query)
        yield from _of(query, calls[: np.searchsorted(calls, frame["call"])][::-1], WRITES, read)


def reads_after(query: QueryCoordinator, event: int, written: Access) -> Iterator[Row]:
    """The frames that read the table which was written, begun after an event, in order."""
    calls = _calls(query)
    yield from _of(query, calls[np.searchsorted(calls, event, "right") :], READS, written)


def _of(query: QueryCoordinator, calls: NDArray[Any], functions: frozenset[str], table: Access) -> Iterator[Row]:
    for call in calls:
        checkpoint()
        row = query.find("calls", "call", int(call))
        if row is not None and row["function"] in functions:
            other = accesses(query, row)
            if other is not None and other.same_table(table):
                yield row


def _calls(query: QueryCoordinator) -> NDArray[Any]:
    """All watched calls to `:ets`."""

    def find() -> NDArray[Any]:
        rows = query.arrow("select call from raw.calls where external and module in (':ets', 'ets') order by call", [])
        return np.asarray(rows.column("call"))

    return query.memo(("ets", "calls"), find)
