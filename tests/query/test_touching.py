"""What touches a window, by index, is what a scan of all rows finds."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elixirscope.film import Film
from elixirscope.query import touching
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.format import Kind

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PROCESSES = 12


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> QueryCoordinator:
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    folder = tmp_path_factory.mktemp("shop") / "shop.scope"
    importlib.import_module("generate").generate(folder, 1_500, processes=PROCESSES, state_bytes=100, seed=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(touching, "_BLOCK", 8)
        found = Film.open(folder).query
        for ask in (touching.frames, touching.messages):
            ask(found, 0, 1, [0], 1)
    return found


windows = st.tuples(st.floats(0, 1), st.floats(0, 1), st.sets(st.integers(0, PROCESSES), max_size=4))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touching, "_BLOCK", 8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(windows)
def test_what_touches_a_window_is_what_a_scan_finds(
    query: QueryCoordinator, window: tuple[float, float, set[int]]
) -> None:
    length, chosen = query.recording.info.duration_ns, sorted(window[2])
    start, end = sorted(int(part * length) for part in window[:2])
    frames = touching.frames(query, start, end, chosen, 10**6)
    assert frames is not None
    assert [row["call"] for row in query.indexes.take("calls", frames)] == scanned(
        query,
        """select call as n from raw.calls where start <= ? and coalesce("end", 9223372036854775807) >= ?
        and list_contains(?, process) order by 1""",
        [end, start, chosen],
    )
    messages = touching.messages(query, start, end, chosen, 10**6)
    assert messages is not None
    assert [row["message"] for row in query.indexes.take("messages", messages)] == scanned(
        query,
        """select message as n from raw.messages where coalesce(sent_at, received_at) <= ?
        and coalesce(received_at, sent_at) >= ?
        and (list_contains(?, from_process) or list_contains(?, to_process)) order by 1""",
        [end, start, chosen, chosen],
    )
    kinds = [Kind.STATE, Kind.RAISE, Kind.SPAWN]
    touched = list(touching.events(query, "tested", kinds, start, end, chosen))
    rows = [query.event(number) for one in touched for number in one.numbers.tolist()]
    told = [
        (one.process, *each) for one in touched for each in zip(one.times.tolist(), one.kinds.tolist(), strict=True)
    ]
    assert told == [(row["process"], row["at"], row["kind"]) for row in rows]
    assert sorted(row["event"] for row in rows) == scanned(
        query,
        f"""select e.event as n from raw.events e left join raw.states v on v.state = e.event where e.at >= ?
        and e.at <= ? and list_contains(?, e.process) and e.kind in ({", ".join(str(k.value) for k in kinds)})
        and (e.kind <> {Kind.STATE.value} or v.state is not null) order by 1""",
        [start, end, chosen],
    )
    for many, found in ((frames, touching.frames), (messages, touching.messages)):
        if len(many):
            assert found(query, start, end, chosen, len(many) - 1) is None


def scanned(query: QueryCoordinator, sql: str, params: list[object]) -> list[int]:
    return [row["n"] for row in query.rows(sql, params)]
