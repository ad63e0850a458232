"""Where there is little room in shared memory and on the disk the program gets it, and what recording lacks is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import elixirscope as library
from elixirscope.recording.log import read_log
from tests.conftest import environment

pytestmark = pytest.mark.beam

RECORD = (sys.executable, "-m", "elixirscope.cli.main", "record", "--engine", "native")

LIST_RINGS = """\
IO.inspect(for ring <- Path.wildcard(System.get_env("ELIXIRSCOPE_DIR") <> "/raw/*.ring") do
  {match?({:ok, _}, File.read_link(ring)), File.stat!(ring).size}
end)
"""


def _record(
    folder: Path, script: str, *options: str, shared: int, disk: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Record `script` natively where `/dev/shm` and the disk of the recording have so many megabytes."""
    recording = folder / "disk" / "r.scope"
    recording.parent.mkdir()
    (folder / "script.exs").write_text(script)
    mounts = f"mount -t tmpfs -o size={shared}m none /dev/shm"
    # What is mounted is seen by the command alone: it is kept where the test can see it.
    after = ""
    if disk is not None:
        mounts += f" && mkdir {folder}/kept && mount -t tmpfs -o size={disk}m none {recording.parent}"
        after = f"; status=$?; cp -r {recording} {folder}/kept; exit $status"
    own = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*own, mounts], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system of its own")
    if disk is not None:
        (folder / "kept").rmdir()
    recorded = [*RECORD, "-o", str(recording), "--", "elixir", *options, "script.exs"]
    command = [*own, f'{mounts} && "$@"{after}', "-", *recorded]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("megabytes", [1, 40])
def test_a_small_shared_memory_is_left_to_the_program(tmp_path: Path, megabytes: int) -> None:
    run = _record(tmp_path, LIST_RINGS, shared=megabytes)
    assert run.returncode == 0, run.stderr
    rings = [(shared == "true", int(size)) for shared, size in re.findall(r"(true|false): (\d+)", run.stdout)]
    assert len(rings) >= 2
    if all(shared for shared, _ in rings):
        assert sum(size for _, size in rings) <= megabytes * 1024 * 1024 // 2
    else:
        assert not any(shared for shared, _ in rings)
    assert megabytes > 1 or not rings[0][0]
    assert read_log(tmp_path / "disk" / "r.scope" / "raw").gaps == []


# Somebody takes all the rest once the rings are there; then they are gone through more than once.
FILLED = """\
{_, _} = System.cmd("dd", ["if=/dev/zero", "of=FILE", "bs=64k"], stderr_to_stdout: true)
defmodule Busy do
  def step(n), do: n
  def run(0), do: :done
  def run(n), do: (step(n); run(n - 1))
end
for _ <- 1..2, do: Task.async(fn -> Busy.run(200_000) end)
|> Task.await(:infinity)
IO.puts("all done")
"""


def test_shared_memory_that_fills_up_later_harms_nobody(tmp_path: Path) -> None:
    run = _record(tmp_path, FILLED.replace("FILE", "/dev/shm/ballast"), shared=24)
    assert (run.returncode, run.stdout) == (0, "all done\n"), run.stderr
    rec = library.open(tmp_path / "disk" / "r.scope")
    assert (rec.info.engines, rec.info.complete) == (["native"], True)


def test_a_disk_with_the_rings_on_it_that_fills_up_harms_nobody(tmp_path: Path) -> None:
    ballast = tmp_path / "disk" / "ballast"
    run = _record(tmp_path, FILLED.replace("FILE", str(ballast)), shared=1, disk=24)
    assert (run.returncode, run.stdout) == (0, "all done\n"), run.stderr
    assert "no space left on device. The program runs on" in run.stderr
    rec = library.open(tmp_path / "kept" / "r.scope")
    assert (rec.info.engines, rec.info.complete) == (["native"], False)


def test_without_room_for_rings_anywhere_the_portable_engine_records_and_says_so(tmp_path: Path) -> None:
    # Half a megabyte for each scheduler, and as much again for the program.
    run = _record(tmp_path, 'IO.puts("ran")', "--erl", "+S 24:24", shared=1, disk=20)
    assert (run.returncode, run.stdout) == (0, "ran\n"), run.stderr
    rec = library.open(tmp_path / "kept" / "r.scope")
    assert (rec.info.engines, rec.info.complete) == (["portable"], True)
    (reason,) = [row.reason for row in rec.info.coverage if row.subject == "native engine"]
    assert reason.startswith("the portable one recorded instead: no room for its rings in ")
