"""What is read ahead of a large recording."""

from __future__ import annotations

import threading
from pathlib import Path

from elixirscope.web.warming import read_ahead


def _recording(folder: Path) -> Path:
    for name, size in (("index/of/large.npy", 3_000_000), ("index/of/small.npy", 10), ("columns/events.at", 5_000)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    return folder


def test_all_mapped_files_are_read_once(tmp_path: Path) -> None:
    assert read_ahead(_recording(tmp_path), 1 << 30, threading.Event()) == 3_005_010


def test_no_more_is_read_than_there_is_room_for(tmp_path: Path) -> None:
    assert read_ahead(_recording(tmp_path), 2_000_000, threading.Event()) == 2_000_000


def test_it_ends_when_told_and_without_any_files(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert read_ahead(_recording(tmp_path), 1 << 30, stop) == 0
    assert read_ahead(tmp_path / "packed.zip", 1 << 30, threading.Event()) == 0
