"""Raw frame files: one is written here for drawn recordings, any is read here, damaged ones too.

A reader never gives up on a file: it yields what is whole and a `Gap` for each stretch that is not.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

import numpy as np
from zlib_ng.zlib_ng import crc32

from elixirscope.errors import EnvironmentProblem, RecordingError
from elixirscope.recording import etf
from elixirscope.recording.format import (
    CHECKSUM_CRC32,
    EVENT,
    FILE_HEADER,
    FILE_MAGIC,
    FORMAT_VERSION,
    FRAME_HEADER,
    FRAME_MAGIC,
    FRAME_PREFIX,
    MAX_PAYLOAD,
    FrameType,
)
from elixirscope.recording.packed import packed_content
from elixirscope.recording.terms import Atom, Term

FRAME_OVERHEAD: Final = FRAME_PREFIX.size + FRAME_HEADER.size
_LATEST: Final = 1 << 62  # ns
# A writer that was started again has a file of its own, with one more number.
_NAME: Final = re.compile(r"(.+\.\d+(?:\+\d+)?)-(?:meta|vm|\d+)(?:-\d+)?\.frames")
_TYPES = frozenset(int(kind) for kind in FrameType)


def vm_of(name: str) -> str:
    """The VM (NODE.OSPID) that wrote the raw file called `name`."""
    found = _NAME.fullmatch(name)
    return found[1] if found else name.removesuffix(".frames").rpartition("-")[0] or name.removesuffix(".frames")


class FileHeader(NamedTuple):
    """What a raw file says about itself. The two times were read together: they align the clocks."""

    version: int
    os_pid: int
    monotonic_ns: int
    unix_ns: int
    shard: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame. Times are the VM's monotonic ns; `offset` is where it starts in its file."""

    type: int
    first_ts: int
    last_ts: int
    count: int
    loss: int
    payload: memoryview
    offset: int


class Gap(NamedTuple):
    """Bytes `start` to `end` of `file` (its name) that could not be read.

    tail: the file stops in the middle of a frame, as it does when its writer was killed; otherwise
    the bytes are damaged.
    """

    file: str
    start: int
    end: int
    tail: bool = False


def map_file(path: Path) -> memoryview:
    """The bytes of `path`, mapped. Files only ever grow, so what is mapped stays. Raises
    `EnvironmentProblem` when it cannot be read."""
    try:
        if (content := packed_content(path)) is not None:
            return content
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot read {path}: {error.strerror or error}",
            "give yourself permission to read the recording's files",
        ) from error


def read_header(data: memoryview) -> FileHeader | None:
    """The header at the start of a raw file, None when it is damaged or not written yet."""
    if len(data) < FILE_HEADER.size:
        return None
    magic, version, checksum, event_size, os_pid, mono, unix, shard, _, _ = FILE_HEADER.unpack_from(data)
    if magic != FILE_MAGIC or version < FORMAT_VERSION:
        return None
    if version == FORMAT_VERSION and (checksum != CHECKSUM_CRC32 or event_size != EVENT.itemsize):
        return None
    return FileHeader(version, os_pid, mono, unix, shard)


def newer_format(name: str, version: int) -> RecordingError:
    """The error for what a later ElixirScope wrote."""
    return RecordingError(
        f"{name} is of recording format {version}; this ElixirScope reads format {FORMAT_VERSION}",
        "update ElixirScope: pipx upgrade elixirscope (or pip install -U elixirscope)",
    )


def read_frames(path: Path, offset: int = 0) -> Iterator[Frame | Gap]:
    """Every whole frame of a raw file from byte `offset` (0: from its start), and the gaps between.

    Raises `RecordingError` for a file of a newer format, `EnvironmentProblem` for an unreadable one.
    """
    data = map_file(path)
    header = read_header(data)
    if header is not None and header.version > FORMAT_VERSION:
        raise newer_format(path.name, header.version)
    yield from scan(data, path.name, offset)


def scan(data: memoryview, name: str, offset: int = 0, *, trusting: bool = False) -> Iterator[Frame | Gap]:
    """As `read_frames`, over bytes that are mapped already and whatever version they claim. `trusting`: the sums of
    frames of events are not checked where another frame or the end follows, so only their headers are read."""
    at = offset
    if at == 0 and data:
        header = read_header(data)
        at = FILE_HEADER.size
        if header is None or header.version != FORMAT_VERSION:
            after = _next_frame(data, 0)
            at = len(data) if after is None else after
            yield Gap(name, 0, at, tail=len(data) < FILE_HEADER.size)
    while at < len(data):
        frame = _frame_at(data, at, trusting)
        if frame is not None:
            yield frame
            at += FRAME_OVERHEAD + len(frame.payload)
            continue
        after = _next_frame(data, at + 1)
        if after is None:
            yield Gap(name, at, len(data), _is_tail(data, at))
            return
        yield Gap(name, at, after)
        at = after


