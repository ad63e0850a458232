"""Where `segments/` and `columns/` of a recording are made before they take their place, whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from elixirscope.errors import EnvironmentProblem
from elixirscope.recording.columns import COLUMNS
from elixirscope.recording.durable import locked, remove_unheld, sync_folder
from elixirscope.recording.seal import SEGMENTS

_PREFIX: Final = ".seal."


class Workplace:
    """A folder in that of a recording, removed in the end: by us, or where we were killed by who seals next.

    We hold a lock on it as long as we live, which is how one that was left behind is told from others.
    """

    def __init__(self, recording: Path) -> None:
        self._recording = recording
        self._folder = recording / f"{_PREFIX}{os.getpid()}"
        self._held = -1
        self.segments = self._folder / SEGMENTS
        self.columns = self._folder / COLUMNS

    def __enter__(self) -> Workplace:
        """Raises `OSError`."""
        self._folder.mkdir()
        self._held = os.open(self._folder, os.O_RDONLY)
        with suppress(OSError):  # where folders cannot be locked, or it is just being taken for one left behind
            fcntl.flock(self._held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._held)

    def put_in_place(self) -> None:
        """What was made here is the recording's now; the caller holds the recording's lock. Raises `OSError`."""
        for fresh in (self.segments, self.columns):
            if fresh.exists():
                with suppress(FileNotFoundError):
                    (self._recording / fresh.name).replace(self._folder / f"{fresh.name}.old")
                fresh.replace(self._recording / fresh.name)
        sync_folder(self._recording)


@contextmanager
def placed(recording: Path) -> Iterator[Workplace]:
    """Where to make what takes its place in the end; the caller holds the recording's lock. Raises
    `EnvironmentProblem`, and leaves what was there, when that cannot be written."""
    with told(recording):
        clear(recording)
        with Workplace(recording) as place:
            yield place
            place.put_in_place()


@contextmanager
def told(recording: Path) -> Iterator[None]:
    """Has what the disk refuses raised as `EnvironmentProblem`."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write the tables of {recording}: {error.strerror or error}",
            "free some space there, or make the folder writable; the recording itself is unharmed",
        ) from error


def clear(recording: Path) -> None:
    """Remove the workplaces whose owners were killed; the caller holds the recording's lock. Raises `OSError`."""
    for path in workplaces(recording):
        remove_unheld(path)


def tidy(recording: Path) -> None:
    """As `clear`, by who does not hold the lock, and only where that can be done: whoever put his work in place and was
    killed before he could remove what it took the place of leaves a recording that nobody seals again."""
    if recording.is_dir() and workplaces(recording):
        with suppress(EnvironmentProblem), locked(recording), told(recording):
            clear(recording)


def workplaces(recording: Path) -> list[Path]:
    """The workplaces in the folder of a recording, of the living and of the killed. Raises `OSError`."""
    prefixes = (_PREFIX, f".{SEGMENTS}.", f".{COLUMNS}.")  # the latter two of earlier versions
    return [path for path in recording.iterdir() if path.name.startswith(prefixes)]
