"""QueryCoordinator: every question about one recording goes through here.

SQL is answered by an `Engine`; hot questions (a step, a slice, a row by its number) by `Rows`: columns and indexes
instead of SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from elixirscope.errors import NotFoundError, UsageError
from elixirscope.query import resolve
from elixirscope.query.row import Row
from elixirscope.query.rows import Rows
from elixirscope.query.values import Values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.query.engine import Engine, SqlResult
    from elixirscope.recording.recording import Recording


class QueryCoordinator:
    """Questions to one recording, in SQL and by index. Safe to use from several threads."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.values = Values(recording)
        self.indexes = Rows(recording)
        self._views = dict[str, str]()
        self._made: Engine | None = None
        self._making = threading.Lock()
        self._process_rows: dict[int | None, Row | None] = {}

    # SQL

    @property
    def _engine(self) -> Engine:
        """Made when first asked: DuckDB takes its time to load, and hot questions do without."""
        with self._making:
            if self._made is None:
                from elixirscope.query.engine import Engine

                self._made = Engine(self.recording, self.values, self._views)
            return self._made

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Our own SQL, over the tables of `recording.schema` (also `raw.NAME`); public views are `main.NAME`."""
        return self._engine.rows(sql, params)

    def arrow(self, sql: str, params: Sequence[Any] = ()) -> pa.Table:
        """As `rows`, for many rows."""
        return self._engine.arrow(sql, params)

    def sql(self, text: str, *, limit: int | None = None, offset: int = 0) -> SqlResult:
        """Anyone's SQL over the public views: read only, within memory and time limits.

        All rows, or the page of `limit` from `offset` on; `next_offset` of the result is where the next begins. Give
        the query an ORDER BY for pages that fit together. Raises `QueryError`, when cancelled (`query.cancellation`)
        too.
        """
        return self._engine.sql(text, limit=limit, offset=offset)

    def register_views(self, views: dict[str, str]) -> None:
        """Add public views: name → SELECT over `raw.NAME`."""
        with self._making:
            self._views |= views
            if self._made is not None:
                self._made.register_views(views)

    @property
    def view_columns(self) -> dict[str, list[str]]:
        """Public view → its columns."""
        return self._engine.view_columns

    # Columns and indexes

    def column(self, table: str, name: str) -> NDArray[Any]:
        """A column of whole numbers, in place where the recording is large: not to be written to. Null is -1."""
        return self.indexes.column(table, name)

    def memo(self, key: tuple[str, ...], make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """An array derived from this recording, made once and kept beside it where it is large. A recording never
        changes while open."""
        return self.indexes.arrays(".".join(key).replace(" ", "_"), lambda _: (make(),))[0]

    def find_all(self, table: str, column: str, key: int) -> Sequence[Row]:
        """Rows of `table` whose integer `column` equals `key`, in table order."""
        return self.indexes.take(table, self.indexes.numbers(table, column, key))

    def find_before(self, table: str, column: str, key: int, order: str, below: int, limit: int = 1) -> Sequence[Row]:
        """The last rows of `table` with `column` = `key` and `order` < `below`, the latest first; cheap among many."""
        return self.indexes.take(table, self.indexes.numbers_before(table, column, key, order, below, limit))

    def count(self, table: str, column: str, key: int) -> int:
        """How many rows of `table` have `column` = `key`."""
        return len(self.indexes.numbers(table, column, key))

    def find(self, table: str, column: str, key: int | None) -> Row | None:
        """The first row of `table` whose integer `column` equals `key`; None for no key or no row."""
        if key is None or key < 0:
            return None
        rows = self.indexes.take(table, self.indexes.numbers(table, column, key)[:1])
        return rows[0] if rows else None

    def event(self, event: int) -> Row:
        """The row of an event. Raises `NotFoundError`."""
        count = self.event_count
        if not 0 <= event < count:
            raise NotFoundError(f"there is no event e{event} in this recording", f"events are e0 to e{count - 1}")
        return self.indexes.row("events", event)

    @cached_property
    def event_count(self) -> int:
        """How many events there are; they are numbered from 0."""
        return self.recording.rows("events")

    def events_of(self, process: int) -> NDArray[np.int64]:
        """Numbers of the events of one process, ascending."""
        return self.indexes.events_of(process).astype(np.int64)

    def window(self, process: int, start: int, end: int) -> pa.Table:
        """The rows of the events of one process with `at` in [start, end) ns."""
        return self.indexes.events(process, self.indexes.window(process, start, end))

    def flow(self, sender: int, receiver: int, start: int, end: int) -> pa.Table:
        """The messages from one process to another sent (or else received) in [start, end) ns."""
        return self.indexes.gather("messages", self.indexes.flow(sender, receiver, start, end))

    @cached_property
    def line_hits(self) -> dict[str, dict[int, int]]:
        """File → its lines that were reached, in order → how often, over the whole recording."""
        found: dict[str, dict[int, int]] = {}
        sites = self.recording.table("sites").select(["file", "line", "hits"]).to_pylist()
        reached = [row for row in sites if row["hits"] and row["file"] is not None and row["line"] is not None]
        for row in sorted(reached, key=lambda row: (row["file"], row["line"])):
            lines = found.setdefault(row["file"], {})
            lines[row["line"]] = max(lines.get(row["line"], 0), row["hits"])
        return found

    @cached_property
    def processes(self) -> list[dict[str, Any]]:
        """Rows of the processes table; the index is not the process number (see `process_row`)."""
        return self.indexes.all("processes")

    def process_row(self, process: int | None) -> Row | None:
        """The row of a process; None when it is not known."""
        if process not in self._process_rows:
            self._process_rows[process] = self.find("processes", "process", process)
        return self._process_rows[process]

    # Names and times

    def process(self, text: str | int) -> int:
        """The process meant by "Seats", "#PID<0.1.0>", "<0.1.0>", "12" or a label. Raises `NotFoundError`."""
        return resolve.find_process(str(text), self.processes)

    def at(self, text: str | int) -> int:
        """Ns of "44.218ms", "1.2s", "e1234", "start", "end". Raises `UsageError`, or `NotFoundError` beyond the end."""
        duration = int(self.recording.info.duration_ns)
        if isinstance(text, str) and text.strip() in ("end", "start"):
            return duration if text.strip() == "end" else 0
        event = resolve.parse_event(text) if isinstance(text, str) else None
        if event is not None:
            return int(self.event(event)["at"])
        at = resolve.parse_time(text) if isinstance(text, str) else text
        if at < 0:
            raise UsageError(f"{at} is before the recording's start", "times count from 0")
        if at > duration:
            raise NotFoundError(f"{text} is after the recording's end", f"it lasts {duration / 1e6:.3f}ms")
        return at

    def event_at(self, at: int, process: int | None = None) -> int | None:
        """The last event at or before `at` (ns), of one process or of all."""
        after, _ = self.indexes.between("events", "at", at + 1, at + 1)
        if process is None:
            return after - 1 if after else None
        mine = self.indexes.events_of(process)
        found = int(np.searchsorted(mine, np.asarray(after, mine.dtype)))
        return int(mine[found - 1]) if found else None
