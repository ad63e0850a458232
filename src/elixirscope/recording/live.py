"""A recording that is still being written, as far as it goes: `Live.refresh`, then `Live.recording`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from elixirscope.recording.changes import MemoryTables
from elixirscope.recording.coverage import Uncovered
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.log import Log
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.recording import Recording
from elixirscope.recording.sealer import Built, Correlate, facts_of, raw_sizes, truncated_in
from elixirscope.recording.sources import relative_files
from elixirscope.recording.values import RawValues, Slices

FLUSHED: Final = 130_000_000
"""ns after which an event is in its file: collectors write at least every 100 ms."""


class Live:
    """Follows the raw files of a recording, in memory. What it shows is provisional: the recording is sealed anew when
    it is finished, and events that came later than `FLUSHED` are only in that; until then they are counted."""

    def __init__(self, path: Path, *, correlate: Correlate, now: Callable[[], int] = time.time_ns) -> None:
        """`now`: Unix time in ns."""
        self.path = path
        self._now = now
        self._correlator = correlate()
        self._joiner = Joiner([])
        self._tables = MemoryTables()
        self._places = [np.empty((0, 3), np.int64)]
        self._buffers: list[memoryview] = []
        self._log: Log | None = None
        self._late = self._truncated = 0

    def refresh(self, *, whole: bool = False) -> bool:
        """Take in what happened since, but for the last `FLUSHED` ns; `whole`: all that is written. False when that is
        nothing. Raises as `Recording.open` does."""
        self._late += self._joiner.grow(self.path / "raw")
        log = self._joiner.until(2**61 if whole else self._now() - FLUSHED)
        if not len(log.rows):
            return False
        root = manifest.cwd if (manifest := Manifest.load(self.path)) else ""
        taken, finished = self._correlator.take(log), self._correlator.finish(log)
        self._tables.take(taken)
        for name, rows in finished.rows.items():
            self._tables.replace(name, relative_files(rows, root))
        for patch in finished.patches:
            self._tables.patch(*patch)
        self._places.append(log.values.places())
        self._buffers = self._joiner.buffers
        self._truncated += truncated_in(log)
        self._log = log
        return True

    @property
    def recording(self) -> Recording | None:
        """The recording as of the last `refresh`; None while there is nothing in it."""
        if self._log is None:
            return None
        self._places = [np.concatenate(self._places)]
        log = replace(self._log, values=RawValues(Slices(self._buffers, self._places[0])))
        tables = self._tables.all()
        rows = {name: table.num_rows for name, table in tables.items()}
        facts = facts_of(log, raw_sizes(self.path), truncated=self._truncated, rows=rows)
        if self._late:
            facts.coverage.append(Uncovered(f"{self._late:,} events", "they were written too late to be shown live"))
        return Recording(self.path, Manifest.load(self.path), facts, Built(facts, tables, log))
