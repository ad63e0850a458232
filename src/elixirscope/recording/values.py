"""Recorded values by id: External Term Format bytes, each distinct value kept once.

`RawValues` points into the raw files and is what correlators read. `SealedValues` is the file that
sealing makes of them: zstd blocks of consecutive ids, an index, a footer that finds both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import zstandard

from elixirscope.errors import NotFoundError, RecordingError
from elixirscope.recording import etf
from elixirscope.recording.frames import map_file
from elixirscope.recording.terms import Term

Raw: TypeAlias = bytes  # a value's external format; classes below have a method of the name `bytes`

PER_BLOCK: Final = 32
_MAGIC: Final = b"ELXVALS1"
_FOOTER: Final = struct.Struct("<QQQ8s")  # values, blocks, where the index starts, magic
_COMPRESSORS: Final = 2
_BLOCKS_AT_ONCE: Final = 512
_BLOCKS_PER_TASK: Final = 64
_CACHED_TERMS: Final = 4096
_CACHED_BLOCKS: Final = 256


class Values(Protocol):
    """Values by dense id, from 0."""

    def __len__(self) -> int: ...

    def bytes(self, value_id: int) -> Raw:
        """The External Term Format of a value. Raises `NotFoundError` for an id that is not there."""
        ...

    def term(self, value_id: int) -> Term:
        """The decoded value, from a small cache. Raises `DecodeError` for a damaged one."""
        ...


class RawValues:
    """Values in memory or in mapped raw files."""

    def __init__(self, values: Sequence[Raw | memoryview] | Slices, fresh: npt.NDArray[np.int64] | None = None) -> None:
        """`fresh`: of a slice's values, the ids of those that no earlier slice has; they are the highest."""
        self._values = values
        self.fresh = np.arange(len(values)) if fresh is None else fresh
        self.term = lru_cache(_CACHED_TERMS)(self._term)

    def __len__(self) -> int:
        return len(self._values)

    def bytes(self, value_id: int) -> Raw:
        if not isinstance(self._values, Slices):
            _check(value_id, len(self))
        return bytes(self._values[value_id])

    def new(self) -> Iterator[Raw | memoryview]:
        """The bytes of the fresh values, in order of their ids."""
        if not isinstance(self._values, Slices):
            return iter(self._values)
        files, starts, sizes = (column.tolist() for column in self._values.of(self.fresh).T)
        buffers = self._values.buffers
        return (buffers[file][at : at + size] for file, at, size in zip(files, starts, sizes, strict=True))

    def places(self) -> npt.NDArray[np.int64]:
        """Where the fresh values lie, in order of their ids: rows of (file, start, length)."""
        assert isinstance(self._values, Slices)
        return self._values.of(self.fresh)

    def located(
        self, ids: npt.NDArray[np.int64]
    ) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """The buffers in which values lie: for each its bytes, which of `ids` (-1: none) are there, and where they
        start and end."""
        if isinstance(self._values, Slices):
            buffers, with_value = self._values.buffers, np.flatnonzero(ids >= 0)
            places = self._values.of(ids[with_value])
        else:
            with_value = np.flatnonzero(ids >= 0)
            parts = [self._values[number] for number in ids[with_value].tolist()]
            buffers, ends = [memoryview(b"".join(parts))], np.cumsum([0, *map(len, parts)])
            places = np.stack([np.zeros(len(parts), np.int64), ends[:-1], np.diff(ends)], axis=1)
        for number, buffer in enumerate(buffers):
            mine = np.flatnonzero(places[:, 0] == number)
            if len(mine):
                start, size = places[mine, 1].copy(), places[mine, 2]
                yield np.frombuffer(buffer, np.uint8), with_value[mine], start, start + size

    def _term(self, value_id: int) -> Term:
        return etf.decode(self.bytes(value_id))


