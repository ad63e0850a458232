"""The coordinator: views in words, rows by index, names and times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.errors import NotFoundError, UsageError
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.resolve import find_process, parse_time
from elixirscope.query.views import VIEWS
from elixirscope.recording.format import Kind
from elixirscope.recording.recording import Recording
from elixirscope.recording.schema import TABLES
from tests.dags.drawn import Drawn


def test_views_speak_in_words(query: QueryCoordinator) -> None:
    row = query.sql("select kind, label, module, function, arity, line, value from events where event = 13").rows[0]
    assert row == ("bind", "Seats", "TicketOffice.Seats", "handle_call", 3, 21, '{:ann, "A1"}')
    bound = query.sql("select name, value from bindings where event = 13 order by name").rows
    assert bound == [("seat", '"A1"'), ("who", ":ann")]
    told = query.sql("select from_label, to_label, tag from messages where kind = 'call'").rows
    assert told == [("Client.buy/2", "Seats", "{:reserve, _, _}")]


def test_every_table_has_a_view_and_every_kind_a_word(query: QueryCoordinator) -> None:
    assert set(TABLES) == set(VIEWS)
    assert query.sql("select count(*) from events where kind is null").rows == [(0,)]
    for view in VIEWS:
        assert query.sql(f"select * from {view}").columns == query.view_columns[view]


def test_our_own_sql_reads_the_tables_themselves(query: QueryCoordinator) -> None:
    row = query.rows("select kind, value from events where event = ?", [13])[0]
    assert row["kind"] == Kind.BIND
    assert query.values.term(row["value"]) == ("ann", b"A1")
    assert query.rows("select kind from main.events where event = 13") == [{"kind": "bind"}]


def test_dag_views_hold_all_seven(query: QueryCoordinator) -> None:
    expected = [("causality",), ("code",), ("dataflow",), ("interaction",), ("performance",), ("state",), ("temporal",)]
    assert query.sql("select distinct dag from dag_nodes order by dag").rows == expected
    assert query.sql("select distinct dag from dag_edges order by dag").rows == expected


class Watched:
    """A recording that notes which values are asked for."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.asked: list[int | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recording, name)

    def text(self, value: int | None, limit: int = 200) -> str | None:
        self.asked.append(value)
        return self._recording.text(value, limit)

    def term(self, value: int) -> Any:
        self.asked.append(value)
        return self._recording.term(value)


def test_values_are_decoded_for_selected_rows_only(sale: Drawn) -> None:
    watched = Watched(sale.query.recording)
    query = QueryCoordinator(cast(Recording, watched))
    query.sql("select event, at from events where kind = 'state'")
    assert watched.asked == []
    query.sql("select value from events where event = 13")
    assert watched.asked == [10]


def test_rows_by_index_are_those_of_sql(query: QueryCoordinator) -> None:
    for table, column in (("calls", "process"), ("messages", "reply"), ("bindings", "call")):
        for key in np.unique(query.column(table, column)).tolist():
            if key >= 0:
                wanted = query.rows(f'select * from {table} where "{column}" = ?', [key])
                found = query.find_all(table, column, key)
                assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    assert query.find("calls", "call", None) is None
    assert query.find("calls", "call", 10**9) is None


@pytest.mark.parametrize(
    "text",
    ["Seats", "seats", "TicketOffice.Seats", "Elixir.TicketOffice.Seats", "#PID<0.101.0>", "<0.101.0>", " 1 ", 1],
)
def test_a_process_by_any_of_its_names(query: QueryCoordinator, text: str | int) -> None:
    assert query.process(text) == 1


def test_an_unknown_process_is_answered_with_near_ones(query: QueryCoordinator) -> None:
    with pytest.raises(NotFoundError, match="no process 'Saets'") as error:
        query.process("Saets")
    assert "Seats" in error.value.hint
    with pytest.raises(NotFoundError) as error:
        query.process("zzzzzz")
    assert "Client.look/0" in error.value.hint


def test_of_incarnations_the_last_and_of_namesakes_none() -> None:
    def row(process: int, predecessor: int | None = None) -> dict[str, object]:
        names = {"pid": f"#PID<0.{process}.0>", "name": "Seats", "label": None, "module": None}
        return {"process": process, "predecessor": predecessor, **names}

    assert find_process("Seats", [row(1), row(2, 1)]) == 2
    with pytest.raises(UsageError, match="names 2 processes"):
        find_process("Seats", [row(1), row(2)])


@given(st.integers(0, 10**14))
def test_times_in_any_unit_are_exact(ns: int) -> None:
    for unit, scale in (("ns", 1), ("µs", 10**3), ("us", 10**3), ("ms", 10**6), ("s", 10**9)):
        digits = len(str(scale)) - 1
        text = f"{ns // scale}.{ns % scale:0{digits}d}{unit}" if digits else f"{ns}{unit}"
        assert parse_time(text) == ns


@pytest.mark.parametrize(("text", "at"), [("12.5µs", 12_500), ("e8", 11_000), ("start", 0), ("end", 33_000), (7, 7)])
def test_moments_in_time(query: QueryCoordinator, text: str | int, at: int) -> None:
    assert query.at(text) == at


@pytest.mark.parametrize("text", ["soon", "-1ms", "1.2.3s", "", "1h", "e", "e-1"])
def test_what_is_no_time(query: QueryCoordinator, text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        query.at(text)


def test_times_beyond_the_film(query: QueryCoordinator) -> None:
    with pytest.raises(NotFoundError, match="after the recording's end"):
        query.at("10s")
    with pytest.raises(NotFoundError, match="no event e999"):
        query.at("e999")


def test_the_event_at_a_time(sale: Drawn) -> None:
    query, client = sale.query, sale.process("client")
    assert [query.event_at(at) for at in (0, 11_999, 12_000, 10**9)] == [0, 8, 9, 23]
    assert [query.event_at(at, client) for at in (8_999, 9_000, 28_999)] == [None, 6, 8]


def test_questions_from_many_threads_at_once(sale: Drawn) -> None:
    query = QueryCoordinator(sale.query.recording)

    def ask(number: int) -> tuple[object, ...]:
        event = number % query.event_count
        shown = query.sql(f"select value from events where event = {event}").rows[0][0]
        row = query.find("events", "event", event)
        assert row is not None
        return shown, query.values.text(row["value"]), query.rows("select count(*) as n from calls")[0]["n"]

    with ThreadPoolExecutor(8) as pool:
        for shown, text, calls in pool.map(ask, range(200)):
            assert (shown, calls) == (text, 5)


def test_events_say_whose_and_where_they_are_without_joins(sale: Drawn) -> None:
    """As joins say it: labels, and the place of the code or else of the frame around it."""
    joined = sale.query.rows(
        """select e.event, p.label, q.label as peer_label, coalesce(s.module, c.module) as module,
        coalesce(s.function, c.function) as function, coalesce(s.arity, c.arity) as arity, s.file, s.line
        from raw.events e left join raw.processes p on p.process = e.process
        left join raw.processes q on q.process = e.peer
        left join raw.sites s on s.site = e.site left join raw.calls c on c.call = e.call order by e.event"""
    )
    names = ", ".join(joined[0])
    assert sale.query.sql(f"select {names} from events order by event").arrow.to_pylist() == joined
    assert {row["module"] for row in joined} > {None}
