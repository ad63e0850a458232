"""Writes a Parquet file of a large recording, a row group at a time.

Arrow's writer takes 10 ns for each number of a column, and as much again where some are null; what is here takes two.
It writes what the tables of `recording.schema` have, one page for each column of a row group, and no lists.
"""

from __future__ import annotations

import base64
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import zstandard

from elixirscope.recording.encodings import bits, codes, differences, levels, plain, texts
from elixirscope.recording.thrift import Value, binary, i32, i64, many, struct

_MAGIC: Final = b"PAR1"
_BOOLEAN, _INT32, _INT64, _BYTE_ARRAY = 0, 1, 2, 6
_PLAIN, _RLE, _DIFFERENCES, _WORDS = 0, 3, 5, 8
_NONE, _ZSTD = 0, 6
_REQUIRED, _OPTIONAL = 0, 1
_CONVERTED: Final = {pa.int8(): 15, pa.int16(): 16}
_UTF8: Final = 0
_FEW: Final = 1 << 12
"""Numbers of one or two bytes in a smaller range than this are told by their places in it."""


class _Page(NamedTuple):
    """What a column of a row group is written as."""

    data: bytes
    encoding: int
    words: bytes | None = None  # a page before it, of what its numbers stand for
    size: int = 0  # how many these are


class RowGroups:
    """A Parquet file of tables of one schema, whose fields say whether they may be null."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._groups: list[Value] = []
        self._rows = 0
        self._at = 0
        self._write(_MAGIC)

    def append(self, columns: list[pa.Array]) -> None:
        """The next row group: of each field an array. Raises `OSError`."""
        rows = len(columns[0])
        if not rows:
            return
        start = self._at
        chunks = [self._column(field, values) for field, values in zip(self._schema, columns, strict=True)]
        self._groups.append(struct({1: many(chunks), 2: i64(self._at - start), 3: i64(rows)}))
        self._rows += rows

    def finish(self) -> None:
        """Write what is told of all. Raises `OSError`."""
        root = struct({4: binary(b"schema"), 5: i32(len(self._schema))})
        arrow = base64.b64encode(self._schema.serialize().to_pybytes())  # tells Arrow its own types
        about = {**(self._schema.metadata or {}), b"ARROW:schema": arrow}
        metadata = {
            1: i32(2),
            2: many([root, *map(_described, self._schema)]),
            3: i64(self._rows),
            4: many(self._groups),
            5: many([struct({1: binary(key), 2: binary(value)}) for key, value in about.items()]),
            6: binary(b"elixirscope"),
        }
        told = struct(metadata).data
        self._write(told + len(told).to_bytes(4, "little") + _MAGIC)

    def _column(self, field: pa.Field, values: pa.Array) -> Value:
        """Write a column of a row group; gives what is told of it."""
        kind, compressed, start = _kind(field.type), not _is_packed(field.type), self._at
        page = _page(field, values)
        whole = self._page(page.words, compressed, {1: i32(2)}, 7, {1: i32(page.size), 2: i32(_PLAIN)})
        after = self._at
        told = {1: i32(len(values)), 2: i32(page.encoding), 3: i32(_RLE), 4: i32(_RLE)}
        whole += self._page(page.data, compressed, {1: i32(0)}, 5, told)
        about = {
            1: i32(kind),
            2: many([i32(_PLAIN), i32(_RLE), i32(page.encoding)]),
            3: many([binary(field.name.encode())]),
            4: i32(_ZSTD if compressed else _NONE),
            5: i64(len(values)),
            6: i64(whole),
            7: i64(self._at - start),
            9: i64(after),
        }
        if page.words is not None:
            about[11] = i64(start)
        return struct({2: i64(start), 3: struct(about)})

    def _page(self, data: bytes | None, compressed: bool, head: dict[int, Value], number: int, about: Any) -> int:
        """Write a page; gives its size before it was compressed."""
        if data is None:
            return 0
        stored = self._compressor.compress(data) if compressed else data
        told = struct({**head, 2: i32(len(data)), 3: i32(len(stored)), number: struct(about)}).data
        self._write(told)
        self._write(stored)
        return len(told) + len(data)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._at += len(data)


def _described(field: pa.Field) -> Value:
    about = {
        1: i32(_kind(field.type)),
        3: i32(_OPTIONAL if field.nullable else _REQUIRED),
        4: binary(field.name.encode()),
    }
    if pa.types.is_dictionary(field.type):
        about[6] = i32(_UTF8)
    elif field.type in _CONVERTED:
        about[6] = i32(_CONVERTED[field.type])
    return struct(about)


def _kind(kind: pa.DataType) -> int:
    if pa.types.is_dictionary(kind):
        return _BYTE_ARRAY
    if pa.types.is_boolean(kind):
        return _BOOLEAN
    return _INT64 if kind.bit_width > 32 else _INT32


def _is_packed(kind: pa.DataType) -> bool:
    """Whether packing leaves nothing to be compressed: of differences, which are hardly less then."""
    return bool(pa.types.is_integer(kind)) and kind.bit_width > 16


def _page(field: pa.Field, values: pa.Array) -> _Page:
    known = np.asarray(values.is_valid()) if field.nullable else None
    lead = b"" if known is None else levels(known)
    if pa.types.is_dictionary(field.type):
        numbers, dictionary = _numbers(values.indices, known), values.dictionary
        used = np.zeros(len(dictionary), np.bool_)
        used[numbers] = True
        if not used.all():
            dictionary = dictionary.filter(pa.array(used))
            numbers = (np.cumsum(used, dtype=np.int32) - 1)[numbers]
        words, count = texts(dictionary.to_pylist()), len(dictionary)
        return _Page(lead + codes(numbers.astype(np.int32), count), _WORDS, words, count)
    if pa.types.is_boolean(field.type):
        flags = np.asarray(values.fill_null(False))
        return _Page(lead + bits(flags if known is None else flags[known]), _PLAIN)
    numbers, size = _numbers(values, known), 8 if field.type.bit_width > 32 else 4
    least, most = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    if not _is_packed(field.type) and most - least < _FEW:
        words = plain(np.arange(least, most + 1), size)
        return _Page(
            lead + codes((numbers - least).astype(np.int32), most - least + 1), _WORDS, words, most - least + 1
        )
    if most - least < 1 << (8 * size - 2):
        return _Page(lead + differences(numbers.astype(np.int64)), _DIFFERENCES)
    return _Page(lead + plain(numbers, size), _PLAIN)


def _numbers(values: pa.Array, known: npt.NDArray[np.bool_] | None) -> npt.NDArray[Any]:
    """Those that are known, in order."""
    kind = np.dtype(values.type.to_pandas_dtype())
    numbers = np.frombuffer(values.buffers()[1], kind, len(values), values.offset * kind.itemsize)
    return numbers if known is None else numbers[known]
