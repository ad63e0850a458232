"""Memory: how much there is, and what of it is given back and asked for again, slice after slice."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

# Of glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
# The last is as much as every glibc takes.
_KEPT: Final = ((_TRIM_THRESHOLD, 1 << 30), (_TOP_PAD, 1 << 26), (_MMAP_THRESHOLD, 1 << 25))
_AS_BEFORE: Final = ((_TRIM_THRESHOLD, 1 << 17), (_TOP_PAD, 1 << 17), (_MMAP_THRESHOLD, 1 << 17))


def machine() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def trim() -> None:
    """Give what is free back to the system, where it lies between what is not: once large arrays were freed glibc keeps
    others like them."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


@contextmanager
def kept() -> Iterator[None]:
    """Have this process keep what it frees meanwhile, up to a gigabyte: memory that the system gives anew is cleared
    first, page by page, which takes as long as filling it. Only with glibc. And everywhere, Python does not look again
    and again for cycles in what was there before."""
    gc.freeze()
    try:
        with _kept():
            yield
    finally:
        gc.unfreeze()


@contextmanager
def _kept() -> Iterator[None]:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    for option in _KEPT:
        libc.mallopt(*option)
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())  # that of Arrow's own gives back what is free
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
        for option in _AS_BEFORE:
            libc.mallopt(*option)
        libc.malloc_trim(0)
