"""Seals a recording: from the raw files to `segments/`, which can be deleted and comes back identical.

Everything is written into a folder beside it that takes its place when it is whole and on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, TypeAlias

import msgspec
import pyarrow as pa

from elixirscope import __version__
from elixirscope.errors import EnvironmentProblem
from elixirscope.kernels import is_news, load_kept
from elixirscope.recording import heap
from elixirscope.recording.changes import Changes, Correlator
from elixirscope.recording.columns import COLUMNS, ColumnStore
from elixirscope.recording.cores import cores
from elixirscope.recording.coverage import Uncovered, uncovered
from elixirscope.recording.derived import LAYOUT, READABLE, stored
from elixirscope.recording.durable import locked, sync_folder, write_file
from elixirscope.recording.format import EVENT, FORMAT_VERSION, Flag
from elixirscope.recording.joiner import Joiner, raw_paths
from elixirscope.recording.log import Log
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.memory import MemoryTables, Piece
from elixirscope.recording.rawfile import Damage
from elixirscope.recording.schema import SCHEMA_VERSION, TABLES
from elixirscope.recording.sources import relative_files
from elixirscope.recording.valuewriter import ValueWriter, write_values

Correlate: TypeAlias = Callable[[], Correlator]
Progress: TypeAlias = Callable[[str], None]

SEGMENTS: Final = "segments"
VALUES: Final = "values.zst"
_SEAL: Final = "seal.json"
_ROW_GROUP: Final = 128 * 1024
_DIFFERENCES: Final = "DELTA_BINARY_PACKED"
LARGE: Final = 500_000
"""Events from which on a recording is sealed slice by slice, through mapped columns; others are sealed in memory."""
SLICE: Final = 1 << 18
"""Events in a slice, about."""


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
    layout: int = 1  # of these files


@dataclass
class Built:
    """A recording's tables and values in memory."""

    seal: Seal
    tables: dict[str, pa.Table]
    log: Log
    pieces: dict[tuple[str, str], Piece] = field(default_factory=dict)  # columns, where the recording still grows


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
            make(recording_dir, progress, correlate=correlate)


def make(recording_dir: Path, progress: Progress | None = None, *, correlate: Correlate) -> Seal:
    """Write `segments/`, and `columns/` where the recording is large; the caller holds the lock. Raises as `seal`."""
    tell = progress or (lambda _: None)
    tell("reading")
    raw = raw_sizes(recording_dir)  # before reading: what is written meanwhile makes it stale
    if sum(raw.values()) >= LARGE * EVENT.itemsize:
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


def sealed(recording_dir: Path) -> Seal | None:
    """The seal of a recording whose segments are whole and of its present raw files; else None."""
    segments = recording_dir / SEGMENTS
    try:
        found = msgspec.json.decode((segments / _SEAL).read_bytes(), type=Seal)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        return None
    made = (found.schema_version, found.elixirscope_version)
    current = made == (SCHEMA_VERSION, __version__) and found.layout in READABLE
    whole = all((segments / name).is_file() for name in (VALUES, *(f"{table}.parquet" for table in TABLES)))
    return found if current and whole and found.raw == raw_sizes(recording_dir) else None


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
    root = _root(recording_dir)
    for changes in (correlator.take(log), correlator.finish(log)):
        tables.take(_checked(changes, root))
    found = tables.all()
    facts = facts_of(
        log, raw, truncated=truncated_in(log), rows={name: table.num_rows for name, table in found.items()}
    )
    return Built(facts, found, log)


def _stream(recording_dir: Path, joiner: Joiner, raw: dict[str, int], tell: Progress, correlator: Correlator) -> Seal:
    """Seal slice by slice: what is in memory does not grow with the recording, save for what can still matter."""
    total, root, truncated = joiner.events, _root(recording_dir), 0
    _announce(joiner, tell)
    if cores() > 1:
        load_kept()

    def into(segments: Path, columns: Path) -> Seal:
        nonlocal truncated
        log: Log
        store = ColumnStore.create(columns)

        def apply(changes: Changes) -> None:
            for name, rows in _checked(changes, root).rows.items():
                store.append(name, rows)
            for patch in changes.patches:
                store.patch(*patch)

        def read() -> Iterator[Log]:
            nonlocal truncated, log
            for log in joiner.slices(SLICE, beside=cores() > 1):
                values.append(log.values)  # compressed while events are related
                tell(f"relating {total:,} events: {100 * log.first // total}%")
                truncated += truncated_in(log)
                yield log

        with (segments / VALUES).open("wb") as file, ValueWriter(file) as values:
            for changes in correlator.relate(read()):
                apply(changes)
            values.finish()
            os.fsync(file.fileno())
        apply(correlator.finish(log))
        store.commit()
        facts = facts_of(log, raw, truncated=truncated, rows={name: store.rows(name) for name in TABLES})
        tell(f"writing {total:,} events")
        with AsyncWriterPool(workers=2) as pool:  # each holds a million rows of a table
            for name in TABLES:
                table = stored(name, store.table(name), partial(store.numbers, "events"))
                pool.write(segments / f"{name}.parquet", _parquet(table))
            store.commit(identity(facts), sync=True)  # meanwhile
        store.close()
        _write_seal(segments, facts)
        return facts

    with heap.kept():
        return _replace(recording_dir, into)


def _announce(joiner: Joiner, tell: Progress) -> None:
    first = ": compiling first, once on this machine, which takes some seconds" if is_news(joiner.events) else ""
    tell(f"relating {joiner.events:,} events{first}")


