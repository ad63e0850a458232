"""The tables of a recording as uncompressed columns that are mapped rather than read: a cache beside `segments/`.

`ColumnStore` grows by `append`, changes by `patch`, and shows both to readers at `commit`, which replaces one small
file. What was committed is readable whatever happens to the writer; anything else is ignored, and overwritten by the
next writer. One writer at a time; any number of readers, in other processes too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.errors import EnvironmentProblem, NotFoundError, RecordingError
from elixirscope.recording.column import Column, Extent, Patch
from elixirscope.recording.durable import sync_folder
from elixirscope.recording.schema import SCHEMA_VERSION, TABLES

COLUMNS: Final = "columns"
_LAYOUT: Final = 1
_COMMIT: Final = "commit.json"
_JOURNAL: Final = "patches.bin"


class _Commit(msgspec.Struct):
    """What a reader may see: the whole truth about the folder."""

    layout: int
    schema_version: int
    generation: int
    rows: dict[str, int]
    extents: dict[str, Extent]  # "table.column" → how much of its files counts
    about: Any = None


class ColumnStore:
    """All tables of `recording.schema` in one folder. Make or open it with `create` or `open`."""

    def __init__(self, folder: Path, commit: _Commit) -> None:
        self.folder = folder
        self._seen = commit  # what readers see
        self._rows = dict(commit.rows)  # … and with what is not committed yet
        self._patches: list[Patch] = []  # of rows that readers see already
        self._columns = {
            (table, field.name): Column(
                folder / f"{table}.{field.name}",
                field.type,
                msgspec.structs.replace(commit.extents.get(f"{table}.{field.name}", Extent())),
            )
            for table, schema in TABLES.items()
            for field in schema
        }
        self._writing = False

    @classmethod
    def create(cls, folder: Path) -> ColumnStore:
        """An empty store in `folder`, which must not hold one. Raises `EnvironmentProblem`."""
        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / _COMMIT).exists():
                raise FileExistsError(f"{folder} holds columns already")
        store = cls(folder, _Commit(_LAYOUT, SCHEMA_VERSION, 0, dict.fromkeys(TABLES, 0), {}))
        store._writing = True
        store.commit()
        return store

    @classmethod
    def open(cls, folder: Path) -> ColumnStore:
        """The store in `folder` as last committed.

        Raises `NotFoundError` when there is none, or one of another version: make it again.
        """
        return cls(folder, _read_commit(folder))

    def __enter__(self) -> ColumnStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows, with the columns of the table's schema (texts may be plain or dictionaries).

        Raises `EnvironmentProblem` when the disk is full: then open the store anew, as last committed.
        """
        schema = TABLES[table]
        if rows.schema.names != schema.names:
            raise ValueError(f"table {table}: columns are {schema.names}, not {rows.schema.names}")
        self._begin()
        with _disk(self.folder):
            for batch in rows.to_batches():
                if not batch.num_rows:
                    continue
                for name, values in zip(schema.names, batch.columns, strict=True):
                    self._columns[table, name].append(self._rows[table], values)
                self._rows[table] += batch.num_rows

    def patch(self, table: str, rows: npt.NDArray[np.int64], columns: dict[str, pa.Array]) -> None:
        """Give new contents to the rows numbered `rows` of some columns. Where readers see the rows already, they
        see the change with the next commit."""
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < self._rows[table]:
            raise IndexError(f"table {table} has {self._rows[table]} rows, not {int(rows.max())}")
        self._begin()
        seen = rows < self._seen.rows[table]
        with _disk(self.folder):
            for name, given in columns.items():
                values = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
                column, count = self._columns[table, name], self._rows[table]
                for held, chosen in ((True, seen), (False, ~seen)):
                    if not chosen.any():
                        continue
                    part = values if chosen.all() else values.filter(pa.array(chosen))
                    patch = column.patch(table, name, count, rows[chosen], part)
                    if held:
                        self._patches.append(patch)
                    else:
                        column.apply(count, patch)

    def commit(self, about: Any = None, *, sync: bool = False) -> None:
        """Show readers all that was appended and patched. `about` is any JSON value kept with it (None keeps the one
        before); `sync` has it all on the disk first."""
        self._begin()
        pending = {(patch.table, patch.column) for patch in self._patches}
        for key, column in self._columns.items():
            if key in pending:
                column.extent.null_count = -1
            else:
                column.count_nulls(self._rows[key[0]])
        seen = _Commit(
            _LAYOUT,
            SCHEMA_VERSION,
            self._seen.generation + 1,
            dict(self._rows),
            {".".join(key): msgspec.structs.replace(column.extent) for key, column in self._columns.items()},
            self._seen.about if about is None else about,
        )
        journal = self.folder / _JOURNAL
        with _disk(self.folder):
            if self._patches:  # written down first: they are applied from there if we do not live to do it
                _replace(journal, msgspec.msgpack.encode((seen.generation, self._patches)))
            if sync:
                for column in self._columns.values():
                    column.sync()
            _replace(self.folder / _COMMIT, msgspec.json.encode(seen))
            self._apply(self._patches, seen.rows)
            if sync:
                for key in {(patch.table, patch.column) for patch in self._patches}:
                    self._columns[key].sync()
                sync_folder(self.folder)
            self._patches = []
            self._seen = seen
            journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Give all files back; what was not committed is lost."""
        for column in self._columns.values():
            column.close()

    def _begin(self) -> None:
        if self._writing:
            return
        with _disk(self.folder):
            self._apply(_journal(self.folder, self._seen.generation), self._seen.rows)
            (self.folder / _JOURNAL).unlink(missing_ok=True)
        self._writing = True

    def _apply(self, patches: list[Patch], rows: dict[str, int]) -> None:
        for patch in patches:
            self._columns[patch.table, patch.column].apply(rows[patch.table], patch)

    # Reading

    @property
    def generation(self) -> int:
        """Grows with every commit."""
        return self._seen.generation

    @property
    def about(self) -> Any:
        """What the last commit said about its contents."""
        return self._seen.about

    def rows(self, table: str) -> int:
        """How many rows of a table readers see."""
        return self._seen.rows[table]

    def refresh(self) -> bool:
        """See what another process has committed meanwhile; False for nothing new. Tables taken before stay as long as
        they were. Only for readers."""
        commit = _read_commit(self.folder)
        if commit.generation == self._seen.generation:
            return False
        self._seen, self._rows = commit, dict(commit.rows)
        for key, column in self._columns.items():
            column.extent = commit.extents[".".join(key)]
        return True

    def table(self, name: str) -> pa.Table:
        """A table as last committed, in place: nothing is read before it is used. Rows that a writer patches meanwhile
        show the change. Raises `RecordingError` when files are damaged."""
        return pa.Table.from_arrays(list(self._arrays(name).values()), schema=TABLES[name])

    def fields(self, name: str) -> dict[str, pa.Array]:
        """The columns of a table as last committed, in place, for who looks at a row here and there."""
        return self._arrays(name, scattered=True)

    def _arrays(self, name: str, *, scattered: bool = False) -> dict[str, pa.Array]:
        rows = self._seen.rows[name]
        try:
            pending = [patch for patch in _journal(self.folder, self._seen.generation) if patch.table == name]
            return {
                field.name: self._columns[name, field.name].array(
                    rows, [patch for patch in pending if patch.column == field.name], scattered=scattered
                )
                for field in TABLES[name]
            }
        except (OSError, pa.ArrowException) as error:
            raise RecordingError(
                f"{self.folder / name} cannot be read: {error}",
                f"remove {self.folder}: it is made again from the recording",
            ) from error

    def numbers(self, table: str, column: str, *, scattered: bool = False) -> npt.NDArray[Any]:
        """A column of numbers in place, -1 where null; of texts the numbers of their words. `scattered`: for who looks
        at a row here and there."""
        return self._columns[table, column].numbers(self._seen.rows[table], scattered=scattered)


def _read_commit(folder: Path) -> _Commit:
    try:
        commit = msgspec.json.decode((folder / _COMMIT).read_bytes(), type=_Commit)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise NotFoundError(f"there are no columns in {folder}: {error}", "open the recording: they are made") from None
    if (commit.layout, commit.schema_version) != (_LAYOUT, SCHEMA_VERSION):
        raise NotFoundError(f"the columns in {folder} are of another version", "open the recording: they are made")
    return commit


def _journal(folder: Path, generation: int) -> list[Patch]:
    """Patches that belong to a commit and may not all be in the files."""
    try:
        data = (folder / _JOURNAL).read_bytes()
    except FileNotFoundError:
        return []
    number, patches = msgspec.msgpack.decode(data, type=tuple[int, list[Patch]])
    return patches if number == generation else []


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write the columns in {folder}: {error.strerror or error}",
            "free some space there, or make the folder writable; the recording itself is unharmed",
        ) from error
