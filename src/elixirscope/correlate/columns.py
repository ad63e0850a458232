"""Arrow tables out of the correlators' arrays.

Inside the correlators -1 means "none" (events, processes, frames are numbered from 0); in the tables it is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.recording.changes import Patch
from elixirscope.recording.schema import TABLES

Ints = npt.NDArray[np.int64]

NONE = -1


def ints(values: Iterable[int]) -> Ints:
    """An int64 array of a sequence."""
    return np.fromiter(values, dtype=np.int64)


def known(values: npt.NDArray[Any]) -> pa.Array:
    """The numbers with null for every -1."""
    numbers = np.asarray(values, dtype=np.int64)
    return pa.array(numbers, mask=numbers == NONE)


def each(numbers: npt.NDArray[Any], text: Callable[[int], str | None]) -> pa.Array:
    """`text` of each number, called once for each distinct one."""
    distinct, where = np.unique(numbers, return_inverse=True)
    return pa.array([text(number) for number in distinct.tolist()], pa.string()).take(pa.array(where))


def lookup(table: npt.NDArray[Any], index: npt.NDArray[Any]) -> Ints:
    """`table[index]`, and -1 where the index is -1."""
    if len(table) == 0:
        return np.full(len(index), NONE, dtype=np.int64)
    picked = np.asarray(table, dtype=np.int64)[index]
    return np.where(np.asarray(index) == NONE, NONE, picked)


def table(name: str, /, **columns: Any) -> pa.Table:
    """The table `name` of the schema; every column must be given, in any order.

    A column is an Arrow array, a NumPy array without missing values, or a list in which None is null.
    """
    schema = TABLES[name]
    missing, unknown = set(schema.names) - columns.keys(), columns.keys() - set(schema.names)
    if missing or unknown:
        raise ValueError(f"table {name}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    return pa.table([_column(columns[field.name], field.type) for field in schema], schema=schema)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    elif pa.types.is_dictionary(kind):
        return pa.array(values, type=pa.string()).dictionary_encode().cast(kind)
    elif isinstance(values, np.ndarray):
        array = pa.array(values)
    else:
        return pa.array(values, type=kind)
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array if array.type == kind else array.cast(kind)


def patch(name: str, rows: Ints, /, **columns: Any) -> list[Patch]:
    """New contents for the rows numbered `rows` of the table `name`; columns as in `table`. None for no rows."""
    if not len(rows):
        return []
    kinds = TABLES[name]
    return [Patch(name, rows, {key: _column(values, kinds.field(key).type) for key, values in columns.items()})]
