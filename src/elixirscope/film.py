"""One opened recording with all its layers: what every face (command line, web, scripts) starts from."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self

import pyarrow as pa

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.dags import Dags
from elixirscope.dags.prepare import prepare
from elixirscope.insight import Finding, investigate
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.recording import Info, Recording
from elixirscope.recording.sealer import Progress


class Film:
    """The recording, its query layer, its seven DAGs and its findings, each made when first asked for."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.query = QueryCoordinator(recording)
        self.dags = Dags(self.query)

    @classmethod
    def open(cls, path: str | Path, progress: Progress | None = None) -> Self:
        """Open `path`, sealing it first if it has not been; `progress` is told each step. Raises `RecordingError`."""
        film = cls(Recording.open(path, correlate=EventCorrelator, progress=progress))
        if film.recording.arrays.empty:
            if progress is not None:
                progress(f"indexing {film.info.events:,} events")
            prepare(film.dags)
        return film

    @property
    def info(self) -> Info:
        """Counts, duration (ns), size (bytes), completeness and coverage of the recording."""
        return self.recording.info

    @cached_property
    def findings(self) -> list[Finding]:
        """Root causes found in this recording, the most certain and severe first."""
        return investigate(self.dags)

    def table(self, name: str) -> pa.Table:
        """The Arrow table `name` of `recording.schema.TABLES`."""
        return self.recording.table(name)
