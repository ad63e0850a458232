"""Whether a recorder is at work in a folder: it holds a lock on a file in it, which ends with its process."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PRESENCE: Final = "recorder.lock"


@contextmanager
def recorder_in(recording: Path) -> Iterator[None]:
    """Be the recorder of the folder `recording` while inside. Raises `OSError` when nothing can be written there."""
    path = recording / PRESENCE
    with path.open("w") as file:
        with suppress(OSError):  # a file system without locks: nobody follows it live, and nothing else is missing
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_recording(recording: Path) -> bool:
    """Whether a recorder is at work there."""
    try:
        with (recording / PRESENCE).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no such file, or none that can be read: as after a recorder that was killed
    return False
