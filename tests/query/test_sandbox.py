"""Typed SQL: what it may, what it may not, and how it is told."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.errors import QueryError
from elixirscope.query import engine
from elixirscope.query.cancellation import Cancellation
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.recording import Recording
from tests.dags.drawn import Drawn

READS = [
    "select count(*) from events",
    "with few as (select * from calls limit 2) select * from few",
    "from messages",
    "values (1, 2)",
    "describe events",
    "show tables",
    "summarize calls",
    "explain select * from states",
    "EXPLAIN ANALYZE select 1",
    "select unnest([1, 2]), * from range(2)",
    "select 1;",
    "-- a comment\nselect 1",
]

REFUSED = [
    "create table x as select 1",
    "create view events as select 1",
    "insert into events values (1)",
    "delete from events",
    "update events set at = 0",
    "drop view events",
    "copy events to '/tmp/stolen.csv'",
    "copy (select 1) to '/tmp/stolen.csv'",
    "export database '/tmp/stolen'",
    "attach '/tmp/stolen.db'",
    "install httpfs",
    "load httpfs",
    "set memory_limit = '100GB'",
    "reset memory_limit",
    "pragma database_list",
    "call pragma_version()",
    "checkpoint",
    "begin",
    "use raw",
    "explain copy events to '/tmp/stolen.csv'",
    "explain analyze copy events to '/tmp/stolen.csv'",
    "explain explain create table x as select 1",
    "select 1; drop view events",
    "select * from '/etc/passwd'",
    'select * from "/etc/passwd"',
    "select * from read_text('/etc/passwd')",
    "select * from read_csv_auto('/etc/passwd')",
    "select * from read_parquet('https://example.com/x.parquet')",
    "select (select content from read_text('/etc/passwd'))",
    "with a as (select * from read_blob('/etc/passwd')) select * from a",
    "select * from events where exists (select * from glob('/*'))",
    "select * from (select 1) union all select content from read_text('/etc/passwd')",
    "select * from arrow_scan(1, 2, 3)",
    "select * from duckdb_settings()",
    "select * from duckdb_secrets()",
    "select * from query('select 1')",
    "select getenv('HOME')",
    "describe select * from read_text('/etc/passwd')",
    "summarize '/etc/passwd'",
    "",
    ";",
    "-- nothing",
]


@pytest.mark.parametrize("sql", READS)
def test_reading_is_allowed(query: QueryCoordinator, sql: str) -> None:
    assert query.sql(sql).columns


@pytest.mark.parametrize("sql", REFUSED)
def test_everything_else_is_refused_and_nothing_is_left_behind(query: QueryCoordinator, sql: str) -> None:
    with pytest.raises(QueryError) as error:
        query.sql(sql)
    assert error.value.hint
    assert not Path("/tmp/stolen.csv").exists()
    assert query.sql("select count(*) from events").rows == [(query.event_count,)]


@settings(max_examples=200)
@given(st.text(max_size=60), st.sampled_from(["{}", "select {}", "select * from {}", "explain {}", "select 1 {}"]))
def test_any_text_gives_an_answer_or_a_query_error(sale: Drawn, text: str, around: str) -> None:
    with contextlib.suppress(QueryError):
        sale.query.sql(around.format(text), limit=5)


def test_a_parameter_that_is_no_number_is_refused(query: QueryCoordinator) -> None:
    with pytest.raises(QueryError, match="parameter"):
        query.sql("select ?²")


def test_python_variables_cannot_be_read(query: QueryCoordinator) -> None:
    secret = query.recording.table("events")
    with pytest.raises(QueryError, match="secret"):
        query.sql("select * from secret")
    assert secret.num_rows


def test_a_wrong_column_is_answered_with_near_ones(query: QueryCoordinator) -> None:
    with pytest.raises(QueryError) as error:
        query.sql("select modul from events")
    assert "modul" in error.value.message
    assert "^" in error.value.message
    assert "module" in error.value.hint


def test_a_column_of_other_views_is_answered_with_them(query: QueryCoordinator) -> None:
    with pytest.raises(QueryError) as error:
        query.sql("select event from messages")
    assert error.value.hint.startswith("event is a column of events, ")
    assert "did you mean" not in error.value.hint


def test_a_wrong_view_is_answered_with_all_views(query: QueryCoordinator) -> None:
    with pytest.raises(QueryError) as error:
        query.sql("select * from evnts")
    assert error.value.hint.startswith("did you mean events")
    assert "dag_edges" in error.value.hint


def test_a_syntax_error_points_at_its_place(query: QueryCoordinator) -> None:
    with pytest.raises(QueryError, match="LINE 1: select 1 form events"):
        query.sql("select 1 form events")


def test_a_long_query_is_stopped_and_the_next_one_works(sale: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TIME_LIMIT_S", 0.2)
    with pytest.raises(QueryError, match="too long"):
        sale.query.sql("select count(*) from range(1000000000) a, range(1000000000) b where a.range + b.range = 3")
    assert sale.query.sql("select 1").rows == [(1,)]


def test_memory_is_limited(sale: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MEMORY_LIMIT", "40MB")
    recording = sale.query.recording
    assert isinstance(recording, Recording)
    with pytest.raises(QueryError, match="memory"):
        QueryCoordinator(recording).sql("select list(range) from range(30000000)")


def test_a_limit_cuts_and_says_so(query: QueryCoordinator) -> None:
    cut, whole = query.sql("select event from events order by event", limit=3), query.sql("select 1", limit=3)
    assert (cut.rows, cut.truncated) == ([(0,), (1,), (2,)], True)
    assert (whole.rows, whole.truncated) == ([(1,)], False)


def test_answers_come_in_pages_that_fit_together(sale: Drawn) -> None:
    every = sale.query.sql("select event from events order by event")
    assert every.next_offset is None
    pages, offset = list[tuple[Any, ...]](), 0
    while True:
        page = sale.query.sql("select event from events order by event", limit=3, offset=offset)
        pages += page.rows
        if page.next_offset is None:
            break
        offset = page.next_offset
    assert pages == every.rows
    assert sale.query.sql("select event from events order by event", offset=2).rows == every.rows[2:]


def test_a_query_can_be_cancelled_from_another_thread(sale: Drawn) -> None:
    stop = Cancellation()
    endless = "select count(*) from range(1000000000) a, range(1000000000) b where a.range + b.range = 3"

    def cancel() -> None:
        while not done.wait(0.02):  # what is not running yet is not interrupted: until it has stopped
            stop.cancel()

    done = threading.Event()
    other = threading.Thread(target=cancel)
    other.start()
    try:
        with pytest.raises(QueryError, match="cancelled"), stop.asking():
            sale.query.sql(endless)
    finally:
        done.set()
        other.join()
    with pytest.raises(QueryError, match="cancelled"), stop.asking():
        sale.query.sql("select 1")
    assert sale.query.sql("select 1").rows == [(1,)]
