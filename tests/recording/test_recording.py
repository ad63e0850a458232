"""Opening recordings: sealed, damaged, growing, unwritable, and what is none."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import msgspec
import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.errors import EnvironmentProblem, NotFoundError, RecordingError
from elixirscope.recording.changes import Correlator
from elixirscope.recording.format import FrameType
from elixirscope.recording.recording import Recording
from elixirscope.recording.schema import TABLES
from elixirscope.recording.sealer import seal
from tests.recording.samples import correlate, make_recording, pid, value_of, write_events, writer_of

ROOT = Path(__file__).resolve().parents[2]


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def refuse() -> Correlator:
    raise AssertionError("this recording is sealed: nothing is to be correlated")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return make_recording(tmp_path / "r.scope")


def test_info_says_what_is_there(recording: Path) -> None:
    info = Recording.open(recording, correlate=correlate).info
    raw = sum(path.stat().st_size for path in (recording / "raw").iterdir())
    assert (info.events, info.lost, info.truncated, info.duration_ns, info.bytes) == (24, 0, 0, 23_000, raw)
    assert (info.complete, info.coverage, info.command, info.format_version) == (True, [], ["mix", "test"], 1)
    assert info.path == str(recording)


def test_tables_have_exactly_their_schemas(recording: Path) -> None:
    opened = Recording.open(recording, correlate=correlate)
    for name, schema in TABLES.items():
        assert opened.table(name).schema == schema
        assert [path.is_file() for path in opened.parquet(name)] == [True]
    with pytest.raises(NotFoundError, match="no table 'nothing'"):
        opened.table("nothing")


def test_values_and_their_text(recording: Path) -> None:
    opened = Recording.open(recording, correlate=correlate)
    rows = opened.table("events").to_pylist()
    assert [opened.term(row["value"]) for row in rows] == [value_of(number) for number in range(1, 25)]
    assert opened.text(rows[0]["value"]) == '{:n, 1, "the value of event 1"}'
    assert opened.text(None) is None
    assert opened.binding_value(rows[0]["value"], 1) == 1
    with pytest.raises(RecordingError, match="no element 3"):
        opened.binding_value(rows[0]["value"], 3)


def test_a_sealed_recording_is_not_read_again(recording: Path) -> None:
    seal(recording, correlate=correlate)
    assert Recording.open(recording, correlate=refuse).table("events").num_rows == 24


def test_deleted_segments_come_back_identical(recording: Path) -> None:
    before = Recording.open(recording, correlate=correlate)
    sealed = digest(recording / "segments")
    raw = digest(recording / "raw")
    shutil.rmtree(recording / "segments")
    after = Recording.open(recording, correlate=correlate)
    assert digest(recording / "segments") == sealed
    assert digest(recording / "raw") == raw
    assert before.info == after.info
    assert all(before.table(name).equals(after.table(name)) for name in TABLES)


@pytest.mark.parametrize("name", ["seal.json", "values.zst", "events.parquet"])
def test_incomplete_segments_are_made_again(recording: Path, name: str) -> None:
    Recording.open(recording, correlate=correlate)
    (recording / "segments" / name).unlink()
    assert Recording.open(recording, correlate=correlate).table("events").num_rows == 24
    assert (recording / "segments" / name).is_file()


def test_segments_of_another_schema_are_made_again(recording: Path) -> None:
    Recording.open(recording, correlate=correlate)
    path = recording / "segments" / "seal.json"
    path.write_bytes(path.read_bytes().replace(b'"schema_version": ', b'"schema_version": 9'))
    with pytest.raises(AssertionError, match="is sealed"):
        Recording.open(recording, correlate=refuse)


def test_segments_whose_seal_is_damaged_are_made_again(recording: Path) -> None:
    before = Recording.open(recording, correlate=correlate)
    path = recording / "segments" / "seal.json"
    path.write_bytes(path.read_bytes().replace(b'"elixirscope_version": "', b'"elixirscope_version": "\xf2'))
    after = Recording.open(recording, correlate=correlate)
    assert all(before.table(name).equals(after.table(name)) for name in TABLES)


def test_segments_of_the_first_layout_are_made_again(recording: Path) -> None:
    Recording.open(recording, correlate=correlate)
    path = recording / "segments" / "seal.json"
    path.write_bytes(path.read_bytes().replace(b',\n "layout": 4', b""))
    with pytest.raises(AssertionError, match="is sealed"):
        Recording.open(recording, correlate=refuse)


def test_a_growing_recording_opens_with_what_is_written(tmp_path: Path) -> None:
    recording = make_recording(tmp_path / "r", state="recording")
    with writer_of(recording / "raw", "9") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(7))])
        write_events(writer, [100])
        writer.flush()
        first = Recording.open(recording, correlate=correlate).info
        write_events(writer, [101, 102])
        writer.flush()
        second = Recording.open(recording, correlate=correlate).info
    assert (first.events, second.events) == (25, 27)
    assert not second.complete
    assert [row.subject for row in second.coverage] == ["the end of VM 77 (nonode@nohost)", "the recorder"]


def test_damaged_segments_say_what_to_do(recording: Path) -> None:
    Recording.open(recording, correlate=correlate)
    (recording / "segments" / "events.parquet").write_bytes(b"PAR1 no more")
    (recording / "segments" / "values.zst").write_bytes(b"no values")
    opened = Recording.open(recording, correlate=correlate)
    for name, read in (("events.parquet", opened.table), ("values.zst", lambda _: opened.term(0))):
        with pytest.raises(RecordingError, match=name) as raised:
            read("events")
        assert "makes it again" in raised.value.hint


def test_a_recording_of_format_1_opens(tmp_path: Path) -> None:
    kept = Path(__file__).parent / "kept" / "v1"
    shutil.copytree(kept, tmp_path / "v1.scope")
    opened = Recording.open(tmp_path / "v1.scope", correlate=correlate)
    assert (opened.info.format_version, opened.info.events, opened.info.complete) == (1, 24, True)
    assert opened.term(3) == value_of(4)


def test_events_of_the_third_layout_are_read(tmp_path: Path) -> None:
    kept = Path(__file__).parent / "kept"
    shutil.copytree(kept / "v1", tmp_path / "v1.scope")
    opened = Recording.open(tmp_path / "v1.scope", correlate=EventCorrelator)
    shutil.copy(kept / "layout3" / "events.parquet", tmp_path / "v1.scope" / "segments")
    seal = tmp_path / "v1.scope" / "segments" / "seal.json"
    seal.write_bytes(seal.read_bytes().replace(b'"layout": 4', b'"layout": 3'))
    earlier = Recording.open(tmp_path / "v1.scope", correlate=refuse)
    assert earlier.table("events").equals(opened.table("events"))
    assert opened.table("events").column("previous").null_count < 24


def test_two_readers_at_once_seal_once(recording: Path) -> None:
    together, sealed = Barrier(4), []

    def counting() -> Correlator:
        sealed.append(1)
        return correlate()

    def read() -> int:
        together.wait()
        return len(Recording.open(recording, correlate=counting).table("events"))

    with ThreadPoolExecutor(4) as pool:
        assert [done.result() for done in [pool.submit(read) for _ in range(4)]] == [24] * 4
    assert len(sealed) == 1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("missing", "there is no recording at"),
        ("file", "is a file"),
        ("empty", "is empty"),
        ("other", "is not a recording"),
        ("hollow", "nothing was recorded"),
        ("newer", r"format 2.*format 1"),
        ("damaged manifest", r"manifest.json is damaged"),
        ("raw lost", "has lost its raw/ folder"),
    ],
)
def test_what_is_no_recording_is_said_clearly(tmp_path: Path, made: str, message: str) -> None:
    path = tmp_path / "x.scope"
    match made:
        case "file":
            path.write_text("text")
        case "empty":
            path.mkdir()
        case "other":
            path.mkdir()
            (path / "letter.txt").write_text("dear")
        case "hollow":
            (path / "raw").mkdir(parents=True)
        case "newer" | "damaged manifest" | "raw lost":
            make_recording(path)
            manifest = path / "manifest.json"
            if made == "newer":
                manifest.write_bytes(msgspec.json.encode({"format_version": 2, "shape": "another"}))
            elif made == "damaged manifest":
                manifest.write_text("{")
            else:
                shutil.rmtree(path / "raw")
    with pytest.raises(RecordingError, match=message) as raised:
        Recording.open(path, correlate=correlate)
    assert raised.value.hint


def test_without_a_manifest_the_raw_files_are_enough(recording: Path) -> None:
    (recording / "manifest.json").unlink()
    info = Recording.open(recording, correlate=correlate).info
    assert (info.events, info.command) == (24, [])
    assert info.coverage[0].subject == "manifest.json"


def test_a_recorder_that_was_killed_leaves_an_incomplete_recording(tmp_path: Path) -> None:
    info = Recording.open(make_recording(tmp_path / "r", state="recording"), correlate=correlate).info
    assert (info.events, info.complete) == (24, False)
    assert info.coverage[0].subject == "the recorder"


OPEN = """
import os, resource, sys, tempfile
from pathlib import Path
from elixirscope.errors import ElixirScopeError
from elixirscope.recording import sealer
from elixirscope.recording.recording import Recording
from tests.recording.samples import correlate, make_recording
with tempfile.TemporaryDirectory() as folder:  # everything is imported before rights are given up
    Recording.open(make_recording(Path(folder) / "r"), correlate=correlate).table("events")
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
if "sliced" in sys.argv[2]:
    sealer.LARGE, sealer.SLICE = 1, 100
