"""Writes values as `SealedValues` reads them: in the order of their ids, in zstd blocks of about the same size."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from types import TracebackType
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import zstandard

from elixirscope.recording.cores import cores
from elixirscope.recording.slices import Slices
from elixirscope.recording.values import FOOTER, MAGIC, Raw, RawValues

BLOCK: Final = 1 << 17
"""Bytes of a block, about: it ends with the value that reaches or crosses a multiple of this."""
_LEVEL: Final = -1  # 1 takes a fifth to two fifths longer and saves a tenth
_BLOCKS_PER_TASK: Final = 8  # what they hold is still near the processor when it is compressed
_COMPRESSORS: Final = 2

Numbers = npt.NDArray[np.int64]


def _compressor() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)


class _Own(threading.local):
    """What each thread has for itself, and uses again and again."""

    def __init__(self) -> None:
        self.compressor = _compressor()
        self._memory = np.empty(0, np.uint8)

    def memory(self, size: int) -> npt.NDArray[np.uint8]:
        if len(self._memory) < size:
            self._memory = np.empty(size + size // 2, np.uint8)
        return self._memory


class ValueWriter:
    """Takes values slice by slice. Where there may be several `threads`, a few compress
    them meanwhile; leaving the `with` block ends them."""

    def __init__(self, file: BinaryIO, *, threads: int | None = None) -> None:
        """`threads`: as many as there are cores, unless given."""
        self._file = file
        several = (cores() if threads is None else threads) > 1
        self._pool = ThreadPoolExecutor(_COMPRESSORS, thread_name_prefix="values") if several else None
        self._packing: list[Callable[[], list[Raw]]] = []
        self._own = _Own()
        self._count = 0
        self._bytes = 0  # of all values so far
        self._open = 0  # where among them the last block begins, which is not full
        self._rest: Raw = b""  # what is in it
        self._ends: list[npt.NDArray[np.uint32]] = []
        self._firsts: list[Numbers] = []
        self._starts = [len(MAGIC)]
        file.write(MAGIC)

    def __enter__(self) -> ValueWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def append(self, values: RawValues) -> None:
        """The fresh ones of these are the next. Their bytes are read until the next call. Raises `OSError`."""
        self._settle()
        slices, places = values.slices, values.places()
        if not len(places):
            return
        ends = self._bytes + np.cumsum(places[:, 2])
        starts = ends - places[:, 2]
        before = (self._open // BLOCK) if self._count else -1
        fresh = np.diff(starts // BLOCK, prepend=before) != 0
        begins = np.flatnonzero(fresh)
        opened = np.concatenate([[self._open], starts[begins]])
        self._ends.append((ends - opened[np.cumsum(fresh)]).astype(np.uint32))
        self._firsts.append(self._count + begins)
        bounds = begins if len(begins) and not self._count else np.concatenate([[0], begins])
        for first in range(0, len(bounds) - 1, _BLOCKS_PER_TASK):
            some = bounds[first : first + _BLOCKS_PER_TASK + 1]
            lead, self._rest = self._rest, b""
            pack = partial(self._packed, slices, places, some, lead)
            self._packing.append(pack if self._pool is None else self._pool.submit(pack).result)
        self._rest += _joined(slices, places[bounds[-1] :])
        self._count += len(places)
        self._bytes, self._open = int(ends[-1]), int(opened[-1])
        if self._pool is None:
            self._settle()

    def finish(self) -> None:
        """Write what is left, and the index. Raises `OSError`."""
        self._settle()
        if self._count:
            self._put([_compressor().compress(self._rest)])
        ends = np.concatenate([np.empty(0, np.uint32), *self._ends])
        firsts = np.concatenate([np.empty(0, np.int64), *self._firsts])
        index: npt.NDArray[np.generic]
        for index in (ends.astype("<u4"), np.array(self._starts, "<u8"), firsts.astype("<u4")):
            self._file.write(index.tobytes())
        self._file.write(FOOTER.pack(len(ends), len(firsts), self._starts[-1], MAGIC))

    def _settle(self) -> None:
        """Write what has been compressed."""
        packing, self._packing = self._packing, []
        for packed in packing:
            self._put(packed())

    def _put(self, blocks: list[Raw]) -> None:
        for block in blocks:
            self._starts.append(self._starts[-1] + self._file.write(block))

    def _packed(self, slices: Slices, places: Numbers, bounds: Numbers, lead: Raw) -> list[Raw]:
        """Blocks of the values between these bounds; `lead` comes before the first."""
        chosen = places[bounds[0] : bounds[-1]]
        total = len(lead) + int(chosen[:, 2].sum())
        memory = self._own.memory(total)
        memory[: len(lead)] = np.frombuffer(lead, np.uint8)
        slices.copy(chosen, memory[len(lead) :])
        ends = len(lead) + np.concatenate([[0], np.cumsum(chosen[:, 2])])[bounds - bounds[0]]
        compress = self._own.compressor.compress
        return [compress(memory.data[first:last]) for first, last in pairwise([0, *ends[1:].tolist()])]


def write_values(values: RawValues, file: BinaryIO) -> None:
    """Write all values, as `SealedValues` reads them."""
    with ValueWriter(file) as writer:
        writer.append(values)
        writer.finish()


def _joined(slices: Slices, places: Numbers) -> Raw:
    found = np.empty(int(places[:, 2].sum()), np.uint8)
    slices.copy(places, found)
    return found.tobytes()
