"""Tables in memory that grow and change, beside a list of rows that does."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.recording import memory
from elixirscope.recording.memory import MemoryTables, Piece
from elixirscope.recording.schema import TABLES
from elixirscope.recording.warm import Warm

SCHEMA = TABLES["links"]
VALUES = {
    pa.int64(): st.none() | st.integers(-(2**63), 2**63 - 1),
    pa.int32(): st.none() | st.integers(-(2**31), 2**31 - 1),
    pa.bool_(): st.none() | st.booleans(),
    pa.dictionary(pa.int32(), pa.string()): st.none() | st.sampled_from(["", "a", "ü", "lost"]),
    pa.dictionary(pa.int8(), pa.string()): st.sampled_from(["link", "monitor"]),
}
rows = st.lists(st.fixed_dictionaries({field.name: VALUES[field.type] for field in SCHEMA}), max_size=12)
numbers = st.lists(st.integers(0, 10_000), min_size=1, max_size=6)
steps = st.lists(st.tuples(rows, numbers, rows, st.booleans()), max_size=12)


def column(name: str, values: list[Any]) -> pa.Array:
    kind = SCHEMA.field(name).type
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def table(added: list[dict[str, Any]]) -> pa.Table:
    return pa.table([column(name, [row[name] for row in added]) for name in SCHEMA.names], schema=SCHEMA)


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(memory, "CHUNK", 8)
        patched.setattr(memory, "RESTED", 4)
        patched.setattr(memory, "ENOUGH", 100)
        patched.setattr(memory, "MANY", 10)
        yield


class FullLater(Warm):
    """On a disk that is full after some files, or some room for numbers."""

    asked = 0

    def room(self, size: int) -> bool:
        self.asked += 1
        return self.asked < 5 and super().room(size)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warm")


@pytest.mark.parametrize("sort", [None, Warm, FullLater])
@settings(max_examples=100)
@given(steps=steps, random=st.randoms())
def test_what_grows_and_changes_is_as_a_list_of_rows_would_be(
    steps: list[tuple[list[dict[str, Any]], list[int], list[dict[str, Any]], bool]],
    random: Random,
    sort: type[Warm] | None,
    disk: Path,
) -> None:
    tables, plain = MemoryTables(sort(disk) if sort else None), list[dict[str, Any]]()
    shown = list[tuple[pa.Table, dict[tuple[str, str], Piece], list[dict[str, Any]]]]()
    for added, places, contents, look in steps:
        tables.append("links", table(added))
        plain += [dict(row) for row in added]
        patched = [(place % len(plain), row) for place, row in zip(places, contents, strict=False)] if plain else []
        if patched:
            names = ["until", "reason", "certain", "kind"]
            given = {name: column(name, [row[name] for _, row in patched]) for name in names}
            tables.patch("links", np.array([place for place, _ in patched]), given)
            for place, row in patched:
                plain[place] |= {name: row[name] for name in names}
        if look:
            shown.append((tables.all()["links"], tables.pieces(), [dict(row) for row in plain]))
    shown.append((tables.all()["links"], tables.pieces(), plain))
    # After all of it: what was shown stays as it was. The editions' numbers are asked for in any order.
    for seen, pieces, expected in random.sample(shown, len(shown)):
        assert seen.schema.equals(SCHEMA)
        for name in ("event", "until"):
            numbers = pieces["links", name].upto(seen.column(name))
            assert numbers.tolist() == [-1 if row[name] is None else row[name] for row in expected]
        assert seen.to_pylist() == expected
        assert all(seen.column(name).unify_dictionaries().combine_chunks() is not None for name in ("kind", "reason"))


def test_a_change_copies_only_the_chunks_it_touches() -> None:
    row = {"event": 1, "at": 1, "until": None, "kind": "link", "process": 1, "peer": 2, "certain": True, "reason": None}
    tables = MemoryTables()
    for number in range(100):
        tables.append("links", table([row | {"event": number}]))
        tables.all()
    before = tables.all()["links"]
    tables.patch("links", np.array([50]), {"until": pa.array([7])})
    tables.append("links", table([row]))
    after = tables.all()["links"]
    assert after.column("until").to_pylist() == [*[None] * 50, 7, *[None] * 50]

    def copied(name: str) -> int:
        held = {chunk.buffers()[1].address for chunk in before.column(name).chunks}
        return sum(chunk.buffers()[1].address not in held for chunk in after.column(name).chunks)

    assert before.column("event").num_chunks == 13
    assert (copied("event"), copied("until")) == (1, 2)


class Noting(Warm):
    """Notes what it takes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.taken = list[pa.Array]()

    def put(self, arrays: list[pa.Array]) -> list[pa.Array] | None:
        self.taken += arrays
        return super().put(arrays)


def test_what_is_older_and_rests_is_on_the_disk(disk: Path) -> None:
    row = {"event": 1, "at": 1, "until": None, "kind": "link", "process": 1, "peer": 2, "certain": True, "reason": None}
    noting = Noting(disk)
    tables = MemoryTables(noting)
    for number in range(100):
        tables.append("links", table([row | {"event": number, "at": 1000 + number}]))
        tables.patch("links", np.array([min(number, 3)]), {"until": pa.array([2000 + number])})
        shown = tables.all()["links"]
    assert shown.column("event").to_pylist() == list(range(100))
    assert shown.column("until").slice(0, 5).to_pylist() == [2000, 2001, 2002, 2099, None]
    taken = [number for array in noting.taken for number in array.to_pylist()]
    assert set(range(80)) < set(taken)
    assert not set(taken) & set(range(2000, 2100)), "what changes with each look stays in memory"
    assert not list(disk.iterdir()), "its files have no name"


def test_where_the_disk_takes_nothing_all_stays_in_memory(tmp_path: Path) -> None:
    refusing = Warm(tmp_path / "nowhere")
    assert refusing.put([pa.array([1])]) is None
    assert refusing.refused
    assert refusing.file() is None


def test_a_table_without_news_is_not_made_again() -> None:
    tables = MemoryTables()
    assert tables.all()["links"] is tables.all()["links"]


def test_a_column_that_only_grew_is_one_piece_for_all_editions() -> None:
    row = {"event": 1, "at": 1, "until": None, "kind": "link", "process": 1, "peer": 2, "certain": True, "reason": None}
    tables = MemoryTables()

    def edition(name: str) -> tuple[Piece, Any]:
        tables.append("links", table([row]))
        shown = tables.all()["links"]
        piece = tables.pieces()["links", name]
        return piece, piece.upto(shown.column(name))

    edition("event")
    edition("event")  # with room for more
    (piece, earlier), (same, later) = edition("event"), edition("event")
    assert piece is same
    assert np.shares_memory(earlier, later)
    assert not later.flags.writeable
    before, _ = edition("until")
    tables.patch("links", np.array([0]), {"until": pa.array([7])})
    after, numbers = edition("until")
    assert before is not after
    assert numbers.tolist() == [7, *[-1] * 5]
