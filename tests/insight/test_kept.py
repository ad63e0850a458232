"""Findings of a large recording are looked for once, in a process of their own, and kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from elixirscope import insight
from elixirscope.errors import QueryError
from elixirscope.film import Film
from elixirscope.insight import Finding
from elixirscope.pictures import record
from elixirscope.query.cancellation import Cancellation
from elixirscope.recording import sealer
from elixirscope.web.detectives import findings
from tests.insight.test_race import RACE


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sealer, "LARGE", 0)
    return record(RACE, tmp_path / "race.scope")


def refuse(_: object) -> list[Finding]:
    raise AssertionError("looked for again")


def test_findings_are_made_elsewhere_and_once(mapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = insight.investigate(Film.open(mapped).dags)
    assert [finding.kind for finding in plain] == ["race"]
    with monkeypatch.context() as patch:
        patch.setattr(insight, "investigate", refuse)
        assert findings(Film.open(mapped)) == plain
        assert Film.open(mapped).findings == plain
    shutil.rmtree(mapped / "index")
    assert Film.open(mapped).findings == plain


def test_nobody_looks_for_a_page_that_went_away(mapped: Path) -> None:
    film, stop = Film.open(mapped), Cancellation()
    with stop.asking():
        stop.cancel()
        with pytest.raises(QueryError):
            findings(film)
