"""One raw file, read: where its events are, and what its other frames say."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from elixirscope.recording import etf
from elixirscope.recording.format import EVENT, FILE_HEADER, SAMPLE, FrameType
from elixirscope.recording.frames import FRAME_OVERHEAD, FileHeader, Frame, Gap, map_file, read_header, scan
from elixirscope.recording.terms import Atom, Pid, Term

BATCH = np.dtype(
    [
        ("start", "<i8"),  # of the events, in the file
        ("count", "<i8"),
        ("end", "<i8"),  # of the values, which follow the events
        ("first", "<i8"),  # the earliest and the latest time in it
        ("last", "<i8"),
    ]
)


@dataclass
class RawFile:
    """What one `raw/*.frames` file holds. Times are its VM's monotonic ns."""

    name: str
    vm_name: str  # NODE.OSPID of the file name
    data: memoryview
    header: FileHeader | None
    batches: npt.NDArray[np.void] = field(default_factory=lambda: np.empty(0, BATCH))  # of events
    bad_values: int = 0  # events read so far whose value lies outside its frame
    pids: dict[int, Pid] = field(default_factory=dict)
    modules: list[tuple[str, dict[str, Term], list[Term]]] = field(default_factory=list)
    losses: list[tuple[Pid | None, int, str, int, int]] = field(default_factory=list)  # …, told at, since
    metas: list[dict[str, Any]] = field(default_factory=list)
    samples: list[tuple[int, npt.NDArray[np.void]]] = field(default_factory=list)  # ts, of dtype SAMPLE
    gaps: list[Gap] = field(default_factory=list)
    ended: bool = False
    read: int = 0  # bytes
    told_lost: int = 0  # events that frames say were dropped
    latest: int = 0  # when the last of `batches` so far ended, else when the file began; 0: not known
    written: int | None = None  # Unix ns, when the last of `batches` was; None: not known

    @cached_property
    def events(self) -> npt.NDArray[np.void]:
        """All events, in memory."""
        return self.span(-(2**63), 2**63 - 1)[0]

    def span(self, since: int, until: int) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
        """The events of times from `since` to before `until`, in the order of the file, and where the value of each
        starts. Values outside their frame are taken away, and counted."""
        found = [np.empty(0, EVENT)]
        starts = [np.empty(0, np.int64)]
        chosen = (self.batches["first"] < until) & (self.batches["last"] >= since)
        for start, count, end, first, last in self.batches[chosen].tolist():
            events = np.frombuffer(self.data, EVENT, count, start)
            values = start + events.nbytes + events["value_offset"].astype(np.int64)
            if first < since or last >= until:
                inside = (events["ts"] >= since) & (events["ts"] < until)
                events, values = events[inside], values[inside]
            outside = (events["value_length"] > 0) & (values + events["value_length"] > end)
            if outside.any():
                self.bad_values += int(outside.sum())
                events = events.copy()
                events["value_length"][outside] = 0
            found.append(events)
            starts.append(values)
        return np.concatenate(found), np.concatenate(starts)

    def times(self, first: int) -> Iterator[npt.NDArray[np.int64]]:
        """The times of the events of each batch from number `first` on."""
        for start, count, *_ in self.batches[first:].tolist():
            yield np.frombuffer(self.data, EVENT, count, start)["ts"]

    def forget(self, until: int) -> None:
        """Keep no account of batches of which all was before `until`: nobody asks for their events again."""
        if len(self.batches) and int(self.batches["last"].min()) < until:
            self.batches = self.batches[self.batches["last"] >= until]

    def release(self) -> None:
        """Have the memory of what was read so far back: it is read from the file again when asked for."""
        if isinstance(self.data.obj, mmap.mmap):
            self.data.obj.madvise(mmap.MADV_DONTNEED)


def read_raw_file(path: Path) -> RawFile:
    """Check all frames of `path` and read what is not events. Raises `EnvironmentProblem` when it cannot be opened."""
    name, _, _ = path.stem.rpartition("-")
    file = RawFile(path.name, name or path.stem, memoryview(b""), None)
    read_on(file, path)
    lost = sum(loss[1] for loss in file.losses)
    if file.told_lost > lost:  # the frame that said whose they were is itself gone
        file.losses.append((None, file.told_lost - lost, "not known: the record of this loss is damaged", 0, 0))
    return file


def read_on(file: RawFile, path: Path, *, growing: bool = False) -> bool:
    """Read what was written to `path` since. `growing`: a frame that is not there to its end is left for later, and
    the answer is whether there was anything to look at."""
    with suppress(OSError):  # what is wrong is said when it is mapped
        if growing and path.stat().st_size < max(file.read + 1, FILE_HEADER.size):
            return False
    data = file.data = map_file(path)
    file.header = file.header or read_header(data)
    file.latest = file.latest or (file.header.monotonic_ns if file.header is not None else 0)
    batches: list[tuple[int, int, int, int, int]] = []
    for item in scan(data, path.name, file.read):
        if isinstance(item, Gap):
            if growing and item.tail:
                break
            file.gaps.append(item)
            file.read = item.end
            continue
        file.read = item.offset + FRAME_OVERHEAD + len(item.payload)
        file.told_lost += item.loss
        start, end = item.offset + FRAME_OVERHEAD, item.offset + FRAME_OVERHEAD + len(item.payload)
        try:
            if item.type == FrameType.EVENTS:
                file.latest = item.last_ts
                times = np.frombuffer(item.payload[: item.count * EVENT.itemsize], EVENT, item.count)["ts"]
                if item.count:
                    batches.append((start, item.count, end, int(times.min()), int(times.max())))
            elif item.type == FrameType.SAMPLES:
                file.samples.append((item.first_ts, np.frombuffer(item.payload, SAMPLE, item.count).copy()))
            else:
                _take_term(file, item)
        except (etf.DecodeError, ValueError, TypeError, LookupError, AttributeError):
            # The sum holds but the content does not: the same to us as damage.
            file.gaps.append(Gap(path.name, item.offset, end))
    file.batches = np.concatenate([file.batches, np.array(batches, BATCH)])
    if growing:
        about = path.stat()
        file.written = about.st_mtime_ns if batches and about.st_size == file.read else None
    file.release()
    return True


def _take_term(file: RawFile, frame: Frame) -> None:
    term = etf.decode(frame.payload)
    match frame.type:
        case FrameType.PROCESSES:
            file.pids.update(_pids(term))
        case FrameType.SITES:
            module, info, sites = term
            file.modules.append((str(module), _text_keys(info), list(sites)))
        case FrameType.LOSS:
            for pid, count, reason in term:
                owner = pid if isinstance(pid, Pid) else None
                file.losses.append((owner, int(count), _text(reason), frame.first_ts, file.latest))
        case FrameType.META:
            file.metas.append(_text_keys(term))
        case FrameType.END:
            file.ended = True


def _pids(term: Term) -> Iterator[tuple[int, Pid]]:
    for index, pid in term:
        if not isinstance(pid, Pid) or not isinstance(index, int):
            raise ValueError("not a process")
        yield index, pid


def _text_keys(term: Term) -> dict[str, Any]:
    return {str(key): value for key, value in term.items()}


def _text(reason: Term) -> str:
    if isinstance(reason, bytes):
        return reason.decode("utf-8", "replace")
    return str(reason) if isinstance(reason, Atom) else repr(reason)
