"""A sealer that is killed at any moment costs nothing but its time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.recording.samples import make_shop

ROOT = Path(__file__).resolve().parents[2]

# Children are forked from a process that has everything loaded and has done nothing: they start at once.
KILLED = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import sealer
from tests.recording.test_recording import digest
folder, times = Path(sys.argv[1]), int(sys.argv[2])
sealer.LARGE, sealer.SLICE = int(sys.argv[3]), 400

def child(work):
    number = os.fork()
    if not number:
        failed = 1
        try:
            work()
            failed = 0
        finally:
            os._exit(failed)
    return number

def run(work):
    assert os.waitpid(child(work), 0)[1] == 0

def remove():
    for name in ("segments", "columns"):
        shutil.rmtree(folder / name, ignore_errors=True)

def seal():
    sealer.seal(folder, correlate=EventCorrelator)

started = time.perf_counter()
run(seal)
took = time.perf_counter() - started
whole, raw = digest(folder / "segments"), digest(folder / "raw")
for _ in range(times):
    remove()
    victim = child(seal)
    time.sleep(random.uniform(0, took))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    run(seal)
    assert digest(folder / "segments") == whole
    assert digest(folder / "raw") == raw
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert not left, left
print("the same", times, "times")
"""


@pytest.mark.parametrize("large", [1, 1_000_000], ids=["in slices", "in memory"])
def test_a_sealer_killed_at_any_moment_leaves_nothing_behind(tmp_path: Path, large: int) -> None:
    folder = make_shop(tmp_path / "shop.scope", 2_000, processes=20, state_bytes=200)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), "12", str(large)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=150,
        check=False,
    )
    assert done.stdout == "the same 12 times\n", done.stderr
