"""The raw frames of all files of all VMs, joined into one ordered log: what correlators read.

Clocks: each VM's monotonic times are moved to one time line by the anchor (monotonic and system time
read together) in its files' headers. Zero is the first event of the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from elixirscope.recording.format import Kind
from elixirscope.recording.frames import Gap
from elixirscope.recording.values import RawValues
from elixirscope.recording.vms import ProcessKey as ProcessKey

EVENT_ROW: Final = np.dtype(
    [
        ("event", "<i8"),
        ("at", "<i8"),  # ns since the recording's start
        ("process", "<i4"),
        ("peer", "<i4"),  # -1: none
        ("kind", "u1"),
        ("flags", "u1"),
        ("aux", "<u2"),
        ("site", "<i4"),  # dense over VMs; 0: none
        ("frame", "<i8"),  # as captured: the VM's monotonic ns of the frame's CALL; 0: none
        ("ref", "<i8"),
        ("value", "<i8"),  # id for `Log.values`; -1: none
        ("vm", "<i2"),
    ]
)


class Rows:
    """Events, in order: a column for each field of `EVENT_ROW`, of its type, all of one length."""

    def __init__(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        self._columns = columns

    @classmethod
    def of(cls, rows: npt.NDArray[np.void]) -> Rows:
        """Rows of `EVENT_ROW`, copied."""
        return cls({name: rows[name].copy() for name in EVENT_ROW.names or ()})

    @classmethod
    def empty(cls, count: int) -> Rows:
        """So many rows to be filled."""
        return cls({name: np.empty(count, EVENT_ROW[name]) for name in EVENT_ROW.names or ()})

    def __len__(self) -> int:
        return len(self._columns["event"])

    @overload
    def __getitem__(self, which: str) -> npt.NDArray[Any]: ...
    @overload
    def __getitem__(self, which: slice) -> Rows: ...
    def __getitem__(self, which: str | slice) -> npt.NDArray[Any] | Rows:
        """A column by its name; some of the rows by a slice."""
        if isinstance(which, str):
            return self._columns[which]
        return Rows({name: column[which] for name, column in self._columns.items()})

    def at(self, places: npt.NDArray[np.int64] | slice, *names: str) -> Iterator[tuple[int, ...]]:
        """The fields `names` of some events, one event after the other."""
        return zip(*(self._columns[name][places].tolist() for name in names), strict=True)

    def move(self, to: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> None:
        """Put the rows that are at `places` to other ones."""
        for column in self._columns.values():
            column[to] = column[places]


class Callee(NamedTuple):
    """A function called at a site. `str` gives `GenServer.call/2`."""

    module: str  # as Elixir prints it
    function: str
    arity: int

    def __str__(self) -> str:
        return f"{self.module}.{self.function}/{self.arity}"


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the recorded code. Modules are written as Elixir prints them (`Foo.Bar`, `:ets`)."""

    id: int
    kind: str  # function fn return external tail bind catch raise; unknown: its description is lost
    module: str
    function: str
    arity: int
    file: str | None = None
    line: int | None = None
    end_line: int | None = None
    vars: tuple[str, ...] = ()
    callee: Callee | None = None  # external, tail, raise; None also for a call of a fun value
    behaviour: str | None = None  # "GenServer"
    callback: str | None = None  # "handle_call/3"
    state_arg: int | None = None  # 1-based
    generated: bool = False
    test: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that were dropped: how many, of whom (None: not known) and why."""

    vm: int
    process: int | None
    count: int
    reason: str
    at: int | None = None  # when that was told: they were dropped since `since`
    since: int | None = None


MEMORY_ROW: Final = np.dtype([("at", "<i8"), ("process", "<i4"), ("bytes", "<i8")])


def _no_samples() -> npt.NDArray[np.void]:
    return np.empty(0, MEMORY_ROW)


@dataclass
class Log:
    """Everything recorded, in (at, process, sequence) order."""

    rows: Rows
    processes: Sequence[ProcessKey]  # index = process
    sites: dict[int, Site]
    values: RawValues = field(default_factory=lambda: RawValues([]))
    losses: list[Loss] = field(default_factory=list)
    metas: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    complete: bool = True
    start_unix_ns: int = 0
    duration_ns: int = 0
    unfinished: list[str] = field(default_factory=list)  # files without END
    bytes: int = 0
    samples: Callable[[], npt.NDArray[np.void]] = _no_samples  # of memory, all that is known of it: dtype `MEMORY_ROW`

    @property
    def first(self) -> int:
        """The number of the first event: 0 unless this is a slice of a recording."""
        return int(self.rows["event"][0]) if len(self.rows) else 0

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of `rows`, in one piece."""
        return self.rows[name]

    def places(self, *kinds: Kind) -> npt.NDArray[np.int64]:
        """Where the events of these kinds are, in order."""
        kind = self.column("kind")
        there = kind == int(kinds[0])  # not the member of an enumeration, for which all would be made int64 first
        for other in kinds[1:]:
            there |= kind == int(other)
        return np.flatnonzero(there)

    @property
    def lost(self) -> int:
        """Events known to have been dropped."""
        return sum(loss.count for loss in self.losses)


def read_log(raw_dir: Path) -> Log:
    """Read and join every `*.frames` file of `raw_dir`, damaged and unfinished ones as far as they go.

    Raises `RecordingError` when there is nothing of a format we know, `EnvironmentProblem` when a
    file cannot be read.
    """
    from elixirscope.recording.joiner import join

    return join(raw_dir)
