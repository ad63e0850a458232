"""What the native engine had committed when its VM was killed: from its rings into the recording.

The layout of a ring is that of `agent/c_src/ring.h`. A ring in shared memory is named by a link in `raw/`.
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from elixirscope.capture.stale import SHARED, no_link
from elixirscope.errors import RecordingError
from elixirscope.recording import etf
from elixirscope.recording.format import EVENT_BYTES, FrameType
from elixirscope.recording.frames import frame_bytes
from elixirscope.recording.terms import Atom

_HEADER_BYTES: Final = 4096
_MAGIC: Final = b"ELXRING1"
_SIZE, _HEAD, _LOST, _CURRENT, _MARKS = 8, 64, 128, 192, (256, 320)
_U64: Final = struct.Struct("<Q")
_U32: Final = struct.Struct("<I")
_I64: Final = struct.Struct("<q")
_MARK: Final = struct.Struct("<QQQQ")  # tail, bytes of the frame file, losses told, events
_PAIR: Final = struct.Struct("<II")  # a record: length, kind; in a process: index, bytes of its pid
_EVENT, _PROCESS = 1, 2
_OFFSET_AT: Final = EVENT_BYTES - 8  # value_offset, then value_length, are an event's last
_BATCH_BYTES: Final = 1024 * 1024


def recover(raw: Path) -> int:
    """Append to the files of `raw` what rings of ended VMs still hold, and remove those rings.

    Returns how many events there were. Rings of VMs that still run are left to them. Raises `RecordingError` for a
    ring or file that is not as it was left, `OSError` when one cannot be read or written.
    """
    return sum(recover_one(link) for link in sorted(raw.glob("*.ring")))


def recover_one(link: Path) -> int:
    """As `recover`, of the ring that `link` is or names."""
    try:
        file = link.open("rb")
    except FileNotFoundError:  # its VM ended in order in this moment
        link.unlink(missing_ok=True)
        return 0
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # its VM holds it: it lives
        ring = file.read()
    count = 0
    if len(ring) > _HEADER_BYTES and ring.startswith(_MAGIC):  # else its VM died while making it
        count = _append(ring, link)
    _remove(link)
    return count


def _append(ring: bytes, link: Path) -> int:
    (size,), (head,), (lost,), (current,) = (_U64.unpack_from(ring, at) for at in (_SIZE, _HEAD, _LOST, _CURRENT))
    tail, file_bytes, told, _ = _MARK.unpack_from(ring, _MARKS[current & 1])
    if len(ring) < _HEADER_BYTES + size or not 0 <= head - tail <= size:
        raise _damaged(link)
    if head == tail and lost == told:
        return 0
    position, end = _HEADER_BYTES + tail % size, _HEADER_BYTES + size  # it may have been about to grow beyond
    records = ring[position : min(position + head - tail, end)]
    records += ring[_HEADER_BYTES : _HEADER_BYTES + head - tail - len(records)]
    with open(link.with_suffix(".frames"), "r+b", opener=no_link) as frames:
        if frames.seek(0, 2) < file_bytes:
            raise RecordingError(f"{frames.name} is shorter than it was", "the events it still has can be read")
        # A frame beyond the mark, whole or not, holds events that are still in the ring.
        frames.truncate(file_bytes)
        frames.seek(file_bytes)
        return _write(records, lost - told, frames, link)


@dataclass
class _Batch:
    """What becomes one frame of events, and the one of processes before it."""

    events: list[bytes] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    processes: list[bytes] = field(default_factory=list)  # each `{Index, Pid}` in External Term Format
    value_bytes: int = 0
    first: int | None = None
    last: int = 0

    def event(self, event: bytes, value: bytes) -> None:
        self.events.append(event[:_OFFSET_AT] + _U32.pack(self.value_bytes) + event[_OFFSET_AT + _U32.size :])
        self.values.append(value)
        self.value_bytes += len(value)
        (self.last,) = _I64.unpack_from(event)
        self.first = self.last if self.first is None else self.first


def _write(records: bytes, loss: int, frames: BinaryIO, link: Path) -> int:
    total = 0
    for batch in _batches(records, link):
        first = batch.first or 0
        if batch.processes:
            listed = b"\x83l" + len(batch.processes).to_bytes(4, "big") + b"".join(batch.processes) + b"j"
            frames.write(frame_bytes(FrameType.PROCESSES, listed, first, batch.last, len(batch.processes), 0))
        if loss:
            rows = etf.encode([(Atom("nil"), loss, Atom("overload"))])
            frames.write(frame_bytes(FrameType.LOSS, rows, first, batch.last, 1, 0))
        payload = b"".join(batch.events + batch.values)
        frames.write(frame_bytes(FrameType.EVENTS, payload, first, batch.last, len(batch.events), loss))
        total, loss = total + len(batch.events), 0
    return total


def _batches(records: bytes, link: Path) -> Iterator[_Batch]:
    """At least one batch, if an empty one."""
    batch, at = _Batch(), 0
    while at < len(records):
        length, kind = _PAIR.unpack_from(records, at)
        body = at + _PAIR.size
        if length < 2 * _PAIR.size or length % 8 or at + length > len(records):
            raise _damaged(link)
        if kind == _EVENT:
            value = body + EVENT_BYTES
            (size,) = _U32.unpack_from(records, value - _U32.size)
            batch.event(records[body:value], records[value : value + size])
        elif kind == _PROCESS:
            index, size = _PAIR.unpack_from(records, body)
            pid = body + _PAIR.size
            batch.processes.append(b"h\x02b" + index.to_bytes(4, "big") + records[pid : pid + size])
        at += length
        if batch.value_bytes + EVENT_BYTES * len(batch.events) > _BATCH_BYTES:
            yield batch
            batch = _Batch()
    yield batch


def _damaged(link: Path) -> RecordingError:
    return RecordingError(f"{link} is damaged: the VM's last events are missing", "all others can be read")


def _remove(link: Path) -> None:
    """Remove a ring: the link, and what it names when that is one of ours."""
    if link.is_symlink():
        target = link.readlink()
        if target.parent == SHARED and target.name.startswith("elixirscope-"):
            target.unlink(missing_ok=True)
    link.unlink(missing_ok=True)
