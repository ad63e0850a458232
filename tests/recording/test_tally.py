"""What a recording holds, counted without reading it: as whoever opens it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import etf
from elixirscope.recording.format import FrameType
from elixirscope.recording.recording import Recording
from elixirscope.recording.tally import tally
from elixirscope.recording.terms import Atom
from elixirscope.recording.told import read_all
from tests.recording.samples import make_recording, pid, write_events, writer_of


def counted(recording: Path) -> tuple[int, int | None, int, int, bool]:
    found = tally(read_all(recording / "raw"))
    info = Recording.open(recording, correlate=EventCorrelator).info
    assert (found.events, found.processes, found.lost, found.bytes, found.complete) == (
        info.events,
        info.processes,
        info.lost,
        info.bytes,
        info.complete,
    )
    return found.events, found.processes, found.lost, found.bytes, found.complete


def test_a_whole_recording(tmp_path: Path) -> None:
    recording = make_recording(tmp_path / "r.scope")
    assert counted(recording)[:3] == (24, 2, 0)
    assert tally(read_all(recording / "raw")).instrumented


def test_processes_that_are_only_declared_do_not_count_and_those_that_lost_all_do(tmp_path: Path) -> None:
    recording = make_recording(tmp_path / "r.scope")
    with writer_of(recording / "raw", "2", 2) as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(100)), (1, pid(300)), (2, pid(301))])
        write_events(writer, [100, 101], process=2, loss=5)
        write_events(writer, [102], process=7)  # whose declaration is lost
        writer.term(FrameType.LOSS, [(pid(400), 3, Atom("overload"))])
        writer.end()
    assert counted(recording)[:3] == (27, 5, 5)


@pytest.mark.parametrize("left", [-1, -30, -200, 60])
def test_a_file_that_stops_anywhere(tmp_path: Path, left: int) -> None:
    recording = make_recording(tmp_path / "r.scope")
    file = next((recording / "raw").glob("*-0.frames"))
    file.write_bytes(file.read_bytes()[:left])
    assert not counted(recording)[-1]


def test_a_frame_that_says_no_term(tmp_path: Path) -> None:
    recording = make_recording(tmp_path / "r.scope")
    with writer_of(recording / "raw", "2", 2) as writer:
        writer._write(FrameType.PROCESSES, etf.encode([1])[:-1], 0, 0, 1, 0)
        writer.end()
    assert not counted(recording)[-1]
