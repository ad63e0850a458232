"""A recording that is still being written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import live as live_module
from elixirscope.recording.format import META_SHARD, FrameType
from elixirscope.recording.growing import First
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.live import WAITS, Live
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
        now[0] = START + WAITS + 2500
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
        live._joiner.grow(tmp_path / "half" / "raw", START)
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
        now[0] = WAITS + first + (last - first) * step // steps
        assert live.refresh(whole=step == steps)
        assert live.recording is not None
    shown = live.recording
    assert shown is not None
    for name in TABLES:
        assert shown.table(name).to_pylist() == sealed.table(name).to_pylist(), name
    assert all(shown.values.bytes(n) == sealed.values.bytes(n) for n in range(len(sealed.values)))


@pytest.fixture(scope="module")
def in_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of many small frames."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("benchmarks.generate.PER_FRAME", 16)
        shop = make_shop(tmp_path_factory.mktemp("pieces") / "shop.scope", 2_000, processes=20, state_bytes=100)
    Recording.open(shop, correlate=EventCorrelator)
    return shop


class Writing:
    """A recording that is written again, file by file, some bytes at a time; its modules are described first."""

    def __init__(self, whole: Path, folder: Path) -> None:
        self.raw = folder / "raw"
        self.raw.mkdir(parents=True)
        shutil.copy(whole / "manifest.json", folder)
        self._files = Joiner.open(whole / "raw")._files
        self._sizes = {file.name: 0 for file in self._files}
        self._start = Joiner.open(whole / "raw")._start
        self.write(lambda size: size if size < 2_000 else 0)

    def write(self, grown: Callable[[int], int]) -> None:
        """Have each file as large as `grown` tells, if it is not already."""
        for file in self._files:
            size = self._sizes[file.name] = max(self._sizes[file.name], grown(len(file.data)))
            (self.raw / file.name).write_bytes(file.data[:size])

    @property
    def until(self) -> int:
        """The time (Unix ns) before which all is there."""
        shifts = {file.name: file.header.unix_ns - file.header.monotonic_ns for file in self._files if file.header}
        missing = [
            int(first) + shifts[file.name]
            for file in self._files
            for first, end in zip(file.batches["first"], file.batches["end"], strict=True)
            if end > self._sizes[file.name]
        ]
        return min(missing, default=2**60)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.lists(st.integers(0, 100), min_size=6, max_size=6), max_size=8))
def test_however_it_is_written_and_looked_at_it_holds_what_is_sealed(in_pieces: Path, steps: list[list[int]]) -> None:
    """Frames of files come in any order of time, a part of a frame at a time, between any two looks."""
    sealed = Recording.open(in_pieces, correlate=EventCorrelator)
    with tempfile.TemporaryDirectory() as folder:
        now = [0]
        live = Live(Path(folder), correlate=EventCorrelator, now=lambda: now[0])
        writing = Writing(in_pieces, Path(folder))
        for shares in sorted(steps):
            share = iter(shares)
            writing.write(lambda size, share=share: size * next(share) // 100)  # type: ignore[misc]
            now[0] = writing.until + live.waits
            live.refresh()
        writing.write(lambda size: size)
        assert live.refresh(whole=True)
        shown = live.recording
        assert shown is not None
        assert live.late == 0
        for name in TABLES:
            assert shown.table(name).equals(sealed.table(name)) or (
                shown.table(name).to_pylist() == sealed.table(name).to_pylist()
            ), name


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=8), random=st.randoms())
def test_what_comes_too_late_is_counted_and_the_rest_is_in_order(
    in_pieces: Path, steps: list[tuple[int, int]], random: Random
) -> None:
    sealed = Recording.open(in_pieces, correlate=EventCorrelator)
    started, lasted = sealed.info.started_unix_ns, sealed.info.duration_ns
    with tempfile.TemporaryDirectory() as folder:
        now = [0]
        live = Live(Path(folder), correlate=EventCorrelator, now=lambda: now[0])
        writing = Writing(in_pieces, Path(folder))
        for time, share in sorted(steps):
            writing.write(lambda size, share=share: size * random.randint(0, share) // 100)  # type: ignore[misc]
            now[0] = max(now[0], started + lasted * time // 100 + live.waits)
            live.refresh()
        writing.write(lambda size: size)
        live.refresh(whole=True)
        shown = live.recording
        if shown is None:
            assert live.late == sealed.info.events
            return
        events, every = shown.table("events"), sealed.table("events")
        assert len(events) + live.late == len(every)
        assert [row.subject for row in shown.info.coverage if "late" in row.reason] == (
            [f"{live.late:,} events"] if live.late else []
        )
        # Those that were late are missing, and no others: who did what, and when, is as it is sealed.
        assert events.column("at").to_pylist() == sorted(events.column("at").to_pylist())
        assert not facts(shown) - facts(sealed)


def facts(recording: Recording) -> Counter[tuple[object, ...]]:
    """What each event is, whatever its number and the numbers of processes and values."""
    pids = dict(
        zip(*(recording.table("processes").column(name).to_pylist() for name in ("process", "pid")), strict=True)
    )
    start = recording.info.started_unix_ns
    rows = recording.table("events").select(["at", "process", "kind", "site", "value"]).to_pylist()
    return Counter(
        (start + row["at"], pids[row["process"]], row["kind"], row["site"], repr(value_at(recording, row["value"])))
        for row in rows
    )


def value_at(recording: Recording, value: int | None) -> object:
    return None if value is None else recording.values.bytes(value)


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
            now[0] = START + WAITS + 1000 * number + 1
            assert live.refresh()
    recording = live.recording
    assert recording is not None
    assert recording.table("calls").column("function").to_pylist() == ["f7", "f8"]


def test_it_waits_as_long_as_events_lately_took_to_be_written(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    now, ms = [START], 1_000_000
    live = Live(tmp_path, correlate=correlate, now=lambda: now[0])
    waits = [live.waits]
    with writer_of(tmp_path / "raw", "0") as writer:
        for at, delay in ((1, 9), (100, 60), (600, 9), (1_400, 9), (2_600, 9)):
            write_events(writer, [1_000 * at])
            writer.flush()
            (path,) = (tmp_path / "raw").iterdir()
            written = START + (at + delay) * ms
            os.utime(path, ns=(written, written))
            now[0] = written + ms
            live.refresh()
            waits.append(live.waits // ms)
    assert waits == [WAITS, 9 + 20, 60 + 20, 60 + 20, 60 + 20, 9 + 20]
    now[0] += 10**9
    live.refresh()
    assert live.recording is not None
    assert live.recording.info.events == 5


def test_a_mishap_holds_up_no_more_than_its_own_events(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    now, ms = [START], 1_000_000
    live = Live(tmp_path, correlate=correlate, now=lambda: now[0])
    waits = []
    with writer_of(tmp_path / "raw", "0") as writer:
        for at, delay in ((0, 9), (100, 470), (600, 9), (700, 480), (1_200, 490), (1_800, 9)):
            write_events(writer, [1_000 * at])
            writer.flush()
            (path,) = (tmp_path / "raw").iterdir()
            written = START + (at + delay) * ms
            os.utime(path, ns=(written, written))
            now[0] = written + ms
            live.refresh()
            waits.append(live.waits // ms)
    assert waits == [9 + 20, 90 + 20, 90 + 20, 90 + 20, 470 + 20, 470 + 20], "what happens a third time is expected"


def test_what_is_told_seldom_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are told of with each look, sites and the like when it is their turn."""
    shop = make_shop(tmp_path / "shop.scope", 3_000, processes=20, state_bytes=100)
    sealed = Recording.open(shop, correlate=EventCorrelator)
    due = [True]
    monkeypatch.setattr(live_module._Seldom, "due", property(lambda _: due[0]))
    now = [sealed.info.started_unix_ns + WAITS]
    live = Live(shop, correlate=EventCorrelator, now=lambda: now[0])
    now[0] += 100  # a few births
    assert live.refresh()
    due[0] = False
    now[0] += sealed.info.duration_ns + 1
    assert live.refresh()
    assert not live.refresh()
    early = live.recording
    assert early is not None
    for name in ("processes", "calls", "states"):
        assert early.table(name).to_pylist() == sealed.table(name).to_pylist(), name
    assert sum(early.table("sites").column("hits").to_pylist()) == 0
    due[0] = True
    assert live.refresh()
    assert not live.refresh()
    assert live.recording is not None
    assert live.recording.table("sites").to_pylist() == sealed.table("sites").to_pylist()
    assert sum(early.table("sites").column("hits").to_pylist()) == 0


