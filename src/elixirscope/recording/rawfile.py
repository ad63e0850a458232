"""One raw file, read: its events as columns and what its other frames say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from elixirscope.recording import etf
from elixirscope.recording.format import EVENT, FrameType
from elixirscope.recording.frames import FRAME_OVERHEAD, FileHeader, Frame, Gap, map_file, read_header, scan
from elixirscope.recording.terms import Atom, Pid, Term


@dataclass
class RawFile:
    """What one `raw/*.frames` file holds. Times are its VM's monotonic ns."""

    name: str
    vm_name: str  # NODE.OSPID of the file name
    data: memoryview
    header: FileHeader | None
    events: npt.NDArray[np.void] = field(default_factory=lambda: np.empty(0, EVENT))
    value_starts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    bad_values: int = 0  # events whose value lies outside its frame
    pids: dict[int, Pid] = field(default_factory=dict)
    modules: list[tuple[str, dict[str, Term], list[Term]]] = field(default_factory=list)
    losses: list[tuple[Pid | None, int, str, int]] = field(default_factory=list)  # …, ts
    metas: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    ended: bool = False


def read_raw_file(path: Path) -> RawFile:
    """Read all of `path` that is whole. Raises `EnvironmentProblem` when it cannot be opened."""
    data = map_file(path)
    name, _, _ = path.stem.rpartition("-")
    file = RawFile(path.name, name or path.stem, data, read_header(data))
    batches: list[npt.NDArray[np.void]] = []
    spans: list[tuple[int, int]] = []  # of each batch's values, in the file
    told = 0
    for item in scan(data, path.name):
        if isinstance(item, Gap):
            file.gaps.append(item)
            continue
        told += item.loss
        try:
            if item.type == FrameType.EVENTS:
                size = item.count * EVENT.itemsize
                batches.append(np.frombuffer(item.payload[:size], EVENT, item.count))
                values = item.offset + FRAME_OVERHEAD
                spans.append((values + size, values + len(item.payload)))
            else:
                _take_term(file, item)
        except (etf.DecodeError, ValueError, TypeError, LookupError, AttributeError):
            # The sum holds but the content does not: the same to us as damage.
            file.gaps.append(Gap(path.name, item.offset, item.offset + FRAME_OVERHEAD + len(item.payload)))
    lost = sum(loss[1] for loss in file.losses)
    if told > lost:  # the frame that said whose they were is itself gone
        file.losses.append((None, told - lost, "not known: the record of this loss is damaged", 0))
    _join_batches(file, batches, spans)
    return file


def _join_batches(file: RawFile, batches: list[npt.NDArray[np.void]], spans: list[tuple[int, int]]) -> None:
    if not batches:
        return
    events = np.concatenate(batches)
    counts = [len(batch) for batch in batches]
    starts, ends = np.repeat(np.array(spans, np.int64), counts, axis=0).T
    value_starts = starts + events["value_offset"]
    outside = (events["value_length"] > 0) & (value_starts + events["value_length"] > ends)
    if outside.any():
        file.bad_values = int(outside.sum())
        events["value_length"][outside] = 0
    file.events, file.value_starts = events, value_starts


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
                file.losses.append((owner, int(count), _text(reason), frame.first_ts))
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
