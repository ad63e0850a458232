"""A recording that is sealed slice by slice holds what one that is sealed in memory holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import heap, sealer
from elixirscope.recording.cores import THREADS
from elixirscope.recording.format import NONE32, FrameType, Kind
from elixirscope.recording.joiner import Joiner, join
from elixirscope.recording.log import EVENT_ROW
from elixirscope.recording.recording import Recording
from elixirscope.recording.records import EVENT
from elixirscope.recording.schema import TABLES
from elixirscope.recording.terms import Pid
from tests.recording.samples import NODE, make_shop, writer_of
from tests.recording.test_recording import digest


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shop(tmp_path_factory.mktemp("shop") / "shop.scope", 8_000, processes=40, state_bytes=300)


@pytest.mark.parametrize(("size", "threads", "memory"), [(500, "1", 1 << 40), (3000, "2", 0)])
def test_sealing_in_slices_makes_no_difference(
    shop: Path, tmp_path: Path, size: int, threads: str, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS, threads)
    monkeypatch.setattr(heap, "machine", lambda: memory)
    shutil.copytree(shop, tmp_path / "whole.scope")
    shutil.copytree(shop, tmp_path / "sliced.scope")
    whole = Recording.open(tmp_path / "whole.scope", correlate=EventCorrelator)
    monkeypatch.setattr(sealer, "LARGE", 1)
    monkeypatch.setattr(sealer, "SLICE", size)
    sliced = Recording.open(tmp_path / "sliced.scope", correlate=EventCorrelator)
    assert whole.info.events == sliced.info.events
    for name in TABLES:
        expected = whole.table(name).to_pylist()
        assert sliced.table(name).to_pylist() == expected, name
        assert sliced._read(name).to_pylist() == expected, name
    assert len(whole.values) == len(sliced.values)
    assert all(whole.values.bytes(n) == sliced.values.bytes(n) for n in range(len(whole.values)))
    before = digest(tmp_path / "sliced.scope" / "segments")
    for name in ("segments", "columns"):
        shutil.rmtree(tmp_path / "sliced.scope" / name)
    Recording.open(tmp_path / "sliced.scope", correlate=EventCorrelator)
    assert digest(tmp_path / "sliced.scope" / "segments") == before


FRAMES = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=6), max_size=5
)


@settings(max_examples=60)
@given(st.lists(FRAMES, min_size=1, max_size=3), st.integers(1, 20))
def test_slices_join_to_the_whole_log(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[list[tuple[int, int, int]]]], size: int
) -> None:
    """Events are (time, process, site); processes from 4 on and sites are not described."""
    raw = tmp_path_factory.mktemp("raw")
    for number, frames in enumerate(files):
        with writer_of(raw, str(number), number) as writer:
            writer.term(FrameType.PROCESSES, [(n, Pid(NODE, 100 + n, 0, 0)) for n in range(4)])
            for frame in frames:
                events = np.zeros(len(frame), EVENT)
                events["ts"], events["pid"], events["site"] = np.array(frame).T
                events["peer"], events["kind"] = NONE32, Kind.MARK
                events["value_offset"], events["value_length"] = events["pid"], 1 + events["site"] % 2
                writer.events(events, b"abcdefgh")
    whole, parts = join(raw), list(Joiner.open(raw).slices(size))
    for name in EVENT_ROW.names or ():
        assert np.concatenate([part.rows[name] for part in parts]).tolist() == whole.rows[name].tolist()
    assert list(parts[-1].processes) == list(whole.processes)
    assert parts[-1].sites == whole.sites
    assert [bytes(value) for part in parts for value in part.values.new()] == [bytes(v) for v in whole.values.new()]
    shutil.rmtree(raw)