def test_no_more_is_taken_into_memory_than_it_bears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices, also of what was there before anybody looked; what is not shown is told."""
    monkeypatch.setattr(live_module, "SLICE", 10_000)
    shop = make_shop(tmp_path / "shop.scope", 60_000, processes=20, state_bytes=100)
    sealed = Recording.open(shop, correlate=EventCorrelator)
    live = Live(shop, correlate=EventCorrelator, most=25_000)
    assert live.refresh(whole=True)
    assert live.full()
    assert not live.refresh(whole=True)
    recording = live.recording
    assert recording is not None
    shown = recording.info.events
    assert 25_000 <= shown < sealed.info.events
    names = ["event", "at", "process", "kind", "call"]
    early = recording.table("events").select(names)
    assert early.to_pydict() == sealed.table("events").select(names).slice(0, shown).to_pydict()
    assert [row.subject for row in recording.info.coverage if "shown live" in row.reason] == [
        f"what happened after {recording.info.duration_ns / 1e9:.1f} s"
    ]
    every = Live(shop, correlate=EventCorrelator)
    assert every.refresh(whole=True)
    assert not every.full()
    assert every.recording is not None
    names = ["call", "end", "parent", "function", "outcome"]
    calls = every.recording.table("calls").select(names)
    assert calls.to_pydict() == sealed.table("calls").select(names).to_pydict()


@given(st.lists(st.integers(), max_size=6), st.lists(st.integers(), max_size=6), st.integers(-8, 8), st.integers(-8, 8))
def test_what_a_list_held_stays_what_it_was(before: list[int], added: list[int], start: int, end: int) -> None:
    grown = list(before)
    first = First(grown)
    grown += added
    assert list(first) == before
    assert first[start:end] == before[start:end]
    if -len(before) <= start < len(before):
        assert first[start] == before[start]
    else:
        with pytest.raises(IndexError):
            _ = first[start]
