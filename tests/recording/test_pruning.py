"""Cutting recordings down, and removing them: what stays reads as before, what went is told, and nothing by itself."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

import elixirscope
from elixirscope import open as recorded
from elixirscope.errors import UsageError
from elixirscope.pictures import record
from elixirscope.recording.format import FILE_HEADER, FrameType
from elixirscope.recording.frames import Frame, frame_bytes, read_frames
from elixirscope.recording.pruning import cut
from elixirscope.recording.records import EVENT
from tests.conftest import Run
from tests.dags.drawn import SALE

LONG = """
    processes: top, box, client
      1 top spawns box running Box.init/1
      2 box callback Box.init([])
      3 box state %{n: 0}
      4 box return {:ok, %{n: 0}}
     10 client call Client.run()
     11 client -> box cast {:add, 1} arrives 12
     13 box callback Box.handle_cast({:add, 1})
     14 box state before %{n: 0}
     15 box state %{n: 1}
     16 box return {:noreply, %{n: 1}}
     50 client -> box cast {:add, 2} arrives 52
     53 box callback Box.handle_cast({:add, 2})
     54 box state before %{n: 1}
     55 box bind next = 3
     56 box state %{n: 3}
     57 box return {:noreply, %{n: 3}}
     90 client -> box cast {:add, 3} arrives 92
     93 box callback Box.handle_cast({:add, 3})
     94 box state before %{n: 3}
     95 box state %{n: 6}
     96 box return {:noreply, %{n: 6}}
     98 client return :ok
     99 box exits :normal
