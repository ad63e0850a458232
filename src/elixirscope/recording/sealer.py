"""Seals a recording: from the raw files to `segments/`, which can be deleted and comes back identical.

Everything is written into a folder beside it that takes its place when it is whole and on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from elixirscope import __version__
from elixirscope.errors import EnvironmentProblem
from elixirscope.recording.coverage import Uncovered, uncovered
from elixirscope.recording.durable import locked, sync_folder, write_file
from elixirscope.recording.format import FORMAT_VERSION, Flag
from elixirscope.recording.joiner import raw_paths
from elixirscope.recording.log import Log, read_log
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.schema import SCHEMA_VERSION, TABLES
from elixirscope.recording.sources import relative_files
from elixirscope.recording.values import write_values

Correlate: TypeAlias = Callable[[Log], dict[str, pa.Table]]
Progress: TypeAlias = Callable[[str], None]

SEGMENTS: Final = "segments"
VALUES: Final = "values.zst"
_SEAL: Final = "seal.json"
_ROW_GROUP: Final = 128 * 1024


class Seal(msgspec.Struct, frozen=True):
    """What a sealed recording is, and of which raw bytes: written last, so it stands for the whole."""

    schema_version: int
    elixirscope_version: str
    raw: dict[str, int]  # the raw files it was made of, and their sizes
    events: int
    lost: int
    truncated: int
    duration_ns: int
    started_unix_ns: int
    bytes: int
    complete: bool
    coverage: list[Uncovered]
    rows: dict[str, int]  # of each table
    engines: list[str] = []  # how events left the VMs: portable, native


@dataclass
class Built:
    """A recording's tables and values in memory."""

    seal: Seal
    tables: dict[str, pa.Table]
    log: Log


class AsyncWriterPool:
    """A few threads that write files at the same time; leaving the `with` block waits and raises the
    first failure."""

    def __init__(self, workers: int = 4) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="writer")
        self._writes: list[Future[None]] = []

    def write(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        """Have `path` written by `write`, whole or not at all."""
        self._writes.append(self._pool.submit(write_file, path, write))

    def __enter__(self) -> AsyncWriterPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            for done in self._writes:
                done.result()


def seal(recording_dir: Path, progress: Progress | None = None, *, correlate: Correlate) -> None:
    """Make `segments/` of a recording's raw files, unless it is there and up to date.

    Raises `RecordingError`, and `EnvironmentProblem` when the disk is full or may not be written; the
    raw files are never touched.
    """
    with locked(recording_dir):  # a second one waits here, then finds it done
        if sealed(recording_dir) is None:
            write(recording_dir, build(recording_dir, progress, correlate=correlate))


def sealed(recording_dir: Path) -> Seal | None:
    """The seal of a recording whose segments are whole and of its present raw files; else None."""
    segments = recording_dir / SEGMENTS
    try:
        found = msgspec.json.decode((segments / _SEAL).read_bytes(), type=Seal)
    except (OSError, msgspec.MsgspecError):
        return None
    current = found.schema_version == SCHEMA_VERSION and found.elixirscope_version == __version__
    whole = all((segments / name).is_file() for name in (VALUES, *(f"{table}.parquet" for table in TABLES)))
    return found if current and whole and found.raw == _raw_sizes(recording_dir) else None


def build(recording_dir: Path, progress: Progress | None = None, *, correlate: Correlate) -> Built:
    """Read the raw files and make all tables of them, in memory. Raises as `read_log` does."""
    tell = progress or (lambda _: None)
    tell("reading")
    raw = _raw_sizes(recording_dir)  # before reading: what is written meanwhile makes it stale
    log = read_log(recording_dir / "raw")
    tell(f"relating {len(log.rows):,} events")
    manifest = Manifest.load(recording_dir)
    root = manifest.cwd if manifest else ""
    tables = {name: relative_files(table, root) for name, table in correlate(log).items()}
    for name, schema in TABLES.items():
        if not tables[name].schema.equals(schema):
            raise TypeError(f"the table {name} is not as recording.schema has it: {tables[name].schema}")
    facts = Seal(
        schema_version=SCHEMA_VERSION,
        elixirscope_version=__version__,
        raw=raw,
        events=len(log.rows),
        lost=log.lost,
        truncated=int(((log.rows["flags"] & Flag.TRUNCATED) != 0).sum()),
        duration_ns=log.duration_ns,
        started_unix_ns=log.start_unix_ns,
        bytes=log.bytes,
        complete=log.complete,
        coverage=uncovered(log),
        engines=sorted({str(meta["engine"]) for meta in log.metas if "engine" in meta}),
        rows={name: tables[name].num_rows for name in TABLES},
    )
    return Built(facts, tables, log)


def write(recording_dir: Path, built: Built) -> None:
    """Write `segments/`; the caller holds the lock. Raises `EnvironmentProblem` and leaves what was there
    when it cannot."""
    segments = recording_dir / SEGMENTS
    fresh, old = (recording_dir / f".{SEGMENTS}.{os.getpid()}.{end}" for end in ("new", "old"))
    try:
        fresh.mkdir()
        _write_into(fresh, built)
        sync_folder(fresh)
        with suppress(FileNotFoundError):
            segments.replace(old)
        fresh.replace(segments)
        sync_folder(recording_dir)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write the tables of {recording_dir}: {error.strerror or error}",
            "free some space there, or make the folder writable; the recording itself is unharmed",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write_into(folder: Path, built: Built) -> None:
    values = built.log.values
    with AsyncWriterPool() as pool:
        pool.write(folder / VALUES, lambda file: write_values(values.all(), file))
        for name in TABLES:
            pool.write(folder / f"{name}.parquet", _parquet(built.tables[name]))
    encoded = msgspec.json.format(msgspec.json.encode(built.seal), indent=1)
    write_file(folder / _SEAL, lambda file: file.write(encoded))


def _parquet(table: pa.Table) -> Callable[[BinaryIO], object]:
    about = {b"elixirscope.schema_version": b"%d" % SCHEMA_VERSION, b"elixirscope.format": b"%d" % FORMAT_VERSION}
    described = table.replace_schema_metadata(about)
    # Numbers of events and times ascend, or nearly so: their differences are small.
    numbers = [field.name for field in table.schema if field.type == pa.int64()]
    options = {
        "compression": "zstd",
        "row_group_size": _ROW_GROUP,
        "use_dictionary": [name for name in table.column_names if name not in numbers],
        "column_encoding": dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
    }
    return lambda file: pq.write_table(described, file, **options)


def _raw_sizes(recording_dir: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in raw_paths(recording_dir / "raw")}
