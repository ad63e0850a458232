"""QueryCoordinator: every question about one recording goes through here.

Two in-memory databases over the same Arrow tables: one for our own SQL, and one without files, network or settings
for SQL that a person or a program typed. Hot questions (a step, a slice, a row by its number) use NumPy columns and
sorted indexes instead of SQL.
"""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.errors import NotFoundError, UsageError
from elixirscope.query import late, resolve, sandbox
from elixirscope.query.dialect import quote_words
from elixirscope.query.values import Values
from elixirscope.query.views import VIEWS, view_sql
from elixirscope.recording.schema import TABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.recording.recording import Recording

MEMORY_LIMIT = "1GB"
TIME_LIMIT_S = 20.0
SQL_TEXT_LIMIT = 1_000


class SqlResult:
    """The answer to `sql()`. `rows` are tuples of Python values; `truncated` says that `limit` cut it."""

    def __init__(self, arrow: pa.Table, types: list[str], truncated: bool, elapsed_ms: float) -> None:
        self.arrow = arrow
        self.columns: list[str] = list(arrow.column_names)
        self.types = types
        self.truncated = truncated
        self.elapsed_ms = elapsed_ms

    @cached_property
    def rows(self) -> list[tuple[Any, ...]]:
        """Row by row."""
        return list(zip(*(column.to_pylist() for column in self.arrow.columns), strict=True))


