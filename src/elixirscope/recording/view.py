"""Files as memory, of which only what somebody looks at is read.

Arrow's memory maps have the system fetch all that is mapped at once, and Python's keep a file open for each map.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_READ, _SHARED, _FAILED, _RANDOM, _WILLNEED = 1, 1, ctypes.c_void_p(-1).value, 1, 3  # of sys/mman.h, everywhere
_libc: Final[Any] = ctypes.CDLL(None, use_errno=True) if sys.platform in ("linux", "darwin") else None
if _libc is not None:
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
    _libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    _libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class _Region:
    """Held by whoever looks at a map."""


def view(path: Path, size: int, *, scattered: bool = False) -> pa.Buffer:
    """The first `size` bytes of a file, which has as many. Raises `OSError`.

    `scattered`: it is read here and there, a page at a time; else the system reads around what is looked at, on some
    machines megabytes.
    """
    if (there := path.stat().st_size) < size:
        raise OSError(f"{path} is {there} bytes, {size} were committed")
    if _libc is None:
        return pa.memory_map(str(path)).read_buffer(size)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        address = _libc.mmap(None, size, _READ, _SHARED, descriptor, 0)
        if address == _FAILED:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)
    if scattered:
        _libc.madvise(address, size, _RANDOM)
    region = _Region()
    weakref.finalize(region, _libc.munmap, address, size).atexit = False
    return pa.foreign_buffer(address, size, base=region)


def will_need(array: npt.NDArray[Any], first: npt.NDArray[Any], behind: npt.NDArray[Any]) -> None:
    """Have the system begin to read the parts [first, behind) of an array that is mapped, all of them at once: looked
    at one after the other, each would be waited for. Of one in memory there is nothing to read."""
    if _libc is None or array.flags.owndata or not len(first):
        return
    for page, behind_it in pages(array.ctypes.data, array.itemsize, first, behind):
        _libc.madvise(page * mmap.PAGESIZE, (behind_it - page) * mmap.PAGESIZE, _WILLNEED)


def will_need_rows(column: pa.Array, low: int, high: int) -> None:
    """The same of the rows [low, high) of a column of numbers, truth values, or words by their numbers."""
    plain = column.indices if pa.types.is_dictionary(column.type) else column
    if _libc is None or not pa.types.is_primitive(plain.type):
        return
    for buffer, bits in zip(plain.buffers(), (1, plain.type.bit_width), strict=True):
        if buffer is not None and buffer.size:
            first = (buffer.address + low * bits // 8) // mmap.PAGESIZE * mmap.PAGESIZE
            _libc.madvise(first, buffer.address + min(-(-high * bits // 8), buffer.size) - first, _WILLNEED)


def pages(address: int, size: int, first: npt.NDArray[Any], behind: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """The runs [page, page behind) of the system's pages on which the parts [first, behind) of an array lie whose items
    have `size` bytes, as few runs as there are."""
    order = np.argsort(first, kind="stable")
    start = (address + first[order].astype(np.int64) * size) // mmap.PAGESIZE
    end = np.maximum.accumulate(-(-(address + behind[order].astype(np.int64) * size) // mmap.PAGESIZE))
    apart = np.flatnonzero(start[1:] > end[:-1])
    yield from zip(start[[0, *(apart + 1)]].tolist(), end[[*apart, -1]].tolist(), strict=True)
