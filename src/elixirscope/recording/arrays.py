"""Arrays derived from a sealed recording, kept in `index/` and mapped: deletable, and made again when asked for."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from elixirscope.recording.durable import remove_unheld

INDEX: Final = "index"
_VERSION: Final = 1  # of what the arrays mean: a new one makes all of them again
_SMALL: Final = 1 << 16  # bytes

Array: TypeAlias = NDArray[Any]
Allocate: TypeAlias = Callable[[int, Any], Array]  # (length, type) → an array to fill


class Arrays:
    """Named groups of arrays, each made once: in memory, or where `recording` has an identity in its folder."""

    def __init__(self, recording: Path | None, identity: Any) -> None:
        """`recording` None: keep everything in memory."""
        self._held: dict[str, tuple[Array, ...]] = {}
        self._folder: Path | None = None
        if recording is not None:
            key = msgspec.json.encode((_VERSION, identity), order="sorted")
            self._folder = recording / INDEX / hashlib.sha256(key).hexdigest()[:16]

    @property
    def empty(self) -> bool:
        """Whether arrays are kept beside the recording, and there are none yet."""
        return self._folder is not None and not self._folder.exists() and self._writable(self._folder)

    @property
    def kept(self) -> bool:
        """Whether what is made is kept beside the recording."""
        return self._folder is not None and self._writable(self._folder)

    def has(self, name: str) -> bool:
        """Whether the arrays called `name` are there."""
        return name in self._held or self._load(name) is not None

    def get(self, name: str, make: Callable[[Allocate], tuple[Array, ...]]) -> tuple[Array, ...]:
        """The arrays called `name`; `make` is given the means to allocate large ones, and asked when there are none."""
        found = self._held.get(name) or self._load(name)
        if found is None:
            found = self._make(name, make)
        self._held[name] = found
        return found

    def _load(self, name: str) -> tuple[Array, ...] | None:
        if self._folder is None:
            return None
        found = list[Array]()
        while (path := self._folder / f"{name}.{len(found)}.npy").is_file():
            try:
                mode: Literal["r"] | None = "r" if path.stat().st_size > _SMALL else None
                found.append(np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False)))
            except (OSError, ValueError):
                return None  # not whole: made again
        return tuple(found) or None

    def _make(self, name: str, make: Callable[[Allocate], tuple[Array, ...]]) -> tuple[Array, ...]:
        folder = self._folder
        if folder is None or not self._writable(folder):
            return make(np.empty)
        # The process and the name: two readers may make the same at the same time
        work = folder / f".{name}.{os.getpid()}"
        held = None
        try:
            held = _begin(folder, work)
            files = _Files(work)
            made = make(files.allocate)
            for number, array in enumerate(made):
                path = work / f"{number}.npy"
                if (file := files.of(array)) is not None:
                    file.replace(path)
                else:
                    np.save(path, array, allow_pickle=False)
            for number in reversed(range(len(made))):  # the first last: it says that the others are there
                (work / f"{number}.npy").replace(folder / f"{name}.{number}.npy")
        except OSError:  # no room, or no right to write: the answer does not depend on it
            return make(np.empty)
        finally:
            shutil.rmtree(work, ignore_errors=True)
            if held is not None:
                os.close(held)
        return self._load(name) or made

    def _writable(self, folder: Path) -> bool:
        try:
            if not folder.exists():
                for other in folder.parent.iterdir() if folder.parent.exists() else ():
                    shutil.rmtree(other, ignore_errors=True)  # of raw files or a version that is no more
                folder.mkdir(parents=True)
        except OSError:
            return False
        return os.access(folder, os.W_OK)


def _begin(folder: Path, work: Path) -> int:
    """Make the folder `work` inside `folder`, and hold it; remove those that nobody holds, whose makers were killed.
    Gives what to close in the end. Raises `OSError`."""
    door = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # where folders cannot be locked nothing is removed
            fcntl.flock(door, fcntl.LOCK_EX)  # one at a time: what was made a moment ago may not be held yet
            for other in [each for each in folder.iterdir() if each.name.startswith(".") and each != work]:
                remove_unheld(other)
        work.mkdir(exist_ok=True)
        held = os.open(work, os.O_RDONLY)
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return held
    finally:
        os.close(door)


class _Files:
    """Large arrays in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[int, tuple[Path, Array]] = {}

    def allocate(self, length: int, kind: Any) -> Array:
        if length * np.dtype(kind).itemsize <= _SMALL:
            return np.empty(length, kind)
        path = self._folder / f"made{len(self._made)}.npy"
        array = np.asarray(np.lib.format.open_memmap(path, "w+", kind, (length,)))
        self._made[id(array)] = (path, array)
        return array

    def of(self, array: Array) -> Path | None:
        """The file of an array that was allocated here."""
        path, made = self._made.get(id(array), (None, None))
        return path if made is array else None
