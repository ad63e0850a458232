"""Reads ahead what the page will ask for: from a disk, rows that nobody touched for a while take a question tens of ms.

Columns and indexes of a large recording are mapped; the system reads a page of them when a question first touches it.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from elixirscope.recording.arrays import INDEX
from elixirscope.recording.columns import COLUMNS
from elixirscope.recording.heap import machine

_SHARE: Final = 4  # of memory one part in so many is filled at most: others keep theirs
_PIECE: Final = 1 << 20  # bytes read at once
_AFTER_S: Final = 2.0  # the first picture has the disk to itself


class Warming:
    """A thread that reads a recording's mapped files once, so that the system holds them."""

    def __init__(self, recording: Path) -> None:
        self._recording = recording
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming", daemon=True)

    def start(self) -> None:
        """Begin, a moment later."""
        self._thread.start()

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def _run(self) -> None:
        if not self._stop.wait(_AFTER_S):
            read_ahead(self._recording, machine() // _SHARE, self._stop)


def read_ahead(recording: Path, room: int, stop: threading.Event) -> int:
    """Read indexes, then columns, the small ones first, until `room` bytes are read or `stop` is set; how many were."""
    done, piece = 0, memoryview(bytearray(_PIECE))
    for folder in (INDEX, COLUMNS):
        for path in _by_size(recording / folder):
            try:
                with path.open("rb", buffering=0) as file:
                    while not stop.is_set() and done < room and (size := file.readinto(piece[: room - done])):
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
