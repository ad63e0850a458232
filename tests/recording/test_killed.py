"""A sealer that is killed at any moment costs nothing but its time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording.recording import Recording
from elixirscope.recording.sealer import seal
from elixirscope.recording.workplace import Workplace
from tests.recording.samples import QUICK, make_shop

Reader: TypeAlias = Callable[..., object]
ROOT = Path(__file__).resolve().parents[2]

# Children are forked from a process that has everything loaded and has done nothing: they start at once.
KILLED = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import beside, sealer
from tests.recording.test_recording import digest
folder, times = Path(sys.argv[1]), int(sys.argv[2])
sealer.LARGE, sealer.SLICE, beside.SLICE = int(sys.argv[3]), 400, 400

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

def seal_beside():
    with beside.Beside(folder, correlate=EventCorrelator, spare=0) as sealing:
        sealing.look()
        assert sealing.finish(lambda _: None) is None

work = seal_beside if sys.argv[4] == "beside" else seal
started = time.perf_counter()
run(work)
took = time.perf_counter() - started
whole, raw = digest(folder / "segments"), digest(folder / "raw")
for _ in range(times):
    remove()
    victim = child(work)
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


@pytest.mark.parametrize(
    ("large", "how"),
    [(1, "anew"), (1_000_000, "anew"), (1, "beside")],
    ids=["in slices", "in memory", "beside the recording"],
)
def test_a_sealer_killed_at_any_moment_leaves_nothing_behind(large: int, how: str) -> None:
    with TemporaryDirectory(dir=QUICK) as place:
        folder = make_shop(Path(place) / "shop.scope", 2_000, processes=20, state_bytes=200)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), "12", str(large), how],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=150,
            check=False,
        )
    assert done.stdout == "the same 12 times\n", done.stderr


@pytest.mark.parametrize("reader", [seal, Recording.open], ids=["seal", "open"])
def test_what_is_left_by_one_killed_at_its_very_end_goes_and_what_is_held_stays(reader: Reader, tmp_path: Path) -> None:
    folder = make_shop(tmp_path / "shop.scope", 50, processes=2, state_bytes=50)
    seal(folder, correlate=EventCorrelator)
    left = folder / ".seal.4194305"
    (left / "segments.old").mkdir(parents=True)
    with Workplace(folder) as held:
        held.segments.mkdir()
        reader(folder, correlate=EventCorrelator)
        assert held.segments.exists()
        assert not left.exists()
