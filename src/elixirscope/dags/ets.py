"""ETS tables as the data flow sees them: which watched call read or wrote which table."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.equality import same
from elixirscope.query.row import Row
from elixirscope.recording.terms import inspect

READS: Final = frozenset(
    ("lookup", "lookup_element", "take", "match", "match_object", "select", "tab2list", "first", "last", "next", "prev")
)
WRITES: Final = frozenset(("insert", "insert_new", "update_element", "update_counter"))
_LOOKED_AT: Final = 1_000


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


def writes_before(query: QueryCoordinator, frame: Row) -> list[Row]:
    """The frames that wrote to the table which `frame` reads, before it did, the last first."""
    read = accesses(query, frame)
    if read is None or frame["function"] not in READS:
        return []
    rows = query.rows(
        f"""select * from raw.calls where external and module in (':ets', 'ets') and call < ?
        order by call desc limit {_LOOKED_AT}""",
        [frame["call"]],
    )
    return [
        row
        for row in rows
        if row["function"] in WRITES and (write := accesses(query, row)) is not None and write.same_table(read)
    ]
