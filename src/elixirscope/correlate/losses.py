"""Losses: of whom events were dropped."""

from __future__ import annotations

import numpy as np

from elixirscope.correlate.columns import Ints, Mask, with_places
from elixirscope.recording.log import Log


class Losses:
    """Counts what was dropped, as far as a slice knows."""

    def __init__(self) -> None:
        self._vms = np.empty(0, np.int64)  # of each process
        self._met = 0

    @staticmethod
    def lost(log: Log) -> Ints:
        """Dropped events per process. What was dropped of nobody in particular counts for no one here."""
        lost = np.zeros(len(log.processes), dtype=np.int64)
        for loss in log.losses:
            if loss.process is not None:
                lost[loss.process] += loss.count
        return lost

    def lossy(self, log: Log) -> Mask:
        """Whether each process lost events, or may have: as those of a VM that dropped some of nobody in particular."""
        lossy: Mask = self.lost(log) > 0
        vms = {loss.vm for loss in log.losses if loss.process is None and loss.count}
        if vms:
            size = len(log.processes)
            self._vms = with_places(self._vms, size)
            self._vms[self._met : size] = [key.vm for key in log.processes[self._met :]]
            self._met = max(self._met, size)
            lossy |= np.isin(self._vms[:size], list(vms))
        return lossy
