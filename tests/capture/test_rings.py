"""Rings of VMs that were killed: what they hold is brought home, once, and nothing else is touched."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from elixirscope.capture import rings, stale
from elixirscope.errors import RecordingError
from elixirscope.recording.presence import recorder_of


def test_only_what_nobody_else_will_bring_home_is_swept(tmp_path: Path) -> None:
    shared = tmp_path / "shm"
    shared.mkdir()

    def left(name: str) -> tuple[Path, Path]:
        """One in shared memory, and the link that its recording has for it."""
        raw = tmp_path / name / "raw"
        raw.mkdir(parents=True)
        link = _ring(raw, head=64)
        ring = shared / f"elixirscope-1-256-{name}.ring"
        record = (64).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(56)
        header = bytearray(link.read_bytes()[:4096])
        header[384 : 384 + len(os.fsencode(link))] = os.fsencode(link)
        ring.write_bytes(bytes(header) + record + bytes(8192 - 64))
        link.unlink()
        link.symlink_to(ring)
        return ring, link

    homeless, link = left("homeless")
    link.unlink()
    _, lost_link = left("lost")
    damaged, damaged_link = left("damaged")
    damaged.write_bytes(damaged.read_bytes()[:4096] + bytes(8192))
    locked, _ = left("locked")
    watched, _ = left("watched")
    (tmp_path / "precious").write_text("mine")
    newborn = shared / "elixirscope-1-256-newborn.ring"
    newborn.write_bytes(b"")
    dead = shared / "elixirscope-1-256-dead.ring"
    dead.write_bytes(bytes(100))
    os.utime(dead, (1, 1))
    (shared / "elixirscope-1-256-link.ring").symlink_to(tmp_path / "precious")
    said: list[str] = []
    with locked.open("rb") as vm, recorder_of(tmp_path / "watched" / "raw"):
        fcntl.flock(vm, fcntl.LOCK_EX)
        assert stale.sweep(said.append, shared) == 4
    kept = [locked, watched, newborn, shared / "elixirscope-1-256-link.ring"]
    assert sorted(shared.iterdir()) == sorted(kept)
    assert not homeless.exists()
    assert lost_link.with_suffix(".frames").stat().st_size == 40 + 40 + 48  # one event, in a frame
    assert not lost_link.is_symlink()
    assert len(said) == 1
    assert "damaged" in said[0]
    assert not damaged_link.is_symlink()
    assert stale.sweep(said.append, shared) == 2
    assert not locked.exists()
    assert not watched.exists()


def _ring(raw: Path, *, size: int = 8192, head: int = 0, tail: int = 0, file_bytes: int = 40) -> Path:
    """A ring as C lays it out, empty unless told otherwise, with its file of frames."""
    header = bytearray(4096)
    header[:8] = b"ELXRING1"
    header[8:16] = size.to_bytes(8, "little")
    header[64:72] = head.to_bytes(8, "little")
    header[256:272] = tail.to_bytes(8, "little") + file_bytes.to_bytes(8, "little")
    (raw / "n@h.1-256.frames").write_bytes(bytes(40))
    ring = raw / "n@h.1-256.ring"
    ring.write_bytes(bytes(header) + bytes(size))
    return ring


def test_a_frame_that_was_written_but_not_marked_is_not_repeated(tmp_path: Path) -> None:
    ring = _ring(tmp_path, head=64)
    record = (64).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(56)
    ring.write_bytes(ring.read_bytes()[:4096] + record + bytes(8192 - 64))
    frames = ring.with_suffix(".frames")
    with frames.open("ab") as file:
        file.write(b"EXSF" + b"the same event, or half of it")
    assert rings.recover(tmp_path) == 1
    assert frames.stat().st_size == 40 + 40 + 48
    assert not ring.exists()


def test_records_of_a_ring_that_was_about_to_grow_are_where_they_were(tmp_path: Path) -> None:
    ring = _ring(tmp_path, tail=8192 - 64, head=8192 + 64)  # the last one and, round the corner, the first
    record = (64).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(56)
    header = ring.read_bytes()[:4096]
    blocks_of_the_new_half = bytes(8192)
    ring.write_bytes(header + record + bytes(8192 - 128) + record + blocks_of_the_new_half)
    assert rings.recover(tmp_path) == 2


def test_opening_a_recording_brings_home_what_a_ring_in_it_still_holds(tmp_path: Path) -> None:
    raw = tmp_path / "r.scope" / "raw"
    raw.mkdir(parents=True)
    ring = _ring(raw, head=64)
    record = (64).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(56)
    ring.write_bytes(ring.read_bytes()[:4096] + record + bytes(8192 - 64))
    frames = ring.with_suffix(".frames")
    said: list[str] = []
    with recorder_of(raw):  # which will do it
        stale.bring_home(raw.parent, said.append)
    with ring.open("rb") as vm:
        fcntl.flock(vm, fcntl.LOCK_EX)
        stale.bring_home(raw.parent, said.append)
    assert frames.stat().st_size == 40
    stale.bring_home(raw.parent, said.append)
    assert frames.stat().st_size == 40 + 40 + 48
    assert not ring.exists()
    assert said == []


def test_opening_a_recording_of_a_stranger_touches_no_file_outside(tmp_path: Path) -> None:
    raw = tmp_path / "r.scope" / "raw"
    raw.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_bytes(bytes(80))
    ring = _ring(raw, head=64)
    record = (64).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(56)
    ring.write_bytes(ring.read_bytes()[:4096] + record + bytes(8192 - 64))
    frames = ring.with_suffix(".frames")
    frames.unlink()
    frames.symlink_to(precious)
    (raw / "a.ring").symlink_to(precious)
    os.mkfifo(raw / "b.ring")  # reading it would wait for ever
    said: list[str] = []
    stale.bring_home(raw.parent, said.append)
    assert precious.read_bytes() == bytes(80)
    assert len(said) == 1
    assert str(ring) in said[0]
    assert {path.name for path in raw.iterdir()} == {"a.ring", "b.ring", ring.name, frames.name}


def test_a_damaged_ring_is_told_and_kept(tmp_path: Path) -> None:
    ring = _ring(tmp_path, head=64)  # of zeros
    with pytest.raises(RecordingError, match="damaged"):
        rings.recover(tmp_path)
    assert ring.exists()
    _ring(tmp_path, head=10_000)
    with pytest.raises(RecordingError, match="damaged"):
        rings.recover(tmp_path)
    record = (16).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(8)
    _ring(tmp_path, head=16, file_bytes=41)
    ring.write_bytes(ring.read_bytes()[:4096] + record + bytes(8192 - 16))
    with pytest.raises(RecordingError, match="shorter than it was"):
        rings.recover(tmp_path)


def test_a_link_that_names_a_strangers_file_leaves_it_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "n@h.1-256.ring").symlink_to(tmp_path / "precious")
    assert rings.recover(raw) == 0
    assert (tmp_path / "precious").read_text() == "mine"
    assert list(raw.iterdir()) == []
