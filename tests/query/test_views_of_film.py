"""What the faces show: timeline, pages, steps, search, source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.errors import UsageError
from elixirscope.film import Film
from elixirscope.query import timeline as timeline_module
from elixirscope.query.pages import calls_page, messages_page
from elixirscope.query.searching import search
from elixirscope.query.sources import executed, hits_within
from elixirscope.query.stepping import STOPS, step
from elixirscope.query.timeline import timeline
from elixirscope.recording.format import Kind
from tests.dags.drawn import Drawn, open_picture


def test_a_close_window_shows_spans_and_arrows(sale: Drawn) -> None:
    film = timeline(sale.query, 14_000, 20_000)
    seats = next(lane for lane in film.lanes if lane.process == sale.process("seats"))
    assert film.detail == "spans"
    assert seats.spans is not None
    assert [(span.label, span.depth) for span in seats.spans] == [("Seats.handle_call/3", 0), ("Ledger.enter/2", 1)]
    assert [(arrow.sender, arrow.to) for arrow in film.messages] == []
    arrows = timeline(sale.query, 12_000, 20_000).messages
    assert [(arrow.sender, arrow.to) for arrow in arrows] == [(sale.process("client"), sale.process("seats"))]


def test_a_crowded_window_shows_density_and_loses_no_event(sale: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "SPANS_MOST", 2)
    end = sale.query.at("end") + 1
    film = timeline(sale.query, 0, end, width=30)
    assert (film.detail, film.truncated.spans) == ("density", True)
    densities = [lane.density for lane in film.lanes if lane.density is not None]
    assert len(densities) == len(film.lanes)
    assert sum(sum(density.calls) for density in densities) == 5
    assert sum(sum(density.messages) for density in densities) == 4
    assert {len(density.calls) for density in densities} == {0, 10}  # of what never happened there is no count


def test_density_shows_who_crashed_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "SPANS_MOST", -1)
    film = open_picture(
        """
        processes: top, worker
          0 top mark 0
         25 top spawns worker
         65 worker exits :boom
        100 top mark 1
        """,
        tmp_path / "lives.scope",
    )
    lanes = {lane.process: lane.density for lane in timeline(film.query, 0, 99_999, width=30).lanes}
    worker = lanes[film.process("worker")]
    assert worker is not None
    assert worker.errors == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


def test_too_many_arrows_are_said_not_cut(sale: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "MESSAGES_MOST", 1)
    film = timeline(sale.query, 0, 33_001)
    assert (film.messages, film.truncated.messages) == ([], True)


def test_marks_stand_out(sale: Drawn) -> None:
    seats = next(lane for lane in timeline(sale.query, 0, 33_001).lanes if lane.process == sale.process("seats"))
    assert [(mark.kind, mark.at) for mark in seats.marks] == [("register", 1_000), ("state", 3_000), ("state", 25_000)]


def test_marks_that_are_too_close_are_counted(sale: Drawn) -> None:
    def of(width: int) -> tuple[list[tuple[str, int, int]], bool]:
        film = timeline(sale.query, 0, 33_001, width)
        lane = next(lane for lane in film.lanes if lane.process == sale.process("seats"))
        return [(mark.kind, mark.at, mark.count) for mark in lane.marks], film.truncated.marks

    assert of(3) == ([("register", 1_000, 1), ("state", 3_000, 2)], True)
    marks, _ = of(3_000)
    assert marks == [("register", 1_000, 1), ("state", 3_000, 1), ("state", 25_000, 1)]


def test_an_empty_window_is_refused(sale: Drawn) -> None:
    with pytest.raises(UsageError):
        timeline(sale.query, 5, 5)


def test_steps(sale: Drawn) -> None:
    send = sale.event("client", Kind.SEND)

    def to(**how: str) -> int | None:
        moment = step(sale.query, send, **how)
        return moment.event if moment else None

    assert to() == sale.event("client", Kind.RECEIVE)
    assert to(scope="any") == sale.event("rival", Kind.CALL)
    assert to(kind="state") is None
    assert to(kind="state", scope="any") == sale.event("seats", Kind.STATE, 2)
    assert to(kind="call", direction="previous") == sale.event("client", Kind.CALL)
    with pytest.raises(UsageError, match="sideways"):
        to(direction="sideways")


@settings(max_examples=40)
@given(st.sampled_from(sorted(STOPS)), st.sampled_from(["process", "any"]), st.integers(0, 23))
def test_a_step_forth_and_back_is_where_it_was(sale: Drawn, kind: str, scope: str, start: int) -> None:
    there = step(sale.query, start, "next", scope, kind)
    if there is not None and there.event is not None:
        assert there.event > start
        further = step(sale.query, there.event, "next", scope, kind)
        if further is not None and further.event is not None:
            back = step(sale.query, further.event, "previous", scope, kind)
            assert back == there


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(STOPS)),
    st.sampled_from(["process", "any"]),
    st.sampled_from(["next", "previous"]),
    st.data(),
)
def test_steps_are_those_of_a_walk_over_all_events(
    sale: Drawn, kind: str, scope: str, direction: str, data: st.DataObject
) -> None:
    rows = sale.query.recording.table("events").to_pylist()
    start = data.draw(st.integers(0, len(rows) - 1))
    versions = set(sale.query.column("states", "state").tolist())
    crashed = {row["exit_event"] for row in sale.query.processes if row["exit_kind"] == "crash"}
    kinds = {"call": {Kind.CALL}, "message": {Kind.SEND, Kind.RECEIVE}, "exception": {Kind.RAISE, Kind.CAUGHT}}

    def stops(row: dict[str, Any]) -> bool:
        event = row["event"]
        if scope == "process" and row["process"] != rows[start]["process"]:
            return False
        if kind == "any":
            return row["kind"] not in (Kind.SCHEDULED_IN, Kind.SCHEDULED_OUT)
        if kind == "state":
            return event in versions
        return row["kind"] in kinds[kind] or (kind == "exception" and event in crashed)

    walked = rows[start + 1 :] if direction == "next" else rows[:start][::-1]
    expected = next((row["event"] for row in walked if stops(row)), None)
    found = step(sale.query, start, direction, scope, kind)
    assert (found.event if found else None) == expected


def test_pages_of_messages(sale: Drawn) -> None:
    assert [m.kind for m in messages_page(sale.query).messages] == ["call", "reply"]
    assert messages_page(sale.query, limit=1, offset=1).total == 2
    assert messages_page(sale.query, processes=[sale.process("rival")]).total == 0
    found = messages_page(sale.query, search="RESERVE").messages
    assert [(m.sender, m.to, m.tag) for m in found] == [(sale.process("client"), 1, "{:reserve, _, _}")]
    assert messages_page(sale.query, start=12_000).total == 1


def test_pages_of_calls(sale: Drawn) -> None:
    seats, handle = sale.process("seats"), sale.event("seats", Kind.CALL, 1)
    outer = calls_page(sale.query, process=seats)
    assert [(c.function, c.children) for c in outer.calls] == [("init", 0), ("handle_call", 1)]
    assert [c.function for c in calls_page(sale.query, call=handle).calls] == ["enter"]
    assert calls_page(sale.query, process=seats, end=9_000).total == 1


def test_search_finds_everything_with_a_name(sale: Drawn) -> None:
    found = {(hit.kind, hit.label.split(" ")[0]) for hit in search(sale.query, "seats")}
    assert ("process", "Seats") in found
    assert ("function", "TicketOffice.Seats.handle_call/3") in found
    assert [hit.kind for hit in search(sale.query, ":RESERVE")] == ["message"]
    assert search(sale.query, "  ") == []
    assert search(sale.query, "%' or 1=1 --") == []


def test_executed_lines(sale: Drawn) -> None:
    assert [(hits.line, hits.hits) for hits in executed(sale.query, "lib/client.ex")] == [
        (10, 1), (11, 1), (12, 1), (13, 1), (30, 1), (31, 1),
    ]  # fmt: skip


def test_executed_lines_of_a_stretch_of_time(sale: Drawn, example_recording: Path) -> None:
    inside = hits_within(sale.query, "lib/client.ex", (0, 20_000))
    assert [hits.line for hits in inside] == [10, 11, 30]
    film = Film.open(example_recording)
    for file in film.query.line_hits:
        assert hits_within(film.query, file, (0, film.info.duration_ns)) == executed(film.query, file)


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    film = open_picture(
        """
        processes: p
          1 p registers :"<script>'; drop view events; --"
          2 p mark "\\" or 1=1"
        """,
        tmp_path / "hostile.scope",
    )
    assert search(film.query, "<script>")[0].kind == "process"
    assert film.query.sql("select count(*) from events").rows == [(2,)]
