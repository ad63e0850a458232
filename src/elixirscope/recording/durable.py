"""Files that are there whole or not at all, and a lock on a folder."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from elixirscope.errors import EnvironmentProblem
from elixirscope.recording.packed import is_packed


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make `path` what `write` writes: into a temporary file, synced, then renamed. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames in the folder `path` last. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unheld(folder: Path) -> None:
    """Remove a folder on which nobody holds a lock, as those do who work in it; else leave it. Raises `OSError`."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # somebody is at work
    finally:
        os.close(held)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` alone among the processes that ask this. Needs no right to write.

    Raises `EnvironmentProblem` when the file system refuses. A pack is nobody's to change, and needs no lock.
    """
    if is_packed(folder):
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _refused(folder, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _refused(folder, error) from error
        yield
    finally:
        os.close(descriptor)  # releases the lock


def _refused(folder: Path, error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"cannot lock {folder}: {error.strerror or error}", "copy the recording to a local disk and open it there"
    )
