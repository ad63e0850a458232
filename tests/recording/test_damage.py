"""Damage is never fatal and never silent: what is whole is read, what is not is told."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.recording import heap, sealer
from elixirscope.recording.format import FILE_HEADER, FrameType
from elixirscope.recording.frames import FRAME_OVERHEAD, Frame, Gap, read_frames
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.log import EVENT_ROW, Log, read_log
from elixirscope.recording.rawfile import Damage
from elixirscope.recording.recording import Recording
from elixirscope.recording.records import EVENT
from elixirscope.recording.schema import TABLES
from elixirscope.recording.terms import Atom, Term
from tests.recording.samples import correlate, make_recording, pid, terms, value_of, write_events, writer_of

FILES = ("meta", "0", "1")


@contextmanager
def copy_of(recording: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(recording, Path(folder) / "r"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("whole") / "r", frames=10)


def raw_file(recording: Path, name: str) -> Path:
    return recording / "raw" / f"nonode@nohost.77-{name}.frames"


def events_of_frames(path: Path) -> list[tuple[int, int, set[int]]]:
    """(start, end, numbers of its events) of each frame of a whole file."""
    frames = [frame for frame in read_frames(path) if isinstance(frame, Frame)]
    ends = [*(frame.offset for frame in frames[1:]), path.stat().st_size]
    return [
        (frame.offset, end, _numbers(frame) if frame.type == FrameType.EVENTS else set())
        for frame, end in zip(frames, ends, strict=True)
    ]


def _numbers(frame: Frame) -> set[int]:

    return set(np.frombuffer(frame.payload[: frame.count * EVENT.itemsize], EVENT)["ref"].tolist())


def read_back(log: Log) -> set[int]:
    """The numbers of the events in `log`, each checked to carry its own value."""
    for value, ref in log.rows.at(slice(None), "value", "ref"):
        assert log.values.term(value) == value_of(ref)
    return set(log.rows["ref"].tolist())


@settings(max_examples=150)
@given(name=st.sampled_from(FILES), data=st.data())
def test_one_flipped_bit_costs_at_most_the_frame_it_is_in(recording: Path, name: str, data: st.DataObject) -> None:
    path = raw_file(recording, name)
    content = bytearray(path.read_bytes())
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    content[at] ^= 1 << bit
    hit = next(((start, end, lost) for start, end, lost in events_of_frames(path) if start <= at < end), None)
    with copy_of(recording) as damaged:
        raw_file(damaged, name).write_bytes(content)
        log = read_log(damaged / "raw")
        everything = set(range(1, 41))
        assert read_back(log) == everything - (hit[2] if hit else set())
        if hit:
            assert [(gap.file, gap.start, gap.end) for gap in log.gaps] == [(path.name, hit[0], hit[1])]
            assert not log.complete


@settings(max_examples=150)
@given(name=st.sampled_from(FILES), data=st.data())
def test_frames_that_are_checked_as_they_are_read_are_read_whole_or_not_at_all(
    recording: Path, name: str, data: st.DataObject
) -> None:
    content = bytearray(raw_file(recording, name).read_bytes())
    for _ in range(data.draw(st.integers(0, 2))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    _trusted(recording, name, content, large=data.draw(st.booleans()))


def test_no_bit_of_a_header_is_trusted_for_good(recording: Path) -> None:
    whole = raw_file(recording, "0").read_bytes()
    start = events_of_frames(raw_file(recording, "0"))[1][0]
    for bit in range(8 * FRAME_OVERHEAD):
        content = bytearray(whole)
        content[start + bit // 8] ^= 1 << bit % 8
        _trusted(recording, "0", content, large=bit % 2 == 0)


def _trusted(recording: Path, name: str, content: bytes | bytearray, *, large: bool) -> None:
    """Check that a file that is trusted until its events are read is read as one that is checked first. `large`: as if
    files did not fit into memory."""
    with copy_of(recording) as damaged, pytest.MonkeyPatch.context() as patch:
        patch.setattr(heap, "machine", lambda: 0 if large else 1 << 40)
        raw_file(damaged, name).write_bytes(content)
        expected = read_log(damaged / "raw")
        try:
            slices = list(Joiner.open(damaged / "raw", trusting=True).slices(7))
        except Damage:
            assert expected.gaps
            return
        for field in EVENT_ROW.names or ():
            assert np.concatenate([log.rows[field] for log in slices]).tolist() == expected.rows[field].tolist()
        assert slices[-1].gaps == expected.gaps
        assert slices[-1].losses == expected.losses


def test_damage_that_is_met_while_sealing_is_told_as_if_all_had_been_checked_first(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(raw_file(recording, "0").read_bytes())
    content[events_of_frames(raw_file(recording, "0"))[-2][1] - 1] ^= 1  # the last byte of a value
    with copy_of(recording) as small, copy_of(recording) as large:
        for damaged in (small, large):
            raw_file(damaged, "0").write_bytes(content)
        expected = Recording.open(small, correlate=correlate)
        monkeypatch.setattr(sealer, "LARGE", 1)
        monkeypatch.setattr(sealer, "SLICE", 7)
        found = Recording.open(large, correlate=correlate)
        assert found.info.coverage == expected.info.coverage
        assert any("cannot be read" in row.reason or "damaged" in row.reason for row in found.info.coverage)
        for table in TABLES:
            assert found.table(table).to_pylist() == expected.table(table).to_pylist(), table


def test_a_damaged_version_in_one_file_is_no_newer_format(recording: Path) -> None:
    with copy_of(recording) as damaged:
        path = raw_file(damaged, "0")
        content = bytearray(path.read_bytes())
        content[8] = 3
        path.write_bytes(content)
        log = read_log(damaged / "raw")
        assert read_back(log) == set(range(1, 41))
        assert [(gap.start, gap.end) for gap in log.gaps] == [(0, FILE_HEADER.size)]


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_clock_anchor_moves_no_time(recording: Path, name: str) -> None:
    with copy_of(recording) as damaged:
        path = raw_file(damaged, name)
        content = bytearray(path.read_bytes())
        for byte in (23, 31):  # the highest of the monotonic and of the system time
            flipped = content.copy()
            flipped[byte] ^= 0x80
            path.write_bytes(flipped)
            assert (read_log(damaged / "raw").rows["at"] == read_log(recording / "raw").rows["at"]).all()
            assert read_log(damaged / "raw").start_unix_ns == read_log(recording / "raw").start_unix_ns


@settings(max_examples=60)
@given(name=st.sampled_from(FILES), data=st.data())
def test_a_file_cut_anywhere_keeps_every_whole_frame(recording: Path, name: str, data: st.DataObject) -> None:
    path = raw_file(recording, name)
    frames = events_of_frames(path)
    cut = data.draw(st.integers(0, path.stat().st_size - 1))
    with copy_of(recording) as damaged:
        raw_file(damaged, name).write_bytes(path.read_bytes()[:cut])
        opened = Recording.open(damaged, correlate=correlate)
        lost = set().union(*(numbers for _, end, numbers in frames if end > cut))
        assert read_back(read_log(damaged / "raw")) == set(range(1, 41)) - lost
        assert not opened.info.complete
        assert any("not closed" in row.reason for row in opened.info.coverage)
        if cut not in {0, FILE_HEADER.size, *(end for _, end, _ in frames)}:
            assert any(row.reason.endswith("in the middle of a frame") for row in opened.info.coverage)


@settings(max_examples=60)
@given(data=st.data())
def test_overwritten_stretches_cost_only_what_they_touch(recording: Path, data: st.DataObject) -> None:
    path = raw_file(recording, "0")
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=400))
    content[start : start + len(noise)] = noise[: len(content) - start]
    touched = [numbers for first, end, numbers in events_of_frames(path) if first < start + len(noise) and start < end]
    with copy_of(recording) as damaged:
        raw_file(damaged, "0").write_bytes(content)
        back = read_back(read_log(damaged / "raw"))
        assert back >= set(range(1, 41)) - set().union(*touched)


OTHER_TYPES = [kind for kind in FrameType if kind not in (FrameType.EVENTS, FrameType.LOSS)]
SHAPED = st.one_of(
    terms,
    st.tuples(terms, terms, terms),
    st.lists(st.tuples(terms, terms)),
    st.tuples(terms, st.just({}), st.lists(st.tuples(st.integers(0, 5), *[terms] * 6))),
    st.fixed_dictionaries(
        {Atom("what"): st.sampled_from(["hello", "coverage", "module_skipped", "step"]).map(Atom)}
    ).flatmap(
        lambda told: terms.map(lambda term: told | {Atom(key): term for key in ("node", "subject", "reason", "module")})
    ),
    st.one_of(terms, st.lists(st.one_of(terms, st.tuples(st.tuples(*[terms] * 5), terms, terms)))).map(
        lambda calls: {
            Atom("what"): Atom("counted"),
            Atom("until_unix_ns"): 1,
            Atom("calls_per_second"): 2,
            Atom("calls"): calls,
        }
    ),
)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(OTHER_TYPES), SHAPED), max_size=5))
def test_whole_frames_with_any_content_are_read_or_told(said: list[tuple[FrameType, Term]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.mkdir()
        with writer_of(raw, "meta") as writer:
            for kind, term in said:
                writer.term(kind, term)
            write_events(writer, [1], site=3)
            writer.end()
        opened = Recording.open(folder, correlate=correlate)
        assert opened.info.events == 1
        assert all(isinstance(row.subject, str) and isinstance(row.reason, str) for row in opened.info.coverage)


def test_a_value_that_looks_like_a_frame_starts_none(tmp_path: Path) -> None:
    with writer_of(tmp_path, "0") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(1)), (1, pid(2))])
        write_events(writer, [1])
        writer.term(FrameType.META, {b"text": b"EXSF" * 1000})
        write_events(writer, [2])
        writer.end()
    path = next(tmp_path.iterdir())
    content = bytearray(path.read_bytes())
    content[content.index(b"EXSFEXSF") - 20] ^= 1  # damage the frame that holds them
    path.write_bytes(content)
    items = list(read_frames(path))
    assert [type(item) for item in items] == [Frame, Frame, Gap, Frame, Frame]


def test_reading_can_go_on_from_where_it_stopped(recording: Path) -> None:
    path = raw_file(recording, "1")
    frames = [frame for frame in read_frames(path) if isinstance(frame, Frame)]
    rest = [frame for frame in read_frames(path, frames[3].offset) if isinstance(frame, Frame)]
    assert [frame.offset for frame in rest] == [frame.offset for frame in frames[3:]]
