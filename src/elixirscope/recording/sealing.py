"""A recording on its way into `segments/` and `columns/`, slice after slice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TypeAlias

import pyarrow as pa

from elixirscope.recording.changes import Changes, Correlator
from elixirscope.recording.columns import ColumnStore
from elixirscope.recording.derived import stored
from elixirscope.recording.durable import sync_folder, write_file
from elixirscope.recording.filenames import relative_files
from elixirscope.recording.log import Log
from elixirscope.recording.parquet import UNCHANGED, TableWriter, whole
from elixirscope.recording.schema import TABLES
from elixirscope.recording.seal import VALUES, Seal, facts_of, identity, truncated_in, write_seal
from elixirscope.recording.valuewriter import ValueWriter
from elixirscope.recording.workplace import Workplace

Progress: TypeAlias = Callable[[str], None]


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


class Sealing:
    """Takes all slices of a recording, one after the other, and then tells the rest.

    What is in memory does not grow with the recording, save for what can still matter. Tables whose rows never change
    are written to Parquet as they come, and so are values; others are when all is known. On several `threads` both is
    done meanwhile.
    """

    def __init__(self, place: Workplace, correlator: Correlator, root: str, *, threads: int) -> None:
        """`root`: the folder in which the command ran. Raises `OSError`."""
        self._segments, self._correlator, self._root = place.segments, correlator, root
        self._log: Log | None = None
        self._truncated = 0
        self._files: list[BinaryIO] = []
        place.segments.mkdir()
        with ExitStack() as opened:
            self._store = opened.enter_context(ColumnStore.create(place.columns))
            self._values = opened.enter_context(ValueWriter(self._open(VALUES, opened), threads=threads))
            self._writers = {
                name: opened.enter_context(TableWriter(name, self._open(f"{name}.parquet", opened)))
                for name in UNCHANGED
            }
            self._writing: Future[None] | None = None
            self._pool = opened.enter_context(ThreadPoolExecutor(1, "parquet")) if threads > 1 else None
            self._opened = opened.pop_all()

    def _open(self, name: str, opened: ExitStack) -> BinaryIO:
        file = opened.enter_context((self._segments / name).open("wb"))
        self._files.append(file)
        return file

    def __enter__(self) -> Sealing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def take(self, slices: Iterable[Log]) -> None:
        """The next slices. Raises what reading them does, and `OSError` or `EnvironmentProblem` for the disk."""

        def read() -> Iterator[Log]:
            for log in slices:
                self._values.append(log.values)  # compressed while events are related
                self._truncated += truncated_in(log)
                self._log = log
                yield log

        for changes in self._correlator.relate(read()):
            self._apply(changes)

    def finish(self, raw: dict[str, int], tell: Progress) -> Seal:
        """That was all, of which there was one slice at least. `raw`: as of `raw_sizes`. Raises as `take`."""
        log = self._log
        assert log is not None
        self._values.finish()
        self._apply(self._correlator.finish(log))
        self._store.commit()
        rows = {name: self._store.rows(name) for name in TABLES}
        facts = facts_of(log, raw, truncated=self._truncated, rows=rows)
        tell(f"writing {facts.events:,} events")
        numbers = partial(self._store.numbers, "events")
        with AsyncWriterPool(workers=2) as pool:  # each holds a million rows of a table
            for name in TABLES.keys() - UNCHANGED.keys():
                pool.write(self._segments / f"{name}.parquet", whole(stored(name, self._store.table(name), numbers)))
            self._write({})
            for writer in self._writers.values():
                writer.finish()
            for file in self._files:
                file.flush()
                os.fsync(file.fileno())
            self._store.commit(identity(facts), sync=True)
        write_seal(self._segments, facts)
        sync_folder(self._segments)
        return facts

    def _apply(self, changes: Changes) -> None:
        rows = checked(changes, self._root).rows
        for name, table in rows.items():
            self._store.append(name, table)
        self._write({name: table for name, table in rows.items() if name in UNCHANGED})
        for patch in changes.patches:
            self._store.patch(*patch)

    def _write(self, rows: dict[str, pa.Table]) -> None:
        """Have rows written that never change; those before are."""

        def append() -> None:
            for name, table in rows.items():
                self._writers[name].append(table)

        if self._pool is None:
            append()
            return
        if self._writing is not None:
            self._writing.result()
        self._writing = self._pool.submit(append) if rows else None


def checked(changes: Changes, root: str) -> Changes:
    """The same, with files named as in the folder `root`. Raises `TypeError` for what is not as the schema has it."""
    rows: dict[str, pa.Table] = {name: relative_files(table, root) for name, table in changes.rows.items()}
    for name, table in rows.items():
        if not table.schema.equals(TABLES[name]):
            raise TypeError(f"the table {name} is not as recording.schema has it: {table.schema}")
    return Changes(rows, changes.patches)
