"""Windows, density and profile by index, against plain ways through all rows."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.density import SORTS, densities, edges
from elixirscope.query.pages import messages_page
from elixirscope.query.profile import top_functions
from elixirscope.recording.format import Kind
from tests.dags.drawn import Drawn

TIMES = st.integers(0, 40_000)
PROCESSES = st.integers(0, 4)  # one more than there are


@given(start=TIMES, length=TIMES, process=PROCESSES)
def test_a_window_of_a_process(query: QueryCoordinator, start: int, length: int, process: int) -> None:
    rows = query.recording.table("events").to_pylist()
    end = start + length
    expected = [row for row in rows if row["process"] == process and start <= row["at"] < end]
    assert query.window(process, start, end).to_pylist() == expected


@given(start=TIMES, length=TIMES, sender=PROCESSES, receiver=PROCESSES)
def test_messages_from_one_to_another(
    query: QueryCoordinator, start: int, length: int, sender: int, receiver: int
) -> None:
    expected = [
        row
        for row in query.recording.table("messages").to_pylist()
        if (row["from_process"], row["to_process"]) == (sender, receiver) and start <= row["sent_at"] < start + length
    ]
    assert query.flow(sender, receiver, start, start + length).to_pylist() == expected


@example(start=0, length=11_001, around=27_000, processes=None, limit=1)  # around what comes after the window
@given(start=TIMES, length=TIMES, around=TIMES, processes=st.none() | st.lists(PROCESSES), limit=st.integers(1, 5))
def test_pages_of_messages_follow_each_other(
    query: QueryCoordinator, start: int, length: int, around: int, processes: list[int] | None, limit: int
) -> None:
    end = start + length
    expected = [
        (row["message"], row["sent_at"])
        for row in query.recording.table("messages").to_pylist()
        if start <= row["sent_at"] < end
        and (processes is None or {row["from_process"], row["to_process"]} & {*processes})
    ]
    pages = [
        messages_page(query, start, end, processes, limit=limit, offset=offset)
        for offset in range(0, len(expected) + 1, limit)
    ]
    assert {page.total for page in pages} == {len(expected)}
    assert [(row.message, row.sent_at) for page in pages for row in page.messages] == expected
    there = messages_page(query, start, end, processes, limit=limit, around=around)
    assert there == messages_page(query, start, end, processes, limit=limit, offset=there.offset)
    sent = [number for number, at in expected if at <= around]
    assert sent[-1:] == [row.message for row in there.messages if row.message in sent][-1:]
    wide = messages_page(query, None, None, processes, limit=limit, around=around)
    if {row.message for row in wide.messages} <= {number for number, _ in expected}:
        assert there.messages == wide.messages  # wherever the window begins
    known = [row.message for row in there.messages]
    for held in ((known[0], len(known)), (known[0] + 1, len(known)), (known[0], len(known) + 1)) if known else ():
        again = messages_page(query, start, end, processes, limit=limit, around=around, held=held)
        same = held == (known[0], len(known))  # what is at hand is not told again, anything else is
        assert again == (msgspec.structs.replace(there, messages=[], held=True) if same else there)


@given(start=TIMES, length=st.integers(1, 40_000), buckets=st.integers(1, 50))
def test_parts_of_a_window_cover_it(start: int, length: int, buckets: int) -> None:
    bounds, bucket = edges(start, start + length, buckets)
    assert (bounds[0], bounds[-1]) == (start, start + length + 1)
    assert len(bounds) <= buckets + 1
    assert (np.diff(bounds)[:-1] == bucket).all()


@given(start=TIMES, length=st.integers(1, 40_000), buckets=st.integers(1, 50))
def test_density_counts_every_event_once(query: QueryCoordinator, start: int, length: int, buckets: int) -> None:
    bounds, bucket = edges(start, start + length, buckets)
    states = {row["state"] for row in query.recording.table("states").to_pylist()}
    sorts = {Kind.CALL: "calls", Kind.SEND: "messages", Kind.RECEIVE: "messages", Kind.RAISE: "errors"}
    plain = Counter[tuple[int, str, int]]()
    for row in query.recording.table("events").to_pylist():
        sort = "states" if row["event"] in states else sorts.get(row["kind"])
        if sort and start <= row["at"] <= start + length:
            plain[row["process"], sort, min((row["at"] - start) // bucket, len(bounds) - 2)] += 1
    found = densities(query, bounds, range(6))
    for process in range(6):
        for sort in SORTS:
            counts = [plain[process, sort, number] for number in range(len(bounds) - 1)]
            assert found[process][sort].tolist() == counts


@given(start=TIMES, length=TIMES)
def test_self_time_is_the_span_without_the_callees(sale: Drawn, start: int, length: int) -> None:
    calls = sale.query.recording.table("calls").to_pylist()
    duration = sale.query.recording.info.duration_ns
    spans = {row["call"]: (duration if row["end"] is None else row["end"]) - row["start"] for row in calls}
    plain = Counter[tuple[str, str, int]]()
    for row in calls:
        if start <= row["start"] < start + length:
            inner = sum(spans[child["call"]] for child in calls if child["parent"] == row["call"])
            plain[row["module"], row["function"], row["arity"]] += spans[row["call"]] - inner
    found = top_functions(sale.query, start, start + length)
    assert {(hot.module, hot.function, hot.arity): hot.self_ns for hot in found} == plain
    assert [hot.self_ns for hot in found] == sorted((hot.self_ns for hot in found), reverse=True)
