"""Arrow tables out of the correlators' arrays.

Inside the correlators -1 means "none" (events, processes, frames are numbered from 0); in the tables it is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.kernels import I64, kernel
from elixirscope.recording.changes import Patch
from elixirscope.recording.schema import TABLES

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NONE = -1


def ints(values: Iterable[int]) -> Ints:
    """An int64 array of a sequence."""
    return np.fromiter(values, dtype=np.int64)


def with_room(numbers: Ints, more: int) -> Ints:
    """Numbers, with room for so many more behind them."""
    roomy = np.empty(len(numbers) + more, np.int64)
    roomy[: len(numbers)] = numbers
    return roomy


def with_places(numbers: Ints, size: int, empty: int = NONE) -> Ints:
    """Numbers with places for `size` at least, those that are new `empty`. There are more than are needed yet, so that
    who grows a little each time is not copied as a whole each time."""
    if size <= len(numbers):
        return numbers
    roomy = np.full(size + size // 2, empty, np.int64)
    roomy[: len(numbers)] = numbers
    return roomy


def known(values: npt.NDArray[Any], none: int = NONE) -> pa.Array:
    """The whole numbers, of their own type, with null for every -1 (or another `none`). They are not copied."""
    numbers = np.ascontiguousarray(values)
    there = numbers != none
    count = int(np.count_nonzero(there))
    if count == len(numbers):
        return _whole(numbers)
    buffers = [pa.py_buffer(np.packbits(there, bitorder="little")), pa.py_buffer(numbers)]
    return pa.Array.from_buffers(pa.from_numpy_dtype(numbers.dtype), len(numbers), buffers, len(numbers) - count)


def _whole(numbers: npt.NDArray[Any]) -> pa.Array:
    """Numbers without a null, in place. `pa.array` looks for pandas each time."""
    kind = pa.from_numpy_dtype(numbers.dtype)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))], 0)


def _truths(values: Mask) -> pa.Array:
    """Truth values, as `_whole` has numbers."""
    bits = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits], 0)


def each(numbers: npt.NDArray[Any], text: Callable[[int], str | None]) -> pa.Array:
    """`text` of each number (small, from -1 on), called once for each distinct one."""
    codes = np.full(int(numbers.max(initial=NONE)) + 2, NONE, np.int32)
    words = dict[str, int]()
    for number in (np.flatnonzero(np.bincount(numbers + 1)) - 1).tolist():
        if (word := text(number)) is not None:
            codes[number + 1] = words.setdefault(word, len(words))
    return texts(known(codes[numbers + 1]), words)


def texts(codes: npt.NDArray[Any] | pa.Array, words: Iterable[str | None]) -> pa.Array:
    """The words of these numbers, which all have one."""
    # Nobody looks whether they do.
    return pa.DictionaryArray.from_arrays(codes, pa.array(words, pa.string()), safe=False)


def lookup(table: npt.NDArray[Any], index: npt.NDArray[Any]) -> Ints:
    """`table[index]`, and -1 where the index is -1."""
    picked = np.empty(len(index), np.int64)
    _pick(np.ascontiguousarray(index, np.int64), np.ascontiguousarray(table, np.int64), picked)
    return picked


@kernel
def _pick(index: I64, table: I64, picked: I64) -> None:
    for place in range(len(index)):
        picked[place] = table[index[place]] if index[place] >= 0 else -1


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
        # Numbers are of fewer bits where they are known to fit: Arrow looks, slowly.
        array = _truths(values) if values.dtype == bool else _whole(values.astype(kind.to_pandas_dtype(), copy=False))
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
