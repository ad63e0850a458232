"""What is read ahead of a large recording."""

from __future__ import annotations

import gc
import shutil
import time
import weakref
from pathlib import Path

import pytest

from elixirscope.errors import ElixirScopeError
from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.query.cast import cast
from elixirscope.web.showing import Showing
from elixirscope.web.warming import Warming, first_screen, read_ahead


def _recording(folder: Path) -> Path:
    for name, size in (
        ("index/of/large.npy", 3_000_000),
        ("index/of/small.npy", 10),
        ("columns/events.at", 5_000),
        ("segments/values.zst", 100),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    return folder


def test_all_mapped_files_are_read_once(tmp_path: Path) -> None:
    assert read_ahead(_recording(tmp_path), 1 << 30, lambda: True) == 3_005_110


def test_no_more_is_read_than_there_is_room_for(tmp_path: Path) -> None:
    assert read_ahead(_recording(tmp_path), 2_000_000, lambda: True) == 2_000_000


def test_what_the_first_screen_shows_is_asked_for_and_no_error_ends_that(tmp_path: Path) -> None:
    film, gone = Film.open(record("processes: a\n", tmp_path / "one.scope")), Film.open(tmp_path / "one.scope")
    first_screen(film)
    shutil.rmtree(tmp_path / "one.scope")
    cast(film.query)  # of what is in memory
    with pytest.raises(ElixirScopeError):
        cast(gone.query)
    first_screen(gone)


def test_questions_keep_it_waiting(tmp_path: Path) -> None:
    showing = Showing(Film.open(record("processes: a\n", tmp_path / "one.scope")))
    assert not showing.rests(60)
    assert showing.rests(0)


def test_it_ends_when_told_and_without_any_files(tmp_path: Path) -> None:
    assert read_ahead(_recording(tmp_path), 1 << 30, lambda: False) == 0
    assert read_ahead(tmp_path / "packed.zip", 1 << 30, lambda: True) == 0


class _Ring:
    """Refers to itself: nothing but a collection ends it."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_is_collected_while_nobody_asks(tmp_path: Path) -> None:
    showing = Showing(Film.open(record("processes: a\n", tmp_path / "one.scope")))
    before, warming = gc.get_threshold(), Warming(showing)
    gc.disable()
    try:
        left = weakref.ref(_Ring())
        warming.start()
        until = time.monotonic() + 60
        while left() is not None and time.monotonic() < until:
            time.sleep(0.05)
        assert left() is None
        warming.stop()
    finally:
        gc.enable()
    assert gc.get_threshold() == before