"""


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_window_keeps_what_was_in_it_and_what_it_stands_in(tmp_path: Path) -> None:
    folder = record(LONG, tmp_path / "long.scope")
    whole = elixirscope.open(folder)
    (start,) = [row["start"] for row in whole.calls if row["args"] == "{{:add, 2}}"]
    dry = cut(folder, [(start - 1_000, start + 5_000)], "a test")
    assert elixirscope.open(folder).info.events == whole.info.events  # a dry run changes nothing
    done = cut(folder, [(start - 1_000, start + 5_000)], "a test", dry=False)
    assert done == dry
    assert (done.kept + done.dropped, done.bytes_after < done.bytes_before) == (whole.info.events, True)
    rec = elixirscope.open(folder)
    assert rec.info.events == done.kept
    assert rec.info.lost == done.dropped
    assert rec.info.complete
    assert [g.reason for g in rec.info.coverage if g.subject == "pruned parts"] == [
        f"a test: {done.dropped} of {whole.info.events} events were removed"
    ]
    kept = {(row["module"], row["function"], row["args"]) for row in rec.calls}
    assert kept == {("Client", "run", "{}"), ("Box", "handle_cast", "{{:add, 2}}")}
    assert [(row["start"], row["end"]) for row in rec.calls if row["function"] == "run"] == [
        (row["start"], row["end"]) for row in whole.calls if row["function"] == "run"
    ]
    assert rec.state("Box", at=start).text == "%{n: 1}"  # the state before the window is kept
    assert rec.state("Box", at=start + 4_000).text == "%{n: 3}"
    assert [row["value"] for row in rec.bindings] == ["3"]
    ends = {row["label"]: row["end"] for row in whole.processes}
    assert {row["label"]: row["end"] for row in rec.processes} == ends


def test_all_windows_keep_all(tmp_path: Path) -> None:
    folder = record(SALE, tmp_path / "sale.scope")
    before = {path.name: path.read_bytes() for path in (folder / "raw").iterdir()}
    assert cut(folder, [(-1, 10**9)], "a test", dry=False).dropped == 0
    rec = elixirscope.open(folder)
    assert rec.info.lost == 0
    assert rec.state("Seats").text == '%{free: ["A2"], sold: %{"A1" => :ann}}'
    assert before.keys() == {path.name for path in (folder / "raw").iterdir()}


def test_info_names_the_processes_that_lost_events(elixirscope: Run, tmp_path: Path) -> None:
    folder = record(LONG, tmp_path / "long.scope")
    cut(folder, [], "a test", dry=False)
    (box, client) = (row for row in recorded(folder).processes if row["lost"])
    text = elixirscope("info", folder).stdout
    assert f"  Box {box['pid']}: {box['lost']:,} events lost: pruned" in text
    assert f"  {client['pid']}: {client['lost']:,} events lost: pruned" in text


def test_a_value_outside_of_its_frame_is_damage_too(tmp_path: Path) -> None:
    folder = record(SALE, tmp_path / "sale.scope")
    raw = max((folder / "raw").iterdir(), key=lambda path: path.stat().st_size)
    anew = raw.read_bytes()[: FILE_HEADER.size]
    for frame in read_frames(raw):
        assert isinstance(frame, Frame)
        payload = bytearray(frame.payload)
        if frame.type == FrameType.EVENTS:
            events = np.frombuffer(payload, EVENT, frame.count)
            events["value_length"][np.flatnonzero(events["value_length"])[:1]] = 1 << 20
        anew += frame_bytes(frame.type, bytes(payload), frame.first_ts, frame.last_ts, frame.count, frame.loss)
    raw.write_bytes(anew)
    before = files(folder)
    with pytest.raises(UsageError, match="damaged"):
        cut(folder, [(0, 5)], "a test", dry=False)
    assert files(folder) == before


def test_what_is_unfinished_or_damaged_is_left_alone(tmp_path: Path) -> None:
    folder = record(SALE, tmp_path / "sale.scope")
    raw = max((folder / "raw").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(raw.read_bytes())
    data[len(data) // 2] ^= 255
    raw.write_bytes(data)
    before = files(folder)
    with pytest.raises(UsageError, match="damaged"):
        cut(folder, [(0, 5)], "a test", dry=False)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"finished"', '"recording"'))
    with pytest.raises(UsageError, match="still being recorded"):
        cut(folder, [(0, 5)], "a test", dry=False)
    manifest.write_text(manifest.read_text().replace('"recording"', '"finished"', 1))
    assert {name: data for name, data in files(folder).items() if name.startswith("raw/")} == {
        name: data for name, data in before.items() if name.startswith("raw/")
    }


def aged(folder: Path, days: float) -> Path:
    """A recording made to be of that age."""
    manifest = folder / "manifest.json"
    about = json.loads(manifest.read_text())
    about["created_unix_ns"] = int((time.time() - days * 86_400) * 1e9)
    manifest.write_text(json.dumps(about))
    return folder


def test_old_recordings_go_only_when_told(elixirscope: Run, tmp_path: Path) -> None:
    old, young = aged(record(SALE, tmp_path / "old.scope"), 9), aged(record(SALE, tmp_path / "young.scope"), 1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("not a recording")
    (tmp_path / "link.scope").symlink_to(young)
    dry = elixirscope("prune", tmp_path, "--older-than", "7d", "--json")
    assert [(Path(s["path"]).name, s["action"]) for s in json.loads(dry.stdout)] == [
        ("old.scope", "remove"),
        ("young.scope", "keep"),
    ]
    assert "nothing was touched" in dry.stderr
    assert old.is_dir()
    shown = elixirscope("prune", tmp_path, "--older-than", "7d")
    assert "old.scope" in shown.stdout
    done = elixirscope("prune", tmp_path, "--older-than", "7d", "--yes")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"young.scope", "other", "link.scope"}


def test_the_oldest_go_until_the_rest_fits(elixirscope: Run, tmp_path: Path) -> None:
    for number in range(3):
        aged(record(SALE, tmp_path / f"{number}.scope"), 9 - number)
    one = sum(path.stat().st_size for path in (tmp_path / "2.scope").rglob("*") if path.is_file())
    dry = elixirscope("prune", tmp_path, "--total", f"{one * 2 + 100}", "--json")
    assert [step["action"] for step in json.loads(dry.stdout)] == ["remove", "keep", "keep"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("--older-than", "soon"), ("--total", "much"), ("--keep-around", "findings", "--margin", "wide")],
)
def test_wrong_questions(elixirscope: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    record(SALE, tmp_path / "sale.scope")
    done = elixirscope("prune", tmp_path, *arguments)
    assert done.returncode == 2
    assert "→" in done.stderr
    assert elixirscope("prune", tmp_path / "none", "--total", "1GB").returncode == 2


@pytest.mark.beam
def test_a_real_recording_keeps_its_findings(elixirscope: Run, example_recording: Path, tmp_path: Path) -> None:
    packed, folder = tmp_path / "copy.scopez", tmp_path / "copy.scope"
    assert elixirscope("pack", example_recording, "-o", packed).returncode == 0
    assert elixirscope("unpack", packed, folder).returncode == 0
    before = json.loads(elixirscope("report", folder, "--json").stdout)
    done = elixirscope("prune", folder, "--keep-around", "findings", "--margin", "5ms", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    (step,) = json.loads(done.stdout)
    assert step["action"] == "cut"
    assert step["events_dropped"] > 0
    info = json.loads(elixirscope("info", folder, "--json").stdout)
    assert any(gap["subject"] == "pruned parts" for gap in info["coverage"])
    after = json.loads(elixirscope("report", folder, "--json").stdout)
    assert {f["kind"] for f in _listed(after)} >= {"crash"} & {f["kind"] for f in _listed(before)}


def _listed(report: object) -> list[dict[str, str]]:
    found = report["findings"] if isinstance(report, dict) else report
    assert isinstance(found, list)
    return found
