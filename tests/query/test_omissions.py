"""What was left out in a stretch of time: as SQL would tell it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.omissions import omissions
from elixirscope.recording import sealer
from elixirscope.recording.recording import Recording
from elixirscope.recording.schema import TABLES
from tests.recording.samples import make_shop

ORACLE = """
select o.*, p.label from (
  select * from raw.omissions where (until is null or until >= $1) and (at is null or at <= $2)
  order by coalesce(until, $2) - coalesce(at, 0) desc, at nulls first limit $3
) o left join raw.processes p using (process) order by o.at nulls first
"""


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> QueryCoordinator:
    """Of a recording with made-up omissions, no two as long as each other."""
    shop = make_shop(tmp_path_factory.mktemp("omissions") / "shop.scope", 500, processes=6, state_bytes=10)
    built = sealer.build(shop, correlate=EventCorrelator)
    random, count = np.random.default_rng(1), 60
    at = random.permutation(1000)[:count]
    columns = {name: pa.nulls(count, kind) for name, kind in zip(*schema(), strict=True)}
    columns["at"] = pa.array(at, mask=random.random(count) < 0.1)
    columns["until"] = pa.array(at + random.permutation(500)[:count], mask=random.random(count) < 0.1)
    columns["process"] = pa.array(random.integers(0, 6, count).astype(np.int32), mask=random.random(count) < 0.5)
    columns["subject"] = pa.array([f"what {number}" for number in range(count)]).dictionary_encode()
    built.tables["omissions"] = pa.table(columns).cast(TABLES["omissions"])
    return QueryCoordinator(Recording(shop, None, built.seal, built))


def schema() -> tuple[list[str], list[pa.DataType]]:
    names, kinds = TABLES["omissions"].names, TABLES["omissions"].types
    return names, [pa.string() if pa.types.is_dictionary(kind) else kind for kind in kinds]


@pytest.mark.parametrize("window", [(0, 2000), (300, 420), (999, 999), (1500, 1600)])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_longest_of_a_window_in_order_of_time(query: QueryCoordinator, window: tuple[int, int], limit: int) -> None:
    found, total = omissions(query, *window, limit)
    expected = query.rows(ORACLE, [*window, 100])
    every, _ = omissions(query, *window, 100)

    def named(rows: list[dict[str, object]]) -> set[tuple[object, ...]]:
        return {(row["subject"], row["at"], row["until"], row["process"], row["label"]) for row in rows}

    assert named(every) == named(expected)
    assert total == len(expected)
    assert [row["at"] for row in every] == [row["at"] for row in expected]
    lengths = sorted((length(row, window[1]) for row in every), reverse=True)
    assert sorted((length(row, window[1]) for row in found), reverse=True) == lengths[:limit]
    assert [row for row in every if row in found] == found


def length(row: dict[str, int | None], end: int) -> int:
    until = row["until"]
    return (end if until is None else until) - (row["at"] or 0)
