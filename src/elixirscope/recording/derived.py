"""Columns that the table of events tells: Parquet files leave them out, and reading puts them back.

A row of a table names an event; when that happened, in which process and with which value, need not be kept again.
They took a quarter of the space of all tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.recording.schema import TABLES

LAYOUT: Final = 3
"""Of `segments/`: 1 had every column in Parquet files, 2 as many values in each block."""
READABLE: Final = (2, LAYOUT)


class Source(NamedTuple):
    """Where a column comes from: `column` of the event that the row's `event` names. `outcome`: only of frames that
    ended so, null for others."""

    column: str
    event: str
    outcome: str | None = None


DERIVED: Final[dict[str, dict[str, Source]]] = {
    "calls": {
        "process": Source("process", "call"),
        "site": Source("site", "call"),
        "start": Source("at", "call"),
        "end": Source("at", "end_event"),
        "args": Source("value", "call"),
        "result": Source("value", "end_event", "returned"),
    },
    "messages": {
        "sent_at": Source("at", "send_event"),
        "received_at": Source("at", "receive_event"),
        "handled_at": Source("at", "handle_call"),
        "sender_call": Source("call", "send_event"),
    },
    "states": {
        "process": Source("process", "state"),
        "at": Source("at", "state"),
        "value": Source("value", "state"),
    },
    "bindings": {
        "process": Source("process", "event"),
        "site": Source("site", "event"),
        "at": Source("at", "event"),
        "call": Source("call", "event"),
        "value": Source("value", "event"),
    },
}

Events = Callable[[str], npt.NDArray[Any]]
"""A column of the table of events, -1 where null."""


def stored(name: str, table: pa.Table) -> pa.Table:
    """What of the table `name` is kept."""
    return table.drop_columns(list(DERIVED.get(name, ())))


def complete(name: str, table: pa.Table, events: Events) -> pa.Table:
    """The table `name` of its stored columns, with exactly the schema it has in `schema.TABLES`.

    Raises `ValueError`, `LookupError` or `pa.ArrowException` when they do not fit.
    """
    schema = TABLES[name]
    sources = DERIVED.get(name, {})
    columns = [
        _derived(table, sources[field.name], events, field.type) if field.name in sources else table.column(field.name)
        for field in schema
    ]
    return pa.Table.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _derived(table: pa.Table, source: Source, events: Events, kind: pa.DataType) -> pa.Array:
    rows = np.asarray(table.column(source.event).fill_null(-1))
    if source.outcome is not None:
        rows = np.where(np.asarray(pc.equal(table.column("outcome").cast(pa.string()), source.outcome)), rows, -1)
    column = events(source.column)
    if not len(column):
        return pa.nulls(len(rows), kind)
    values = np.where(rows < 0, -1, column[rows])
    return pa.array(values, mask=values == -1)
