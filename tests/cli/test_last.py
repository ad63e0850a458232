"""`last`: the newest of the recordings whose place nobody chose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elixirscope.capture.recorder import newest
from elixirscope.errors import RecordingError
from elixirscope.pictures import record
from tests.conftest import run_command

_FILM = """
processes: client
client call BoxOffice.sell("A1")
client return :sold
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of recordings of a user who has made none."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "elixirscope" / "recordings"


def test_the_newest_is_the_one_that_began_last_whatever_was_touched_since(home: Path) -> None:
    names = ("shop-20260102-101010", "shop-20260102-101010-2", "shop-20260102-101010-10", "zoo-20251231-235959", "kept")
    for name in reversed(names):
        (home / f"{name}.scope").mkdir(parents=True)
    assert newest().stem == "shop-20260102-101010-10"


def test_without_any_the_next_step_is_named(home: Path) -> None:
    with pytest.raises(RecordingError, match="no last recording") as refused:
        newest()
    assert "elixirscope record" in refused.value.hint


def test_commands_take_last_and_some_need_not_be_told(home: Path) -> None:
    home.mkdir(parents=True)
    record(_FILM, home / "shop-20260102-101010.scope")
    for arguments in (("info", "last"), ("info",)):
        done = run_command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["processes"] == 1
    assert "Nothing wrong was found" in run_command("report").stdout
