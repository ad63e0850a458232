"""A recording that is still being written."""

from __future__ import annotations

from pathlib import Path

import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording.format import META_SHARD, FrameType
from elixirscope.recording.live import FLUSHED, Live
from elixirscope.recording.recording import Recording
from elixirscope.recording.schema import TABLES
from elixirscope.recording.terms import Atom, Term
from tests.recording.samples import START, correlate, make_recording, make_shop, pid, value_of, write_events, writer_of


def test_what_is_written_is_seen_when_it_is_old_enough(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    now = [START]
    live = Live(tmp_path, correlate=correlate, now=lambda: now[0])
    assert not live.refresh()
    with writer_of(tmp_path / "raw", "0") as writer, writer_of(tmp_path / "raw", "1", 1) as other:
        writer.term(FrameType.PROCESSES, [(0, pid(100))])
        write_events(writer, [1, 2, 3])
        writer.flush()
        now[0] = START + FLUSHED + 2500
        assert live.refresh()
        assert not live.refresh()
        other.term(FrameType.PROCESSES, [(0, pid(101))])
        write_events(other, [2, 4])
        other.flush()
        now[0] += 10_000
        assert live.refresh()
    recording = live.recording
    assert recording is not None
    rows = recording.table("events").to_pylist()
    assert [recording.term(row["value"]) for row in rows] == [value_of(number) for number in (1, 2, 3, 4)]
    assert [row["process"] for row in rows] == [0, 0, 0, 1]
    assert [row.subject for row in recording.info.coverage if "late" in row.reason] == ["1 events"]


def test_a_frame_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    whole = make_recording(tmp_path / "whole")
    (tmp_path / "half" / "raw").mkdir(parents=True)
    live = Live(tmp_path / "half", correlate=correlate)
    for share in range(1, 41):
        for path in (whole / "raw").iterdir():
            data = path.read_bytes()
            (tmp_path / "half" / "raw" / path.name).write_bytes(data[: len(data) * share // 40])
        live._joiner.grow(tmp_path / "half" / "raw")
    assert live.refresh(whole=True)
    recording = live.recording
    assert recording is not None
    assert recording.info.events == 24
    assert recording.info.complete
    assert [recording.term(value) for value in range(24)] == [value_of(number) for number in range(1, 25)]


@pytest.mark.parametrize("steps", [1, 7])
def test_followed_to_its_end_it_holds_what_is_sealed(tmp_path: Path, steps: int) -> None:
    shop = make_shop(tmp_path / "shop.scope", 3_000, processes=20, state_bytes=100)
    sealed = Recording.open(shop, correlate=EventCorrelator)
    first, last = sealed.info.started_unix_ns, sealed.info.started_unix_ns + sealed.info.duration_ns
    now = [0]
    live = Live(shop, correlate=EventCorrelator, now=lambda: now[0])
    for step in range(1, steps + 1):
        now[0] = FLUSHED + first + (last - first) * step // steps
        assert live.refresh(whole=step == steps)
        assert live.recording is not None
    shown = live.recording
    assert shown is not None
    for name in TABLES:
        assert shown.table(name).to_pylist() == sealed.table(name).to_pylist(), name
    assert all(shown.values.bytes(n) == sealed.values.bytes(n) for n in range(len(sealed.values)))


def test_modules_and_nodes_that_come_later_are_known_then(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    now = [START]
    live = Live(tmp_path, correlate=EventCorrelator, now=lambda: now[0])
    with writer_of(tmp_path / "raw", "0") as writer, writer_of(tmp_path / "raw", "meta", META_SHARD) as meta:
        writer.term(FrameType.PROCESSES, [(0, pid(100))])
        for site, number in ((7, 1), (8, 2)):
            described: Term = [(site, Atom("function"), Atom(f"f{site}"), 0, 1, [], {})]
            meta.term(FrameType.SITES, (Atom("Elixir.Seats"), {}, described))
            write_events(writer, [number], site=site)
            writer.flush()
            meta.flush()
            now[0] = START + FLUSHED + 1000 * number + 1
            assert live.refresh()
    recording = live.recording
    assert recording is not None
    assert recording.table("calls").column("function").to_pylist() == ["f7", "f8"]
