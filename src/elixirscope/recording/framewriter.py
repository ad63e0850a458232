"""A raw file as the agent would write it: for drawn recordings, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from elixirscope.recording import etf
from elixirscope.recording.format import CHECKSUM_CRC32, EVENT_BYTES, FILE_HEADER, FILE_MAGIC, FORMAT_VERSION, FrameType
from elixirscope.recording.frames import frame_bytes
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom, Term


class FrameWriter:
    """Writes one raw file."""

    def __init__(self, path: Path, *, os_pid: int = 1, monotonic_ns: int = 0, unix_ns: int = 0, shard: int = 0) -> None:
        self._file = path.open("wb")
        self._events = 0
        self._lost = 0
        header = (FILE_MAGIC, FORMAT_VERSION, CHECKSUM_CRC32, EVENT_BYTES, os_pid, monotonic_ns, unix_ns)
        self._file.write(FILE_HEADER.pack(*header, shard, 0, 0))

    def events(self, events: np.ndarray, values: bytes = b"", loss: int = 0) -> None:
        """An EVENTS frame: `events` of dtype `records.EVENT`, and the values their offsets point into."""
        if events.dtype != EVENT:
            raise TypeError(f"events must be of dtype records.EVENT, not {events.dtype}")
        first, last = (int(events["ts"].min()), int(events["ts"].max())) if len(events) else (0, 0)
        self._events += len(events)
        self._write(FrameType.EVENTS, events.tobytes() + values, first, last, len(events), loss)

    def term(self, frame_type: FrameType, term: Term, count: int = 0, loss: int = 0, *, at: int = 0) -> None:
        """A frame of any other type, carrying `term`. at: the VM's monotonic ns."""
        if frame_type is FrameType.LOSS:
            self._lost += sum(row[1] for row in term)
        self._write(frame_type, etf.encode(term), at, at, count, loss)

    def samples(self, samples: np.ndarray, *, at: int) -> None:
        """A SAMPLES frame: of dtype `records.SAMPLE`. at: the VM's monotonic ns."""
        self._write(FrameType.SAMPLES, samples.tobytes(), at, at, len(samples), 0)

    def flush(self) -> None:
        """Make what was written visible to readers."""
        self._file.flush()

    def end(self) -> None:
        """The END frame, and close: this file was written to its end."""
        self.term(FrameType.END, {Atom("events"): self._events, Atom("lost"): self._lost})
        self.close()

    def close(self) -> None:
        """Close without END, as when the writer was killed."""
        self._file.close()

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, kind: int, payload: bytes, first: int, last: int, count: int, loss: int) -> None:
        self._file.write(frame_bytes(kind, payload, first, last, count, loss))
