"""Raw frame files, damaged ones too.

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
from typing import Final, NamedTuple

from zlib_ng.zlib_ng import crc32

from elixirscope.errors import EnvironmentProblem, RecordingError
from elixirscope.recording.format import (
    CHECKSUM_CRC32,
    EVENT_BYTES,
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


def raw_paths(raw_dir: Path) -> list[Path]:
    """The raw files of a recording, in the order they are joined."""
    try:
        return sorted(path for path in raw_dir.iterdir() if path.suffix == ".frames" and path.is_file())
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot read {raw_dir}: {error.strerror or error}",
            "give yourself permission to read the recording's folder",
        ) from error


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
    if version == FORMAT_VERSION and (checksum != CHECKSUM_CRC32 or event_size != EVENT_BYTES):
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
    looks_whole = kind == FrameType.EVENTS and in_time and 0 < count * EVENT_BYTES <= length and _ends(data, end)
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
