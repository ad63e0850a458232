"""Columns of other tables for a row of the view `events`, as scalar functions: a hundred million rows are then neither
joined nor looked up unless a query reads such a column."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from elixirscope.recording.schema import TABLES

if TYPE_CHECKING:
    from elixirscope.recording.recording import Recording

Look = Callable[[pa.Array], pa.Array]


class Lookup(NamedTuple):
    """The SQL function `name`, from a number (of SQL type BIGINT) to a value of SQL type `kind`."""

    name: str
    kind: str
    look: Look


_KEYS: Final = {"processes": "process", "sites": "site", "calls": "call"}
_COLUMNS: Final = (
    ("process_label", "processes", "label"),
    *((f"site_{name}", "sites", name) for name in ("module", "function", "arity", "file", "line")),
    *((f"call_{name}", "calls", name) for name in ("module", "function", "arity")),
)


def lookups(recording: Recording) -> Iterator[Lookup]:
    """All of them, for the tables of one recording. What has no number, or one that is not there, is null."""
    for name, table, column in _COLUMNS:
        text = pa.types.is_dictionary(TABLES[table].field(column).type)
        yield Lookup(name, "VARCHAR" if text else "INTEGER", _look(recording, table, column, text=text))


def _look(recording: Recording, table: str, column: str, *, text: bool) -> Look:
    @cache
    def places() -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], pa.Array | None]:
        """(the keys, ascending; where each is in the table, None for in this order)."""
        keys = recording.numbers(table, _KEYS[table])
        if table == "calls":
            return keys, None
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def look(ids: pa.Array) -> pa.Array:
        wanted, (keys, order) = np.asarray(ids.fill_null(-1)), places()
        if not len(keys):
            return pa.nulls(len(ids), pa.string() if text else pa.int32())
        rows = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        missing = keys[rows] != wanted
        taken = pa.array(rows if order is None else order[rows], mask=missing)
        found = recording.table(table).column(column).take(taken).combine_chunks()
        return found.cast(pa.string() if text else pa.int32())

    return look
