"""Every answer by index equals plain Python going through all rows, from memory and from mapped columns."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elixirscope.film import Film
from elixirscope.query import rows
from elixirscope.query.row import Lazy
from elixirscope.recording import sealer
from elixirscope.recording.pack import pack

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "shop.scope"
    _module("generate").generate(folder, 4_000, processes=30, state_bytes=200, seed=11)
    return folder


@pytest.fixture(params=["memory", "mapped"])
def film(request: pytest.FixtureRequest, shop: Path) -> Iterator[Film]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "mapped":
            patch.setattr(sealer, "LARGE", 0)
        yield Film.open(shop)


@pytest.mark.parametrize("apart", [rows._APART, -1], ids=["near", "far"])
def test_answers_equal_those_of_plain_python(film: Film, apart: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_APART", apart)
    same = _module("answers").check(film, seed=2)
    assert [question for question, equal in same.items() if not equal] == []


def test_places_in_a_sampled_column_are_those_of_a_search_of_all(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = film.query.column("calls", "start")
    values = np.concatenate([starts, starts + 1, [-5, 2**62, -(2**62)]]).astype(np.int64)
    assert len(starts) < 4 * rows._STEP  # so that nobody else samples it
    monkeypatch.setattr(rows, "_STEP", 8)
    assert (film.query.indexes.places("calls", "start", values) == np.searchsorted(starts, values)).all()


def test_columns_and_indexes_come_back_when_they_are_deleted(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer, "LARGE", 0)
    first = Film.open(shop)
    process = first.query.processes[3]["process"]
    window = first.query.window(process, 0, first.info.duration_ns)
    tables = {name: first.table(name).to_pylist() for name in ("events", "calls", "sites")}
    for name in ("columns", "index"):
        assert any((shop / name).iterdir())
        shutil.rmtree(shop / name)
    again = Film.open(shop)
    assert {name: again.table(name).to_pylist() for name in tables} == tables
    assert again.query.window(process, 0, again.info.duration_ns).equals(window)


def test_a_pack_holds_no_columns_and_answers_without(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "LARGE", 0)
    film = Film.open(shop)
    pack(shop, tmp_path / "shop.scopez")
    packed = Film.open(tmp_path / "shop.scopez")
    assert film.recording.cache_bytes > 0 == packed.recording.cache_bytes
    assert packed.info.coverage == film.info.coverage
    assert packed.query.window(3, 0, film.info.duration_ns) == film.query.window(3, 0, film.info.duration_ns)


def test_columns_of_another_recording_are_not_believed(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "LARGE", 0)
    Film.open(shop)
    other = tmp_path / "other.scope"
    _module("generate").generate(other, 1_000, processes=10, state_bytes=100, seed=12)
    shutil.copytree(shop / "columns", other / "columns")
    film = Film.open(other)
    assert film.table("events").num_rows == film.info.events != Film.open(shop).info.events


def _module(name: str) -> Any:
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    return importlib.import_module(name)


def test_a_row_reads_only_the_columns_that_are_asked_for(film: Film) -> None:
    indexes, table = film.query.indexes, film.table("calls")
    for number in (0, 7, table.num_rows - 1):
        row = indexes.row("calls", number)
        assert row["call"] == table.column("call")[number].as_py()
        assert isinstance(row, Lazy)
        assert row.read == {"call"}
        assert row == table.slice(number, 1).to_pylist()[0]
        assert row.read == set(table.column_names)
