"""Follows a recording that is being made: new editions for the page while it grows, the sealed one in the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from elixirscope import kernels
from elixirscope.errors import ElixirScopeError
from elixirscope.film import Film, live_correlator
from elixirscope.garbage import settled
from elixirscope.recording.live import Live
from elixirscope.recording.presence import is_recording
from elixirscope.web.pace import PAUSE_S, Pace
from elixirscope.web.showing import Showing

SELDOM_S: Final = 0.2
"""Between two looks at the raw files while pages are busy with what they have: so that less is to be done when they
ask for more."""

SETTLES: Final = 10_000
"""Processes after which what is known of them is left out of the search for garbage."""

NICE: Final = 10


class Follower(threading.Thread):
    """Keeps `showing` at the head of a recording until its recorder has gone, and then at the sealed recording.

    Looks at the files only while a page is open. It has a low priority among the machine's threads, and never
    touches the program: what it reads was written for the recording anyway.
    """

    def __init__(self, live: Live, showing: Showing, *, report: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(name="follower", daemon=True)
        self._live = live
        self._showing = showing
        self._report = report
        self._stop = threading.Event()
        self._keeping = threading.Thread()
        self._pace = Pace()
        self._settled = 0  # processes

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def run(self) -> None:
        """Until the sealed recording is shown, or `stop`."""
        _be_nice()
        pause = PAUSE_S
        try:
            while not self._stop.wait(pause) and is_recording(self._live.path):
                wanted = self._showing.wanted(SELDOM_S) or self._showing.watched
                pause = self._look() if wanted else PAUSE_S
            if not self._stop.is_set():
                self._showing.ends()
                self._showing.show(Film.open(self._live.path), "sealed")
        except (ElixirScopeError, OSError) as error:
            # What is shown stays; the page asks whether the recording is still there, and says so.
            self._report(f"the recording cannot be followed any longer: {error}")

    def _look(self) -> float:
        """Shows what has come; the pause until the next look, in seconds."""
        began = time.thread_time()
        with kernels.beside():  # else an event would wait for machine code, up to some seconds
            if self._live.refresh() and (recording := self._live.recording) is not None:
                self._showing.show(Film(recording), "recording")
        if self._live.names_sources and not self._keeping.is_alive():
            self._keeping = threading.Thread(target=self._keep_sources, name="sources", daemon=True)
            self._keeping.start()
        took = time.thread_time() - began
        took -= self._live.aside  # which has its own share of the time
        if (processes := self._showing.film.recording.rows("processes")) > self._settled + SETTLES:
            self._settled = processes
            settled()  # which is no sign of being behind
        return self._pace.rest(took, behind=self._live.behind)

    def _keep_sources(self) -> None:
        """Many files may take a while, which no event is to wait for."""
        self._live.keep_sources()
        self._showing.again()


def follow(path: Path, report: Callable[[str], None] = lambda _: None) -> Showing:
    """What to show of the recording in `path`: while its recorder is at work, as far as it goes, followed from now on.

    Waits for the first event. Raises as `Film.open` does.
    """
    live = Live(path, correlate=live_correlator)
    threading.Thread(target=_load, name="loading", daemon=True).start()
    while is_recording(path):
        live.refresh()
        if (recording := live.recording) is not None:
            live.keep_sources()
            showing = Showing(Film(recording), "recording")
            Follower(live, showing, report=report).start()
            return showing
        time.sleep(PAUSE_S)
    return Showing(Film.open(path))


def _load() -> None:
    """Have machine code at hand before much happens: loaded beside looks it makes them three times as long."""
    _be_nice()
    kernels.load_kept()


def _be_nice() -> None:
    """Give way to the application; this thread alone, where the system knows priorities of threads."""
    with suppress(OSError):  # refused: then it is not as polite, and nothing is wrong
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    # Linux may weigh sessions against each other, whatever their processes' priorities: `record --open` starts one.
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICE))
