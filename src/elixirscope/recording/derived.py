"""Columns that the table of events tells: Parquet files leave them out, and reading puts them back.

A row of a table names an event; when that happened, in which process and with which value, need not be kept again.
They took a quarter of the space of all tables. Of an event its number and the event before it in its process are not
kept either: they follow from where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.kernels import I64, R32, kernel
from elixirscope.recording.schema import TABLES

LAYOUT: Final = 4
"""Of `segments/`: 1 had every column in Parquet files, 2 as many values in each block, 3 all columns of events."""
READABLE: Final = (2, 3, LAYOUT)


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

_COUNTED: Final = ("event", "previous")  # of the table of events
_NUMBERS: Final = ("site", "value")  # of the table of events: nulls are kept as -1, which takes a third of the time


def stored(name: str, table: pa.Table, events: Events | None = None) -> pa.Table:
    """What of the table `name` is kept. `events`: where its numbers are at hand, -1 where null."""
    if name != "events":
        return table.drop_columns(list(DERIVED.get(name, ())))
    kept = table.drop_columns(list(_COUNTED))
    for place, column in enumerate(kept.column_names):
        if column in _NUMBERS:
            numbers = kept.column(column).fill_null(-1) if events is None else pa.array(events(column))
            kept = kept.set_column(place, column, numbers)
    return kept


class Completion:
    """Puts back what is not kept of the table `name`, batch by batch, in order."""

    def __init__(self, name: str, events: Events) -> None:
        self._name = name
        self._events = events
        self._rows = 0  # so far
        self._last = np.empty(0, np.int64)  # event of each process

    def take(self, table: pa.Table) -> pa.Table:
        """The batch of these stored columns, with exactly the schema of `schema.TABLES`.

        Raises `ValueError`, `LookupError` or `pa.ArrowException` when they do not fit.
        """
        schema = TABLES[self._name]
        if self._name == "events":
            columns = self._of_events(table)
        else:
            sources = DERIVED.get(self._name, {})
            columns = {
                name: _derived(table, sources[name], self._events, schema.field(name).type)
                if name in sources
                else table.column(name)
                for name in schema.names
            }
        return pa.Table.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)

    def _of_events(self, table: pa.Table) -> dict[str, Any]:
        columns = {name: table.column(name) for name in table.column_names}
        for name in _NUMBERS:
            if columns[name].null_count == 0:
                columns[name] = _known(np.asarray(columns[name]))
        if not columns.keys() & set(_COUNTED):  # which layout 3 has
            process, first = np.ascontiguousarray(columns["process"], np.int32), self._rows
            self._rows += len(process)
            fresh = int(process.max(initial=-1)) + 1 - len(self._last)
            self._last = np.append(self._last, np.full(max(fresh, 0), -1))
            previous = np.empty(len(process), np.int64)
            previous_events(process, first, self._last, previous)
            columns |= {"event": pa.array(np.arange(first, self._rows)), "previous": _known(previous)}
        return columns


def complete(name: str, table: pa.Table, events: Events) -> pa.Table:
    """As `Completion.take`, of all of a table."""
    return Completion(name, events).take(table)


def _known(numbers: npt.NDArray[Any]) -> pa.Array:
    return pa.array(numbers, mask=numbers == -1)


@kernel
def previous_events(process: R32, first: int, last: I64, previous: I64) -> None:
    """Per event, from number `first` on, the event before it in its process. `last`: of each process, moved on."""
    for place in range(len(process)):
        owner = process[place]
        previous[place] = last[owner]
        last[owner] = first + place


def _derived(table: pa.Table, source: Source, events: Events, kind: pa.DataType) -> pa.Array:
    rows = np.asarray(table.column(source.event).fill_null(-1))
    if source.outcome is not None:
        rows = np.where(np.asarray(pc.equal(table.column("outcome").cast(pa.string()), source.outcome)), rows, -1)
    column = events(source.column)
    if not len(column):
        return pa.nulls(len(rows), kind)
    values = np.where(rows < 0, -1, column[rows])
    return pa.array(values, mask=values == -1)
