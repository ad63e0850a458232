"""A recording that is still being made, for scripts and notebooks: what `elixirscope.open(path, live=True)` returns."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from elixirscope.film import correlator, live_correlator
from elixirscope.recorded import Recorded
from elixirscope.recording.live import Live
from elixirscope.recording.presence import is_recording
from elixirscope.recording.recording import Recording

_LOOK_S: Final = 0.05  # between two looks for the first event


class Growing(Recorded):
    """A recording as far as it goes: everything of `Recorded`, about what had happened at the last `refresh`.

    Answers belong together: they only change with `refresh`, and what was taken before (tables, rows, findings, states)
    stays as it was. One thread at a time may refresh.
    """

    growing: bool
    """Whether it may still become more; False once all of it is there, sealed."""

    def __init__(self, recording: Recording, live: Live | None) -> None:
        super().__init__(recording)
        self._live = live  # None: it has ended
        self.growing = live is not None

    @classmethod
    def follow(cls, path: str | Path) -> Growing:
        """The recording at `path` from now on; waits for its first event. One that has ended is opened as ever.

        Raises as `Film.open` does.
        """
        live = Live(Path(path), correlate=live_correlator)
        while is_recording(live.path):
            live.refresh()
            if (recording := live.recording) is not None:
                live.keep_sources()
                return cls(recording, live)
            time.sleep(_LOOK_S)
        return cls(Recording.open(path, correlate=correlator), None)

    def refresh(self) -> bool:
        """Take in what has happened since, some tenths of a second ago at the latest; of very much (hundreds of
        thousands of events) only a part. False when that is nothing. Once the recorder has gone this opens the sealed
        recording, whose numbers of events may differ from those before.

        Raises as `Film.open` does.
        """
        if self._live is None:
            return False
        if is_recording(self._live.path):
            if not self._live.refresh() or (recording := self._live.recording) is None:
                return False
            if self._live.names_sources:
                self._live.keep_sources()
        else:
            recording, self._live, self.growing = Recording.open(self._live.path, correlate=correlator), None, False
        self.show(recording)
        return True