class QueryCoordinator:
    """Questions to one recording, in SQL and by index. Safe to use from several threads."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.values = Values(recording)
        self._columns: dict[tuple[str, str], NDArray[np.int64]] = {}
        self._batches: dict[str, tuple[list[pa.RecordBatch], NDArray[np.int64]]] = {}
        self._derived: dict[tuple[str, ...], NDArray[np.int64]] = {}
        self._indexes: dict[tuple[str, str], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self._view_columns: dict[str, list[str]] = {
            name: [c.name for c in view.columns] for name, view in VIEWS.items()
        }
        self._lock = threading.RLock()
        self._sandbox_lock = threading.Lock()
        self._nonce: str | None = None  # set while a query runs whose values can wait
        self._registered: dict[str, str] = {}
        self._trusted = self._connect("raw,main", {})

    def _connect(self, search_path: str, limits: dict[str, Any], *, waits: bool = False) -> duckdb.DuckDBPyConnection:
        """A database with the raw tables in schema `raw`, the public views in `main`, and all doors shut."""
        connection = duckdb.connect(
            ":memory:",
            config={
                "python_enable_replacements": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "temp_directory": "",  # never spill into the user's folder
                **limits,
            },
        )
        # Closed before the interpreter ends: the binding complains on stderr otherwise
        weakref.finalize(self, connection.close)
        values, itself = self.values, weakref.ref(self)

        def nonce() -> str | None:
            # Only the sandbox hands out tickets; a coordinator that is gone asks nothing more
            coordinator = itself()
            return coordinator._nonce if waits and coordinator is not None else None

        def value_text(ids: pa.Array) -> pa.Array:
            if (mark := nonce()) is not None:
                return late.ticket(mark, ids)
            unique = pc.unique(ids)
            texts = pa.array([values.text(i, SQL_TEXT_LIMIT) for i in unique.to_pylist()], pa.string())
            return texts.take(pc.index_in(ids, unique))

        def element_text(ids: pa.Array, positions: pa.Array) -> pa.Array:
            if (mark := nonce()) is not None:
                return late.ticket(mark, ids, positions)
            pairs = zip(ids.to_pylist(), positions.to_pylist(), strict=True)
            return pa.array([values.element_text(i, p, SQL_TEXT_LIMIT) for i, p in pairs], pa.string())

        options: dict[str, Any] = {"type": "arrow", "null_handling": "special", "side_effects": False}
        connection.create_function("value_text", value_text, ["BIGINT"], "VARCHAR", **options)
        connection.create_function("element_text", element_text, ["BIGINT", "INTEGER"], "VARCHAR", **options)
        connection.execute("create schema raw")
        for name in TABLES:
            connection.register(f"table_{name}", self.recording.table(name))
            connection.execute(f"create view raw.{name} as select * from table_{name}")
        for name, view in VIEWS.items():
            connection.execute(f"create view main.{name} as {view_sql(view)}")
        connection.execute(f"set search_path = '{search_path}'")
        connection.execute("set enable_external_access = false")
        connection.execute("set disabled_filesystems = 'LocalFileSystem'")
        connection.execute("set lock_configuration = true")
        return connection

    @cached_property
    def _sandbox(self) -> duckdb.DuckDBPyConnection:
        connection = self._connect("main", {"memory_limit": MEMORY_LIMIT}, waits=True)
        for name, text in self._registered.items():
            connection.execute(f"create or replace view main.{name} as {text}")
        return connection

    # SQL

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Our own SQL, over the tables of `recording.schema` (also `raw.NAME`); public views are `main.NAME`."""
        with self._lock:
            cursor = self._trusted.execute(quote_words(sql), list(params))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def arrow(self, sql: str, params: Sequence[Any] = ()) -> pa.Table:
        """As `rows`, for many rows."""
        with self._lock:
            return self._trusted.sql(quote_words(sql), params=list(params)).to_arrow_table()

    def sql(self, text: str, *, limit: int | None = None) -> SqlResult:
        """Anyone's SQL over the public views: read only, within memory and time limits. Raises `QueryError`."""
        with self._sandbox_lock:
            connection, started = self._sandbox, time.perf_counter()
            text = quote_words(text)
            tree = sandbox.check(connection, text)
            self._nonce = f"\x01{secrets.token_hex(8)}" if tree is not None and late.can_wait(tree) else None
            timer = threading.Timer(TIME_LIMIT_S, connection.interrupt)
            timer.daemon = True
            timer.start()
            try:
                relation = connection.sql(text)
                types = [str(kind) for kind in relation.types]
                table = (relation if limit is None else relation.limit(limit + 1)).to_arrow_table()
            except duckdb.Error as error:
                raise sandbox.explain(sandbox.positioned(connection, text, error), self._view_columns) from None
            finally:
                timer.cancel()
            truncated = limit is not None and table.num_rows > limit
            table = _whole_numbers(table.slice(0, limit))
            if self._nonce is not None:
                table = late.redeem(table, self._nonce, self._redeemed)
                self._nonce = None
        return SqlResult(table, types, truncated, (time.perf_counter() - started) * 1000)

    def _redeemed(self, numbers: list[int]) -> str | None:
        if len(numbers) == 1:
            return self.values.text(numbers[0], SQL_TEXT_LIMIT)
        return self.values.element_text(numbers[0], numbers[1], SQL_TEXT_LIMIT)

    def register_views(self, views: dict[str, str]) -> None:
        """Add public views: name → SELECT over `raw.NAME`."""
        with self._lock:
            for name, select in views.items():
                text = quote_words(select)
                self._trusted.execute(f"create or replace view main.{name} as {text}")
                described = self._trusted.execute(f"describe main.{name}").fetchall()
                self._view_columns[name] = [str(row[0]) for row in described]
                self._registered[name] = text
                if "_sandbox" in self.__dict__:
                    self._sandbox.execute(f"create or replace view main.{name} as {text}")

    @property
    def view_columns(self) -> dict[str, list[str]]:
        """Public view → its columns."""
        return dict(self._view_columns)

    # Columns and indexes

    def column(self, table: str, name: str) -> NDArray[np.int64]:
        """An integer column as int64, cached; null is -1."""
        with self._lock:
            key = (table, name)
            if key not in self._columns:
                column = self.recording.table(table).column(name).combine_chunks().cast(pa.int64())
                self._columns[key] = np.asarray(pc.fill_null(column, -1))
            return self._columns[key]

    def memo(self, key: tuple[str, ...], make: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
        """An array derived from this recording, made once. A recording never changes while open."""
        with self._lock:
            if key not in self._derived:
                self._derived[key] = make()
            return self._derived[key]

    def find_all(self, table: str, column: str, key: int) -> list[dict[str, Any]]:
        """Rows of `table` whose integer `column` equals `key`, in table order."""
        return self._take(table, self._numbers(table, column, key))

    def find_before(
        self, table: str, column: str, key: int, order: str, below: int, limit: int = 1
    ) -> list[dict[str, Any]]:
        """The last rows of `table` with `column` = `key` and `order` < `below`, the latest first; cheap among many."""
        numbers = self._numbers(table, column, key)
        keys = self.column(table, order)[numbers]
        ascending = np.argsort(keys, kind="stable")  # nothing to do in most tables: they are in order of events
        end = int(np.searchsorted(keys[ascending], below))
        return self._take(table, numbers[ascending[max(0, end - limit) : end][::-1]])

    def count(self, table: str, column: str, key: int) -> int:
        """How many rows of `table` have `column` = `key`."""
        return len(self._numbers(table, column, key))

    def _numbers(self, table: str, column: str, key: int) -> NDArray[np.int64]:
        """Row numbers by a sorted index, made when first asked for."""
        with self._lock:
            if (table, column) not in self._indexes:
                values = self.column(table, column)
                order = np.argsort(values, kind="stable")
                self._indexes[table, column] = (values[order], order)
            keys, order = self._indexes[table, column]
        low, high = np.searchsorted(keys, [key, key + 1])
        return order[low:high]

    def _take(self, table: str, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
        rows = self.recording.table(table)
        if len(numbers) <= 4:  # by far the most frequent, and quicker than a gather
            return [row for number in numbers.tolist() for row in rows.slice(number, 1).to_pylist()]
        found: list[dict[str, Any]] = self._gather(table, numbers).to_pylist()
        return found

    def _gather(self, table: str, numbers: NDArray[np.int64]) -> pa.Table:
        """Rows by number. Batch by batch, for Arrow's own `take` goes through every chunk of a large table."""
        with self._lock:
            if table not in self._batches:
                batches = self.recording.table(table).to_batches()
                ends = np.cumsum([batch.num_rows for batch in batches], dtype=np.int64)
                self._batches[table] = (batches, ends)
            batches, ends = self._batches[table]
        order = np.argsort(numbers, kind="stable")
        ascending = numbers[order]
        parts = []
        for number in np.unique(np.searchsorted(ends, ascending, side="right")).tolist():
            start = int(ends[number]) - batches[number].num_rows
            low, high = np.searchsorted(ascending, [start, int(ends[number])])
            parts.append(batches[number].take(pa.array(ascending[low:high] - start)))
        found = pa.Table.from_batches(parts, schema=self.recording.table(table).schema)
        return found if (np.diff(order) == 1).all() else found.take(pa.array(np.argsort(order)))

    def find(self, table: str, column: str, key: int | None) -> dict[str, Any] | None:
        """The first row of `table` whose integer `column` equals `key`; None for no key or no row."""
        rows = self.find_all(table, column, key) if key is not None and key >= 0 else []
        return rows[0] if rows else None

    def event(self, event: int) -> dict[str, Any]:
        """The row of an event. Raises `NotFoundError`."""
        count = self.event_count
        if not 0 <= event < count:
            raise NotFoundError(f"there is no event e{event} in this recording", f"events are e0 to e{count - 1}")
        row: dict[str, Any] = self.recording.table("events").slice(event, 1).to_pylist()[0]
        return row

    @cached_property
    def event_count(self) -> int:
        """How many events there are; they are numbered from 0."""
        return int(self.recording.table("events").num_rows)

    @cached_property
    def _by_process(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        processes = self.column("events", "process")
        order = in_order(processes)
        count = max(int(processes.max(initial=-1)) + 1, self.recording.table("processes").num_rows)
        return order, np.searchsorted(processes[order], np.arange(count + 1))

    def events_of(self, process: int) -> NDArray[np.int64]:
        """Numbers of the events of one process, ascending."""
        with self._lock:
            order, starts = self._by_process
        if not 0 <= process < len(starts) - 1:
            return order[:0]
        return order[starts[process] : starts[process + 1]]

    def window(self, process: int, start: int, end: int) -> pa.Table:
        """The rows of the events of one process with `at` in [start, end) ns."""
        mine = self.events_of(process)
        low, high = np.searchsorted(self.column("events", "at")[mine], [start, end])
        return self._gather("events", mine[low:high])

    def flow(self, sender: int, receiver: int, start: int, end: int) -> pa.Table:
        """The messages from one process to another sent (or else received) in [start, end) ns."""
        width = len(self.processes) + 1  # -1 is nobody
        ends = self.memo(
            ("messages", "ends"),
            lambda: (self.column("messages", "from_process") + 1) * width + self.column("messages", "to_process") + 1,
        )
        order = self.memo(("messages", "by ends"), lambda: np.argsort(ends, kind="stable"))
        keys = self.memo(("messages", "ends in order"), lambda: ends[order])
        key = (sender + 1) * width + receiver + 1
        mine = order[slice(*np.searchsorted(keys, [key, key + 1]))]
        at = self.column("events", "at")[self.column("messages", "message")[mine]]
        low, high = np.searchsorted(at, [start, end])
        return self._gather("messages", mine[low:high])

    @cached_property
    def processes(self) -> list[dict[str, Any]]:
        """Rows of the processes table; the index is not the process number (see `process_row`)."""
        rows: list[dict[str, Any]] = self.recording.table("processes").to_pylist()
        return rows

    @cached_property
    def _process_rows(self) -> dict[int, dict[str, Any]]:
        return {row["process"]: row for row in self.processes}

    def process_row(self, process: int | None) -> dict[str, Any] | None:
        """The row of a process; None when it is not known."""
        return None if process is None else self._process_rows.get(process)

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
        times = self.column("events", "at")
        if process is None:
            after = int(np.searchsorted(times, at, side="right"))
            return after - 1 if after else None
        mine = self.events_of(process)
        after = int(np.searchsorted(times[mine], at, side="right"))
        return int(mine[after - 1]) if after else None


def in_order(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The stable order of `keys`. Small numbers fit 16 bits, which sort many times faster."""
    small = len(keys) and int(keys.min()) >= 0 and int(keys.max()) < 2**16
    return np.argsort(keys.astype(np.uint16) if small else keys, kind="stable")


def _whole_numbers(table: pa.Table) -> pa.Table:
    """Sums of whole numbers come as 128-bit decimals; as int64 again where they fit."""
    for number, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            bounds = pc.min_max(table.column(number)).as_py()
            if all(bound is None or -(2**63) <= bound < 2**63 for bound in bounds.values()):
                table = table.set_column(number, field.name, table.column(number).cast(pa.int64()))
    return table