def fetch_headers(path: Path) -> None:
    """Have the headers of all frames read from the disk: for a file that is not in memory, before `scan` is trusting,
    beside other files. What is not as it should be is left to `scan`."""
    with suppress(OSError), path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # just these pages
        at = FILE_HEADER.size
        while len(head := os.pread(file.fileno(), FRAME_OVERHEAD, at)) == FRAME_OVERHEAD and head[:4] == FRAME_MAGIC:
            _, _, _, length, *_ = FRAME_HEADER.unpack_from(head, FRAME_PREFIX.size)
            at += FRAME_OVERHEAD + length


def _frame_at(data: memoryview, at: int, trusting: bool = False) -> Frame | None:
    if len(data) - at < FRAME_OVERHEAD:
        return None
    magic, crc = FRAME_PREFIX.unpack_from(data, at)
    kind, _, _, length, first, last, count, loss = FRAME_HEADER.unpack_from(data, at + FRAME_PREFIX.size)
    end = at + FRAME_OVERHEAD + length
    if magic != FRAME_MAGIC or kind not in _TYPES or length > MAX_PAYLOAD or end > len(data):
        return None
    in_time = -_LATEST < first <= last < _LATEST  # or it might belong to no slice, and not be met
    looks_whole = kind == FrameType.EVENTS and in_time and 0 < count * EVENT.itemsize <= length and _ends(data, end)
    if not (trusting and looks_whole) and crc32(data[at + FRAME_PREFIX.size : end]) != crc:
        return None
    return Frame(kind, first, last, count, loss, data[at + FRAME_OVERHEAD : end], at)


def _ends(data: memoryview, at: int) -> bool:
    """Whether what is before `at` is followed by a frame, or by nothing."""
    return at == len(data) or bytes(data[at : at + len(FRAME_MAGIC)]) == FRAME_MAGIC


def _next_frame(data: memoryview, at: int) -> int | None:
    """Where the next whole frame starts, at or after `at`."""
    source = data.obj
    assert isinstance(source, bytes | mmap.mmap)
    while (at := source.find(FRAME_MAGIC, at)) >= 0:
        if _frame_at(data, at) is not None:
            return at
        at += 1
    return None


def _is_tail(data: memoryview, at: int) -> bool:
    """Whether the bytes from `at` are the beginning of a frame that was never written to its end."""
    rest = data[at : at + FRAME_OVERHEAD]
    if len(rest) < FRAME_OVERHEAD:
        return bytes(rest[:4]) == FRAME_MAGIC[: len(rest)]
    magic, _ = FRAME_PREFIX.unpack_from(rest)
    kind, _, _, length, *_ = FRAME_HEADER.unpack_from(rest, FRAME_PREFIX.size)
    return (
        magic == FRAME_MAGIC and kind in _TYPES and length <= MAX_PAYLOAD and at + FRAME_OVERHEAD + length > len(data)
    )


def is_whole(frame: memoryview) -> bool:
    """Whether these bytes are one frame as it was written."""
    magic, crc = FRAME_PREFIX.unpack_from(frame)
    return bool(magic == FRAME_MAGIC and crc32(frame[FRAME_PREFIX.size :]) == crc)


def frame_bytes(kind: int, payload: bytes, first: int, last: int, count: int, loss: int) -> bytes:
    """One whole frame. Times are the VM's monotonic ns."""
    body = FRAME_HEADER.pack(kind, 0, 0, len(payload), first, last, count, loss) + payload
    return FRAME_PREFIX.pack(FRAME_MAGIC, crc32(body)) + body


class FrameWriter:
    """Writes one raw file as the agent would. For drawn recordings, tests and benchmarks."""

    def __init__(self, path: Path, *, os_pid: int = 1, monotonic_ns: int = 0, unix_ns: int = 0, shard: int = 0) -> None:
        self._file = path.open("wb")
        self._events = 0
        self._lost = 0
        header = (FILE_MAGIC, FORMAT_VERSION, CHECKSUM_CRC32, EVENT.itemsize, os_pid, monotonic_ns, unix_ns)
        self._file.write(FILE_HEADER.pack(*header, shard, 0, 0))

    def events(self, events: np.ndarray, values: bytes = b"", loss: int = 0) -> None:
        """An EVENTS frame: `events` of dtype `format.EVENT`, and the values their offsets point into."""
        if events.dtype != EVENT:
            raise TypeError(f"events must be of dtype format.EVENT, not {events.dtype}")
        first, last = (int(events["ts"].min()), int(events["ts"].max())) if len(events) else (0, 0)
        self._events += len(events)
        self._write(FrameType.EVENTS, events.tobytes() + values, first, last, len(events), loss)

    def term(self, frame_type: FrameType, term: Term, count: int = 0, loss: int = 0, *, at: int = 0) -> None:
        """A frame of any other type, carrying `term`. at: the VM's monotonic ns."""
        if frame_type is FrameType.LOSS:
            self._lost += sum(row[1] for row in term)
        self._write(frame_type, etf.encode(term), at, at, count, loss)

    def samples(self, samples: np.ndarray, *, at: int) -> None:
        """A SAMPLES frame: of dtype `format.SAMPLE`. at: the VM's monotonic ns."""
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
