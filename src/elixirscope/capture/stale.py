"""Rings whose VM was killed together with its recorder: the next recorder, or who opens the recording, takes them in.

Of a ring (`agent/c_src/ring.h`) only the header is read here: loading `rings` takes longer than to look.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from elixirscope.errors import RecordingError

SHARED: Final = Path("/dev/shm")
_MAGIC: Final = b"ELXRING1"
_HEADER_BYTES: Final = 4096
_LINK: Final = slice(384, 3968)  # where the recording names the ring, with a zero at its end
_NEW_S: Final = 60.0


def sweep(announce: Callable[[str], None] = lambda _: None, shared: Path = SHARED) -> int:
    """Remove rings that were left in `shared`, after what they still hold has gone into their recordings.

    A ring whose VM lives is locked by it, one whose recorder lives by way of its recording (`presence`): those are left
    alone, as is what belongs to other users. Returns how many were removed. `announce` is told what is lost when one
    cannot be read.
    """
    return sum(_swept(ring, announce) for ring in sorted(shared.glob("elixirscope-*.ring")))


def bring_home(recording: Path, announce: Callable[[str], None] = lambda _: None) -> None:
    """Take into `recording`, before it is opened, what rings still hold whose VM was killed and whose recorder is gone.
    `announce` is told what stays outside, and why."""
    for link in sorted((recording / "raw").glob("*.ring")):
        try:
            if _ours(link):
                _bring_home(link, announce)
        except BlockingIOError:
            return  # its recorder is at work
        except OSError as error:
            announce(f"{link} holds events that cannot be moved into the recording: {error.strerror or error}")


def _ours(link: Path) -> bool:
    """Whether that may be a ring at all. A recording may come from anywhere."""
    if link.is_symlink() and (link.readlink().parent != SHARED or not link.readlink().name.startswith("elixirscope-")):
        return False
    return not link.exists() or stat.S_ISREG(link.stat().st_mode)


def _swept(ring: Path, announce: Callable[[str], None]) -> bool:
    try:
        with open(ring, "rb", opener=no_link) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            header = file.read(_HEADER_BYTES)
            new = time.time() - os.fstat(file.fileno()).st_mtime < _NEW_S
        if not header.startswith(_MAGIC):
            if new:
                return False  # its VM is about to lock it
        else:
            link = Path(os.fsdecode(header[_LINK].split(b"\0", 1)[0]))
            if link.is_symlink() and link.readlink() == ring:
                _bring_home(link, announce)
        ring.unlink(missing_ok=True)
    except OSError:  # the VM or the recorder lives, it is another user's, or its recording has no room: another time
        return False
    return True


def _bring_home(link: Path, announce: Callable[[str], None]) -> None:
    from elixirscope.capture.rings import recover_one

    folder = os.open(link.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            recover_one(link)
        except RecordingError as error:
            announce(error.message)
            link.unlink(missing_ok=True)
    finally:
        os.close(folder)


def no_link(path: str, flags: int) -> int:
    """An `opener` that follows no link."""
    return os.open(path, flags | os.O_NOFOLLOW)
