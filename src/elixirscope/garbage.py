"""Python's search for garbage, in processes that somebody expects answers of."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unsearched() -> Iterator[None]:
    """Have nobody look for garbage meanwhile: that begins when many objects are made, and goes through all there are.
    For work that makes many and leaves no cycles of them."""
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            gc.enable()
