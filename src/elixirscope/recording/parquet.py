"""Tables as Parquet files: whole, or a row group at a time while their rows still come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Final

import pyarrow as pa

from elixirscope.recording.derived import stored
from elixirscope.recording.format import FORMAT_VERSION
from elixirscope.recording.schema import SCHEMA_VERSION, TABLES

_ROW_GROUP: Final = 128 * 1024
_AT_ONCE: Final = 8  # row groups
_DIFFERENCES: Final = "DELTA_BINARY_PACKED"

UNCHANGED: Final = {
    "events": ("at", "process", "kind", "flags", "site", "value"),
    "bindings": ("event", "name", "position"),
}
"""The tables whose rows never change once they were told, and of what is kept of them the columns without nulls."""


def whole(table: pa.Table) -> Callable[[BinaryIO], object]:
    """What writes a table of which only what is `stored` is left."""
    # A column in which nothing is null says so: its rows need no levels of definition.
    known = [name for name, column in zip(table.column_names, table.columns, strict=True) if not column.null_count]
    schema = _described(table.schema, known)

    def write(file: BinaryIO) -> None:
        with _writer(file, schema) as writer:
            for start in range(0, max(table.num_rows, 1), _AT_ONCE * _ROW_GROUP):
                part = table.slice(start, _AT_ONCE * _ROW_GROUP)
                writer.write_table(pa.Table.from_arrays(part.columns, schema=schema), row_group_size=_ROW_GROUP)

    return write


class TableWriter:
    """Writes one of the `UNCHANGED` tables while its rows come: the same file in whatever parts they do."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._name = name
        self._waiting: list[pa.Table] = []
        self._schema = _described(stored(name, TABLES[name].empty_table()).schema, UNCHANGED[name])
        self._writer = _writer(file, self._schema)

    def append(self, rows: pa.Table) -> None:
        """These rows are the next. Raises `OSError`."""
        self._waiting.append(stored(self._name, rows))
        count = sum(table.num_rows for table in self._waiting)
        if count >= _ROW_GROUP:
            self._write(count - count % _ROW_GROUP)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a disk that is full: who wrote to it knows
            self._writer.close()

    def finish(self) -> None:
        """Write what is left. Raises `OSError`."""
        self._write(sum(table.num_rows for table in self._waiting))
        self._writer.close()

    def _write(self, count: int) -> None:
        table = pa.concat_tables([self._schema.remove_metadata().empty_table(), *map(self._fitting, self._waiting)])
        self._waiting = [table.slice(count)]
        part = table.slice(0, count).combine_chunks()
        arrays = [column.combine_chunks() for column in part.columns]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=_ROW_GROUP)

    def _fitting(self, table: pa.Table) -> pa.Table:
        return pa.Table.from_arrays(table.columns, schema=self._schema.remove_metadata())


def _described(schema: pa.Schema, known: Any) -> pa.Schema:
    about = {b"elixirscope.schema_version": b"%d" % SCHEMA_VERSION, b"elixirscope.format": b"%d" % FORMAT_VERSION}
    return pa.schema([field.with_nullable(field.name not in known) for field in schema], about)


def _writer(file: BinaryIO, schema: pa.Schema) -> Any:
    import pyarrow.parquet as pq  # what is sealed already does without

    encodings = {field.name: _encoding(field.type) for field in schema}
    # What is left of differences compresses to hardly less, in half as much time again as finding them.
    packed = [name for name, encoding in encodings.items() if encoding != _DIFFERENCES]
    return pq.ParquetWriter(
        file,
        schema,
        compression={name: "zstd" if name in packed else "none" for name in encodings},
        use_dictionary=[name for name, encoding in encodings.items() if encoding is None],
        column_encoding={name: encoding for name, encoding in encodings.items() if encoding is not None},
        write_statistics=False,  # nobody asks for them
        write_batch_size=_ROW_GROUP,
    )


def _encoding(kind: pa.DataType) -> str | None:
    """How a column is written; None: as a dictionary."""
    if not pa.types.is_integer(kind):
        return None
    # Numbers of events and times ascend, or nearly so: their differences are small. Kinds and flags repeat in patterns.
    return _DIFFERENCES if kind.bit_width > 16 else "BYTE_STREAM_SPLIT"
