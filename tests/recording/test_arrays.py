"""Arrays that are kept beside a recording: what killed makers left goes, what others are making stays."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import numpy as np

from elixirscope.recording.arrays import INDEX, Arrays


def test_what_a_killed_maker_left_is_removed_when_something_is_made(tmp_path: Path) -> None:
    assert Arrays(tmp_path, 1).kept
    (folder,) = (tmp_path / INDEX).iterdir()
    left, made = folder / ".findings-1a2b.4194305", folder / ".lanes.4194306"
    for work in (left, made):
        work.mkdir()
        (work / "0.npy").write_bytes(b"half")
    another = os.open(made, os.O_RDONLY)
    try:
        fcntl.flock(another, fcntl.LOCK_SH)  # as its maker does, for as long as its process lives
        arrays = Arrays(tmp_path, 1)
        (kept,) = arrays.get("lanes", lambda allocate: (np.arange(3) + len(allocate(0, np.int64)),))
    finally:
        os.close(another)
    assert kept.tolist() == [0, 1, 2]
    assert {path.name for path in folder.iterdir()} == {"lanes.0.npy", made.name}
    assert (made / "0.npy").read_bytes() == b"half"
    Arrays(tmp_path, 1).get("more", lambda _: (np.arange(2),))
    assert {path.name for path in folder.iterdir()} == {"lanes.0.npy", "more.0.npy"}
