"""Whether a recorder is at work."""

from __future__ import annotations

import threading
from pathlib import Path

from elixirscope.recording.presence import is_recording, recorder_of


def test_a_recorder_is_there_while_it_is_at_work(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    assert not is_recording(tmp_path)
    with recorder_of(tmp_path / "raw"):
        assert is_recording(tmp_path)
        assert is_recording(tmp_path), "asking changes nothing"
    assert not is_recording(tmp_path)


def test_no_recording_has_no_recorder(tmp_path: Path) -> None:
    assert not is_recording(tmp_path / "nowhere")


def test_those_who_ask_do_not_keep_a_recorder_away(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_recording(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            with recorder_of(tmp_path / "raw"):
                assert is_recording(tmp_path)
    finally:
        done.set()
        asking.join()