if "full" in sys.argv[2]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
try:
    opened = Recording.open(sys.argv[1], correlate=correlate)
except ElixirScopeError as error:
    print(type(error).__name__, error.message)
else:
    print(opened.info.events, opened.table("events").num_rows, opened.term(3), opened.parquet("events"))
    print(opened.info.coverage)
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A recording that any user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        recording = make_recording(Path(folder) / "r.scope", frames=200)
        for path in (recording, *recording.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield recording


def open_elsewhere(recording: Path, how: str = "") -> str:
    """Open it in a process of an ordinary user, even when these tests run as root."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(recording), how],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("how", ["full", "sliced, full"])
def test_a_full_disk_while_sealing_leaves_the_recording_readable(shared: Path, how: str) -> None:
    raw = digest(shared / "raw")
    shared.chmod(0o777)
    said = open_elsewhere(shared, how)
    assert said.startswith("800 800 (Atom('n'), 4, b'the value of event 4') []\n")
    assert "File too large" in said
    assert "everything is read from raw/" in said
    assert digest(shared / "raw") == raw
    assert sorted(path.name for path in shared.iterdir()) == ["manifest.json", "raw"]


def test_a_read_only_recording_is_read_from_memory(shared: Path) -> None:
    if os.geteuid() != 0:
        shared.chmod(0o555)
    said = open_elsewhere(shared)
    assert said.startswith("800 800 (Atom('n'), 4, b'the value of event 4') []\n")
    assert "Permission denied" in said


def test_a_raw_file_that_may_not_be_read_is_named(shared: Path) -> None:
    next((shared / "raw").iterdir()).chmod(0)
    assert open_elsewhere(shared).startswith("EnvironmentProblem cannot read ")


def test_a_folder_that_may_not_be_read_is_named(shared: Path) -> None:
    shared.chmod(0)
    assert open_elsewhere(shared).startswith(f"EnvironmentProblem cannot read {shared}")
    shared.chmod(0o755)


def test_an_unwritable_place_for_segments_is_an_environment_problem(recording: Path) -> None:
    (recording / f".seal.{os.getpid()}").write_text("in the way")
    with pytest.raises(EnvironmentProblem, match="cannot write the tables"):
        seal(recording, correlate=correlate)
