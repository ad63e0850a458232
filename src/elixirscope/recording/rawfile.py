"""One raw file, read: where its events are, and what its other frames say."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.errors import RecordingError
from elixirscope.recording.direct import DirectReader, Fetched
from elixirscope.recording.format import FILE_HEADER, FrameType
from elixirscope.recording.frames import (
    FRAME_OVERHEAD,
    Gap,
    is_whole,
    map_file,
    scan,
)
from elixirscope.recording.records import EVENT, SAMPLE
from elixirscope.recording.slices import digests
from elixirscope.recording.told import Told

Numbers = npt.NDArray[np.int64]
Batches = npt.NDArray[np.void]

_RUN: Final = 1 << 22  # bytes, about
_NEAR: Final = 1 << 18  # so many bytes between batches are read with them

BATCH = np.dtype(
    [
        ("start", "<i8"),  # of the events, in the file
        ("count", "<i8"),
        ("end", "<i8"),  # of the values, which follow the events
        ("first", "<i8"),  # the earliest and the latest time in it
        ("last", "<i8"),
    ]
)


class Damage(RecordingError):
    """A frame is not as it was written, or no longer as it was when it was checked."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} is damaged", "open the recording again: all of it is checked first then")


class Part(NamedTuple):
    """Events of a span of time of one file, in its order."""

    events: npt.NDArray[np.void]  # of dtype EVENT
    starts: Numbers  # where in `data` the value of each starts
    data: memoryview
    digests: npt.NDArray[np.uint64]  # of their values: as `slices.digests`


@dataclass
class RawFile(Told):
    """What one `raw/*.frames` file holds. Times are its VM's monotonic ns."""

    data: memoryview = field(default_factory=lambda: memoryview(b""))
    batches: Batches = field(default_factory=lambda: np.empty(0, BATCH))  # of events
    bad_values: int = 0  # events read so far whose value lies outside its frame
    samples: list[tuple[int, npt.NDArray[np.void]]] = field(default_factory=list)  # ts, of dtype SAMPLE
    read: int = 0  # bytes
    trusting: bool = False  # that what headers of frames of events say is true: who reads the events checks it
    written: int | None = None  # Unix ns, when the last of `batches` was; None: not known
    reader: DirectReader | None = None  # who reads events, instead of having `data` mapped
    _last: tuple[int, bytes] = (0, b"")  # where the frame begins that was read last, and its header
    _coming: dict[tuple[int, int], Future[Fetched]] = field(default_factory=dict)

    @cached_property
    def events(self) -> npt.NDArray[np.void]:
        """All events, in memory."""
        return self.span(-(2**63), 2**63 - 1).events

    def chosen(self, since: int, until: int) -> Batches:
        """The batches that have events of times from `since` to before `until`."""
        return self.batches[(self.batches["first"] < until) & (self.batches["last"] >= since)]

    def span(self, since: int, until: int) -> Part:
        """The events of times from `since` to before `until`. Values outside their frame are taken away, and counted.
        Raises `Damage` for a frame that had only been trusted to be whole."""
        data, chosen = self._fetched(since, until)
        count = int(chosen["count"].sum())
        events, starts, found = np.empty(count, EVENT), np.empty(count, np.int64), np.empty(2 * count, np.uint64)
        have = 0
        for run in _runs(chosen):  # checked, copied and digested while it is near the processor
            some = events[have : have + int(run["count"].sum())]
            values, ends = self._take(data, run, some)
            if int(run["first"].min()) < since or int(run["last"].max()) >= until:
                inside = (some["ts"] >= since) & (some["ts"] < until)
                values, ends, kept = values[inside], ends[inside], some[inside]
                some = some[: len(kept)]
                some[:] = kept
            outside = (some["value_length"] > 0) & (values + some["value_length"] > ends)
            if outside.any():
                self.bad_values += int(outside.sum())
                some["value_length"][outside] = 0
            places = np.zeros((len(some), 3), np.int64)
            places[:, 1], places[:, 2] = values, some["value_length"]
            starts[have : have + len(some)] = values
            found[2 * have : 2 * (have + len(some))] = digests([data], places)
            have += len(some)
        return Part(events[:have], starts[:have], data, found[: 2 * have])

    def _fetched(self, since: int, until: int) -> tuple[memoryview, Batches]:
        """The batches of a span of time, and the memory that their places are in."""
        chosen = self.chosen(since, until)
        if self.reader is None or not len(chosen):
            return self.data, chosen
        coming = self._coming.pop((since, until), None) or self._fetch(self.reader, chosen)
        data, moved = coming.result()
        by = np.repeat(moved, [len(part) for part in _parts(chosen)])
        chosen["start"] += by
        chosen["end"] += by
        return data, chosen

    def _fetch(self, reader: DirectReader, batches: Batches) -> Future[Fetched]:
        parts = _parts(batches)
        return reader.read(
            self.path, [(int(part["start"][0]) - FRAME_OVERHEAD, int(part["end"][-1])) for part in parts]
        )

    def _take(self, data: memoryview, run: Batches, into: npt.NDArray[np.void]) -> tuple[Numbers, Numbers]:
        """Fill in the events of some batches. Gives where the value of each starts, and where its frame ends."""
        octets, have, counts = into.view(np.uint8), 0, run["count"]
        for start, count, end, _, _ in run.tolist():
            if self.trusting and not is_whole(data[start - FRAME_OVERHEAD : end]):
                raise Damage(f"{self.name} at byte {start - FRAME_OVERHEAD}")
            size = count * EVENT.itemsize
            octets[have : have + size] = np.frombuffer(data, np.uint8, size, start)
            have += size
        if self.trusting:
            firsts = np.cumsum(counts) - counts
            for kind, told in ((np.minimum, run["first"]), (np.maximum, run["last"])):
                if (kind.reduceat(into["ts"], firsts) != told).any():
                    raise Damage(f"a header of a frame in {self.name}")
        begins = np.repeat(run["start"] + counts * EVENT.itemsize, counts)
        return begins + into["value_offset"], np.repeat(run["end"], counts)

    def times(self, first: int, until: int) -> Iterator[npt.NDArray[np.int64]]:
        """The times before `until` of the events of each batch from number `first` on."""
        batches = self.batches[first:]
        for start, count, *_ in batches[batches["first"] < until].tolist():
            times = np.frombuffer(self.data, EVENT, count, start)["ts"]
            yield times[times < until]

    @property
    def is_rewritten(self) -> bool:
        """Whether the frame that was read last is no longer there: rings of a VM that was killed end so."""
        at, head = self._last
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), len(head), at) != head

    def forget(self, until: int) -> None:
        """Keep no account of batches of which all was before `until`: nobody asks for their events again."""
        if len(self.batches) and int(self.batches["last"].min()) < until:
            self.batches = self.batches[self.batches["last"] >= until]

    def announce(self, since: int, until: int) -> None:
        """Have the disk bring what happened from `since` to before `until`, which is asked for soon."""
        chosen = self.chosen(since, until)
        if self.reader is None:
            self._advise("MADV_WILLNEED", chosen)
        elif len(chosen):
            self._coming[since, until] = self._fetch(self.reader, chosen)

    def release(self, since: int, until: int) -> None:
        """Have the memory back of what happened then: it is read from the file again when asked for."""
        if self.reader is None:  # else it comes back by itself
            self._advise("MADV_DONTNEED", self.chosen(since, until))

    def release_all(self) -> None:
        """Have the memory of what was read so far back."""
        self.advise("MADV_DONTNEED")

    def advise(self, name: str) -> None:
        """Tell the system how all of the file is read."""
        advice = getattr(mmap, name, None)
        if advice is not None and isinstance(self.data.obj, mmap.mmap):
            self.data.obj.madvise(advice)

    def _advise(self, name: str, batches: Batches) -> None:
        advice = getattr(mmap, name, None)
        if advice is not None and isinstance(self.data.obj, mmap.mmap) and len(batches):
            first = int(batches["start"].min()) // mmap.PAGESIZE * mmap.PAGESIZE
            self.data.obj.madvise(advice, first, int(batches["end"].max()) - first)


