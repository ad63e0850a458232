"""Questions to a recording that grows go on from what the edition before made, and are answered as if they did not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.film import Film
from elixirscope.moment import Moment
from elixirscope.query import density, grouping
from elixirscope.query.grouping import Grouped
from elixirscope.query.timeline import overview, timeline
from elixirscope.recording.live import WAITS, Live
from elixirscope.recording.recording import Recording
from tests.recording.samples import make_shop

STEPS = 7


def answers(film: Film) -> dict[str, Any]:
    query, end = film.query, film.info.duration_ns
    last = query.event_count - 1
    return {
        "events": [query.events_of(process).tolist() for process in range(-1, 22)],
        "bindings": [query.find_all("bindings", "call", event) for event in range(0, last, 7)],
        "by call": [query.find_all("events", "call", event) for event in range(0, last, 31)],
        "ended": [query.find("calls", "end_event", event) for event in range(0, last, 11)],
        "calls": [column.tolist() for column in query.indexes.grouped("calls", "process")],
        "states": density.events_of(query, "states", 12).tolist(),
        "density": density.densities(query, density.edges(0, end, 20)[0], range(20)),
        "timeline": timeline(query, end // 3, end, 100, [1, 2, 11, 12]),
        "overview": overview(query, 50),
        "picture": film.dags.frame_at(Moment(at=end, process=1)),
    }


def test_each_edition_is_answered_as_one_that_was_not_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(tmp_path / "shop.scope", 2_000, processes=20, state_bytes=100)
    sealed = Recording.open(shop, correlate=EventCorrelator).info
    regrouped = list[int]()

    def regroup(before: Grouped, keys: Any, groups: int) -> Any:
        regrouped.append(before.rows)
        return grouping.regroup(before, keys, groups)

    monkeypatch.setattr("elixirscope.query.rows.regroup", regroup)
    now = [0]
    live = Live(shop, correlate=EventCorrelator, now=lambda: now[0])
    for step in range(1, STEPS + 1):
        now[0] = WAITS + sealed.started_unix_ns + sealed.duration_ns * step // STEPS + 1
        assert live.refresh()
        edition = live.recording
        assert edition is not None
        assert edition._built is not None
        alone = Recording(shop, edition.manifest, edition._seal, replace(edition._built, pieces={}))
        found, expected = answers(Film(edition)), answers(Film(alone))
        for name, answer in expected.items():
            assert repr(found[name]) == repr(answer), f"{name}, edition {step}"
    assert len([rows for rows in regrouped if rows]) >= STEPS - 1
