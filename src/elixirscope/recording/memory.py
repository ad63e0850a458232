"""The tables of a recording in memory, grown and changed slice by slice; what was shown before stays as it was."""

from __future__ import annotations

import threading
from collections import defaultdict
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.recording import heap
from elixirscope.recording.changes import Changes
from elixirscope.recording.schema import TABLES
from elixirscope.recording.warm import Warm, WarmNumbers

CHUNK: Final = 1 << 16
"""Rows from which on a chunk is added to no more. A change copies the chunks that it touches, and what is new begins a
chunk of its own, so the cost of showing a slice follows the slice, not what is there already."""

RESTED: Final = 4 * CHUNK
"""Rows of a table that come before what was not changed meanwhile goes to the disk."""

ENOUGH: Final = 1 << 23
"""Bytes that are worth a file."""

MANY: Final = 1 << 20
"""Numbers from which on a column that only grows is on the disk."""

Numbers = npt.NDArray[np.int64]


class MemoryTables:
    """All tables of the schema in memory, grown and changed as a `ColumnStore` is. With `warm`, what is older and rests
    is on the disk."""

    def __init__(self, warm: Warm | None = None) -> None:
        self._warm = warm
        self._tables = {name: _Table(schema, warm) for name, schema in TABLES.items()}

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows."""
        self._tables[table].append(rows)

    def patch(self, table: str, rows: Numbers, columns: dict[str, pa.Array]) -> None:
        """Give new contents to some columns of the rows numbered `rows`."""
        self._tables[table].patch(rows, columns)

    def take(self, changes: Changes) -> None:
        """All of these."""
        for name, rows in changes.rows.items():
            self.append(name, rows)
        for patch in changes.patches:
            self.patch(*patch)

    def replace(self, table: str, rows: pa.Table) -> None:
        """Have a table hold just these."""
        self._tables[table] = _Table(TABLES[table], self._warm)
        self.append(table, rows)

    def all(self) -> dict[str, pa.Table]:
        """The tables as they are now. Later changes leave these as they are."""
        return {name: table.shown() for name, table in self._tables.items()}

    def pieces(self) -> dict[tuple[str, str], Piece]:
        """The columns by table and name, of the tables as last shown."""
        return {
            (name, column): piece
            for name, table in self._tables.items()
            for column, piece in zip(TABLES[name].names, table.pieces, strict=True)
        }


class Piece:
    """A column of whole numbers in one piece, shared by all editions between which it has only grown. Safe to use from
    several threads."""

    def __init__(self, warm: Warm | None = None) -> None:
        self.derived: dict[str, Any] = {}  # whatever others made of it, for the next edition to begin with
        self._warm = warm
        self._file: WarmNumbers | None = None
        self._numbers = np.empty(0, np.int64)
        self._filled = 0
        self._lock = threading.Lock()

    def upto(self, column: pa.ChunkedArray) -> Numbers:
        """What `column` holds, as one edition has it: -1 where null, not to be written to."""
        with self._lock:
            if len(column) > len(self._numbers):
                self._make_room(2 * len(column) if self._filled else len(column))
            end = 0
            for chunk in column.chunks:
                start, end = end, end + len(chunk)
                if end > self._filled:
                    fresh = chunk.slice(self._filled - start)
                    self._fill(np.asarray(pc.fill_null(fresh.cast(pa.int64()), -1)))
            found = self._numbers[: len(column)]
            found.flags.writeable = False
            return found

    def _make_room(self, count: int) -> None:
        if self._warm is not None and count > MANY:
            try:
                if self._file is None and (file := self._warm.file()) is not None:
                    file.write(0, self._numbers[: self._filled])
                    self._file = file
                if self._file is not None:
                    self._numbers = self._file.resized(count)
                    return
            except OSError:
                self._to_memory()
        self._allocate(count)

    def _allocate(self, count: int) -> None:
        before = self._numbers[: self._filled]
        self._numbers = np.empty(count, np.int64)
        self._numbers[: self._filled] = before

    def _fill(self, fresh: Numbers) -> None:
        if self._file is not None:
            try:
                self._file.write(self._filled, fresh)
                self._filled += len(fresh)
                return
            except OSError:
                self._to_memory()
        self._numbers[self._filled : self._filled + len(fresh)] = fresh
        self._filled += len(fresh)

    def _to_memory(self) -> None:
        """The disk takes no more."""
        self._file = self._warm = None
        self._allocate(len(self._numbers))


class _Table:
    """One table: per column chunks of rows, texts as the numbers of their words."""

    def __init__(self, schema: pa.Schema, warm: Warm | None) -> None:
        self._schema = schema
        self._warm = warm
        self._words = [_Words(field.type) if pa.types.is_dictionary(field.type) else None for field in schema]
        self._kinds = [field.type.index_type if pa.types.is_dictionary(field.type) else field.type for field in schema]
        self._chunks: list[list[pa.Array]] = [[] for _ in schema]
        self._ends: list[int] = []  # of the chunks, in rows
        self._new: list[pa.Table] = []
        self._changed: defaultdict[str, list[tuple[Numbers, pa.Array]]] = defaultdict(list)
        self._shown: pa.Table | None = None
        self._closed = 0  # so many chunks are added to no more
        self._loose: dict[
            tuple[int, int], int
        ] = {}  # of those, columns in memory: how many rows there were at a change
        self.pieces = [Piece(warm) for _ in schema]

    def append(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self._new.append(rows)

    def patch(self, rows: Numbers, columns: dict[str, pa.Array]) -> None:
        for name, values in columns.items():
            self._changed[name].append((rows, values))

    def shown(self) -> pa.Table:
        if self._new or self._changed or self._shown is None:
            self._grow()
            self._change()
            self._cool()
            self._shown = self._put_together()
        return self._shown

    def _grow(self) -> None:
        if not self._new:
            return
        for place, chunks in enumerate(self._chunks):
            parts = [self._plain(place, chunk) for table in self._new for chunk in table.column(place).chunks]
            chunks.append(parts[0] if len(parts) == 1 else pa.concat_arrays(parts))
        self._ends.append((self._ends[-1] if self._ends else 0) + sum(table.num_rows for table in self._new))
        self._new = []
        self._merge()

    def _merge(self) -> None:
        """Make one chunk of the last ones, but for any twice as large as all behind it: so there are few, and each row
        is copied a few times."""
        bounds = [0, *self._ends]
        first, end = len(self._ends) - 1, bounds[-1]
        while first and bounds[first] - bounds[first - 1] < min(CHUNK, 2 * (end - bounds[first])):
            first -= 1
        if first < len(self._ends) - 1:
            for chunks in self._chunks:
                chunks[first:] = [pa.concat_arrays(chunks[first:])]
            self._ends[first:] = [end]
        while self._closed < len(self._ends) and self._size(self._closed) >= CHUNK:
            if self._warm is not None:
                numeric = [place for place, kind in enumerate(self._kinds) if pa.types.is_primitive(kind)]
                self._loose |= {(place, self._closed): self._ends[-1] for place in numeric}
            self._closed += 1

    def _size(self, chunk: int) -> int:
        return self._ends[chunk] - (self._ends[chunk - 1] if chunk else 0)

    def _cool(self) -> None:
        """Put columns of chunks that rest on the disk."""
        rested = [key for key, rows in self._loose.items() if self._ends[-1] - rows > RESTED]
        arrays = [self._chunks[place][number] for place, number in rested]
        if self._warm is None or sum(array.nbytes for array in arrays) < ENOUGH:
            return
        if (mapped := self._warm.put(arrays)) is None:
            self._warm = None
            self._loose.clear()
            return
        for (place, number), array in zip(rested, mapped, strict=True):
            self._chunks[place][number] = array
            del self._loose[place, number]
        del arrays
        pa.default_memory_pool().release_unused()
        heap.trim()

    def _change(self) -> None:
        ends = np.array(self._ends, np.int64)
        for name, changes in self._changed.items():
            place = self._schema.get_field_index(name)
            self.pieces[place] = Piece()  # made anew with each look, so it stays in memory
            rows = np.concatenate([rows for rows, _ in changes])
            values = pa.concat_arrays([self._plain(place, values) for _, values in changes])
            order = np.argsort(rows, kind="stable")  # of several for one row the last counts
            rows, chunk = rows[order], np.searchsorted(ends, rows[order], side="right")
            bounds = [*np.flatnonzero(np.diff(chunk, prepend=-1)).tolist(), len(rows)]
            for first, last in pairwise(bounds):
                number = int(chunk[first])
                before = self._chunks[place][number]
                index = np.arange(len(before))
                index[rows[first:last] - (int(ends[number]) - len(before))] = len(before) + np.arange(last - first)
                fresh = values.take(pa.array(order[first:last]))
                self._chunks[place][number] = pa.concat_arrays([before, fresh]).take(pa.array(index))
                if number < self._closed and self._warm is not None and pa.types.is_primitive(self._kinds[place]):
                    self._loose[place, number] = self._ends[-1]
        self._changed.clear()

    def _put_together(self) -> pa.Table:
        columns = []
        for field, words, chunks in zip(self._schema, self._words, self._chunks, strict=True):
            arrays = chunks if words is None else [words.spelled(chunk) for chunk in chunks]
            columns.append(pa.chunked_array(arrays, field.type))
        return pa.Table.from_arrays(columns, schema=self._schema)

    def _plain(self, place: int, values: Any) -> pa.Array:
        words = self._words[place]
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        return values if words is None else words.numbered(values)


class _Words:
    """The distinct texts of a column: one dictionary for all of its chunks."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._codes: dict[str, int] = {}
        self._texts = _Texts()

    def numbered(self, values: pa.DictionaryArray) -> pa.Array:
        """The numbers of these texts' words; new ones get the next."""
        own = values.dictionary.to_pylist()
        fresh = list(dict.fromkeys(text for text in own if text not in self._codes))
        if fresh:
            self._codes.update(zip(fresh, range(len(self._codes), len(self._codes) + len(fresh)), strict=True))
            self._texts.append(pa.array(fresh, pa.string()))
        codes = pa.array([self._codes[text] for text in own], self._kind.index_type)
        return codes.take(values.indices)

    def spelled(self, numbers: pa.Array) -> pa.DictionaryArray:
        """The texts of these numbers."""
        return pa.DictionaryArray.from_arrays(numbers, self._texts.all, safe=False)


class _Texts:
    """Texts that come a few at a time: grows without moving what was given out, and is seldom copied."""

    def __init__(self) -> None:
        self._ends = np.zeros(1024, np.int32)  # of each in `_bytes`, after a zero
        self._bytes = np.empty(1 << 14, np.uint8)
        self._count = 0
        self.all = pa.array([], pa.string())

    def append(self, texts: pa.StringArray) -> None:
        _, ends, data = texts.buffers()
        start = int(self._ends[self._count])
        lengths = np.frombuffer(ends, np.int32, len(texts) + 1)[1:]
        count, size = self._count + len(texts), start + int(lengths[-1])
        if count >= len(self._ends):
            self._ends = np.append(self._ends, np.zeros(2 * count, np.int32))
        if size > len(self._bytes):
            self._bytes = np.append(self._bytes, np.empty(2 * size, np.uint8))
        self._ends[self._count + 1 : count + 1] = start + lengths
        if size > start:
            self._bytes[start:size] = np.frombuffer(data, np.uint8, size - start)
        self._count = count
        buffers = [None, pa.py_buffer(self._ends[: count + 1]), pa.py_buffer(self._bytes[:size])]
        self.all = pa.Array.from_buffers(pa.string(), count, buffers)
