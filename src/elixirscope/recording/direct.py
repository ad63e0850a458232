"""Parts of large files, read beside other work and past the system's cache, into memory that is used again and again.

What is read once and does not fit into memory would only push out what is needed again, and each of its pages had to be
found, filled, mapped and given back.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from elixirscope.errors import EnvironmentProblem

_BLOCK: Final = 4096  # what is read begins and ends at multiples of this, in the file and in memory
_HUGE: Final = 1 << 21
_SPARE: Final = 8  # that part more, since the next request is not of just this size


class Fetched(NamedTuple):
    """Parts of a file in memory, which is used for others once nothing holds a view of it."""

    data: memoryview
    moved: list[int]  # what is to be added to a place in the file, for each part


class DirectReader:
    """Reads parts of files, one request after the other, on a thread of its own that mostly waits for the disk."""

    @staticmethod
    def can_read(path: Path) -> bool:
        """Whether this system and the file's lets one read so."""
        if not hasattr(os, "O_DIRECT"):
            return False
        try:
            _read(path, [(0, 1)], _Memory())
        except OSError:
            return False
        return True

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="direct")
        self._memory = dict[Path, _Memory]()  # for each file: all of its parts are of about one size

    def read(self, path: Path, parts: Sequence[tuple[int, int]]) -> Future[Fetched]:
        """Have parts of a file read: where each starts and ends. The result raises `EnvironmentProblem`."""
        return self._pool.submit(self._take, path, parts)

    def _take(self, path: Path, parts: Sequence[tuple[int, int]]) -> Fetched:
        try:
            return _read(path, parts, self._memory.setdefault(path, _Memory()))
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot read {path}: {error.strerror or error}", "see whether its disk is well, and try again"
            ) from error


class _Memory:
    """Memory that comes back when nobody looks at it any more."""

    def __init__(self) -> None:
        self._free = deque[mmap.mmap]()

    def take(self, size: int) -> memoryview:
        """At least `size` bytes, from a multiple of `_BLOCK` on. Held by whoever holds a view of them."""
        whole = self._kept(size) or _fresh(-(-(size + size // _SPARE) // _HUGE) * _HUGE)
        lent = np.frombuffer(whole, np.uint8)
        weakref.finalize(lent, self._free.append, whole).atexit = False
        return lent.data

    def _kept(self, size: int) -> mmap.mmap | None:
        with suppress(IndexError):
            while len(whole := self._free.popleft()) < size:  # those that are too small go
                pass
            return whole
        return None


def _fresh(size: int) -> mmap.mmap:
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # the disk is told where each page is
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _read(path: Path, parts: Sequence[tuple[int, int]], memory: _Memory) -> Fetched:
    spans = [(start // _BLOCK * _BLOCK, -(-end // _BLOCK) * _BLOCK) for start, end in parts]
    data, at, moved = memory.take(sum(last - first for first, last in spans)), 0, list[int]()
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        for (first, last), (_, end) in zip(spans, parts, strict=True):
            have = 0
            while have < end - first:
                count = os.preadv(descriptor, [data[at + have : at + last - first]], first + have)
                have += count
                if not count or (count % _BLOCK and have < end - first):
                    raise OSError(f"it ends at byte {first + have}, before byte {end}")
            moved.append(at - first)
            at += last - first
    finally:
        os.close(descriptor)
    return Fetched(data, moved)
