"""A process of its own that seals a recording while `elixirscope record` makes it, once that is large.

It takes only what the recorded program leaves of the processors (Linux: SCHED_IDLE, for one thread), until the program
has ended. It is told on standard input: `finish`, or nothing any more when the recorder is gone. On standard output it
tells how far it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from elixirscope.recording.beside import Beside as Sealer

BYTES: Final = "ELIXIRSCOPE_BESIDE"
"""The environment variable that says from how many bytes on a recording is sealed beside."""
_BYTES: Final = 64_000_000
_PAUSE_S: Final = 1.0
_PATIENCE_S: Final = 10.0
_FINISH: Final = "finish\n"
_LAST: Final = 19  # how nice a process is that gives way to any other


class Beside:
    """The recorder's end: starts the process when the recording is large, and lets it go in the end."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._watching: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self.stopped = False  # by Ctrl-C, before it was sealed

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._process is not None:
            self._process.kill()  # what it leaves is removed by whoever seals
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()

    def watch(self, recording: Path) -> None:
        """Have the recording sealed when it has become large."""
        self._watching = threading.Thread(target=self._watch, args=(recording,), name="beside", daemon=True)
        self._watching.start()

    def finish(self, tell: Callable[[str], None]) -> None:
        """The recording has ended: wait until it is sealed, or cannot be beside. Either way it can be opened."""
        self._end()
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        with suppress(OSError):  # it is gone
            process.stdin.write(_FINISH)
            process.stdin.close()
        try:
            for line in process.stdout:
                tell(line.rstrip())
            process.wait()
        except KeyboardInterrupt:
            self.stopped = True

    def _end(self) -> None:
        self._ended.set()
        if self._watching is not None:
            self._watching.join()

    def _watch(self, recording: Path) -> None:
        told = os.environ.get(BYTES, "")
        enough = int(told) if told.isdigit() else _BYTES
        while not self._ended.wait(_PAUSE_S):
            with suppress(OSError):
                if sum(file.stat().st_size for file in (recording / "raw").glob("*.frames")) >= enough:
                    self._start(recording)
                    return

    def _start(self, recording: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "elixirscope.cli.beside", str(recording)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,  # Ctrl-C is the command's
        )


def main() -> None:
    """The process."""
    worker = _Worker(Path(sys.argv[1]))
    following = threading.Thread(target=worker.follow, daemon=True)
    following.start()
    told = sys.stdin.readline()
    worker.ended.set()
    following.join(_PATIENCE_S)  # on a machine that has no time for it, somebody else is quicker
    if not following.is_alive():
        worker.close(finish=told == _FINISH)
    sys.stdout.flush()
    os._exit(0)  # without waiting for machine code that may still be loading


class _Worker:
    def __init__(self, recording: Path) -> None:
        self._recording = recording
        self._sealer: Sealer | None = None
        self.ended = threading.Event()

    def follow(self) -> None:
        """Seal what is there until the program has ended; what needs to be loaded is loaded here, as it takes time."""
        _give_way()
        from elixirscope.correlate.correlator import EventCorrelator
        from elixirscope.recording.beside import Beside as Sealer

        sealer = self._sealer = Sealer(self._recording, correlate=EventCorrelator)
        while sealer.why is None and not self.ended.wait(_PAUSE_S):
            sealer.look(self.ended)

    def close(self, *, finish: bool) -> None:
        """Put all in place, or remove it."""
        if self._sealer is None:
            return
        with self._sealer as sealer:
            if finish and (why := sealer.finish(_tell)) is not None:
                _tell(f"sealing anew: {why}")


def _tell(text: str) -> None:
    print(text, flush=True)


def _give_way() -> None:
    """To any other process. On Linux this is the thread's own: the main one, which waits, does the rest without."""
    with suppress(OSError):
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.nice(_LAST)


if __name__ == "__main__":
    main()