def _runs(batches: Batches) -> list[Batches]:
    """Batches that are taken at once."""
    ends = np.cumsum(batches["end"] - batches["start"])
    return np.split(batches, np.flatnonzero(np.diff(ends // _RUN)) + 1) if len(batches) else []


def _parts(batches: Batches) -> list[Batches]:
    """Batches that are read at once: they follow each other."""
    apart = batches["start"][1:] - batches["end"][:-1]
    return np.split(batches, np.flatnonzero((apart > _NEAR) | (apart < 0)) + 1)


def read_raw_file(path: Path, *, trusting: bool = False) -> RawFile:
    """Check all frames of `path` and read what is not events. Raises `EnvironmentProblem` when it cannot be opened.

    `trusting`: of events only the headers of frames are read; what they say is checked by who reads the events."""
    file = RawFile(path, trusting=trusting)
    read_on(file)
    file.note_unknown_losses()
    return file


def read_on(file: RawFile, *, growing: bool = False) -> bool:
    """Read what was written to a file since. `growing`: a frame that is not there to its end is left for later, and
    the answer is whether there was anything to look at."""
    path = file.path
    with suppress(OSError):  # what is wrong is said when it is mapped
        if growing and path.stat().st_size < max(file.read + 1, FILE_HEADER.size):
            return False
    data = file.data = map_file(path)
    file.begin(data)
    batches: list[tuple[int, int, int, int, int]] = []
    last = file._last[0]
    if file.trusting:
        file.advise("MADV_RANDOM")  # only headers are read
    for item in scan(data, path.name, file.read, trusting=file.trusting):
        if isinstance(item, Gap):
            if growing and item.tail:
                break
            file.gaps.append(item)
            file.read = item.end
            continue
        file.read = item.offset + FRAME_OVERHEAD + len(item.payload)
        last = item.offset
        start, end = item.offset + FRAME_OVERHEAD, item.offset + FRAME_OVERHEAD + len(item.payload)
        file.take(item)
        try:
            if item.type == FrameType.EVENTS:
                if file.trusting and item.count and item.first_ts <= item.last_ts:
                    batches.append((start, item.count, end, item.first_ts, item.last_ts))
                    continue
                times = np.frombuffer(item.payload[: item.count * EVENT.itemsize], EVENT, item.count)["ts"]
                if item.count:
                    batches.append((start, item.count, end, int(times.min()), int(times.max())))
            elif item.type == FrameType.SAMPLES:
                file.samples.append((item.first_ts, np.frombuffer(item.payload, SAMPLE, item.count).copy()))
        except ValueError:  # the sum holds but the content does not: the same to us as damage
            file.gaps.append(Gap(path.name, item.offset, end))
    file.batches = np.concatenate([file.batches, np.array(batches, BATCH)])
    file._last = (last, bytes(data[last : last + FRAME_OVERHEAD]))
    if growing:
        about = path.stat()
        file.written = about.st_mtime_ns if batches and about.st_size == file.read else None
    if file.trusting:
        file.advise("MADV_NORMAL")
    file.release_all()
    return True
