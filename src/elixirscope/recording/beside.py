"""Sealing beside the recording: what happened some seconds ago is related and compressed while the rest still comes.

The outcome is what sealing anew gives. Where it would not be, because something became known too late, that is noticed
(late events, `Joiner.outdated`, `Correlator.outdated`, `Joiner.unread`): then all is begun anew, or in the end left to
who opens the recording.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Final

from elixirscope.recording.changes import Correlator
from elixirscope.recording.durable import locked
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.log import Log
from elixirscope.recording.seal import raw_sizes, sealed
from elixirscope.recording.sealer import LARGE, SLICE, Correlate, root_of
from elixirscope.recording.sealing import Progress, Sealing
from elixirscope.recording.warm import SPARE
from elixirscope.recording.workplace import Workplace

WAITS: Final = 3_000_000_000
"""ns after which an event is taken to be in its file; as many times that as it was begun."""
ENOUGH: Final = 1 << 16
"""Events that are worth a slice."""
_ATTEMPTS: Final = 4


class _Outdated(Exception):
    """What was made so far is not what would be made now."""


class Beside:
    """Seals a recording that is being made: `look` now and then until it has ended, then `finish`."""

    def __init__(
        self,
        path: Path,
        *,
        correlate: Correlate,
        now: Callable[[], int] = time.time_ns,
        enough: int = ENOUGH,
        spare: int = SPARE,
    ) -> None:
        """`now`: Unix time in ns. `enough`: events that are worth a slice. `spare`: bytes to stay free."""
        self._path, self._correlate, self._now = path, correlate, now
        self._enough, self._spare = enough, spare
        self._attempt: _Attempt | None = None
        self.attempts = 0  # begun so far
        self.why: str | None = None  # why it was given up

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def look(self, ended: Event | None = None) -> None:
        """Take in what is new, but for what may not be written yet; no further slice when it has `ended`."""
        if self.why is not None:
            return
        with self._unless_outdated():
            if shutil.disk_usage(self._path).free < self._spare:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what is left is the recording's
            if self._attempt is None:
                self.attempts += 1
                self._attempt = _Attempt(self._path, self._correlate())
            self._attempt.grow(self._now())
            self._attempt.take(self._now() - self.attempts * WAITS, self._enough, ended)

    def finish(self, tell: Progress) -> str | None:
        """Take in the rest of a recording that has ended, and put all in place. Gives why not; None: it is sealed."""
        with locked(self._path):
            if sealed(self._path) is not None:
                return None
            if self._attempt is None:
                return self.why or "it has not begun"
            with self._unless_outdated(again=False):  # from its beginning it is quicker on all cores
                self._attempt.finish(self._now(), tell)
        return self.why

    @contextmanager
    def _unless_outdated(self, *, again: bool = True) -> Iterator[None]:
        try:
            yield
        except _Outdated as outdated:
            self._drop()
            self.why = None if again and self.attempts < _ATTEMPTS else str(outdated)
        except Exception as error:  # noqa: BLE001 - a full disk, or our bug: what was made cannot be relied upon
            self._drop()
            self.why = f"{type(error).__name__}: {error}"

    def _drop(self) -> None:
        if self._attempt is not None:
            self._attempt.close()
        self._attempt = None


class _Attempt:
    """All that was made since it was begun."""

    def __init__(self, path: Path, correlator: Correlator) -> None:
        """Raises `OSError`, `EnvironmentProblem`."""
        self._path, self._correlator = path, correlator
        self._joiner = Joiner([])
        with ExitStack() as opened:
            self._place = opened.enter_context(Workplace(path))
            self._sealing = opened.enter_context(Sealing(self._place, correlator, root_of(path), threads=1))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Remove what is not in place."""
        self._opened.close()

    def grow(self, now: int) -> None:
        """Read what was written since. Raises `_Outdated`, and what reading raises."""
        grown = self._joiner.grow(self._path / "raw", now)
        if grown.late:
            raise _Outdated(f"{grown.late:,} events were written too late")
        if why := self._joiner.outdated():
            raise _Outdated(why)

    def take(self, until: int, enough: int, ended: Event | None) -> None:
        """Take in what happened before `until`, where that may be `enough` events."""
        if self._joiner.events >= enough:
            self._sealing.take(self._checked(self._joiner.parts_until(until, SLICE), ended))

    def finish(self, now: int, tell: Progress) -> None:
        """Take in what is left, and put all in place; the caller holds the lock."""
        raw = raw_sizes(self._path)
        self.grow(now)
        if why := self._joiner.unread(raw):
            raise _Outdated(why)
        left = self._joiner.events
        if left > max(self._joiner.told, LARGE):  # on all cores that is quicker from its beginning
            raise _Outdated("most of it is still to be done")
        tell(f"relating the last {left:,} events")
        self._sealing.take(self._checked(self._joiner.rest(SLICE)))
        self._sealing.finish(raw, tell)
        self._place.put_in_place()

    def _checked(self, slices: Iterable[Log], ended: Event | None = None) -> Iterator[Log]:
        for log in slices:
            if why := self._correlator.outdated(log):
                raise _Outdated(why)
            yield log
            if ended is not None and ended.is_set():
                return
