"""Values decoded last give the same answers as values decoded first."""

from __future__ import annotations

import json
from typing import cast

import pytest

from elixirscope.query import late
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.dialect import quote_words
from elixirscope.recording.recording import Recording
from tests.query.test_coordinator import Watched

WAITING = [
    "select * from events order by at desc limit 3",
    "select event, value from events where kind = 'bind' order by event desc limit 2",
    "select * from bindings order by at, name limit 4",
    "select c.*, p.pid from calls c join processes p using (process) order by c.duration desc limit 2",
    "select args, result from calls limit 2",
]
AT_ONCE = [
    "select value from events where value like '%A1%' order by event limit 3",
    "select value as v, event from events order by v, event limit 3",
    "select upper(value) as shout from events order by event limit 3",
    "select event, value from events order by 2, 1 limit 3",
    "select event, value from events order by value, event limit 3",
    "select * from events order by all limit 3",
    "select distinct value from events order by 1 limit 3",
    "select e from events e order by event limit 1",
    "select value, count(*) from events group by value order by 2 desc, 1 limit 3",
    "select value, count(*) n from events group by all order by n desc, 1 limit 1",
    "select * from (select value from events) order by value limit 2",
    "with v as (select value, event from events) select * from v order by event limit 2",
    "select value from events union select value from states order by 1 limit 3",
    "select m.kind from messages m join events e using (value) order by m.message, e.event limit 2",
    "select * replace (length(value) as value) from events order by event limit 2",
    "select max(columns(*)) from events limit 1",
    "select value from events order by (select max(value) from states), event limit 2",
]


@pytest.mark.parametrize("sql", [*WAITING, *AT_ONCE])
def test_the_answer_is_the_same(query: QueryCoordinator, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = query.sql(sql).rows
    monkeypatch.setattr(late, "can_wait", lambda tree: False)
    assert answer == query.sql(sql).rows
    assert answer
    assert "\x01" not in repr(answer)


def test_which_queries_wait(query: QueryCoordinator) -> None:
    def waits(sql: str) -> bool:
        (row,) = query.rows("select json_serialize_sql(?) as tree", [quote_words(sql)])
        return late.can_wait(json.loads(row["tree"]))

    assert [sql for sql in WAITING if not waits(sql)] == []
    assert [sql for sql in AT_ONCE if waits(sql)] == []


@pytest.mark.parametrize("sql", WAITING)
def test_only_the_values_shown_are_decoded(query: QueryCoordinator, sql: str) -> None:
    recording = Watched(query.recording)
    rows = QueryCoordinator(cast(Recording, recording)).sql(sql).rows
    assert len(recording.asked) <= 3 * len(rows)


def test_sums_are_whole_numbers(query: QueryCoordinator) -> None:
    ((total,),) = query.sql("select sum(duration) from calls where duration is not null").rows
    assert total == 2_000 + 23_000 + 21_000 + 11_000 + 4_000
    assert type(total) is int
