"""Whether all that is known of a recording as a whole was known when it mattered.

One that has ended tells its losses, what it left out and its modules before its first slice. One that is being made
tells them as it goes: mostly in time, for a slice is some seconds older than what is read with it.
"""

from __future__ import annotations

import numpy as np

from elixirscope.correlate.columns import Mask
from elixirscope.recording.counted import Counted, counted
from elixirscope.recording.log import Log


class Hindsight:
    """Compares what each slice tells of the whole with what was known before it."""

    def __init__(self) -> None:
        self._until = -1  # ns: when the last event so far happened
        self._lossy = np.zeros(0, dtype=bool)
        self._counted = set[Counted]()

    def outdated(self, log: Log, lossy: Mask, passed_over: set[str]) -> str | None:
        """See `EventCorrelator.outdated`. `lossy`: whether each process lost events; `passed_over`: modules that were
        taken to be of nobody's concern in stack traces."""
        why = None
        told = set(counted(log))
        if (lossy[: len(self._lossy)] & ~self._lossy).any():
            why = "events were lost by a process that was taken to have lost none"
        elif any(one.start <= self._until for one in told - self._counted):
            why = "calls were left out in a time that was taken to be whole"
        elif not passed_over.isdisjoint(site.module for site in log.sites.values()):
            why = "a module was described after it had been met"
        self._until = log.duration_ns
        self._lossy, self._counted = lossy, told
        return why
