"""What correlators give the sealer for a slice of the log: rows to add to tables, and changes of rows already there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.recording.log import Log
from elixirscope.recording.schema import TABLES


class Patch(NamedTuple):
    """New contents for some columns of rows that are there already."""

    table: str
    rows: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]


@dataclass
class Changes:
    """What a slice adds to the tables, and what it tells of rows that were there before."""

    rows: dict[str, pa.Table]
    patches: list[Patch]


class Correlator(Protocol):
    """Relates the events of one recording, slice by slice."""

    def take(self, log: Log) -> Changes:
        """The next slice."""
        ...

    def finish(self, log: Log) -> Changes:
        """What is known when the last slice was taken."""
        ...


class MemoryTables:
    """All tables of the schema in memory, grown and changed as a `ColumnStore` is."""

    def __init__(self) -> None:
        self._rows: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        self._patches: list[Patch] = []

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows."""
        self._rows[table].append(rows)

    def patch(self, table: str, rows: npt.NDArray[np.int64], columns: dict[str, pa.Array]) -> None:
        """Give new contents to some columns of the rows numbered `rows`."""
        self._patches.append(Patch(table, rows, columns))

    def take(self, changes: Changes) -> None:
        """All of these."""
        for name, rows in changes.rows.items():
            self.append(name, rows)
        self._patches += changes.patches

    def all(self) -> dict[str, pa.Table]:
        """The tables as they are now."""
        found = {name: self._table(name) for name in TABLES}
        self._rows, self._patches = {name: [table] for name, table in found.items()}, []
        return found

    def replace(self, table: str, rows: pa.Table) -> None:
        """Have a table hold just these."""
        self._rows[table] = [rows]

    def _table(self, name: str) -> pa.Table:
        parts = self._rows[name] or [TABLES[name].empty_table()]
        table = parts[0] if len(parts) == 1 else pa.concat_tables(parts).unify_dictionaries().combine_chunks()
        changed: dict[str, list[tuple[npt.NDArray[np.int64], pa.Array]]] = {}
        for patch in self._patches:
            if patch.table == name:
                for column, values in patch.columns.items():
                    changed.setdefault(column, []).append((patch.rows, values))
        for column, changes in changed.items():
            index, size = np.arange(table.num_rows), table.num_rows
            for rows, values in changes:
                index[rows] = size + np.arange(len(values))
                size += len(values)
            arrays = [*table.column(column).chunks, *(values for _, values in changes)]
            joined = pa.chunked_array(arrays).unify_dictionaries().combine_chunks()
            place = table.column_names.index(column)
            table = table.set_column(place, table.schema.field(place), joined.take(pa.array(index)))
        return table
