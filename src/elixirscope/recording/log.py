"""The raw frames of all files of all VMs, joined into one ordered log: what correlators read.

Clocks: each VM's monotonic times are moved to one time line by the anchor (monotonic and system time
read together) in its files' headers. Zero is the first event of the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.recording.frames import Gap
from elixirscope.recording.values import RawValues

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


class ProcessKey(NamedTuple):
    """Which process it is: its node, its pid as that node prints it, and the VM (-1: not recorded)."""

    node: str
    pid_text: str
    vm: int


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
    """Everything recorded, in (at, process, sequence) order. `rows` are of dtype `EVENT_ROW`."""

    rows: npt.NDArray[np.void]
    processes: list[ProcessKey]  # index = process
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
    _arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict, repr=False)

    @property
    def first(self) -> int:
        """The number of the first event: 0 unless this is a slice of a recording."""
        return int(self.rows["event"][0]) if len(self.rows) else 0

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of `rows` by itself: several times quicker to pick from than in rows of 54 bytes."""
        return self._kept(name, lambda: self.rows[name].copy())

    @property
    def by_process(self) -> npt.NDArray[np.int64]:
        """The events in order of process, then of time. Few processes fit 16 bits, which sort much faster."""
        few = len(self.processes) <= 2**16
        process = self.column("process")
        return self._kept(
            "by process", lambda: np.argsort(process.astype(np.uint16) if few else process, kind="stable")
        )

    def _kept(self, name: str, make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """What `make` makes of the present `rows`, once."""
        if self._arrays.get("of") is not self.rows:
            self._arrays = {"of": self.rows}
        if name not in self._arrays:
            self._arrays[name] = make()
        return self._arrays[name]

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