def _checked(changes: Changes, root: str) -> Changes:
    rows = {name: relative_files(table, root) for name, table in changes.rows.items()}
    for name, table in rows.items():
        if not table.schema.equals(TABLES[name]):
            raise TypeError(f"the table {name} is not as recording.schema has it: {table.schema}")
    return Changes(rows, changes.patches)


def _root(recording_dir: Path) -> str:
    manifest = Manifest.load(recording_dir)
    return manifest.cwd if manifest else ""


def truncated_in(log: Log) -> int:
    """How many of its values were cut."""
    return int(((log.rows["flags"] & Flag.TRUNCATED) != 0).sum())


def facts_of(log: Log, raw: dict[str, int], *, truncated: int, rows: dict[str, int]) -> Seal:
    """What is sealed. `log`: the last slice; `truncated`, `rows`: of all."""
    return Seal(
        schema_version=SCHEMA_VERSION,
        elixirscope_version=__version__,
        raw=raw,
        events=log.first + len(log.rows),
        lost=log.lost,
        truncated=truncated,
        duration_ns=log.duration_ns,
        started_unix_ns=log.start_unix_ns,
        bytes=log.bytes,
        complete=log.complete,
        coverage=uncovered(log),
        engines=sorted({str(meta["engine"]) for meta in log.metas if "engine" in meta}),
        rows=rows,
        layout=LAYOUT,
    )


def identity(seal: Seal) -> dict[str, Any]:
    """What columns and indexes are made of: those of another identity are not this recording's."""
    return {"raw": seal.raw, "elixirscope_version": seal.elixirscope_version, "rows": seal.rows}


def write(recording_dir: Path, built: Built) -> None:
    """Write `segments/`; the caller holds the lock. Raises `EnvironmentProblem` and leaves what was there
    when it cannot."""

    def into(segments: Path, _: Path) -> Seal:
        with AsyncWriterPool() as pool:
            pool.write(segments / VALUES, lambda file: write_values(built.log.values, file))
            for name in TABLES:
                pool.write(segments / f"{name}.parquet", _parquet(stored(name, built.tables[name])))
        _write_seal(segments, built.seal)
        return built.seal

    _replace(recording_dir, into)


def _replace(recording_dir: Path, write_into: Callable[[Path, Path], Seal]) -> Seal:
    """Have `segments/`, and `columns/` where it is made, written under other names, and put them in place when they are
    whole. Given are the folder for segments, which is there, and that for columns."""
    work = {
        name: [recording_dir / f".{name}.{os.getpid()}.{end}" for end in ("new", "old")] for name in (SEGMENTS, COLUMNS)
    }
    try:
        for path in recording_dir.iterdir():
            if path.name.startswith((f".{SEGMENTS}.", f".{COLUMNS}.")):  # of one that was killed, for we hold the lock
                shutil.rmtree(path, ignore_errors=True)
        work[SEGMENTS][0].mkdir()
        facts = write_into(work[SEGMENTS][0], work[COLUMNS][0])
        sync_folder(work[SEGMENTS][0])
        for name, (fresh, old) in work.items():
            if fresh.exists():
                with suppress(FileNotFoundError):
                    (recording_dir / name).replace(old)
                fresh.replace(recording_dir / name)
        sync_folder(recording_dir)
        return facts
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write the tables of {recording_dir}: {error.strerror or error}",
            "free some space there, or make the folder writable; the recording itself is unharmed",
        ) from error
    finally:
        for folders in work.values():
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)


def _write_seal(segments: Path, facts: Seal) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(facts), indent=1)
    write_file(segments / _SEAL, lambda file: file.write(encoded))


def _parquet(table: pa.Table) -> Callable[[BinaryIO], object]:
    import pyarrow.parquet as pq  # what is sealed already does without

    about = {b"elixirscope.schema_version": b"%d" % SCHEMA_VERSION, b"elixirscope.format": b"%d" % FORMAT_VERSION}
    # A column in which nothing is null says so: its rows need no levels of definition.
    fields = [
        field.with_nullable(column.null_count > 0) for field, column in zip(table.schema, table.columns, strict=True)
    ]
    described = pa.Table.from_arrays(table.columns, schema=pa.schema(fields, about))
    encodings = {field.name: _encoding(field.type) for field in fields}
    # What is left of differences compresses to hardly less, in half as much time again as finding them.
    packed = [name for name, encoding in encodings.items() if encoding != _DIFFERENCES]
    options = {
        "compression": {name: "zstd" if name in packed else "none" for name in encodings},
        "use_dictionary": [name for name, encoding in encodings.items() if encoding is None],
        "column_encoding": {name: encoding for name, encoding in encodings.items() if encoding is not None},
        "write_statistics": False,  # nobody asks for them
    }

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, described.schema, **options) as writer:
            for start in range(0, max(described.num_rows, 1), 8 * _ROW_GROUP):
                writer.write_table(described.slice(start, 8 * _ROW_GROUP), row_group_size=_ROW_GROUP)

    return write


def _encoding(kind: pa.DataType) -> str | None:
    """How a column is written; None: as a dictionary."""
    if not pa.types.is_integer(kind):
        return None
    # Numbers of events and times ascend, or nearly so: their differences are small. Kinds and flags repeat in patterns.
    return _DIFFERENCES if kind.bit_width > 16 else "BYTE_STREAM_SPLIT"


def raw_sizes(recording_dir: Path) -> dict[str, int]:
    """The raw files, and how large they are."""
    return {path.name: path.stat().st_size for path in raw_paths(recording_dir / "raw")}
