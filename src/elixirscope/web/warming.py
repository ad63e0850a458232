"""Reads ahead what the page will ask for: from a disk, rows that nobody touched for a while take a question tens of ms.

Columns and indexes of a large recording are mapped; the system reads a page of them when a question first touches it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from elixirscope.recording.arrays import INDEX
from elixirscope.recording.columns import COLUMNS
from elixirscope.recording.heap import machine
from elixirscope.web.showing import Showing

_SHARE: Final = 4  # of memory one part in so many is filled at most: others keep theirs
_PIECE: Final = 1 << 20  # bytes read at once
_REST_S: Final = 1.0  # questions have disk and processors to themselves, and so has who asks them in a row
_LOOK_S: Final = 0.2


class Warming:
    """A thread that reads the mapped files of what is shown once, while nobody asks."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming", daemon=True)

    def start(self) -> None:
        """Begin as soon as nobody asks."""
        self._thread.start()

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def _run(self) -> None:
        read_ahead(self._showing.film.recording.path, machine() // _SHARE, self._may_go_on)

    def _may_go_on(self) -> bool:
        while not self._showing.rests(_REST_S):
            if self._stop.wait(_LOOK_S):
                break
        return not self._stop.is_set()


def read_ahead(recording: Path, room: int, go_on: Callable[[], bool]) -> int:
    """Read indexes, then columns, the small ones first, until `room` bytes are read or `go_on`, which is asked before
    each MB, says no; how many were."""
    done, piece = 0, memoryview(bytearray(_PIECE))
    for folder in (INDEX, COLUMNS):
        for path in _by_size(recording / folder):
            try:
                with path.open("rb", buffering=0) as file:
                    while done < room and go_on() and (size := file.readinto(piece[: room - done])):
                        done += size
            except OSError:  # made anew, or removed, meanwhile: whoever needs it says so
                continue
    return done


def _by_size(folder: Path) -> list[Path]:
    try:
        sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    except OSError:
        return []
    return sorted(sizes, key=lambda path: (sizes[path], path))
