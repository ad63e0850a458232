"""Recordings that lack something: each says so where one looks first, and tells the next step."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.pictures.stage import CLOCK, NODE, UNIX, Stage
from elixirscope.recording.format import META_SHARD, FrameType, Kind
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom, Term
from elixirscope.web.server import serving
from tests.web.pages import open_page, settled

pytestmark = [pytest.mark.browser]

_SALE = """
processes: client, seats
 1  client call BoxOffice.sell("A1")
 2  client -> seats call {:free?, "A1"} as q
 3  seats callback Seats.handle_call({:free?, "A1"}, {client, #q})
 4  seats state %{"A1" => nil}
 5  seats return {:reply, true, 1}
 6  seats -> client reply true to q
 7  client bind free = true
 8  client return :sold
"""


def test_a_recording_without_events_tells_what_to_do(browser: Browser, tmp_path: Path, complaints: list[str]) -> None:
    film = Film.open(record("processes: a\n", tmp_path / "nothing.scope"))
    assert film.info.events == 0
    with serving(film) as server:
        page = open_page(browser, server.url, complaints)
        blank = page.get_by_test_id("blank")
        expect(blank).to_contain_text("Nothing was recorded")
        expect(blank).to_contain_text("elixirscope plan")
        expect(page.get_by_test_id("timeline")).to_have_count(0)
        page.close()
    assert complaints == []


def test_a_recording_that_breaks_off_says_so(browser: Browser, tmp_path: Path, complaints: list[str]) -> None:
    path = record(_SALE, tmp_path / "cut.scope")
    shutil.rmtree(path / "segments", ignore_errors=True)
    for file in (path / "raw").iterdir():
        file.write_bytes(file.read_bytes()[:-7])  # as a killed writer leaves it: in the middle of a frame
    film = Film.open(path)
    assert film.info.events
    assert not film.info.complete
    with serving(film) as server:
        page = open_page(browser, server.url, complaints)
        expect(page.get_by_test_id("findings")).to_contain_text("The recording breaks off")
        page.get_by_test_id("incomplete").click()
        expect(page.get_by_test_id("coverage-list")).to_contain_text("not closed: it was killed")
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("coverage-list")).to_have_count(0)
        page.close()
    assert complaints == []


def test_code_that_was_not_recorded_is_not_passed_over(browser: Browser, tmp_path: Path, complaints: list[str]) -> None:
    with serving(Film.open(record("processes: a, b\n 1  a -> b :hello\n", tmp_path / "no code.scope"))) as server:
        page = open_page(browser, server.url, complaints)
        expect(page.get_by_test_id("code")).to_contain_text("No code was recorded")
        page.close()
    assert complaints == []


def test_segments_that_cannot_be_read_are_told(browser: Browser, tmp_path: Path) -> None:
    path = record(_SALE, tmp_path / "damaged.scope")
    Film.open(path)
    for file in (path / "segments").glob("*.parquet"):
        file.write_bytes(b"no parquet")
    with serving(Film.open(path)) as server:
        page: Page = open_page(browser, server.url, [])
        told = page.get_by_test_id("unreadable")
        expect(told).to_contain_text(re.compile(r"segments/\w+\.parquet cannot be read"))
        expect(told).to_contain_text("makes it again from raw/")
        # As it is told: the page goes on by itself.
        shutil.rmtree(path / "segments")
        expect(page.get_by_test_id("timeline")).to_be_visible()
        expect(told).to_have_count(0)
        settled(page)
        expect(page.get_by_test_id("messages")).to_contain_text(":free?")
        page.close()


def _less_was_recorded(path: Path) -> None:
    """Beside what a picture says: the agent stepped down, only counted a function, and lost events of a process."""
    clock = {"monotonic_ns": CLOCK, "unix_ns": UNIX}
    shutil.rmtree(path / "segments", ignore_errors=True)
    raw = path / "raw"
    with FrameWriter(raw / f"{NODE}.1-meta2.frames", shard=META_SHARD, **clock) as meta:
        for at, to in ((2_000, "calls"), (4_000, "messages"), (6_000, "values")):
            step: dict[Term, Term] = {Atom("what"): Atom("step"), Atom("to"): Atom(to), Atom("reason"): b"it cost 62 %"}
            meta.term(FrameType.META, step | {Atom("unix_ns"): UNIX + at}, at=CLOCK + at)
        calls = [((Atom("Elixir.Pricing"), Atom("function"), Atom("price"), 2, 9), 48_211, UNIX + 1_000)]
        counted: dict[Term, Term] = {Atom("what"): Atom("counted"), Atom("until_unix_ns"): UNIX + 3_000}
        meta.term(FrameType.META, counted | {Atom("calls_per_second"): 2_000, Atom("calls"): calls}, at=CLOCK + 3_000)
        meta.end()
    with FrameWriter(raw / f"{NODE}.1-1.frames", **clock) as out:
        seats = Stage(["client", "seats"]).pid("seats")
        out.term(FrameType.PROCESSES, [(1, seats)], at=CLOCK)
        event = np.zeros(1, EVENT)
        event["ts"], event["kind"], event["pid"] = CLOCK + 3_000, Kind.SCHEDULED_IN, 1
        out.events(event)
        out.term(FrameType.LOSS, [(seats, 140, Atom("overload"))], at=CLOCK + 5_000)
        out.end()


def test_bands_show_where_less_was_recorded(browser: Browser, tmp_path: Path, complaints: list[str]) -> None:
    path = record(_SALE, tmp_path / "less.scope")
    _less_was_recorded(path)
    with serving(Film.open(path)) as server:
        page = open_page(browser, server.url, complaints)
        page.get_by_test_id("cast").select_option("all")
        lost = page.get_by_test_id("lanes").get_by_test_id("omission-loss")
        expect(lost).to_have_text("140 lost")
        lost.focus()
        expect(lost).to_have_attribute("aria-label", re.compile("^140 events of .* lost, from 2 µs to 4 µs: overload"))
        steps = page.get_by_test_id("omission-step")
        expect(steps).to_have_text(["calls without values", "messages only"])
        expect(steps.first).to_have_attribute("title", re.compile("it cost 62 %"))
        counted = page.get_by_test_id("omission-calls")
        expect(counted).to_have_attribute("aria-label", re.compile("Pricing.price/2 was called 48.211 times without"))
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("zoom="))  # it zooms to the band
        page.close()
    assert complaints == []
