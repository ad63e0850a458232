"""Mapped columns: any appends, patches and commits show what an Arrow table in memory would."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.errors import EnvironmentProblem, NotFoundError
from elixirscope.recording.columns import ColumnStore
from elixirscope.recording.schema import TABLES
from elixirscope.recording.view import view

WORDS = ["Seats", "put/2", "", "naïve", "🎬", "info"]


def cell(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_boolean(kind):
        return st.none() | st.booleans()
    if pa.types.is_list(kind):
        return st.none() | st.lists(st.sampled_from(WORDS), max_size=2)
    if pa.types.is_integer(kind):
        bits = kind.bit_width - 1
        return st.none() | st.integers(-(2**bits), 2**bits - 1)
    return st.none() | st.sampled_from(WORDS)


def rows(name: str, most: int = 20) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries({field.name: cell(field.type) for field in TABLES[name]}), max_size=most)


@settings(max_examples=50)
@given(data=st.data())
def test_columns_hold_what_a_table_in_memory_would(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["links", "sites", "states", "events"]))
    schema, folder = TABLES[name], tmp_path_factory.mktemp("store")
    store = ColumnStore.create(folder)
    committed: list[dict[str, Any]] = []
    now: list[dict[str, Any]] = []
    for step in data.draw(st.lists(st.sampled_from(["append", "patch", "commit", "reopen"]), max_size=12)):
        if step == "append":
            fresh = data.draw(rows(name))
            store.append(name, pa.Table.from_pylist(fresh, schema=schema))
            now = now + fresh
        elif step == "patch" and now:
            places = data.draw(st.lists(st.integers(0, len(now) - 1), max_size=6))
            field = data.draw(st.sampled_from(list(schema)))
            values = data.draw(st.lists(cell(field.type), min_size=len(places), max_size=len(places)))
            store.patch(name, np.array(places, np.int64), {field.name: pa.array(values, field.type)})
            now = [dict(row) for row in now]
            for place, value in zip(places, values, strict=True):
                now[place][field.name] = value
        elif step == "commit":
            store.commit({"rows": len(now)})
            committed = now
        elif step == "reopen":  # as after a crash: what was not committed is gone
            store.close()
            store, now = ColumnStore.open(folder), committed
        reader = ColumnStore.open(folder)
        assert reader.table(name).to_pylist() == committed
        assert reader.table(name).schema == schema
        reader.table(name).validate(full=True)
        for field in schema:
            if pa.types.is_integer(field.type):
                plain = [-1 if row[field.name] is None else row[field.name] for row in committed]
                assert reader.numbers(name, field.name).tolist() == plain
    store.close()


def test_a_commit_that_was_not_finished_is_finished_by_whoever_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ColumnStore.create(tmp_path)
    store.append("links", links(["link", "monitor", "link"]))
    store.commit()
    store.patch("links", np.array([0, 2]), {"until": pa.array([70, None]), "kind": pa.array(["monitor", None])})
    monkeypatch.setattr(ColumnStore, "_apply", killed)
    with pytest.raises(KeyboardInterrupt):
        store.commit()
    monkeypatch.undo()
    expected = [("monitor", 70), ("monitor", 5), (None, None)]
    assert seen(ColumnStore.open(tmp_path)) == expected
    writer = ColumnStore.open(tmp_path)
    writer.append("links", links(["link"]))
    writer.commit()
    assert seen(ColumnStore.open(tmp_path)) == [*expected, ("link", 5)]


def test_a_reader_sees_more_when_it_looks_again(tmp_path: Path) -> None:
    store = ColumnStore.create(tmp_path)
    reader = ColumnStore.open(tmp_path)
    assert not reader.refresh()
    store.append("links", links(["link"]))
    assert not reader.refresh()
    store.commit()
    before = reader.table("links")
    assert reader.refresh()
    assert (before.num_rows, reader.table("links").num_rows) == (0, 1)


def test_a_full_disk_is_a_problem_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ColumnStore.create(tmp_path)
    store.append("links", links(["link"]))
    store.commit()
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        store.append("links", links(["monitor"]))
    monkeypatch.undo()
    store.close()
    assert seen(ColumnStore.open(tmp_path)) == [("link", 5)]


def test_many_columns_hold_no_files_open_and_stay_when_they_are_gone(tmp_path: Path) -> None:
    (tmp_path / "numbers").write_bytes(np.arange(5_000).tobytes())
    fds = Path("/proc/self/fd")
    before = len(list(fds.iterdir())) if fds.exists() else 0
    views = [view(tmp_path / "numbers", 40_000, scattered=number % 2 == 0) for number in range(50)]
    assert not fds.exists() or len(list(fds.iterdir())) <= before
    (tmp_path / "numbers").unlink()
    for each in views:
        assert np.frombuffer(each, np.int64)[::999].tolist() == list(range(0, 5_000, 999))
    kept = np.frombuffer(views[0], np.int64)
    del views, each
    assert int(kept.sum()) == sum(range(5_000))


def test_a_file_that_is_too_short_or_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "numbers").write_bytes(b"12345678")
    with pytest.raises(OSError, match="8 bytes, 9 were committed"):
        view(tmp_path / "numbers", 9)
    with pytest.raises(FileNotFoundError):
        view(tmp_path / "none", 1)


def test_no_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there are no columns"):
        ColumnStore.open(tmp_path)


def links(kinds: list[str]) -> pa.Table:
    row = {"event": 1, "at": 2, "until": 5, "process": 3, "peer": 4, "certain": True}
    return pa.Table.from_pylist([{**row, "kind": kind} for kind in kinds], schema=TABLES["links"])


def seen(store: ColumnStore) -> list[tuple[str | None, int | None]]:
    return [(row["kind"], row["until"]) for row in store.table("links").to_pylist()]


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")
