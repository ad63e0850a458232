"""Cuts a recording down to parts of its time, so that what stays reads as before and what went is told.

Of the raw files every frame is kept or written anew: events inside the windows, the lives of processes and tests, the
calls that enclose a window, and the state that was in force when it began. What goes is counted as lost, with the
reason, so that no reader takes a gap for silence; times stay as they were.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from elixirscope.errors import EnvironmentProblem, UsageError
from elixirscope.recording import etf
from elixirscope.recording.durable import locked, sync_folder
from elixirscope.recording.format import FILE_HEADER, Flag, FrameType, Kind
from elixirscope.recording.frames import FRAME_OVERHEAD, Frame, Gap, frame_bytes, map_file, raw_paths, scan
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.packed import is_packed
from elixirscope.recording.rawfile import RawFile, read_raw_file
from elixirscope.recording.records import EVENT
from elixirscope.recording.seal import SEGMENTS
from elixirscope.recording.terms import NIL, Atom

_LIVES: Final = (
    Kind.SPAWN,
    Kind.SPAWNED,
    Kind.EXIT,
    Kind.LINK,
    Kind.UNLINK,
    Kind.GETTING_LINKED,
    Kind.GETTING_UNLINKED,
    Kind.REGISTER,
    Kind.UNREGISTER,
    Kind.TEST_START,
    Kind.TEST_END,
    Kind.MARK,
)
_ENDS: Final = (Kind.RETURN, Kind.TAIL)
_DERIVED: Final = (SEGMENTS, "columns", "index")  # what is made of raw files, and would be of others

Window = tuple[int, int]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cut:
    """What a cut keeps and drops: events, and bytes of raw files before and after."""

    kept: int
    dropped: int
    bytes_before: int
    bytes_after: int


def cut(recording: Path, windows: Sequence[Window], why: str, *, dry: bool = True) -> Cut:
    """Keep only `windows` ([start, end) in ns since the recording's start) of the folder `recording`.

    dry: only say what would go. why: the reason that coverage gives. Every raw file takes its predecessor's place in
    one step, so that the recording can be read at any time. Raises `UsageError` for a recording that is packed,
    unfinished or damaged, `EnvironmentProblem` when it cannot be written.
    """
    _check(recording)
    with locked(recording):
        paths = raw_paths(recording / "raw")
        files = [read_raw_file(path) for path in paths]
        events = [file.events for file in files]  # read first: which values are damaged is known only then
        if any(file.gaps or file.bad_values for file in files):
            raise UsageError(f"{recording} is damaged: pruning would hide where", "keep it as it is, or remove it")
        shifts = _shifts(files)
        first = [int(own["ts"].min()) + shifts[f.vm_name] for f, own in zip(files, events, strict=True) if len(own)]
        start = min(first, default=0)
        merged = _merged(windows)
        masks = [_kept(file, shifts[file.vm_name] - start, merged) for file in files]
        kept, total = sum(int(mask.sum()) for mask in masks), sum(len(mask) for mask in masks)
        told = f"{why}: {total - kept:,} of {total:,} events were removed"
        anew = [
            (path, _rewritten(path, file, mask, told if path.stem.endswith("-meta") else None))
            for path, file, mask in zip(paths, files, masks, strict=True)
        ]
        before = sum(path.stat().st_size for path in paths)
        after = sum(len(part) for _, parts in anew for part in parts) if dry else _replace(recording, anew)
    return Cut(kept, total - kept, before, after)


def _replace(recording: Path, anew: list[tuple[Path, Iterator[bytes]]]) -> int:
    """Write all files beside their predecessors, then put each in its place; gives their size."""
    written: list[tuple[Path, Path]] = []
    size = 0
    try:
        for path, parts in anew:
            fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
            written.append((fresh, path))
            with fresh.open("wb") as out:
                size += sum(out.write(part) for part in parts)
                out.flush()
                os.fsync(out.fileno())
        for name in _DERIVED:
            shutil.rmtree(recording / name, ignore_errors=True)
        for fresh, path in written:
            fresh.replace(path)
        sync_folder(recording / "raw")
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot prune {recording}: {error.strerror or error}", "free some space, or make the folder writable"
        ) from error
    finally:
        for fresh, _ in written:
            fresh.unlink(missing_ok=True)
    return size


def _check(recording: Path) -> None:
    if is_packed(recording) or not (recording / "raw").is_dir():
        raise UsageError(f"{recording} is no recording folder", "unpack it first")
    manifest = Manifest.load(recording)
    if manifest is None or manifest.state != "finished":
        raise UsageError(f"{recording} is still being recorded, or was interrupted", "keep it as it is, or remove it")


def _shifts(files: list[RawFile]) -> dict[str, int]:
    """Per VM the ns from its monotonic time to Unix time: the median of its files' clock anchors, as when joining."""
    anchors: dict[str, list[int]] = {file.vm_name: [] for file in files}
    for file in files:
        if file.header is not None:
            anchors[file.vm_name].append(file.header.unix_ns - file.header.monotonic_ns)
    return {name: sorted(found)[len(found) // 2] if found else 0 for name, found in anchors.items()}


def _merged(windows: Sequence[Window]) -> npt.NDArray[np.int64]:
    """Windows in order, those that touch as one: rows of (start, end)."""
    merged: list[list[int]] = []
    for start, end in sorted(windows):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return np.array(merged, np.int64).reshape(-1, 2)


def _kept(file: RawFile, shift: int, windows: npt.NDArray[np.int64]) -> _Mask:
    """Which events of a file stay."""
    events = file.events
    at = events["ts"] + shift
    kinds = events["kind"]
    kept: _Mask = np.isin(kinds, _LIVES) | (at == 0)  # the first event keeps all times as they are
    if not len(windows) or not len(events):
        return kept
    kept |= _touch(at, at, windows)
    kept |= _enclosing(events, at, windows)
    states = np.flatnonzero((kinds == Kind.STATE) & ((events["flags"] & Flag.UNCHANGED) == 0))
    for start in windows[:, 0].tolist():
        before = states[at[states] < start]
        _, last = np.unique(events["pid"][before][::-1], return_index=True)
        kept[before[::-1][last]] = True
    return kept


def _touch(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], windows: npt.NDArray[np.int64]) -> _Mask:
    """Whether [first, last] meets a window: the first one that ends after `first` begins before `last` is over."""
    place = np.searchsorted(windows[:, 1], first, side="right")
    inside = place < len(windows)
    found: _Mask = inside & (windows[np.minimum(place, len(windows) - 1), 0] <= last)
    return found


def _enclosing(events: npt.NDArray[np.void], at: npt.NDArray[np.int64], windows: npt.NDArray[np.int64]) -> _Mask:
    """The calls, and their ends, that were open in a window. A call without an end is taken to be open."""
    kept: _Mask = np.zeros(len(events), bool)
    calls = np.flatnonzero(events["kind"] == Kind.CALL)
    ends = np.flatnonzero(np.isin(events["kind"], _ENDS))
    named: npt.NDArray[np.void] = np.zeros(len(events), [("pid", "<u4"), ("frame", "<i8")])
    named["pid"], named["frame"] = events["pid"], events["frame"]
    both = np.concatenate([named[calls], named[ends]])
    _, number = np.unique(both, return_inverse=True)
    until = np.full(int(number.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    until[number[len(calls) :]] = at[ends]
    begun = np.full(len(until), np.iinfo(np.int64).max)
    begun[number[: len(calls)]] = at[calls]
    open_in = _touch(begun, until, windows)
    kept[calls] = open_in[number[: len(calls)]]
    kept[ends] = open_in[number[len(calls) :]]
    return kept


def _rewritten(path: Path, file: RawFile, mask: _Mask, told: str | None) -> Iterator[bytes]:
    """The bytes of a file with only the events of `mask`, frame by frame."""
    data = map_file(path)
    lost = Counter(file.events["pid"][~mask].tolist())
    passed = 0
    yield bytes(data[: FILE_HEADER.size])
    for frame in scan(data, path.name):
        assert not isinstance(frame, Gap)
        if frame.type == FrameType.EVENTS:
            yield _events(frame, mask[passed : passed + frame.count])
            passed += frame.count
        elif frame.type == FrameType.END:
            yield _told(frame, file, lost, told, int(mask.sum()))
            told, lost = None, Counter()
        else:
            yield bytes(data[frame.offset : frame.offset + FRAME_OVERHEAD + len(frame.payload)])
    yield _told(None, file, lost, told, 0)  # nothing but for a file that was never closed


def _events(frame: Frame, mask: _Mask) -> bytes:
    """An EVENTS frame with only the events of `mask` and their values."""
    size = frame.count * EVENT.itemsize
    events = np.frombuffer(frame.payload[:size], EVENT, frame.count)[mask].copy()
    values = bytearray()
    for row in np.flatnonzero(events["value_length"]).tolist():
        begins = size + int(events["value_offset"][row])
        length = int(events["value_length"][row])
        events["value_offset"][row] = len(values)
        values += frame.payload[begins : begins + length]
    payload = events.tobytes() + bytes(values)
    return frame_bytes(frame.type, payload, frame.first_ts, frame.last_ts, len(events), frame.loss)


def _told(end: Frame | None, file: RawFile, lost: Counter[int], told: str | None, kept: int) -> bytes:
    """What went, as losses by process; in the meta file also as coverage; then the END frame."""
    found, count = b"", sum(lost.values())
    at = end.first_ts if end is not None else 0
    if lost:
        rows = [(file.pids.get(index, NIL), number, Atom("pruned")) for index, number in sorted(lost.items())]
        found += frame_bytes(FrameType.LOSS, etf.encode(rows), at, at, 0, 0)
    if told is not None:
        row = {Atom("what"): Atom("coverage"), Atom("subject"): b"pruned parts", Atom("reason"): told.encode()}
        found += frame_bytes(FrameType.META, etf.encode(row), at, at, 0, 0)
    if end is not None:
        before = sum(loss[1] for loss in file.losses)
        total = {Atom("events"): kept, Atom("lost"): before + count}
        found += frame_bytes(FrameType.END, etf.encode(total), at, at, 0, end.loss + count)
    return found
