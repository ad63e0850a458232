"""What the page is shown: a film, and which edition of it. A recording that is still being made has a new one whenever
more is known of it."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from elixirscope.errors import ElixirScopeError, NotFoundError
from elixirscope.film import Film
from elixirscope.recording.packed import is_packed
from elixirscope.recording.seal import SEGMENTS, sealed
from elixirscope.web.census import Census

State = Literal["recording", "sealing", "sealed"]
_Stamp = list[tuple[str, int, int, int]]

WATCHED_S: Final = 5.0
"""For so long after its last question a page counts as open."""

PATIENCE_S: Final = 1.0
"""For so long a page waits for the next edition before it is told that there is none; so does a server that stops."""


class Head(msgspec.Struct, frozen=True):
    """What a page asks again and again. `edition` changes whenever answers may differ; `end` is in ns."""

    edition: str
    state: State
    end: int
    events: int
    lost: int


class Gone(NotFoundError):
    """The recording was there when it was opened, and is no more."""

    slug = "gone"


class Showing:
    """One film at a time; a question takes it once, and is answered from it even when the next is there already."""

    def __init__(self, film: Film, state: State = "sealed") -> None:
        self._lock = threading.Condition()
        self._server = secrets.token_hex(4)  # a page must not take another server's edition for one that it knows
        self._count = 0
        self._asked = self._questioned = time.monotonic()
        self._waiting = 0  # pages, for the next edition
        self._film, self._state = film, state
        self.census = Census()  # what pages know of a recording that is being made
        self._damaged: _Stamp | None = None  # the segments that could not be read
        self._tried: _Stamp | None = None  # those that could not be opened again
        self._mending = threading.Lock()

    def show(self, film: Film, state: State) -> None:
        """Show this from now on."""
        with self._lock:
            self._film, self._state = film, state
            self._damaged = None
            self._count += 1
            self._lock.notify_all()

    def again(self) -> None:
        """What is shown is answered otherwise from now on: more was found of it."""
        with self._lock:
            self._count += 1
            self._lock.notify_all()

    def ends(self) -> None:
        """The program has ended; what comes next is the sealed recording."""
        with self._lock:
            self._state = "sealing"
            self._lock.notify_all()

    @property
    def film(self) -> Film:
        """What is shown now."""
        return self._film

    @property
    def whole(self) -> bool:
        """Whether the recording is made: what is told of it is told once."""
        return self._state == "sealed"

    @property
    def watched(self) -> bool:
        """Whether a page has asked lately."""
        return time.monotonic() - self._asked < WATCHED_S

    def questioned(self) -> None:
        """A question was asked, or has been answered."""
        self._questioned = time.monotonic()

    @property
    def asked(self) -> float:
        """When that last was, by the monotonic clock."""
        return self._questioned

    def rests(self, seconds: float) -> bool:
        """Whether nothing was asked for so long."""
        return time.monotonic() - self._questioned >= seconds

    def wanted(self, within: float) -> bool:
        """Whether a page waits for the next edition; `within` so many seconds at the latest."""
        with self._lock:
            return self._lock.wait_for(lambda: self._waiting > 0, within)

    def head(self, beyond: str = "") -> Head:
        """Where the recording ends now; while it is being made, as soon as its edition is another than `beyond`, or
        after `PATIENCE_S`. Raises `Gone`."""
        self._asked = time.monotonic()
        self._mend()
        with self._lock:
            if self._state == "recording" and beyond == self._edition:
                self._waiting += 1
                self._lock.notify_all()
                self._lock.wait_for(lambda: self._state != "recording" or beyond != self._edition, PATIENCE_S)
                self._waiting -= 1
            film, state, edition = self._film, self._state, self._edition
        self.check()
        info = film.info
        return Head(edition, state, info.duration_ns, info.events, info.lost)

    @property
    def _edition(self) -> str:
        return f"{self._server}-{self._count}"

    def damaged(self) -> None:
        """What is shown could not be read: it is opened again once somebody has removed or mended its segments."""
        if self._damaged is None:
            self._damaged = _stamp(self._film.recording.path)

    def _mend(self) -> None:
        path = self._film.recording.path
        if self._damaged is None or self._state != "sealed" or is_packed(path) or not path.exists():
            return
        if not self._mending.acquire(blocking=False):
            return  # opening may take a while: other questions do not wait for it
        try:
            now = _stamp(path)
            if now != self._tried and (now != self._damaged or sealed(path) is None):
                self._tried = now
                with suppress(ElixirScopeError):  # then the page goes on saying what could not be read
                    self.show(Film.open(path), "sealed")
        finally:
            self._mending.release()

    def check(self) -> None:
        """Raises `Gone` when the recording was deleted or moved."""
        path = self._film.recording.path
        if not is_packed(path) and not path.exists():
            raise Gone(
                f"the recording {path} is gone: it was moved or deleted while the Cinema showed it",
                "put it back and the page goes on; or end the Cinema with Ctrl-C",
            )


def _stamp(path: Path) -> _Stamp:
    """What the files of the segments are now: others have another inode, size or time."""
    found = []
    with suppress(OSError):  # removed, or being made
        for file in sorted((path / SEGMENTS).iterdir()):
            seen = file.stat()
            found.append((file.name, seen.st_ino, seen.st_size, seen.st_mtime_ns))
    return found
