"""One column of a `ColumnStore` on disk: its rows as Arrow lays them out, so that they are read where they lie.

    NAME.data    numbers, little endian; booleans as bits; texts as the numbers of their words
    NAME.known   Arrow's validity bits; there from the first null on
    NAME.words   the distinct texts one after the other, and NAME.ends, where each ends: an Arrow string array

A number that is not known is -1 in NAME.data, so NumPy can read a column without its bits.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.errors import RecordingError
from elixirscope.recording.view import view

Numbers = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

_ENDS_MOST: Final = 2**31 - 1
_PIECE: Final = 1 << 21
"""Bytes written at once at most: for more, the system looks for larger stretches of free memory, and takes longer."""


class Extent(msgspec.Struct, omit_defaults=True):
    """How much of a column's files counts."""

    nulls: bool = False
    null_count: int = -1  # -1: not counted
    words: int = 0
    word_bytes: int = 0


class Patch(msgspec.Struct):
    """New contents of some rows of one column, as they go into its files."""

    table: str
    column: str
    rows: bytes  # int64
    data: bytes  # as in NAME.data, but booleans one byte each
    known: bytes | None  # a byte for each row; None: all are known


class Column:
    """A column of Arrow type `kind`, in the files `path`.*."""

    def __init__(self, path: Path, kind: pa.DataType, extent: Extent) -> None:
        self.kind = kind
        self.extent = extent
        self._path = path
        self._files: dict[str, int] = {}
        self._codes: dict[str, int] | None = None  # word → its number, when writing
        if pa.types.is_dictionary(kind):
            self._type: np.dtype[Any] = np.dtype(kind.index_type.to_pandas_dtype())
        elif _is_text(kind):
            self._type = np.dtype(np.int32)
        else:
            self._type = np.dtype(kind.to_pandas_dtype())

    # Writing

    def append(self, rows: int, values: pa.Array) -> None:
        """Put `values` after the first `rows` rows. Raises `OSError`."""
        data, known = self._plain(values)
        self._put(rows, data)
        if known is not None:
            self._want_known(rows)
        if self.extent.nulls:
            self._put_bits("known", rows, np.ones(len(data), np.bool_) if known is None else known)

    def patch(self, table: str, name: str, count: int, rows: Numbers, values: pa.Array) -> Patch:
        """What `apply` does to make the rows numbered `rows` of `count` hold `values`."""
        data, known = self._plain(values)
        if known is not None:
            self._want_known(count)
        flags = None if known is None else known.tobytes()
        return Patch(table, name, rows.astype(np.int64).tobytes(), data.tobytes(), flags)

    def apply(self, count: int, patch: Patch) -> None:
        """Change rows in place, of a column of `count` rows."""
        rows = np.frombuffer(patch.rows, np.int64)
        data = np.frombuffer(patch.data, self._type)
        if not len(rows):
            return
        if self._is_bits:
            _scatter_bits(self._open_map("data", (count + 7) // 8), rows, data)
        else:
            self._open_map("data", count * self._type.itemsize).view(self._type)[rows] = data
        if self.extent.nulls:  # after the number: who reads meanwhile never meets a number that is not there yet
            known = np.ones(len(rows), np.bool_) if patch.known is None else np.frombuffer(patch.known, np.bool_)
            _scatter_bits(self._open_map("known", (count + 7) // 8), rows, known)

    def sync(self) -> None:
        """Have what was written on the disk."""
        for descriptor in self._files.values():
            os.fsync(descriptor)

    def close(self) -> None:
        """Give the files back."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _plain(self, values: pa.Array) -> tuple[Numbers, Flags | None]:
        """(what goes into NAME.data, which are known or None for all)."""
        if not _is_text(self.kind) and not pa.types.is_boolean(self.kind) and values.type == self.kind:
            numbers = np.frombuffer(values.buffers()[1], self._type, len(values), values.offset * self._type.itemsize)
            if values.null_count == 0:
                return numbers, None
            there = numbers != self._type.type(-1)
            if _are_flags(values, there):
                return numbers, there
        known = None if values.null_count == 0 else _flags(values, 0)
        if _is_text(self.kind):
            if pa.types.is_list(self.kind):
                texts = [None if row is None else json.dumps(row) for row in values.to_pylist()]
                values = pa.array(texts, pa.string())
            return self._coded(values), known
        if values.type != self.kind:
            values = values.cast(self.kind)
        if pa.types.is_boolean(self.kind):
            flags = _flags(values, 1)
            return flags if known is None else flags & known, known
        numbers = np.frombuffer(values.buffers()[1], self._type, len(values), values.offset * self._type.itemsize)
        if known is not None:
            numbers = np.where(known, numbers, self._type.type(-1))
        return numbers, known

    def _coded(self, values: pa.Array) -> Numbers:
        if not pa.types.is_dictionary(values.type):
            values = values.cast(pa.string()).dictionary_encode()
        codes, words = self._loaded(), values.dictionary.to_pylist()
        used = np.asarray(values.indices.fill_null(-1))
        if any(word is not None and word not in codes for word in words):  # seldom: most slices have the same words
            fresh = [words[place] for place in np.unique(used).tolist() if place >= 0]
            fresh = [word for word in dict.fromkeys(fresh) if word is not None and word not in codes]
            if fresh:
                codes.update(zip(fresh, range(len(codes), len(codes) + len(fresh)), strict=True))
                self._put_words(fresh)
        if len(codes) > np.iinfo(self._type).max:
            raise RecordingError(f"{self._path.name} has more than {len(codes) - 1:,} different texts", "report this")
        stored: Numbers = np.array([*(codes.get(word, -1) for word in words), -1], self._type)[used]
        return stored

    def _loaded(self) -> dict[str, int]:
        if self._codes is None:
            words = self._words()
            self._codes = {word: code for code, word in enumerate(words.to_pylist())}
        return self._codes

    def _put_words(self, fresh: list[str]) -> None:
        encoded = [word.encode() for word in fresh]
        ends = self.extent.word_bytes + np.cumsum([len(word) for word in encoded])
        if ends[-1] > _ENDS_MOST:
            raise RecordingError(f"{self._path.name} has over 2 GB of different texts", "prune or split the recording")
        if self.extent.words == 0:
            self._write("ends", 0, np.zeros(1, np.int32).tobytes())
        self._write("words", self.extent.word_bytes, b"".join(encoded))
        self._write("ends", 4 * (self.extent.words + 1), ends.astype(np.int32).tobytes())
        self.extent.words += len(fresh)
        self.extent.word_bytes = int(ends[-1])

    def _want_known(self, rows: int) -> None:
        """From now on there are nulls: all `rows` before are known."""
        if not self.extent.nulls:
            self._write("known", 0, b"\xff" * ((rows + 7) // 8))
            self.extent.nulls = True

    def _put(self, rows: int, data: Numbers) -> None:
        if self._is_bits:
            self._put_bits("data", rows, data)
        else:
            self._write("data", rows * self._type.itemsize, np.ascontiguousarray(data).data.cast("B"))

    def _put_bits(self, end: str, at: int, flags: Flags) -> None:
        lead = at % 8
        if lead:  # share the byte that is there
            (byte,) = os.pread(self._file(end), 1, at // 8)
            flags = np.concatenate([np.unpackbits(np.array([byte], np.uint8), bitorder="little")[:lead] > 0, flags])
        self._write(end, at // 8, np.packbits(flags, bitorder="little").tobytes())

    def _write(self, end: str, offset: int, data: bytes | memoryview) -> None:
        descriptor, left = self._file(end), memoryview(data)
        while len(left):
            written = os.pwrite(descriptor, left[:_PIECE], offset)
            left, offset = left[written:], offset + written

    def _file(self, end: str) -> int:
        if end not in self._files:
            self._files[end] = os.open(self._path.with_name(f"{self._path.name}.{end}"), os.O_RDWR | os.O_CREAT, 0o666)
        return self._files[end]

    def _open_map(self, end: str, size: int) -> npt.NDArray[np.uint8]:
        path = self._path.with_name(f"{self._path.name}.{end}")
        return np.memmap(path, np.uint8, "r+", shape=(size,))

    # Reading

    @property
    def _is_bits(self) -> bool:
        return bool(pa.types.is_boolean(self.kind))

    def count_nulls(self, rows: int) -> None:
        """Note how many of the `rows` rows are null, so that no reader goes through all of them to know."""
        self.extent.null_count = 0
        if self.extent.nulls and rows:
            known = pa.Array.from_buffers(pa.bool_(), rows, [None, self._map("known", (rows + 7) // 8)])
            self.extent.null_count = rows - known.true_count

    def array(self, rows: int, patches: list[Patch], *, scattered: bool = False) -> pa.Array:
        """The first `rows` rows, in place; `patches` are ones that may not have got into the files yet. `scattered`: as
        of `view`."""
        size = (rows + 7) // 8 if self._is_bits else rows * self._type.itemsize
        data, known = self._map("data", size, scattered), None
        if self.extent.nulls:
            known = self._map("known", (rows + 7) // 8, scattered)
        for patch in patches:
            data, known = self._patched(rows, data, known, patch)
        nulls = -1 if patches else self.extent.null_count
        if not _is_text(self.kind):
            return pa.Array.from_buffers(self.kind, rows, [known, data], nulls)
        codes = pa.Array.from_buffers(pa.from_numpy_dtype(self._type), rows, [known, data], nulls)
        texts = pa.DictionaryArray.from_arrays(codes, self._words(), safe=False)
        if pa.types.is_list(self.kind):
            return pa.array([None if row is None else json.loads(row) for row in texts.to_pylist()], self.kind)
        return texts if pa.types.is_dictionary(self.kind) else texts.cast(self.kind)

    def numbers(self, rows: int, *, scattered: bool = False) -> Numbers:
        """What is in NAME.data, in place: numbers, or those of the words; -1 for null. `scattered`: as of `view`."""
        return np.frombuffer(self._map("data", rows * self._type.itemsize, scattered), self._type)

    def _patched(self, rows: int, data: pa.Buffer, known: pa.Buffer | None, patch: Patch) -> tuple[Any, Any]:
        data, places = np.frombuffer(data, np.uint8).copy(), np.frombuffer(patch.rows, np.int64)
        values = np.frombuffer(patch.data, self._type)
        if self._is_bits:
            _scatter_bits(data, places, values)
        else:
            data.view(self._type)[places] = values
        if known is not None:
            bits = np.frombuffer(known, np.uint8).copy()
            flags = np.ones(len(places), np.bool_) if patch.known is None else np.frombuffer(patch.known, np.bool_)
            _scatter_bits(bits, places, flags)
            known = pa.py_buffer(bits)
        return pa.py_buffer(data), known

    def _words(self) -> pa.Array:
        if not self.extent.words:
            return pa.array([], pa.string())
        ends, words = self._map("ends", 4 * (self.extent.words + 1)), self._map("words", self.extent.word_bytes)
        return pa.Array.from_buffers(pa.string(), self.extent.words, [None, ends, words])

    def _map(self, end: str, size: int, scattered: bool = False) -> pa.Buffer:
        if not size:
            return pa.py_buffer(b"")
        path = self._path.with_name(f"{self._path.name}.{end}")
        return view(path, size, scattered=scattered)


def _flags(values: pa.Array, buffer: int) -> Flags:
    """The bits of a buffer (0: what is known, 1: truth values themselves), which Arrow would take one by one."""
    bits = np.frombuffer(values.buffers()[buffer], np.uint8)
    return np.unpackbits(bits, bitorder="little", count=values.offset + len(values))[values.offset :].view(np.bool_)


def _are_flags(values: pa.Array, flags: Flags) -> bool:
    """Whether just these are known, as it is where what is not known is -1 already."""
    if values.offset % 8:
        return False
    bits = np.packbits(flags, bitorder="little")
    told = np.frombuffer(values.buffers()[0], np.uint8, len(bits), values.offset // 8)
    whole, rest = divmod(len(flags), 8)
    same = np.array_equal(bits[:whole], told[:whole])
    return same and (not rest or int(bits[-1]) == int(told[-1]) & ((1 << rest) - 1))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_list(kind))


def _scatter_bits(bits: npt.NDArray[np.uint8], rows: Numbers, flags: Numbers) -> None:
    masks = np.left_shift(1, rows & 7).astype(np.uint8)
    # One by one per row: of several for one row the last counts, as with numbers
    last = np.unique(rows[::-1], return_index=True)[1]
    chosen = len(rows) - 1 - last
    places, masks, on = rows[chosen] >> 3, masks[chosen], flags[chosen].astype(np.bool_)
    np.bitwise_or.at(bits, places[on], masks[on])
    np.bitwise_and.at(bits, places[~on], ~masks[~on])
