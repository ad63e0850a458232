"""How many cores sealing may use."""

from __future__ import annotations

import os
from typing import Final

THREADS: Final = "ELIXIRSCOPE_THREADS"
"""The environment variable that holds sealing to so many threads; 1: to one core."""


def cores() -> int:
    """As many threads as this process has cores, unless `THREADS` says fewer."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = os.environ.get(THREADS, "")
    return max(1, min(here, int(told))) if told.isdigit() else here
