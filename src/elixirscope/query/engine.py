"""SQL over the tables of a recording: one in-memory database for our own, and one without files, network or settings
for what a person or a program typed."""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.errors import QueryError
from elixirscope.query import late, sandbox
from elixirscope.query.cancellation import current
from elixirscope.query.dialect import quote_words
from elixirscope.query.lookups import lookups
from elixirscope.query.views import VIEWS, view_sql
from elixirscope.recording.schema import TABLES

if TYPE_CHECKING:
    from elixirscope.query.values import Values
    from elixirscope.recording.recording import Recording

MEMORY_LIMIT: Final = "1GB"
TIME_LIMIT_S: Final = 20.0
SQL_TEXT_LIMIT: Final = 1_000


class SqlResult:
    """The answer to `sql()`, or a page of it. `rows` are tuples of Python values; `truncated` says that more follow."""

    def __init__(self, arrow: pa.Table, types: list[str], truncated: bool, elapsed_ms: float, offset: int = 0) -> None:
        self.arrow = arrow
        self.columns: list[str] = list(arrow.column_names)
        self.types = types
        self.truncated = truncated
        self.elapsed_ms = elapsed_ms
        self.offset = offset

    @cached_property
    def rows(self) -> list[tuple[Any, ...]]:
        """Row by row."""
        return list(zip(*(column.to_pylist() for column in self.arrow.columns), strict=True))

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins; None after the last."""
        return self.offset + self.arrow.num_rows if self.truncated else None


class Engine:
    """Both databases, made when first asked. Safe to use from several threads."""

    def __init__(self, recording: Recording, values: Values, views: dict[str, str]) -> None:
        """`views`: further public ones, name → SELECT over `raw.NAME`."""
        self._recording = recording
        self._values = values
        self._columns: dict[str, list[str]] = {name: [c.name for c in view.columns] for name, view in VIEWS.items()}
        self._lock = threading.RLock()
        self._sandbox_lock = threading.Lock()
        self._nonce: str | None = None  # set while a query runs whose values can wait
        self._registered = dict[str, str]()
        self.register_views(views)

    @cached_property
    def _trusted(self) -> duckdb.DuckDBPyConnection:
        return self._connect("raw,main", {})

    @cached_property
    def _sandbox(self) -> duckdb.DuckDBPyConnection:
        return self._connect("main", {"memory_limit": MEMORY_LIMIT}, waits=True)

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
        values, itself = self._values, weakref.ref(self)

        def nonce() -> str | None:
            # Only the sandbox hands out tickets; an engine that is gone asks nothing more
            engine = itself()
            return engine._nonce if waits and engine is not None else None

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
        for name, kind, look in lookups(self._recording):
            connection.create_function(name, look, ["BIGINT"], kind, **options)
        connection.execute("create schema raw")
        for name in TABLES:
            connection.register(f"table_{name}", self._recording.table(name))
            connection.execute(f"create view raw.{name} as select * from table_{name}")
        for name, view in VIEWS.items():
            connection.execute(f"create view main.{name} as {view_sql(view)}")
        for name, text in self._registered.items():
            connection.execute(f"create or replace view main.{name} as {text}")
        connection.execute(f"set search_path = '{search_path}'")
        connection.execute("set enable_external_access = false")
        connection.execute("set disabled_filesystems = 'LocalFileSystem'")
        connection.execute("set lock_configuration = true")
        return connection

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Our own SQL, over the tables of `recording.schema` (also `raw.NAME`); public views are `main.NAME`."""
        with self._lock, self._cancellable():
            cursor = self._trusted.execute(quote_words(sql), list(params))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def arrow(self, sql: str, params: Sequence[Any] = ()) -> pa.Table:
        """As `rows`, for many rows."""
        with self._lock, self._cancellable():
            return self._trusted.sql(quote_words(sql), params=list(params)).to_arrow_table()

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        """Our own question, which stops with the one that it is asked for."""
        stop = current()
        with stop.interrupting(self._trusted.interrupt):
            try:
                yield
            except duckdb.Error:
                stop.check()
                raise

    def sql(self, text: str, *, limit: int | None = None, offset: int = 0) -> SqlResult:
        """See `QueryCoordinator.sql`."""
        stop = current()
        with self._sandbox_lock, stop.interrupting(self._sandbox.interrupt):
            connection, started = self._sandbox, time.perf_counter()
            text = quote_words(text)
            tree = sandbox.check(connection, text)
            self._nonce = f"\x01{secrets.token_hex(8)}" if tree is not None and late.can_wait(tree) else None
            timer = threading.Timer(TIME_LIMIT_S, connection.interrupt)
            timer.daemon = True
            try:
                timer.start()
                relation = connection.sql(text)
                types = [str(kind) for kind in relation.types]
                if limit is not None:
                    relation = relation.limit(limit + 1, offset)
                elif offset:
                    relation = relation.limit(2**62, offset)
                table = relation.to_arrow_table()
            except duckdb.Error as error:
                stop.check()
                raise sandbox.explain(sandbox.positioned(connection, text, error), self.view_columns) from None
            except ValueError as error:  # from DuckDB's own reading of parameters: `?²`
                raise QueryError(
                    f"a parameter of the query is not understood: {error}", "write the value itself"
                ) from None
            finally:
                timer.cancel()
            truncated = limit is not None and table.num_rows > limit
            table = _whole_numbers(table.slice(0, limit))
            if self._nonce is not None:
                table = late.redeem(table, self._nonce, self._redeemed)
                self._nonce = None
        return SqlResult(table, types, truncated, (time.perf_counter() - started) * 1000, offset)

    def _redeemed(self, numbers: list[int]) -> str | None:
        if len(numbers) == 1:
            return self._values.text(numbers[0], SQL_TEXT_LIMIT)
        return self._values.element_text(numbers[0], numbers[1], SQL_TEXT_LIMIT)

    def register_views(self, views: dict[str, str]) -> None:
        """Add public views: name → SELECT over `raw.NAME`."""
        with self._lock:
            self._registered |= {name: quote_words(select) for name, select in views.items()}
            for made in ("_trusted", "_sandbox"):
                if made in self.__dict__:
                    for name in views:
                        text = self._registered[name]
                        self.__dict__[made].execute(f"create or replace view main.{name} as {text}")

    @property
    def view_columns(self) -> dict[str, list[str]]:
        """Public view → its columns."""
        with self._lock:
            for name in self._registered.keys() - self._columns.keys():
                described = self._trusted.execute(f"describe main.{name}").fetchall()
                self._columns[name] = [str(row[0]) for row in described]
            return dict(self._columns)


def _whole_numbers(table: pa.Table) -> pa.Table:
    """Sums of whole numbers come as 128-bit decimals; as int64 again where they fit."""
    for number, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            bounds = pc.min_max(table.column(number)).as_py()
            if all(bound is None or -(2**63) <= bound < 2**63 for bound in bounds.values()):
                table = table.set_column(number, field.name, table.column(number).cast(pa.int64()))
    return table
