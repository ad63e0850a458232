"""An opened recording: its tables, values, sources and facts, whatever state its files are in."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from numpy.typing import NDArray

from elixirscope.errors import EnvironmentProblem, NotFoundError, RecordingError
from elixirscope.recording import mapping, sealer
from elixirscope.recording.arrays import INDEX, Arrays
from elixirscope.recording.columns import COLUMNS, ColumnStore
from elixirscope.recording.coverage import Uncovered
from elixirscope.recording.derived import complete
from elixirscope.recording.durable import locked
from elixirscope.recording.format import FORMAT_VERSION
from elixirscope.recording.frames import newer_format, raw_paths
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.memory import Piece
from elixirscope.recording.packed import is_packed, located, packed_content
from elixirscope.recording.schema import TABLES
from elixirscope.recording.seal import SEGMENTS, VALUES, Seal, identity, sealed
from elixirscope.recording.sealer import Built, Correlate
from elixirscope.recording.sealing import Progress
from elixirscope.recording.sources import read_source
from elixirscope.recording.terms import Term, Truncated, inspect
from elixirscope.recording.values import SealedValues, Values
from elixirscope.recording.workplace import tidy


class Info(msgspec.Struct, frozen=True):
    """A recording in numbers. Times in ns, `bytes` of the raw files, `truncated` counts values."""

    format_version: int
    events: int
    processes: int
    calls: int
    messages: int
    states: int
    lost: int
    truncated: int
    duration_ns: int
    bytes: int
    complete: bool
    coverage: list[Uncovered]
    path: str
    command: list[str]
    started_unix_ns: int
    engines: list[str] = []  # how events left the VMs: portable, native


class Recording:
    """One recording folder, read. Open it with `Recording.open`."""

    def __init__(
        self, path: Path, manifest: Manifest | None, seal: Seal, built: Built | None, columns: ColumnStore | None = None
    ) -> None:
        self.path = path
        self.manifest = manifest
        self._seal = seal
        self._built = built  # None: read from segments/
        self._columns = columns  # None: too small to be worth it, or not to be had
        self._tables: dict[str, pa.Table] = {}

    @classmethod
    def open(cls, path: Path | str, *, correlate: Correlate, progress: Progress | None = None) -> Recording:
        """Open the recording in the folder (or pack) `path`, sealing it first when its segments are missing or old.

        One that is damaged, was cut off or is still being written opens with all that is whole; one
        that cannot be sealed where it lies (read-only, disk full) opens from memory. `info.coverage`
        says so. Raises `RecordingError` for what is no recording or of a newer format,
        `EnvironmentProblem` when files may not be read.
        """
        path = located(path)
        manifest = _check(path)
        seal = sealed(path)
        if seal is not None and (seal.events < sealer.LARGE or mapping.mapped(path, seal) is not None):
            tidy(path)
            return cls(path, manifest, seal, None, mapping.mapped(path, seal))
        with locked(path):  # a second reader waits here, then finds it sealed
            seal = sealed(path)
            if seal is None and is_packed(path):
                why = "this pack has none that this ElixirScope can use; `elixirscope unpack` it to have them made once"
                return cls._in_memory(path, manifest, why, progress, correlate)
            if seal is None:
                try:
                    seal = sealer.make(path, progress, correlate=correlate)
                except EnvironmentProblem as problem:
                    return cls._in_memory(path, manifest, problem.message, progress, correlate)
            columns = mapping.mapped(path, seal)
            if columns is None and seal.events >= sealer.LARGE and not is_packed(path):
                try:
                    columns = mapping.make(path, seal, progress)
                except EnvironmentProblem as problem:
                    row = Uncovered("columns", f"{problem.message}; tables are read into memory")
                    seal = msgspec.structs.replace(seal, coverage=[*seal.coverage, row])
        return cls(path, manifest, seal, None, columns)

    @classmethod
    def _in_memory(
        cls, path: Path, manifest: Manifest | None, why: str, progress: Progress | None, correlate: Correlate
    ) -> Recording:
        built = sealer.build(path, progress, correlate=correlate)
        row = Uncovered("segments", f"{why}; everything is read from raw/ each time")
        return cls(path, manifest, msgspec.structs.replace(built.seal, coverage=[*built.seal.coverage, row]), built)

    def table(self, name: str) -> pa.Table:
        """The table `name` of `schema.TABLES`, with exactly that schema. Raises `NotFoundError`."""
        if name not in TABLES:
            raise NotFoundError(f"there is no table {name!r}", f"tables are: {', '.join(TABLES)}")
        if self._built is not None:
            return self._built.tables[name]
        if self._columns is not None and name not in self._tables:
            self._tables[name] = self._columns.table(name)
        if name not in self._tables:
            self._tables[name] = self._read(name)
        return self._tables[name]

    def rows(self, name: str) -> int:
        """How many rows a table has. Raises as `table`."""
        return self._columns.rows(name) if self._columns is not None and name in TABLES else self.table(name).num_rows

    def fields(self, name: str) -> dict[str, pa.Array | pa.ChunkedArray]:
        """The columns of a table, for who looks at a row here and there. Raises as `table`."""
        if self._columns is not None and name in TABLES:
            return self._columns.fields(name)
        table = self.table(name)
        columns = dict(zip(table.column_names, table.columns, strict=True))
        whole = all(column.num_chunks == 1 for column in columns.values())
        return {key: column.chunk(0) for key, column in columns.items()} if whole else columns

    def numbers(self, table: str, column: str, *, scattered: bool = False) -> NDArray[Any]:
        """A column of whole numbers, -1 where null: in place where the recording is mapped, of the column's own type;
        else made, as int64. `scattered`: for who looks at a row here and there."""
        if self._columns is not None:
            return self._columns.numbers(table, column, scattered=scattered)
        return self._piece(table, column).upto(self.table(table).column(column))

    def derived(self, table: str, column: str) -> dict[str, Any]:
        """What was made of a column when it was shorter and else the same, as that of a recording that grows; to be
        added to."""
        return self._piece(table, column).derived

    def _piece(self, table: str, column: str) -> Piece:
        shared = self._built.pieces if self._built is not None else {}
        return shared.get((table, column)) or Piece()

    @cached_property
    def arrays(self) -> Arrays:
        """What is derived from this recording and takes time: kept beside it where it is large."""
        kept = self._columns is not None
        return Arrays(self.path if kept else None, identity(self._seal))

    def parquet(self, name: str) -> list[Path]:
        """The Parquet files of a table, without what events tell (see `derived`); none when the recording could not be
        sealed (use `table`)."""
        return [] if self._built is not None else [self._file(name)]

    @cached_property
    def values(self) -> Values:
        """All recorded values by id."""
        return self._built.log.values if self._built is not None else SealedValues(self.path / SEGMENTS / VALUES)

    def term(self, value_id: int) -> Term:
        """The value `value_id`, decoded. Raises `RecordingError` for an id that is not there."""
        return self.values.term(value_id)

    def binding_value(self, value_id: int, position: int) -> Term:
        """One variable's value out of a BIND event's tuple: a row of the table `bindings`."""
        values = self.term(value_id)
        if isinstance(values, Truncated):
            values = values.shown
        if not isinstance(values, tuple) or not 0 <= position < len(values):
            raise RecordingError(f"value {value_id} has no element {position}", "it was cut to its budget")
        return values[position]

    def text(self, value_id: int | None, limit: int = 200) -> str | None:
        """The value as IEx prints it on one line, at most about `limit` characters; None for None."""
        return None if value_id is None else inspect(self.term(value_id), limit=limit)

    def source(self, file: str) -> list[str] | None:
        """The lines of a source file, named as in the tables, as it was when recorded; None when it was not kept."""
        root = Path(self.manifest.cwd) if self.manifest else Path()
        return read_source(self.path, str(root / file))

    @property
    def cache_bytes(self) -> int:
        """The size of `columns/` and `index/`, which can be deleted and come back."""
        files = (path for name in (COLUMNS, INDEX) for path in (self.path / name).rglob("*"))
        return sum(path.stat().st_size for path in files if path.is_file())

    @property
    def info(self) -> Info:
        """Counts, duration, size, and what is missing."""
        seal, manifest = self._seal, self.manifest
        finished = manifest is None or manifest.state == "finished"
        return Info(
            format_version=FORMAT_VERSION,
            events=seal.events,
            processes=seal.rows["processes"],
            calls=seal.rows["calls"],
            messages=seal.rows["messages"],
            states=seal.rows["states"],
            lost=seal.lost,
            truncated=seal.truncated,
            duration_ns=seal.duration_ns,
            bytes=seal.bytes,
            complete=seal.complete and finished,
            coverage=[*seal.coverage, *_recorder(manifest)],
            path=str(self.path),
            command=manifest.command if manifest else [],
            started_unix_ns=seal.started_unix_ns or (manifest.created_unix_ns if manifest else 0),
            engines=seal.engines,
        )

    def _file(self, name: str) -> Path:
        return self.path / SEGMENTS / f"{name}.parquet"

    def _read(self, name: str) -> pa.Table:
        import pyarrow.parquet as pq  # what is mapped does without

        path = self._file(name)
        try:
            content = packed_content(path)
            source = path if content is None else pa.BufferReader(content)
            return complete(name, pq.read_table(source, memory_map=True), partial(self.numbers, "events"))
        except (OSError, ValueError, LookupError, pa.ArrowException) as error:
            raise RecordingError(
                f"{path} cannot be read: {error}",
                f"remove {path.parent}: opening the recording makes it again from raw/",
            ) from error


def _check(path: Path) -> Manifest | None:
    """That `path` is a recording we can read. Gives its manifest, if it has one."""
    another = "give the folder that `elixirscope record` made (it ends in .scope)"
    try:
        if not path.exists():
            raise RecordingError(f"there is no recording at {path}", another)
        if not path.is_dir():
            raise RecordingError(f"{path} is a file, and a recording is a folder", another)
        if not any(path.iterdir()):
            raise RecordingError(f"{path} is empty", another)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot read {path}: {error.strerror or error}", "give yourself permission to read it"
        ) from error
    manifest = Manifest.load(path)
    if manifest is not None and manifest.format_version > FORMAT_VERSION:
        raise newer_format(str(path), manifest.format_version)
    if not (path / "raw").is_dir():
        what = "has lost its raw/ folder, which holds all that was recorded" if manifest else "is not a recording"
        raise RecordingError(f"{path} {what}", another)
    if manifest is None and not raw_paths(path / "raw"):
        raise RecordingError(f"{path} is empty: nothing was recorded into it", another)
    return manifest


def _recorder(manifest: Manifest | None) -> list[Uncovered]:
    if manifest is None:
        return [Uncovered("manifest.json", "it is missing: the command and its exit status are not known")]
    if manifest.state == "recording":
        why = "it was interrupted, or is still recording: source files may not have been kept"
        return [Uncovered("the recorder", why)]
    return []
