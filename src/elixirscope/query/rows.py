"""Rows of one recording by number, by key and by time, without SQL: columns and indexes that are mapped, not read.

Indexes are made once and kept beside a large recording (`recording.arrays`). Tables are in order of events, so a time
is an event number and an event number a row, each found by one binary search.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from elixirscope.query.cancellation import checkpoint
from elixirscope.query.grouping import Chosen, Grouped, Groups, ascends, group, parts, regroup, shift_of
from elixirscope.query.row import Lazy, Row
from elixirscope.recording.schema import TABLES
from elixirscope.recording.view import will_need, will_need_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.recording.arrays import Allocate
    from elixirscope.recording.recording import Recording


_STEP: Final = 512  # rows: a page of 8-byte numbers
_NULL: Final = -1  # null, in columns of whole numbers
_PROCESSES: Final = frozenset(
    {
        *(("calls", "process"), ("exceptions", "process"), ("links", "process"), ("links", "peer")),
        *(("messages", "from_process"), ("messages", "to_process"), ("states", "process")),
    }
)  # columns of process numbers, for which `grouped` is the index
_FEW: Final = 8  # rows that are taken one by one
_WIDE: Final = 8 * _STEP  # rows between two places: each is on pages of its own
_APART: Final = 32 * _STEP  # rows that are further from each other are not read around


class Rows:
    """The tables of a recording as columns and indexes. Safe to use from several threads."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._columns: dict[tuple[str, str, bool], NDArray[Any]] = {}
        self._batches: dict[str, tuple[list[pa.RecordBatch], NDArray[np.int64]]] = {}
        self._fields: dict[str, dict[str, pa.Array | pa.ChunkedArray]] = {}
        self._groups: dict[tuple[str, str], Groups] = {}
        self._lock = threading.RLock()

    def column(self, table: str, name: str, *, scattered: bool = False) -> NDArray[Any]:
        """A column of whole numbers, not to be written to; null is -1. `scattered`: for who looks at a row here and
        there, of a column that perhaps only the disk has."""
        with self._lock:
            key = (table, name, scattered)
            if key not in self._columns:
                self._columns[key] = self.recording.numbers(table, name, scattered=scattered)
            return self._columns[key]

    def arrays(self, name: str, make: Callable[[Allocate], tuple[NDArray[Any], ...]]) -> tuple[NDArray[Any], ...]:
        """Arrays derived from this recording, made once; `make` allocates large ones by what it is given."""
        with self._lock:
            return self.recording.arrays.get(name, make)

    # By key

    def numbers(self, table: str, column: str, key: int) -> NDArray[Any]:
        """The rows of `table` whose integer `column` equals `key`, ascending."""
        if self.ascending(table, column):
            low, high = self.between(table, column, key, key + 1)
            return np.arange(low, high)
        if (table, column) in _PROCESSES:
            order, starts = self.grouped(table, column)
            return order[int(starts[key]) : int(starts[key + 1])] if 0 <= key < len(starts) - 1 else order[:0]
        with self._lock:
            if (table, column) not in self._groups:
                keys = self.column(table, column)

                def make(allocate: Allocate) -> tuple[NDArray[Any], ...]:
                    shift, groups = shift_of(keys)
                    found = self._group(table, column, "by key", keys, groups, allocate, shift=shift)
                    return *found, np.array([shift], np.int64)

                order, starts, shift = self.arrays(f"{table}.{column}", make)
                self._groups[table, column] = Groups(keys, order, starts, int(shift[0]))
            return self._groups[table, column].rows(key)

    def seek(self, table: str, column: str, key: int) -> NDArray[np.int64]:
        """As `numbers`, by going through the column: for what is asked too seldom to deserve an index."""
        keys, found = self.column(table, column), [np.empty(0, np.int64)]
        for part in parts(len(keys)):
            checkpoint()
            found.append(np.flatnonzero(keys[part] == key) + part.start)
        return np.concatenate(found)

    def worded(self, table: str, column: str, wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
        """For each row whether the word in a column of texts is one that is `wanted`; of null it is not."""
        found = [np.empty(0, np.bool_)]
        for chunk in self.recording.table(table).column(column).chunks:
            checkpoint()
            words = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
            chosen = np.array([*(wanted(word) for word in words.dictionary.to_pylist()), False], np.bool_)
            found.append(chosen[np.asarray(words.indices.fill_null(len(chosen) - 1))])
        return np.concatenate(found)

    def coded(self, table: str, column: str) -> NDArray[Any]:
        """A column of texts as numbers, equal where texts are; null is -1."""
        words = self.recording.table(table).column(column).unify_dictionaries().combine_chunks()
        return np.asarray(words.indices.fill_null(_NULL))

    def grouped(self, table: str, column: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """(rows by a column that holds process numbers, where each process starts)."""
        keys, count = self.column(table, column), self.process_count
        order, starts = self.arrays(
            f"{table}.by_{column}", lambda allocate: self._group(table, column, "by process", keys, count, allocate)
        )
        return order, starts

    def _group(
        self,
        table: str,
        column: str,
        name: str,
        keys: NDArray[Any] | Chosen,
        groups: int,
        allocate: Allocate,
        *,
        shift: int = 0,
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """`group` of the rows by a column, of a recording that grows from what was made of the edition before."""
        derived = self.recording.derived(table, column)
        before: Grouped | None = derived.get(name)
        if before and before.shift == shift and before.rows <= len(keys) and len(before.starts) <= groups + 1:
            found = regroup(before, keys, groups)
        else:
            found = group(keys, groups, allocate, shift=shift)
        derived[name] = Grouped(*found, len(keys), shift)
        return found

    def numbers_before(self, table: str, column: str, key: int, order: str, below: int, limit: int) -> NDArray[Any]:
        """The last `limit` rows with `column` = `key` and `order` < `below`, the latest first."""
        numbers = self.numbers(table, column, key)
        if self.ascending(table, order):
            end = _place(numbers, self.between(table, order, below, below)[0])
            return numbers[max(0, end - limit) : end][::-1]
        keys = self.column(table, order)[numbers]
        ascending = np.argsort(keys, kind="stable")
        end = int(np.searchsorted(keys[ascending], below))
        return numbers[ascending[max(0, end - limit) : end][::-1]]

    def ascending(self, table: str, column: str) -> bool:
        """Whether a column is in order, so that it is its own index."""
        keys = self.column(table, column)

        def make(_: Allocate) -> tuple[NDArray[Any], ...]:
            derived = self.recording.derived(table, column)
            answer, rows = derived.get("ascends", (True, 0))
            derived["ascends"] = (answer and (rows >= len(keys) > 0 or ascends(keys[max(rows - 1, 0) :])), len(keys))
            return (np.array([derived["ascends"][0]]),)

        (answer,) = self.arrays(f"{table}.{column}.ascends", make)
        return bool(answer[0])

    def between(self, table: str, column: str, low: int, high: int) -> tuple[int, int]:
        """The rows [first, last) with `low` <= `column` < `high`, for a column in order."""
        keys = self.column(table, column, scattered=True)
        least, most = _limits(keys.dtype)
        first, last = (keys.dtype.type(min(max(bound, least), most)) for bound in (low, high))
        if len(keys) < 4 * _STEP:
            return int(keys.searchsorted(first)), int(keys.searchsorted(last))
        sample = self._sample(table, column)
        return _within(keys, sample, first), _within(keys, sample, last)

    def places(self, table: str, column: str, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each of `values` the first row whose `column`, which is in order, is not less.

        A page of a large column is read for each, not all that a binary search would hop over.
        """
        keys = self.column(table, column, scattered=True)
        wanted = np.clip(values, *_limits(keys.dtype)).astype(keys.dtype)
        if len(keys) < 4 * _STEP:
            return np.searchsorted(keys, wanted)
        found: NDArray[np.int64] = np.searchsorted(self._sample(table, column), wanted) * _STEP
        inside = np.flatnonzero(found)  # the one sought comes after the key sampled before it
        below, step = found[inside] - _STEP, _STEP // 2
        if len(below) and int(below.max() - below.min()) > _WIDE * len(below):
            will_need(keys, below, np.minimum(below + _STEP, len(keys)))
        while step:  # a binary search for all of them at once
            probe = below + step
            less = (probe < len(keys)) & (keys[np.minimum(probe, len(keys) - 1)] < wanted[inside])
            below, step = np.where(less, probe, below), step // 2
        found[inside] = below + 1
        return found

    def _sample(self, table: str, column: str) -> NDArray[Any]:
        """Every 512th of a column in order."""
        keys = self.column(table, column)
        return self.arrays(f"{table}.{column}.sample", lambda _: (keys[::_STEP].copy(),))[0]

    # By process

    def by_process(
        self, name: str, choose: Callable[[slice], NDArray[np.bool_]] | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """(event numbers by process, where each process starts): of all events, or of those that `choose` keeps. It may
        only look at the events' own kinds: what it said of an event holds for later editions."""
        processes = self.column("events", "process")
        count = self.process_count

        keys = processes if choose is None else Chosen(processes, choose)
        order, starts = self.arrays(
            name, lambda allocate: self._group("events", "process", name, keys, count, allocate)
        )
        return order, starts

    @property
    def process_count(self) -> int:
        """One more than the highest number of a process."""

        def make(_: Allocate) -> tuple[NDArray[Any], ...]:
            processes = self.column("processes", "process")
            return (np.array([int(processes.max(initial=-1)) + 1]),)

        return int(self.arrays("processes.count", make)[0][0])

    def events_of(self, process: int) -> NDArray[Any]:
        """Numbers of the events of one process, ascending."""
        order, starts = self.by_process("events.by_process")
        if not 0 <= process < len(starts) - 1:
            return order[:0]
        return order[int(starts[process]) : int(starts[process + 1])]

    def window(self, process: int, start: int, end: int) -> NDArray[Any]:
        """The events of one process with `at` in [start, end) ns."""
        first, last = self.between("events", "at", start, end)
        mine = self.events_of(process)
        return mine[_place(mine, first) : _place(mine, last)]

    def flow(self, sender: int, receiver: int, start: int, end: int) -> NDArray[Any]:
        """The rows of messages between two processes sent (or else received) in [start, end) ns."""

        def make(allocate: Allocate) -> tuple[NDArray[Any], ...]:
            senders, receivers = self.column("messages", "from_process"), self.column("messages", "to_process")
            by_receiver, _ = group(receivers, self.process_count, allocate)
            return group(senders, self.process_count, allocate, through=by_receiver)

        order, starts = self.arrays("messages.by_ends", make)
        if not 0 <= sender < len(starts) - 1:
            return order[:0]
        receivers = self.column("messages", "to_process", scattered=True)
        sent = order[int(starts[sender]) : int(starts[sender + 1])]
        mine = sent[_first(sent, receivers, receiver) : _first(sent, receivers, receiver + 1)]
        # A message is numbered by the event of its sending, and events are in order of time
        events = self.between("events", "at", start, end)
        first, last = self.between("messages", "message", *events)
        return mine[_place(mine, first) : _place(mine, last)]

    def messages(self, processes: Sequence[int] | None = None) -> range | NDArray[Any]:
        """The rows of all messages, or of those from or to `processes`; ascending."""
        if processes is None:
            return range(len(self.column("messages", "message")))
        found = [np.empty(0, np.uint32)]
        for name in ("from_process", "to_process"):
            order, starts = self.grouped("messages", name)
            known = [process for process in processes if 0 <= process < len(starts) - 1]
            found += [order[int(starts[process]) : int(starts[process + 1])] for process in known]
        return np.unique(np.concatenate(found))

    # Rows

    def take(self, table: str, numbers: NDArray[Any]) -> Sequence[Row]:
        """Rows by number."""
        if len(numbers) <= _FEW:
            return [self.row(table, number) for number in numbers.tolist()]
        found: list[dict[str, Any]] = self.gather(table, numbers).to_pylist()
        return found

    def all(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, as dictionaries: many times quicker than Arrow makes them."""
        rows = self.recording.table(table)
        names = rows.column_names
        selected = self.select(table, np.arange(rows.num_rows), *names) if rows.num_rows else ()
        return [dict(zip(names, row, strict=True)) for row in selected]

    def row(self, table: str, number: int) -> Row:
        """One row by number. A column is read when it is asked for: it may lie on a page that only the disk has."""
        return Lazy(self.fields(table), number)

    def fields(self, table: str) -> dict[str, pa.Array | pa.ChunkedArray]:
        """The columns of a table, for who looks at a row here and there."""
        with self._lock:
            if table not in self._fields:
                self._fields[table] = self.recording.fields(table)
            return self._fields[table]

    def select(self, table: str, numbers: NDArray[Any], *names: str) -> Iterator[tuple[Any, ...]]:
        """Some columns of rows by number: many times quicker than `take`, for thousands of rows."""
        schema = TABLES[table]
        texts = [name for name in names if not pa.types.is_integer(schema.field(name).type)]
        gathered = self.gather(table, numbers, texts) if texts else None
        columns = []
        for name in names:
            if gathered is not None and name in texts:
                columns.append(_listed(gathered.column(name)))
            else:
                found: list[Any] = self.column(table, name)[numbers].tolist()
                columns.append([None if value == _NULL else value for value in found] if _NULL in found else found)
        return zip(*columns, strict=True)

    def events(self, process: int, numbers: NDArray[Any]) -> pa.Table:
        """Events of one process that follow one another there: three of their columns need not be read."""
        table = self.recording.table("events")
        if not len(numbers) or table.column(0).num_chunks != 1:
            return self.gather("events", numbers)
        numbers = numbers.astype(np.int64)
        before = self.column("events", "previous")[numbers[:1]]
        previous = np.concatenate([before, numbers[:-1]])
        known = {
            "event": pa.array(numbers),
            "process": pa.array(np.full(len(numbers), process, np.int32)),
            "previous": pa.array(previous, mask=previous < 0),
        }
        taken = pa.array(numbers)
        columns = [
            known[name] if name in known else table.column(name).chunk(0).take(taken) for name in table.column_names
        ]
        return pa.table(columns, schema=table.schema)

    def gather(self, table: str, numbers: NDArray[Any], names: list[str] | None = None) -> pa.Table:
        """Rows by number, of the columns `names` or of all. Batch by batch, for Arrow's own `take` goes through every
        chunk of a large table.
        """
        numbers, schema = numbers.astype(np.int64), TABLES[table]
        self._soon(table, numbers, names)
        if len(numbers) and int(numbers.max()) - int(numbers.min()) > _APART * len(numbers):
            fields = self.fields(table)
            if all(isinstance(field, pa.Array) for field in fields.values()):
                names, taken = schema.names if names is None else names, pa.array(numbers)
                columns = [fields[name].take(taken) for name in names]
                return pa.Table.from_arrays(columns, schema=pa.schema([schema.field(name) for name in names]))
        batches, ends = self._batched(table)
        if names is not None:
            batches, schema = [batch.select(names) for batch in batches], pa.schema([schema.field(n) for n in names])
        if len(batches) == 1:  # as mapped tables are
            return pa.Table.from_batches([batches[0].take(pa.array(numbers))])
        order = np.argsort(numbers, kind="stable")
        ascending = numbers[order]
        parts = []
        for number in np.unique(np.searchsorted(ends, ascending, side="right")).tolist():
            start = int(ends[number]) - batches[number].num_rows
            low, high = np.searchsorted(ascending, [start, int(ends[number])])
            parts.append(batches[number].take(pa.array(ascending[low:high] - start)))
        found = pa.Table.from_batches(parts, schema=schema)
        return found if (np.diff(order) == 1).all() else found.take(pa.array(np.argsort(order)))

    def _soon(self, table: str, numbers: NDArray[Any], names: list[str] | None) -> None:
        """Have rows that lie close to each other read from all columns at once."""
        if len(numbers) > 1 and (high := int(numbers.max()) + 1) - (low := int(numbers.min())) <= _STEP:
            for name, field in self.fields(table).items():
                if isinstance(field, pa.Array) and (names is None or name in names):
                    will_need_rows(field, low, high)

    def _batched(self, table: str) -> tuple[list[pa.RecordBatch], NDArray[np.int64]]:
        """A table in batches, and the row behind the last of each."""
        with self._lock:
            if table not in self._batches:
                batches = self.recording.table(table).to_batches()
                ends = np.cumsum([batch.num_rows for batch in batches], dtype=np.int64)
                self._batches[table] = (batches, ends)
            return self._batches[table]


def _listed(column: pa.ChunkedArray) -> list[Any]:
    """What a column holds, by way of NumPy, which is quicker than a scalar of Arrow for each value."""
    found: list[Any] = []
    for chunk in column.chunks:
        plain = chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk
        found += plain.to_numpy(zero_copy_only=False).tolist()
    return found


def _place(ascending: NDArray[Any], value: int) -> int:
    """Where `value` belongs, without NumPy making the array another type first."""
    return int(np.searchsorted(ascending, np.asarray(value, ascending.dtype)))


def _first(order: NDArray[Any], keys: NDArray[Any], key: int) -> int:
    """The first of the rows `order`, which are in order of `keys`, whose key is at least `key`."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if keys.item(order.item(middle)) < key:
            low = middle + 1
        else:
            high = middle
    return low


def _within(keys: NDArray[Any], sample: NDArray[Any], wanted: np.generic) -> int:
    """The first place of a column in order that is not less than `wanted`, by the samples taken of it."""
    start = max(0, (int(sample.searchsorted(wanted)) - 1) * _STEP)
    return start + int(keys[start : start + _STEP].searchsorted(wanted))


def _limits(kind: np.dtype[Any]) -> tuple[int, int]:
    return np.iinfo(kind).min, np.iinfo(kind).max
