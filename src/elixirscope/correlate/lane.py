"""Steps of a slice that need not wait for each other, on a second core."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

THREADS: Final = "ELIXIRSCOPE_THREADS"
"""The environment variable that holds sealing to so many threads; 1: to one core."""


def cores() -> int:
    """How many threads may relate events: as many as this process has cores, unless `THREADS` says fewer."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = os.environ.get(THREADS, "")
    return max(1, min(here, int(told))) if told.isdigit() else here


class Lane:
    """A thread of its own for steps, one after the other in the order in which they are started; or none, and each
    step is taken when it is started. Which of both makes no difference to what the steps give."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="relate") if threads > 1 else None

    def start(self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
        """Have a step taken. Gives what waits for it and gives its result, or raises what it raised."""
        if self._pool is not None:
            return self._pool.submit(step, *args, **kwargs).result
        result = step(*args, **kwargs)
        return lambda: result
