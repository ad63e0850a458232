"""Whether a recorder is at work: it holds a lock on the recording's raw folder, which ends with its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def recorder_of(raw: Path) -> Iterator[None]:
    """Be the recorder of the folder `raw` while inside: what is there is ours to bring home, and readers may wait."""
    folder = os.open(raw, os.O_RDONLY)
    try:
        # Where folders cannot be locked, nobody else will find this one unlocked either.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_SH)  # waits: who asks `is_recording` in this moment holds it for as long
        yield
    finally:
        os.close(folder)


def is_recording(recording: Path) -> bool:
    """Whether a recorder is at work in the folder `recording`."""
    try:
        folder = os.open(recording / "raw", os.O_RDONLY)
    except OSError:
        return False  # no recording, or none of ours to read: opening it says why
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(folder)
    return False
