"""What one raw file says besides its events: whose they are, what was instrumented, what is missing. Needs no NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from elixirscope.garbage import unsearched
from elixirscope.recording import etf
from elixirscope.recording.format import FrameType
from elixirscope.recording.frames import (
    FRAME_OVERHEAD,
    FileHeader,
    Frame,
    Gap,
    map_file,
    raw_paths,
    read_header,
    scan,
    vm_of,
)
from elixirscope.recording.terms import Atom, Pid, Term

Described: TypeAlias = tuple[str, dict[str, Term], list[Term]]
"""A module, what is said of it, and its sites."""


@dataclass
class Told:
    """The frames of one `raw/*.frames` file, but for what is in events. Times are its VM's monotonic ns."""

    path: Path
    header: FileHeader | None = None
    pids: dict[int, Pid] = field(default_factory=dict)
    modules: list[Described] = field(default_factory=list)
    losses: list[tuple[Pid | None, int, str, int, int]] = field(default_factory=list)  # …, told at, since
    metas: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    ended: bool = False
    told_events: int = 0  # events that headers of frames say there are,
    told_lost: int = 0  # and that were dropped
    latest: int = 0  # when the last frame of events so far ended, else when the file began; 0: not known

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name

    @cached_property
    def vm_name(self) -> str:
        """NODE.OSPID of the file name."""
        return vm_of(self.name)

    def begin(self, data: memoryview) -> None:
        """Take in the file's header, unless that was done."""
        self.header = self.header or read_header(data)
        self.latest = self.latest or (self.header.monotonic_ns if self.header is not None else 0)

    def take(self, frame: Frame) -> None:
        """Take in a frame, the next one."""
        self.told_lost += frame.loss
        try:
            match frame.type:
                case FrameType.EVENTS:
                    self.told_events += frame.count
                    self.latest = frame.last_ts
                case FrameType.SAMPLES:
                    pass
                case _:
                    self._take_term(frame.type, etf.decode(frame.payload), frame.first_ts)
        except (etf.DecodeError, ValueError, TypeError, LookupError, AttributeError):
            # The sum holds but the content does not: the same to us as damage.
            self.gaps.append(Gap(self.name, frame.offset, frame.offset + FRAME_OVERHEAD + len(frame.payload)))

    def _take_term(self, kind: int, term: Term, at: int) -> None:
        match kind:
            case FrameType.PROCESSES:
                self.pids.update(_pids(term))
            case FrameType.SITES:
                module, info, sites = term
                self.modules.append((str(module), _text_keys(info), list(sites)))
            case FrameType.LOSS:
                for pid, count, reason in term:
                    owner = pid if isinstance(pid, Pid) else None
                    self.losses.append((owner, int(count), _text(reason), at, self.latest))
            case FrameType.META:
                self.metas.append(_text_keys(term))
            case FrameType.END:
                self.ended = True

    @property
    def unknown_losses(self) -> int:
        """Dropped events that the file counts beyond those whose losses it tells: that frame is itself gone."""
        return max(self.told_lost - sum(loss[1] for loss in self.losses), 0)

    def note_unknown_losses(self) -> None:
        """That was the whole file: tell of those, too."""
        if lost := self.unknown_losses:
            self.losses.append((None, lost, "not known: the record of this loss is damaged", 0, 0))


def read_all(raw: Path) -> list[Told]:
    """What the raw files in the folder `raw` say. Raises `EnvironmentProblem` when one cannot be read."""
    with unsearched():
        return [read_told(path) for path in raw_paths(raw)]


def read_told(path: Path) -> Told:
    """What the file at `path` says. Of frames of events only headers are read, and trusted. Raises
    `EnvironmentProblem` when it cannot be opened."""
    file = Told(path)
    data = map_file(path)
    file.begin(data)
    for item in scan(data, path.name, trusting=True):
        if isinstance(item, Gap):
            file.gaps.append(item)
        else:
            file.take(item)
    file.note_unknown_losses()
    return file


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
