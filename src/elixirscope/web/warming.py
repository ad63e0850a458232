"""What the server does while nobody asks, so that no question waits for it: reading what the first screen shows while
the browser starts, later the rest, and collecting garbage.

Columns, indexes and values of a large recording are mapped; the system reads a page of them when a question first
touches it, and from a disk a picture needs a hundred.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from elixirscope.errors import ElixirScopeError
from elixirscope.film import Film
from elixirscope.query.cast import cast
from elixirscope.query.timeline import overview, timeline
from elixirscope.recording.arrays import INDEX
from elixirscope.recording.columns import COLUMNS
from elixirscope.recording.heap import machine
from elixirscope.recording.seal import SEGMENTS, VALUES
from elixirscope.web import questions
from elixirscope.web.showing import Showing

_SHARE: Final = 4  # of memory one part in so many is filled at most: others keep theirs
_PIECE: Final = 1 << 20  # bytes read at once
_REST_S: Final = 1.0  # questions have disk and processors to themselves, and so has who asks them in a row
_LOOK_S: Final = 0.2
_STRIP: Final = 480  # parts of the whole recording, as the page asks for them
_LANES: Final = 60  # as many as the page asks for at once
_WIDTH: Final = 600  # px: how many hardly changes what is read
_SELDOM: Final = (100_000, 20, 20)  # objects more than before, and so on: a collection amid questions takes 3 to 25 ms


class Warming:
    """A thread that reads what the first screen shows, then while nobody asks the mapped files of what is shown, once,
    and collects garbage."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End now."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with _seldom():
            if self._showing.whole:
                first_screen(self._showing.film)
            read_ahead(self._showing.film.recording.path, machine() // _SHARE, self._may_go_on)
            collected = 0.0  # when what was last collected had been asked
            while self._may_go_on():
                if collected != (asked := self._showing.asked):
                    gc.collect()
                    collected = asked
                self._stop.wait(_REST_S)

    def _may_go_on(self) -> bool:
        while not self._showing.rests(_REST_S):
            if self._stop.wait(_LOOK_S):
                break
        return not self._stop.is_set()


def first_screen(film: Film) -> None:
    """Ask what a page asks until it has drawn its first lanes: it finds in memory what they are made of."""
    with suppress(ElixirScopeError):  # the page asks again, and is told
        overview(film.query, _STRIP)
        lanes = [row["process"] for row in cast(film.query, questions.SHOWN).rows if row["coded"]][:_LANES]
        timeline(film.query, 0, max(film.info.duration_ns, 1), _WIDTH, lanes)


def read_ahead(recording: Path, room: int, go_on: Callable[[], bool]) -> int:
    """Read indexes, values, then columns, the small ones first, until `room` bytes are read or `go_on`, which is asked
    before each MB, says no; how many were."""
    done, piece = 0, memoryview(bytearray(_PIECE))
    for what in (INDEX, f"{SEGMENTS}/{VALUES}", COLUMNS):
        for path in _by_size(recording / what):
            try:
                with path.open("rb", buffering=0) as file:
                    while done < room and go_on() and (size := file.readinto(piece[: room - done])):
                        done += size
            except OSError:  # made anew, or removed, meanwhile: whoever needs it says so
                continue
    return done


@contextmanager
def _seldom() -> Iterator[None]:
    """Python looks for garbage by itself only when much has come together."""
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _by_size(what: Path) -> list[Path]:
    """A file, or those in a folder; none of what is not there."""
    try:
        found = [what] if what.is_file() else what.rglob("*")
        sizes = {path: path.stat().st_size for path in found if path.is_file()}
    except OSError:
        return []
    return sorted(sizes, key=lambda path: (sizes[path], path))
