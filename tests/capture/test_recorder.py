"""One recording: its folder is its own, its manifest tells how far it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from elixirscope.brain.plan import Plan
from elixirscope.capture.recorder import default_folder, record
from elixirscope.errors import TargetError
from elixirscope.recording.manifest import Manifest

pytestmark = pytest.mark.beam  # the toolchain is looked at before anything else


def test_recordings_that_start_together_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    paths = {record(["true"], Plan()).path for _ in range(4)}  # most of them within one second
    assert len(paths) == 4
    assert all(path.parent == tmp_path / "elixirscope" / "recordings" for path in paths)


def test_the_manifest_says_what_ran_and_how_it_ended(tmp_path: Path) -> None:
    outcome = record(["sh", "-c", "exit 9"], Plan(), tmp_path / "r.scope")
    manifest = Manifest.load(outcome.path)
    assert manifest is not None
    assert (manifest.command, manifest.cwd) == (["sh", "-c", "exit 9"], str(Path.cwd()))
    assert (manifest.exit_status, manifest.state) == (9, "finished") == (outcome.exit_status, "finished")
    assert Plan.load(outcome.path / "plan.toml") == Plan()


def test_the_manifest_says_recording_while_the_command_runs(tmp_path: Path) -> None:
    script = f"grep state {tmp_path}/r.scope/manifest.json"
    outcome = record(["sh", "-c", f"{script} | grep -q recording"], Plan(), tmp_path / "r.scope")
    assert outcome.exit_status == 0


def test_an_existing_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "r.scope").mkdir()
    assert record(["true"], Plan(), tmp_path / "r.scope").exit_status == 0


def test_a_command_that_cannot_start_leaves_no_folder(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    with pytest.raises(TargetError):
        record([str(broken)], Plan(), tmp_path / "r.scope")
    assert not (tmp_path / "r.scope").exists()


def test_a_folder_that_disappears_does_not_change_the_exit_status(tmp_path: Path) -> None:
    outcome = record(["rm", "-r", str(tmp_path / "r.scope")], Plan(), tmp_path / "r.scope")
    assert outcome.exit_status == 0
    assert outcome.problem is not None
    assert outcome.problem.startswith("the recording could not be finished: ")


def test_the_default_folder_is_named_after_project_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    path = default_folder(Path("/home/me/My Shop (old)"), 0.0)
    assert path.parent == Path("/data/elixirscope/recordings")
    assert path.name.startswith("My-Shop-old-19")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # the XDG rules say to ignore such
    assert default_folder(Path("/"), 0.0).is_absolute()
