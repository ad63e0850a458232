"""Parquet files of large recordings, as others read them: Arrow and DuckDB."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elixirscope.kernels import Way, run
from elixirscope.recording.rowgroups import RowGroups


def columns(random_: random.Random, count: int) -> dict[str, pa.Array]:
    """Of each sort that a table can have."""

    def numbers(kind: pa.DataType, least: int, most: int, nulls: float = 0.0) -> pa.Array:
        found = [None if random_.random() < nulls else random_.randint(least, most) for _ in range(count)]
        return pa.array(found, kind)

    words = pa.array(["a", "bé", "", *map(str, range(300))])
    times = pa.array(sorted(random_.randint(0, 10**12) for _ in range(count)), pa.int64())
    return {
        "times": times,
        "numbers": numbers(pa.int64(), -(2**60), 2**60, 0.3),
        "any": numbers(pa.int64(), -(2**63), 2**63 - 1),
        "few": numbers(pa.int32(), 0, 1000, 0.8),
        "small": numbers(pa.int32(), -(2**31), 2**31 - 1),
        "kind": numbers(pa.int8(), 1, 22),
        "flags": numbers(pa.int16(), -3000, 22000, 0.1),
        "same": pa.array([7] * count, pa.int8()),
        "truth": pa.array([random_.random() < 0.5 for _ in range(count)], pa.bool_()),
        "maybe": pa.array([random_.choice([True, False, None]) for _ in range(count)], pa.bool_()),
        "text": pa.DictionaryArray.from_arrays(numbers(pa.int32(), 0, len(words) - 1, 0.2), words),
        "word": pa.DictionaryArray.from_arrays(numbers(pa.int8(), 0, 0), pa.array(["x"])),
        "none": pa.nulls(count, pa.int64()),
        "no text": pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), words),
    }


@pytest.mark.parametrize("count", [0, 1, 2, 31, 33, 128, 129, 130, 1000])
@pytest.mark.parametrize("way", ["compiled", "interpreted"])
def test_others_read_what_was_written(tmp_path: Path, way: Way, count: int) -> None:
    made = columns(random.Random(count), count)
    parts = [list(made.values()), [column.slice(count // 3) for column in made.values()]]
    fields = [pa.field(name, column.type, nullable=bool(column.null_count)) for name, column in made.items()]
    schema = pa.schema(fields, {b"about": b"it"})
    with run(way), (tmp_path / "some.parquet").open("wb") as file:
        groups = RowGroups(file, schema)
        for part in parts:
            groups.append(part)
        groups.finish()

    wanted = pa.concat_tables(pa.Table.from_arrays(part, schema=schema) for part in parts)
    read = pq.read_table(tmp_path / "some.parquet")
    assert read.schema.equals(schema, check_metadata=True)
    assert read.to_pylist() == wanted.to_pylist()
    rows = duckdb.read_parquet(str(tmp_path / "some.parquet")).fetchall()
    assert rows == [tuple(row.values()) for row in wanted.to_pylist()]


def test_both_ways_write_the_same(tmp_path: Path) -> None:
    made, written = columns(random.Random(7), 3000), list[bytes]()
    schema = pa.schema([pa.field(name, column.type) for name, column in made.items()])
    for way in ("compiled", "interpreted"):
        with run(way), (tmp_path / way).open("wb") as file:
            groups = RowGroups(file, schema)
            groups.append(list(made.values()))
            groups.finish()
        written.append((tmp_path / way).read_bytes())
    assert written[0] == written[1]