class Slices:
    """Places in mapped files, read when asked for: rows of (file, start, length). `ids`: the ids of the values there,
    in order; None when they are all from 0."""

    def __init__(
        self, buffers: list[memoryview], places: npt.NDArray[np.int64], ids: npt.NDArray[np.int64] | None = None
    ) -> None:
        self.buffers = buffers
        self.places = places
        self._ids = ids

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> memoryview:
        _check(index, len(self) if self._ids is None else int(self._ids[-1]) + 1 if len(self._ids) else 0)
        file, start, size = self.of(np.array([index]))[0].tolist()
        part: memoryview = self.buffers[file][start : start + size]
        return part

    def of(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The places of values."""
        return self.places[ids if self._ids is None else np.searchsorted(self._ids, ids)]


class SealedValues:
    """Values in a sealed file: two array reads and at most one block to inflate per access."""

    def __init__(self, path: Path) -> None:
        self._path = path
        data = map_file(path)
        try:
            count, blocks, index, magic = _FOOTER.unpack_from(data, len(data) - _FOOTER.size)
            if magic != _MAGIC or bytes(data[:8]) != _MAGIC:
                raise ValueError("not a value file")
            self._ends = np.frombuffer(data, "<u4", count, index)  # end of each value within its block
            self._blocks = np.frombuffer(data, "<u8", blocks + 1, index + 4 * count)
        except (ValueError, struct.error) as error:
            raise self._damaged(error) from error
        self._data = data
        self._block = lru_cache(_CACHED_BLOCKS)(self._read_block)
        self.term = lru_cache(_CACHED_TERMS)(self._term)

    def __len__(self) -> int:
        return len(self._ends)

    def bytes(self, value_id: int) -> Raw:
        _check(value_id, len(self))
        block, place = divmod(value_id, PER_BLOCK)
        start = int(self._ends[value_id - 1]) if place else 0
        return self._block(block)[start : int(self._ends[value_id])]

    def blocks(self, first: int = 0) -> Iterator[tuple[int, Raw, npt.NDArray[np.uint32]]]:
        """All values from the block of `first` on, a block at a time: (id of its first, bytes, ends of its values)."""
        inflater = zstandard.ZstdDecompressor()  # of this walk alone
        for block in range(first // PER_BLOCK, len(self._blocks) - 1):
            start = block * PER_BLOCK
            yield start, self._read_block(block, inflater), self._ends[start : start + PER_BLOCK]

    def _term(self, value_id: int) -> Term:
        return etf.decode(self.bytes(value_id))

    def _read_block(self, block: int, inflater: zstandard.ZstdDecompressor | None = None) -> Raw:
        start, end = int(self._blocks[block]), int(self._blocks[block + 1])
        last = min((block + 1) * PER_BLOCK, len(self)) - 1
        try:
            # One each time: a decompressor may not be shared between threads.
            inflater, size = inflater or zstandard.ZstdDecompressor(), max(int(self._ends[last]), 1)
            return inflater.decompress(self._data[start:end], max_output_size=size)
        except zstandard.ZstdError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> RecordingError:
        return RecordingError(
            f"{self._path} is damaged: {error}",
            f"remove {self._path.parent}: opening the recording makes it again from raw/",
        )


class ValueWriter:
    """Writes values, in the order of their ids, as `SealedValues` reads them; a few threads compress."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ends: list[npt.NDArray[np.uint32]] = []
        self._starts = [len(_MAGIC)]
        self._rest: list[Raw | memoryview] = []  # of a block that is not full
        file.write(_MAGIC)

    def append(self, values: Iterable[Raw | memoryview]) -> None:
        """The next values. Raises `OSError`."""
        values = chain(self._rest, values)
        self._rest = []
        with ThreadPoolExecutor(_COMPRESSORS) as pool:
            while batch := list(islice(values, PER_BLOCK * _BLOCKS_AT_ONCE)):
                blocks = [batch[first : first + PER_BLOCK] for first in range(0, len(batch), PER_BLOCK)]
                if len(blocks[-1]) < PER_BLOCK:
                    self._rest = [bytes(value) for value in blocks.pop()]
                self._write(blocks, pool)

    def finish(self) -> None:
        """What is left, and the index."""
        with ThreadPoolExecutor(1) as pool:
            self._write([self._rest] if self._rest else [], pool)
        ends = np.concatenate([np.empty(0, np.uint32), *self._ends])
        index: npt.NDArray[np.generic]
        for index in (ends.astype("<u4"), np.array(self._starts, "<u8")):
            self._file.write(index.tobytes())
        self._file.write(_FOOTER.pack(len(ends), len(self._starts) - 1, self._starts[-1], _MAGIC))

    def _write(self, blocks: list[list[Raw | memoryview]], pool: ThreadPoolExecutor) -> None:
        tasks = [blocks[first : first + _BLOCKS_PER_TASK] for first in range(0, len(blocks), _BLOCKS_PER_TASK)]
        for packed in pool.map(_packed, tasks):
            for data in packed:
                self._starts.append(self._starts[-1] + self._file.write(data))
        sizes = np.fromiter(map(len, chain.from_iterable(blocks)), np.int64)
        ends = np.cumsum(sizes)
        starts = (ends - sizes)[::PER_BLOCK]  # of each block: all but the last are full
        self._ends.append((ends - np.repeat(starts, PER_BLOCK)[: len(ends)]).astype(np.uint32))


def write_values(values: Iterable[Raw | memoryview], file: BinaryIO) -> None:
    """Write `values`, in the order of their ids, as `SealedValues` reads them."""
    writer = ValueWriter(file)
    writer.append(values)
    writer.finish()


def _packed(blocks: list[list[Raw | memoryview]]) -> list[Raw]:
    compress = zstandard.ZstdCompressor(level=3, write_content_size=True).compress
    return [compress(b"".join(block)) for block in blocks]


def _check(value_id: int, count: int) -> None:
    if not 0 <= value_id < count:
        raise NotFoundError(f"there is no value {value_id}", f"values are numbered from 0 to {count - 1}")
