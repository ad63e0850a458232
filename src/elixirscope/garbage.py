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


def settled() -> None:
    """Have later searches leave out what there is now, but for what is garbage already. For much that stays: going
    through what is kept of some 200,000 processes takes a few hundred ms, in whatever is being done."""
    gc.collect()
    gc.freeze()
