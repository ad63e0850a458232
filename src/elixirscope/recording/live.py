"""A recording that is still being written, as far as it goes: `Live.refresh`, then `Live.recording`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from elixirscope import kernels
from elixirscope.errors import EnvironmentProblem
from elixirscope.garbage import unsearched
from elixirscope.recording import heap
from elixirscope.recording.coverage import Uncovered
from elixirscope.recording.filenames import relative_changes, relative_files
from elixirscope.recording.growing import GrowingRows
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.log import Log
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.memory import MemoryTables
from elixirscope.recording.recording import Recording
from elixirscope.recording.seal import facts_of, raw_sizes, truncated_in
from elixirscope.recording.sealer import Built, Correlate
from elixirscope.recording.slices import Slices
from elixirscope.recording.sources import copy_sources, files_of
from elixirscope.recording.values import RawValues
from elixirscope.recording.warm import Warm

WAITS: Final = 130_000_000
"""ns after which an event is taken to be in its file, while nothing is known of that."""

EVENTS_MOST: Final = 16_000_000
"""Events that are shown live; fewer where the machine has little memory."""

SLICE: Final = 1 << 18
"""Events in a slice, about."""

LOOK: Final = SLICE // 4
"""Events that one look takes, about: what else there is is for the next one, so that none takes long."""

_BYTES: Final = 250  # of memory per event: its rows, and what questions derive from them
_PART: Final = 4  # of the machine's memory so much may be taken: a quarter
_MARGIN: Final = 20_000_000
_LATELY: Final = 1_000_000_000
_SOON: Final = 90_000_000  # ns: who waits so long, looks, and waits until it can look again, is not 200 ms late
_AGAIN: Final = 3  # times
_SHARE: Final = 10
_LONG_S: Final = 0.05  # what takes longer holds up the events of that time: it gets half the share


class Live:
    """Follows the raw files of a recording, in memory. What it shows is provisional: the recording is sealed anew when
    it is finished, and events that were written later than expected are only in that; until then they are counted.

    A look costs what is new. What is known of sites, tests, memory and of what was left out is told anew as a whole, as
    often as takes a tenth of the time.
    """

    def __init__(
        self, path: Path, *, correlate: Correlate, now: Callable[[], int] = time.time_ns, most: int | None = None
    ) -> None:
        """`now`: Unix time in ns. `most`: events that are taken in, as many as the memory bears by default."""
        self._most = _bearable() if most is None else most
        self.path = path
        self._now = now
        self._correlator = correlate()
        self._joiner = Joiner([])
        self._tables = MemoryTables(Warm(path))
        self._delay = _Delay()
        self._seldom = _Seldom()
        self._places = GrowingRows(3)  # where values lie
        self._buffers: list[memoryview] = []
        self._log: Log | None = None
        self.late = 0  # events that were written too late to be shown
        self._truncated = 0
        self._unfinished = False
        self._manifest: Manifest | None = None  # of which only is read what stays as it is
        self._kept = 0  # modules whose sources are kept
        self.behind = False  # whether the last `refresh` took as much as one takes: there may be more

    @property
    def waits(self) -> int:
        """ns that an event is waited for: as long as events lately took to be written (`_Delay`), and some more."""
        return self._delay.most + _MARGIN if self._delay.most is not None else WAITS

    def refresh(self, *, whole: bool = False) -> bool:
        """Take in what happened since, but for what may not be written yet, and of very much only a part; `whole`: all
        there is. False when that is nothing, or more than is shown live. Raises as `Recording.open` does."""
        if self.full():
            return False
        with kernels.beside():  # else an event would wait for machine code, up to some seconds
            return self._refresh(whole)

    @property
    def aside(self) -> float:
        """Seconds of the processor that the last `refresh` took to tell anew what is known as a whole."""
        return self._seldom.cost

    def _refresh(self, whole: bool) -> bool:
        self._seldom.cost = 0.0
        now = self._now()
        grown = self._joiner.grow(self.path / "raw", now)
        self.late += grown.late
        self._delay.saw(grown.delay, now)
        news = self.behind = False
        for log in self._joiner.parts_until(2**61 if whole else now - self.waits, SLICE if whole else LOOK):
            if len(log.rows):
                self._take(log)
                news = True
            if self.full() or (news and len(log.rows) >= LOOK // 2 and not whole):
                self.behind = not self.full()
                break
        if not news and (self._log is None or not self._unfinished):
            return False
        due = whole or self.full() or self._seldom.due
        if not news and not due:
            return False
        self._tables.take(relative_changes(self._correlator.news(log), self._root))
        if due:
            with self._seldom, unsearched():
                self._finish(log)
        return True

    def _take(self, log: Log) -> None:
        self._tables.take(self._correlator.take(log))
        self._places.append(log.values.places())
        self._buffers = self._joiner.buffers
        self._truncated += truncated_in(log)
        self._log = log
        self._unfinished = True

    @property
    def names_sources(self) -> bool:
        """Whether there may be source files that `keep_sources` has not copied yet."""
        return len(self._joiner.modules) != self._kept

    def keep_sources(self) -> None:
        """Keep copies of the source files that are named by now: later somebody may have edited them, and whoever looks
        wants to read them at once. May be asked on another thread."""
        modules = self._joiner.modules
        with suppress(OSError, EnvironmentProblem):  # the recorder, which can write there, does the same at the end
            copy_sources(self.path, files_of(modules))
        self._kept = len(modules)

    def full(self) -> bool:
        """Whether nothing more is taken in: the rest is shown when the recording has ended."""
        return self._log is not None and self._log.first + len(self._log.rows) >= self._most

    def _finish(self, log: Log) -> None:
        """Tell what is known as a whole."""
        for name, rows in self._correlator.rest(log).items():
            self._tables.replace(name, relative_files(rows, self._root))
        self._unfinished = False

    @property
    def _root(self) -> str:
        """The folder where the command ran; "" while nobody tells it."""
        self._manifest = self._manifest or Manifest.load(self.path)
        return self._manifest.cwd if self._manifest else ""

    @property
    def recording(self) -> Recording | None:
        """The recording as of the last `refresh`; None while there is nothing in it."""
        if self._log is None:
            return None
        log = replace(self._log, values=RawValues(Slices(self._buffers, self._places.all)))
        tables = self._tables.all()
        rows = {name: table.num_rows for name, table in tables.items()}
        facts = facts_of(log, raw_sizes(self.path), truncated=self._truncated, rows=rows)
        if self.full():
            why = f"no more than {self._most:,} events are shown live; all are there when the recording has ended"
            facts.coverage.append(Uncovered(f"what happened after {facts.duration_ns / 1e9:.1f} s", why))
        if self.late:
            facts.coverage.append(Uncovered(f"{self.late:,} events", "they were written too late to be shown live"))
        return Recording(self.path, Manifest.load(self.path), facts, Built(facts, tables, log, self._tables.pieces()))


def _bearable() -> int:
    return min(EVENTS_MOST, heap.machine() // _PART // _BYTES)


class _Delay:
    """How long events take to be written, by those of the last seconds: at most `_SOON`, or longer when that was so
    more than once or twice. As the machine's clock has it: when that is set, this is off by as much, and so are the
    times of events."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, list[int]]] = []  # since when, the longest in ns: the present span, one before
        self.most: int | None = None

    def saw(self, delay: int | None, now: int) -> None:
        """One more, now."""
        if delay is None:
            return
        if not self._spans or not 0 <= now - self._spans[-1][0] < _LATELY:
            self._spans = [*self._spans[-1:], (now, [])]
        longest = self._spans[-1][1]
        longest[:] = sorted([*longest, delay])[-_AGAIN:]
        seen = sorted(each for _, longest in self._spans for each in longest)
        # Those of a single mishap are late anyway; waiting as long for all others would make them late, too.
        self.most = max(min(seen[-1], _SOON), seen[-_AGAIN] if len(seen) >= _AGAIN else 0)


class _Seldom:
    """Work that is done for a share of the time."""

    def __init__(self) -> None:
        self._next = self._began = 0.0
        self.cost = 0.0  # of the last time, in seconds

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    def __enter__(self) -> None:
        self._began = time.thread_time()

    def __exit__(self, *_: object) -> None:
        cost = self.cost = time.thread_time() - self._began
        self._next = time.monotonic() + cost * ((_SHARE if cost < _LONG_S else 2 * _SHARE) - 1)
