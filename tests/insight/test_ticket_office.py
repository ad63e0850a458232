"""The example, recorded for real: both of its causes are found, at the right lines."""

from __future__ import annotations

from pathlib import Path

import pytest

import elixirscope
from elixirscope.insight import Finding

pytestmark = pytest.mark.beam


@pytest.fixture(scope="module")
def findings(example_recording: Path) -> list[Finding]:
    return elixirscope.open(example_recording).findings


def line_of(project: Path, file: str, text: str) -> int:
    lines = (project / file).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_the_race_is_found_at_the_check(findings: list[Finding], example_project: Path) -> None:
    (race,) = [finding for finding in findings if finding.kind == "race"]
    assert race.location is not None
    assert race.title.startswith("Race: seat ")
    assert (race.location.module, race.location.function) == ("TicketOffice.BoxOffice", "sell")
    assert race.location.file.endswith("lib/ticket_office/box_office.ex")
    assert race.location.line == line_of(example_project, "lib/ticket_office/box_office.ex", "Seats.free?(")
    assert race.confidence > 0.9


def test_the_crash_is_found_where_the_bad_value_was_made(findings: list[Finding], example_project: Path) -> None:
    (crash,) = [finding for finding in findings if finding.kind == "crash"]
    assert crash.location is not None
    assert (crash.location.module, crash.location.function) == ("TicketOffice.PromoCode", "percent")
    assert crash.location.line == line_of(example_project, "lib/ticket_office/promo_code.ex", "_other -> nil")
    assert "3 processes died" in crash.title
    assert any("failed" in step.text for step in crash.evidence)


def test_the_causes_come_before_anything_else(findings: list[Finding]) -> None:
    assert {finding.kind for finding in findings[:2]} == {"race", "crash"}
