"""What a reader knows of a recording that is still being made, on disk rather than in memory: in files without a name,
mapped where they are asked for. They go when nobody holds what is in them, whatever becomes of this process."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.int64]

SPARE: Final = 1 << 30
"""Bytes that stay free on the disk: it is the recording's."""
_ALIGNED: Final = 64


class Warm:
    """Makes files in `folder`, which must be on a disk. One that takes no more is not asked again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused = False

    def put(self, arrays: list[pa.Array]) -> list[pa.Array] | None:
        """The same arrays of numbers or truth values, mapped from a file; None when the disk does not take them."""
        contents, places, size = list[pa.Buffer](), list[list[slice | None]](), 0
        for array in arrays:
            places.append([])
            for buffer in (pa.concat_arrays([array]) if array.offset else array).buffers():
                if buffer is None:
                    places[-1].append(None)
                    continue
                places[-1].append(slice(size, size + buffer.size))
                contents.append(buffer)
                size += -(-buffer.size // _ALIGNED) * _ALIGNED
        data = self._written(contents, size)
        if data is None:
            return None
        whole = pa.py_buffer(data)
        return [
            pa.Array.from_buffers(
                array.type,
                len(array),
                [None if part is None else whole.slice(part.start, part.stop - part.start) for part in parts],
                array.null_count,
            )
            for array, parts in zip(arrays, places, strict=True)
        ]

    def _written(self, contents: list[pa.Buffer], size: int) -> mmap.mmap | None:
        with suppress(OSError):
            if not self.refused and self.room(size):
                with tempfile.TemporaryFile(dir=self.folder) as file:
                    for buffer in contents:
                        file.write(buffer)
                        file.write(bytes(-buffer.size % _ALIGNED))
                    file.flush()
                    return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        self.refused = True
        return None

    def room(self, size: int) -> bool:
        """Whether the disk has so much, and more."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize > size + SPARE

    def file(self) -> WarmNumbers | None:
        """A new column of numbers; None when the disk does not take it."""
        with suppress(OSError):
            if not self.refused:
                return WarmNumbers(self)
        self.refused = True
        return None


class WarmNumbers:
    """Whole numbers in a file that grows. What was given out of it stays."""

    def __init__(self, warm: Warm) -> None:
        self._warm = warm
        with tempfile.TemporaryFile(dir=warm.folder) as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def resized(self, count: int) -> Numbers:
        """All of it, with room for `count` numbers; not to be written to. Raises `OSError`."""
        size = 8 * count
        if not self._warm.room(size):
            raise OSError("the disk is nearly full")
        os.ftruncate(self._file, size)
        return np.frombuffer(mmap.mmap(self._file, size, access=mmap.ACCESS_READ), np.int64)

    def write(self, at: int, numbers: Numbers) -> None:
        """Fill in numbers from place `at` on. Raises `OSError`."""
        data, at = np.ascontiguousarray(numbers).view(np.uint8).data, 8 * at
        while data:
            count = os.pwrite(self._file, data, at)
            data, at = data[count:], at + count
