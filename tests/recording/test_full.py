"""A disk that is full at any moment of sealing costs nothing but what it would have saved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.recording.samples import make_shop

ROOT = Path(__file__).resolve().parents[2]

# No file may grow beyond a limit, which the system tells as it tells a full disk. Children are forked from a process
# that has everything loaded: they start at once.
FULL = """
import os, random, resource, shutil, sys
from hashlib import sha256
from pathlib import Path
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import sealer
from elixirscope.recording.recording import Recording
from elixirscope.recording.schema import TABLES
from tests.recording.test_recording import digest
folder, times = Path(sys.argv[1]), int(sys.argv[2])
sealer.LARGE, sealer.SLICE = int(sys.argv[3]), 400

def child(work):
    read, write = os.pipe()
    number = os.fork()
    if not number:
        os.close(read)
        failed = 1
        try:
            os.write(write, repr(work()).encode())
            failed = 0
        finally:
            os._exit(failed)
    os.close(write)
    told = b""
    while part := os.read(read, 1 << 16):
        told += part
    os.close(read)
    assert os.waitpid(number, 0)[1] == 0
    return told

def remove():
    for name in ("segments", "columns"):
        shutil.rmtree(folder / name, ignore_errors=True)

def content(opened):
    values = [bytes(opened.values.bytes(number)) for number in range(len(opened.values))]
    tables = "".join(str(opened.table(name).to_pylist()) for name in TABLES)
    return sha256(tables.encode() + b"".join(values)).hexdigest(), opened.info.events

def whole():
    return content(Recording.open(folder, correlate=EventCorrelator))

def limited(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    opened = Recording.open(folder, correlate=EventCorrelator)
    told = [row.reason for row in opened.info.coverage if "everything is read from raw/" in row.reason]
    return content(opened), len(told)

expected = child(whole)
written = [path for name in ("segments", "columns") for path in (folder / name).rglob("*") if path.is_file()]
sizes = [path.stat().st_size for path in written]
sealed, raw, met = digest(folder / "segments"), digest(folder / "raw"), set()
for turn in range(times):
    remove()
    limit = random.choice(sizes) - random.choice([0, 1, random.randrange(1 << 16)])  # some files fit, some do not
    told = child(lambda: limited(max(limit, 0)))
    full = not (folder / "segments").exists()
    assert told == b"(%s, %d)" % (expected, full), (told, expected, limit)
    assert digest(folder / "raw") == raw
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert not left, left
    if not full:
        assert digest(folder / "segments") == sealed
    met.add(full)
assert True in met
remove()
assert child(whole) == expected
assert digest(folder / "segments") == sealed
print("the same", times, "times")
"""


@pytest.mark.parametrize(("large", "times"), [(1, 12), (1_000_000, 20)], ids=["in slices", "in memory"])
def test_a_disk_that_is_full_at_any_moment_leaves_the_recording_readable(
    tmp_path: Path, large: int, times: int
) -> None:
    folder = make_shop(tmp_path / "shop.scope", 2_000, processes=20, state_bytes=200)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(times), str(large)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=150,
        check=False,
    )
    assert done.stdout == f"the same {times} times\n", done.stderr
