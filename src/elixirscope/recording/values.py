"""Recorded values by id: External Term Format bytes, each distinct value kept once.

`RawValues` points into the raw files and is what correlators read. `SealedValues` is the file that
sealing makes of them (see `valuewriter`): zstd blocks of consecutive ids, an index, a footer that finds both.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import zstandard

from elixirscope.errors import RecordingError
from elixirscope.recording import etf, view
from elixirscope.recording.frames import map_file
from elixirscope.recording.slices import Numbers, Slices, no_value
from elixirscope.recording.terms import Term

Raw: TypeAlias = bytes  # a value's external format; classes below have a method of the name `bytes`

MAGIC: Final = b"ELXVALS2"
FOOTER: Final = struct.Struct("<QQQ8s")  # values, blocks, where the index starts, magic
_MAGIC_1: Final = b"ELXVALS1"  # …, whose blocks have all the same number of values
_PER_BLOCK_1: Final = 32
_CACHED_TERMS: Final = 4096
_CACHED_BLOCKS: Final = 128


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
        """`fresh`: of a slice's values, the ids of those that no earlier slice has; they follow each other."""
        self.slices = values if isinstance(values, Slices) else Slices.of_values(values)
        self.fresh = np.arange(len(values)) if fresh is None else fresh
        # Not a method of this object, which would hold itself, and with it the memory of a slice
        self.term = lru_cache(_CACHED_TERMS)(partial(_term, self.slices))

    def __len__(self) -> int:
        return len(self.slices)

    def bytes(self, value_id: int) -> Raw:
        return bytes(self.slices[value_id])

    def places(self) -> npt.NDArray[np.int64]:
        """Where the fresh values lie, in order of their ids: rows of (file, start, length)."""
        return (
            self.slices.between(int(self.fresh[0]), int(self.fresh[-1]))
            if len(self.fresh)
            else self.slices.of(self.fresh)
        )

    def new(self) -> Iterator[memoryview]:
        """The bytes of the fresh values, in order of their ids."""
        buffers = self.slices.buffers
        return (buffers[file][at : at + size] for file, at, size in self.places().tolist())

    def located(self, ids: Numbers) -> tuple[npt.NDArray[np.uint8], Numbers, Numbers, Numbers]:
        """Memory in which values lie, which of `ids` (-1: none) are there, and where they start and end."""
        there = np.flatnonzero(ids >= 0)
        data, start, end = self.slices.located(ids[there])
        return data, there, start, end


def _term(slices: Slices, value_id: int) -> Term:
    return etf.decode(bytes(slices[value_id]))


class SealedValues:
    """Values in a sealed file: three array reads and at most one block to inflate per access."""

    def __init__(self, path: Path, *, scattered: bool = True) -> None:
        """`scattered`: a value is read here and there, not one after the other."""
        self._path = path
        data = map_file(path)
        if scattered and isinstance(data.obj, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
            data.obj.madvise(mmap.MADV_RANDOM)  # or the system reads around each, on some machines megabytes
        try:
            count, blocks, index, magic = FOOTER.unpack_from(data, len(data) - FOOTER.size)
            if magic not in (MAGIC, _MAGIC_1) or bytes(data[:8]) != magic:
                raise ValueError("not a value file")
            self._ends = np.frombuffer(data, "<u4", count, index)  # end of each value within its block
            self._blocks = np.frombuffer(data, "<u8", blocks + 1, index + 4 * count)
            if magic == MAGIC:
                self._firsts = np.frombuffer(data, "<u4", blocks, index + 4 * count + 8 * (blocks + 1))
            else:
                self._firsts = np.arange(0, count, _PER_BLOCK_1, dtype=np.uint32)
        except (ValueError, struct.error) as error:
            raise self._damaged(error) from error
        self._data = data
        self._block = lru_cache(_CACHED_BLOCKS)(self._read_block)
        self.term = lru_cache(_CACHED_TERMS)(self._term)

    def __len__(self) -> int:
        return len(self._ends)

    def bytes(self, value_id: int) -> Raw:
        if not 0 <= value_id < len(self):
            raise no_value(value_id, len(self))
        block = self._block_of(value_id)
        start = int(self._ends[value_id - 1]) if value_id > self._firsts[block] else 0
        return self._block(block)[start : int(self._ends[value_id])]

    def will_need(self, ids: Numbers) -> None:
        """Have the system begin to read what these values are made of, all at once: one after the other, each would be
        waited for three times."""
        ids = ids[(ids >= 0) & (ids < len(self))]
        if not len(ids):
            return
        view.will_need(self._ends, np.maximum(ids - 1, 0), ids + 1)
        blocks = np.unique(self._first_ids.searchsorted(ids.astype(np.uint32), "right")) - 1
        view.will_need(self._blocks, blocks, blocks + 2)
        starts, ends = (self._blocks[part].astype(np.int64) for part in (blocks, blocks + 1))
        view.will_need(np.frombuffer(self._data, np.uint8), starts, ends)

    def blocks(self, first: int = 0) -> Iterator[tuple[int, Raw, npt.NDArray[np.uint32]]]:
        """All values from the block of `first` on, a block at a time: (id of its first, bytes, ends of its values)."""
        inflater = zstandard.ZstdDecompressor()  # of this walk alone
        file = SealedValues(self._path, scattered=False)
        for block in range(file._block_of(first) if first < len(file) else len(file._firsts), len(file._firsts)):
            start, end = file._span(block)
            yield start, file._read_block(block, inflater), file._ends[start:end]

    def _block_of(self, value_id: int) -> int:
        return int(self._first_ids.searchsorted(np.uint32(value_id), "right")) - 1

    @cached_property
    def _first_ids(self) -> npt.NDArray[np.uint32]:
        """`_firsts` where a processor can read it in place: in the file it lies anywhere."""
        return self._firsts.astype(np.uint32)

    def _span(self, block: int) -> tuple[int, int]:
        """The id of the first value of a block, and of the first behind."""
        last = block + 1 == len(self._firsts)
        return int(self._firsts[block]), len(self) if last else int(self._firsts[block + 1])

    def _term(self, value_id: int) -> Term:
        return etf.decode(self.bytes(value_id))

    def _read_block(self, block: int, inflater: zstandard.ZstdDecompressor | None = None) -> Raw:
        start, end = int(self._blocks[block]), int(self._blocks[block + 1])
        _, behind = self._span(block)
        try:
            # One each time: a decompressor may not be shared between threads.
            inflater, size = inflater or zstandard.ZstdDecompressor(), max(int(self._ends[behind - 1]), 1)
            return inflater.decompress(self._data[start:end], max_output_size=size)
        except zstandard.ZstdError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> RecordingError:
        return RecordingError(
            f"{self._path} is damaged: {error}",
            f"remove {self._path.parent}: opening the recording makes it again from raw/",
        )
