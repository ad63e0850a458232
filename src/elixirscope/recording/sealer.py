"""Seals a recording: from the raw files to `segments/`, which can be deleted and comes back identical.

Everything is written into a folder beside it that takes its place when it is whole and on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa

from elixirscope.kernels import is_news
from elixirscope.recording import heap
from elixirscope.recording.changes import Correlator
from elixirscope.recording.cores import cores
from elixirscope.recording.derived import stored
from elixirscope.recording.durable import locked, sync_folder
from elixirscope.recording.format import EVENT_BYTES
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.log import Log
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.memory import MemoryTables, Piece
from elixirscope.recording.parquet import whole
from elixirscope.recording.rawfile import Damage
from elixirscope.recording.schema import TABLES
from elixirscope.recording.seal import VALUES, Seal, facts_of, raw_sizes, sealed, truncated_in, write_seal
from elixirscope.recording.sealing import AsyncWriterPool, Progress, Sealing, checked
from elixirscope.recording.valuewriter import write_values
from elixirscope.recording.workplace import placed, tidy

Correlate: TypeAlias = Callable[[], Correlator]

LARGE: Final = 500_000
"""Events from which on a recording is sealed slice by slice, through mapped columns; others are sealed in memory."""
SLICE: Final = 1 << 19
"""Events in a slice, about: columns of eight bytes are large enough then for the system to give them huge pages."""


@dataclass
class Built:
    """A recording's tables and values in memory."""

    seal: Seal
    tables: dict[str, pa.Table]
    log: Log
    pieces: dict[tuple[str, str], Piece] = field(default_factory=dict)  # columns, where the recording still grows


def seal(recording_dir: Path, progress: Progress | None = None, *, correlate: Correlate) -> None:
    """Make `segments/` of a recording's raw files, unless it is there and up to date.

    Raises `RecordingError`, and `EnvironmentProblem` when the disk is full or may not be written; the
    raw files are never touched.
    """
    with locked(recording_dir):  # a second one waits here, then finds it done
        if sealed(recording_dir) is None:
            make(recording_dir, progress, correlate=correlate)
            return
    tidy(recording_dir)


def make(recording_dir: Path, progress: Progress | None = None, *, correlate: Correlate) -> Seal:
    """Write `segments/`, and `columns/` where the recording is large; the caller holds the lock. Raises as `seal`."""
    tell = progress or (lambda _: None)
    tell("reading")
    raw = raw_sizes(recording_dir)  # before reading: what is written meanwhile makes it stale
    if sum(raw.values()) >= LARGE * EVENT_BYTES:
        # Its events are checked as they are read, once: a second time would be from the disk again.
        joiner = Joiner.open(recording_dir / "raw", trusting=True)
        if joiner.events >= LARGE:
            with suppress(Damage):  # so what is there can only be told when all was checked
                return _stream(recording_dir, joiner, raw, tell, correlate())
    joiner = Joiner.open(recording_dir / "raw")
    if joiner.events >= LARGE:
        return _stream(recording_dir, joiner, raw, tell, correlate())
    built = _in_memory(recording_dir, joiner, raw, tell, correlate())
    write(recording_dir, built)
    return built.seal


def build(recording_dir: Path, progress: Progress | None = None, *, correlate: Correlate) -> Built:
    """Read the raw files and make all tables of them, in memory. Raises as `read_log` does."""
    tell = progress or (lambda _: None)
    tell("reading")
    raw = raw_sizes(recording_dir)
    return _in_memory(recording_dir, Joiner.open(recording_dir / "raw"), raw, tell, correlate())


def _in_memory(
    recording_dir: Path, joiner: Joiner, raw: dict[str, int], tell: Progress, correlator: Correlator
) -> Built:
    tables = MemoryTables()
    _announce(joiner, tell)
    (log,) = joiner.slices(None)
    root = root_of(recording_dir)
    for changes in (correlator.take(log), correlator.finish(log)):
        tables.take(checked(changes, root))
    found = tables.all()
    facts = facts_of(
        log, raw, truncated=truncated_in(log), rows={name: table.num_rows for name, table in found.items()}
    )
    return Built(facts, found, log)


def _stream(recording_dir: Path, joiner: Joiner, raw: dict[str, int], tell: Progress, correlator: Correlator) -> Seal:
    total, threads = joiner.events, cores()
    _announce(joiner, tell)

    def read() -> Iterator[Log]:
        for log in joiner.slices(SLICE, beside=threads > 1):
            tell(f"relating {total:,} events: {100 * log.first // total}%")
            yield log

    with (
        heap.kept(),
        placed(recording_dir) as place,
        Sealing(place, correlator, root_of(recording_dir), threads=threads) as sealing,
    ):
        sealing.take(read())
        return sealing.finish(raw, tell)


def _announce(joiner: Joiner, tell: Progress) -> None:
    first = ": compiling first, once on this machine, which takes some seconds" if is_news(joiner.events) else ""
    tell(f"relating {joiner.events:,} events{first}")


def root_of(recording_dir: Path) -> str:
    """The folder in which the recorded command ran; empty where that is not known."""
    manifest = Manifest.load(recording_dir)
    return manifest.cwd if manifest else ""


def write(recording_dir: Path, built: Built) -> None:
    """Write `segments/`; the caller holds the lock. Raises `EnvironmentProblem` and leaves what was there
    when it cannot."""
    with placed(recording_dir) as place:
        place.segments.mkdir()
        with AsyncWriterPool() as pool:
            pool.write(place.segments / VALUES, lambda file: write_values(built.log.values, file))
            for name in TABLES:
                pool.write(place.segments / f"{name}.parquet", whole(stored(name, built.tables[name])))
        write_seal(place.segments, built.seal)
        sync_folder(place.segments)
