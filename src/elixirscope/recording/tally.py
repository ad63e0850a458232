"""A recording in a few numbers, for whoever has just made it: read from its raw files in some milliseconds.

They are those of `Recording.info`, unless a frame of events is damaged. Needs neither NumPy nor Arrow, which take
longer to load than all this.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from elixirscope.recording.format import EVENT_BYTES, NONE32, FrameType
from elixirscope.recording.frames import Frame, map_file, scan
from elixirscope.recording.told import Told
from elixirscope.recording.vms import Processes, Vms

_MANY: Final = 1_000_000  # events that are looked at to count processes: a tenth of a second
_WHO: Final = struct.Struct("<24x2I16x")  # of an event: its process and its peer
assert _WHO.size == EVENT_BYTES


class Tally(msgspec.Struct, frozen=True):
    """What there is. `complete`: each file was written to its end. `instrumented`: places in code are known."""

    events: int
    processes: int | None  # None: there are so many events that counting them would take long
    lost: int
    bytes: int
    complete: bool
    instrumented: bool


def tally(files: Sequence[Told]) -> Tally:
    """Count what the files of a recording hold. Raises `EnvironmentProblem` when one cannot be read."""
    events = sum(file.told_events for file in files)
    return Tally(
        events=events,
        processes=_processes(files) if events <= _MANY else None,
        lost=sum(loss[1] for file in files for loss in file.losses),
        bytes=sum(file.path.stat().st_size for file in files),
        complete=bool(files) and all(file.ended and not file.gaps for file in files),
        instrumented=any(sites for file in files for _, _, sites in file.modules),
    )


def _processes(files: Sequence[Told]) -> int:
    """How many take part in events, or lost all of theirs; more are declared."""
    vms = Vms(files)
    known = Processes(vms)
    for file in files:
        vm = vms.number(file)
        for index in _taking_part(file):
            if (pid := file.pids.get(index)) is None:
                known.undeclared(file, index, vm)
            else:
                known.of(pid, vm)
        for pid, *_ in file.losses:
            if pid is not None:
                known.of(pid, vm)
    return len(known.keys)


def _taking_part(file: Told) -> Iterable[int]:
    pairs = set[tuple[int, int]]()
    for events in _events(file):
        pairs.update(_WHO.iter_unpack(events))
    return {index for pair in pairs for index in pair} - {NONE32}


def _events(file: Told) -> Iterator[memoryview]:
    for frame in scan(map_file(file.path), file.name, trusting=True):
        if isinstance(frame, Frame) and frame.type == FrameType.EVENTS:
            yield frame.payload[: frame.count * EVENT_BYTES]
