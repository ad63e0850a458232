"""One opened recording with all its layers: what every face (command line, web, scripts) starts from."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from elixirscope.dags import Dags
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.recording import Info, Recording
from elixirscope.recording.sealing import Progress

if TYPE_CHECKING:
    from elixirscope.insight import Finding
    from elixirscope.recording.changes import Correlator


def correlator() -> Correlator:
    """What relates the events of a recording that is not sealed yet, on all cores: loaded only then."""
    from elixirscope.correlate.correlator import EventCorrelator

    return EventCorrelator.on_all_cores()


def live_correlator() -> Correlator:
    """The same for a recording that is still being made, which takes no second core from the program."""
    from elixirscope.correlate.correlator import EventCorrelator

    return EventCorrelator()


class Film:
    """The recording, its query layer, its seven DAGs and its findings, each made when first asked for."""

    def __init__(self, recording: Recording) -> None:
        self.show(recording)

    def show(self, recording: Recording) -> None:
        """Be about this recording from now on."""
        self.__dict__.pop("findings", None)
        self.recording = recording
        self.query = QueryCoordinator(recording)
        self.dags = Dags(self.query)

    @classmethod
    def open(cls, path: str | Path, progress: Progress | None = None) -> Self:
        """Open `path`, sealing it first if it has not been; `progress` is told each step. Raises `RecordingError`."""
        film = cls(Recording.open(path, correlate=correlator, progress=progress))
        if film.recording.arrays.empty:
            if progress is not None:
                progress(f"indexing {film.info.events:,} events")
            from elixirscope.dags.prepare import prepare

            prepare(film.dags)
        return film

    @property
    def info(self) -> Info:
        """Counts, duration (ns), size (bytes), completeness and coverage of the recording."""
        return self.recording.info

    @cached_property
    def findings(self) -> list[Finding]:
        """Root causes found in this recording, the most certain and severe first."""
        from elixirscope.insight import investigate  # all ways to look for causes
        from elixirscope.insight.kept import keep

        return keep(self.recording.arrays, lambda: investigate(self.dags))

    def table(self, name: str) -> pa.Table:
        """The Arrow table `name` of `recording.schema.TABLES`."""
        return self.recording.table(name)
