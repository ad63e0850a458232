"""A recording for scripts and notebooks: what `elixirscope.open` returns. docs/python.md shows it at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa

from elixirscope import html
from elixirscope.dags import Picture, Step
from elixirscope.dags.causality import Beside, Relation
from elixirscope.dags.diff import Change
from elixirscope.dags.state import Version
from elixirscope.errors import EnvironmentProblem, NotFoundError, UsageError
from elixirscope.film import Film
from elixirscope.insight import Finding
from elixirscope.moment import Moment
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.row import Row
from elixirscope.query.search import Hit, find, is_pattern
from elixirscope.query.stepping import moment_of

T = TypeVar("T")
_SHOWN = 20  # rows that a notebook shows of a table
_TAKEN = 50_000  # rows taken at once by who iterates


class Recorded(Film):
    """A recording: its tables, and questions about it. Everything of `Film` is there too."""

    def _view(self, name: str) -> Rows:
        return Rows(self.query, name)

    @property
    def events(self) -> Rows:
        """Everything that was recorded."""
        return self._view("events")

    @property
    def calls(self) -> Rows:
        """Function calls."""
        return self._view("calls")

    @property
    def messages(self) -> Rows:
        """Messages."""
        return self._view("messages")

    @property
    def states(self) -> Rows:
        """State versions."""
        return self._view("states")

    @property
    def processes(self) -> Rows:
        """Process lives."""
        return self._view("processes")

    @property
    def exceptions(self) -> Rows:
        """Exceptions: raised, caught, or ending a process."""
        return self._view("exceptions")

    @property
    def bindings(self) -> Rows:
        """Variables."""
        return self._view("bindings")

    @property
    def tests(self) -> Rows:
        """ExUnit tests."""
        return self._view("tests")

    @property
    def links(self) -> Rows:
        """Links and monitors."""
        return self._view("links")

    @property
    def sites(self) -> Rows:
        """Instrumented places in the code."""
        return self._view("sites")

    @cached_property
    def findings(self) -> Listing[Finding]:
        """Root causes, the most certain and severe first."""
        return Listing(super().findings, ("kind", "title", "confidence", "explanation"))

    def process(self, name: str | int) -> int:
        """The number of the process meant by a name, label, pid or number. Raises `NotFoundError`."""
        return self.query.process(name)

    def state(self, process: str | int, at: str | int = "end") -> State:
        """The state of a process at a time ("44.2ms", "e1234", "end", or ns). Raises `NotFoundError`."""
        number = self.query.process(process)
        at_ns = self.query.at(at)
        return State(self, self.dags.state.existing(number, at_ns), at_ns)

    def why(self, event: str | int, limit: int | None = 30) -> Listing[Step]:
        """The causes of an event (a number, "e1234", or a finding's moment), the nearest first."""
        steps = self.dags.causality.why(_event(event), limit=limit)
        return Listing(steps, ("event", "at", "process_label", "label", "edge", "certain", "reason"))

    def relation(self, a: str | int, b: str | int) -> Relation:
        """How two events stand to each other, and what both follow from. Raises `NotFoundError`."""
        return self.dags.causality.relation(_event(a), _event(b))

    def concurrent(self, event: str | int) -> Listing[Beside]:
        """What each process did that neither led to an event nor came of it. `dags.causality.concurrent_with` numbers
        the events. Raises `NotFoundError`."""
        fields = ("process_label", "events", "first", "last", "start", "end")
        return Listing(self.dags.causality.concurrent_spans(_event(event)), fields)

    def moment(self, text: str | int | Moment, process: str | int | None = None) -> Frame:
        """All that is known at a moment: "e1234", "44.2ms", "end", ns, or a `Moment`; of one process when named."""
        if isinstance(text, Moment):
            return Frame(self.dags.frame_at(text))
        who = self.query.process(process) if process is not None else None
        if isinstance(text, str) and text.startswith("e") and text[1:].isdigit():
            return Frame(self.dags.frame_at(moment_of(self.query, int(text[1:]))))
        return Frame(self.dags.frame_at(Moment(at=self.query.at(text), process=who)))

    def sql(self, text: str, limit: int | None = None) -> Answer:
        """The answer to SQL over the public views, sandboxed. Raises `QueryError`."""
        return Answer(self.query.sql(text, limit=limit).arrow)

    def search(self, what: str, kinds: Sequence[str] = (), limit: int = 100, offset: int = 0) -> Listing[Hit]:
        """Where values of an Elixir pattern (or with a text in them) were recorded. Raises `UsageError`."""
        page = find(self.query, what, kinds, plain=not is_pattern(what), limit=limit, offset=offset, seconds=None)
        return Listing(page.hits, ("kind", "label", "process_label", "where", "value"), page.total)

    def term(self, value: int) -> Any:
        """A recorded value by its id (a column that ends in `_id`), decoded: see `elixirscope.recording.terms`."""
        return self.query.values.term(value)

    def _repr_html_(self) -> str:
        info = self.info
        rows = [
            ("command", " ".join(info.command)),
            ("events", f"{info.events:,}"),
            ("processes", f"{info.processes:,}"),
            ("calls", f"{info.calls:,}"),
            ("messages", f"{info.messages:,}"),
            ("states", f"{info.states:,}"),
            ("duration", f"{info.duration_ns / 1e6:,.3f} ms"),
            ("lost", f"{info.lost:,} events"),
        ]
        return html.table(("", ""), rows, f"Recording {self.recording.path.name}")


class Answer:
    """Rows: `arrow()`, `df()`, or iterate over them as dicts."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self._table

    def df(self) -> Any:
        """The rows as a pandas data frame. Raises `EnvironmentProblem` when pandas is not installed."""
        return frame_of(self.arrow())

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self._table.to_pylist()

    def __repr__(self) -> str:
        return f"<{len(self):,} rows of {', '.join(self._table.column_names)}>"

    def _repr_html_(self) -> str:
        shown = self._table.slice(0, _SHOWN).to_pylist()
        return html.table(self._table.column_names, [row.values() for row in shown], total=len(self))


class Rows:
    """A view of the recording, read when asked: values are decoded only for the columns and rows taken."""

    def __init__(self, query: QueryCoordinator, name: str) -> None:
        self._query = query
        self.name = name
        self.columns: list[str] = query.view_columns[name]

    def arrow(self, columns: Sequence[str] | None = None, where: str = "", limit: int | None = None) -> pa.Table:
        """Rows as an Arrow table: of `columns` (all by default), for which the SQL condition `where` holds.

        Raises `UsageError` for an unknown column, `QueryError` for a wrong condition.
        """
        return self._query.sql(self._select(columns, where), limit=limit).arrow

    def df(self, columns: Sequence[str] | None = None, where: str = "", limit: int | None = None) -> Any:
        """As `arrow`, as a pandas data frame. Raises `EnvironmentProblem` when pandas is not installed."""
        return frame_of(self.arrow(columns, where, limit))

    def _select(self, columns: Sequence[str] | None, where: str) -> str:
        unknown = [name for name in columns or () if name not in self.columns]
        if unknown:
            raise UsageError(f"{self.name} has no column {unknown[0]!r}", f"its columns: {', '.join(self.columns)}")
        chosen = ", ".join(f'"{name}"' for name in columns or self.columns)
        return f"select {chosen} from {self.name}" + (f" where {where}" if where else "")

    def __len__(self) -> int:
        return self._query.recording.rows(self.name)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows as dicts, in order of the first column, which numbers them; some thousands are in memory."""
        key = self.columns[0]
        numbers = self._query.column(self.name, key)
        bounds = [*dict.fromkeys(numbers[::_TAKEN].tolist())]
        order = ", ".join(f'"{name}"' for name in (key, "position") if name in self.columns)
        for first, behind in zip(bounds, [*bounds[1:], None], strict=False):
            where = f'"{key}" >= {first}' + (f' and "{key}" < {behind}' if behind is not None else "")
            for batch in self.arrow(where=f"{where} order by {order}").to_batches(1_000):
                yield from batch.to_pylist()

    def __repr__(self) -> str:
        return f"<{len(self):,} {self.name}: {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        shown = self.arrow(limit=_SHOWN).to_pylist()
        return html.table(self.columns, [row.values() for row in shown], self.name, len(self))


class Listing(list[T]):
    """A list that shows itself as a table in a notebook; `total` counts what there is beyond it."""

    def __init__(self, items: Sequence[T], fields: tuple[str, ...], total: int | None = None) -> None:
        super().__init__(items)
        self.fields = fields
        self.total = len(self) if total is None else total

    def _repr_html_(self) -> str:
        rows = [[getattr(item, field) for field in self.fields] for item in self[:_SHOWN]]
        return html.table(self.fields, rows, total=self.total)


class State:
    """The state of one process at one time."""

    def __init__(self, recorded: Recorded, row: Row, at: int) -> None:
        self._recorded = recorded
        self._answer = recorded.dags.state.answer(row)
        self._at = at
        self._value: int | None = row["value"]
        self.process = self._answer.process
        self.name = self._answer.name
        self.version = self._answer.version
        self.at = self._answer.at
        self.changed_by = self._answer.changed_by

    @property
    def text(self) -> str:
        """The whole state as IEx prints it."""
        return self._answer.value

    @property
    def value(self) -> Any:
        """The state as Python terms; None when its value was not recorded."""
        return None if self._value is None else self._recorded.term(self._value)

    @property
    def history(self) -> Listing[Version]:
        """All versions of this process's state."""
        versions = self._recorded.dags.state.history(self.process)
        return Listing(versions, ("version", "at", "callback", "value", "restart"))

    def changed(self, path: str) -> State:
        """The version that last changed what is at `path` (`.seats["A1"]`): its `changed_by` says who.

        Raises `NotFoundError` when no version up to this one did.
        """
        row = self._recorded.dags.state.who_changed(self.process, path, self._at)
        if row is None:
            raise NotFoundError(
                f"nothing changed {path} of {self.name} until then", "give a later time, or another path"
            )
        return State(self._recorded, row, row["at"])

    def diff(self, other: State) -> list[Change]:
        """What differs from this state to another, of any process."""
        return self._recorded.dags.state.diff_values(self._value, other._value)

    def __repr__(self) -> str:
        return f"<state {self.version} of {self.name}: {self.text[:200]}>"

    def _repr_html_(self) -> str:
        rows = [("version", self.version), ("since", f"{self.at / 1e6:,.3f} ms"), ("changed by", self.changed_by)]
        return html.table(("", ""), rows, f"State of {self.name}") + html.code(self.text)


class Frame:
    """One moment in all seven DAGs; its parts are those of `elixirscope.dags.Picture`."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture

    def __getattr__(self, name: str) -> Any:
        return getattr(self.picture, name)

    def __repr__(self) -> str:
        return f"<moment {self.picture.moment.text}: {self.picture.event.label if self.picture.event else 'no event'}>"

    def _repr_html_(self) -> str:
        picture = self.picture
        label = picture.event.label if picture.event is not None else ""
        stack = [(f"{f.module}.{f.function}/{f.arity}", f"{f.file}:{f.line}", f.args) for f in picture.stack]
        bound = [(b.name, b.value) for b in picture.bindings]
        causes = [(f"e{s.event}", s.process_label, s.label, s.edge) for s in picture.causes]
        return (
            html.table(("function", "where", "arguments"), stack, f"Moment {picture.moment.text}: {label}")
            + (html.table(("variable", "value"), bound) if bound else "")
            + (html.table(("event", "process", "cause", "by"), causes) if causes else "")
        )


def frame_of(table: pa.Table) -> Any:
    """A table as a pandas data frame. Raises `EnvironmentProblem` when pandas is not installed."""
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise EnvironmentProblem(
            "a data frame needs pandas, which is not installed here", "pip install pandas, or use .arrow()"
        ) from error
    return table.to_pandas()


def _event(event: str | int) -> int:
    if isinstance(event, int):
        return event
    digits = event.removeprefix("e")
    if not digits.isdigit():
        raise UsageError(f"{event!r} is not an event", "write it as e1234, or give its number")
    return int(digits)
