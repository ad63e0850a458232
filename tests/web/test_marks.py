"""What stands out on the timeline: exceptions, exits, findings and tests, at every zoom, by what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.web.server import serving
from tests.web.pages import go, open_page, settled

pytestmark = [pytest.mark.browser]

_TESTS = """
processes: runner, fine, bad
 10  runner test "sells a seat" of ShopTest starts @ test/shop_test.exs:4
 12  fine call Shop.sell("A1") @ lib/shop.ex:3
 14  fine raise :error, :oops @ lib/shop.ex:4
 15  fine exits :oops
 20  runner test "sells a seat" of ShopTest passed
 60  runner test "sells it once" of ShopTest starts @ test/shop_test.exs:9
 62  bad call Shop.sell("A2") @ lib/shop.ex:3
 70  bad return :ok @ lib/shop.ex:5
 80  runner test "sells it once" of ShopTest {fate}
 99  runner mark "all done"
"""


@pytest.fixture
def drawn(browser: Browser, tmp_path: Path, complaints: list[str]) -> Iterator[Page]:
    """The page on two tests, in the first of which something crashed."""
    film = Film.open(record(_TESTS.format(fate='failed "sold twice"'), tmp_path / "tests.scope"))
    with serving(film) as server:
        page = open_page(browser, server.url, complaints)
        page.get_by_test_id("cast").select_option("all")
        page.locator("body").press("f")
        settled(page)
        yield page
        page.close()
    assert complaints == []


def _point_at(page: Page, event: int) -> None:
    """Put the pointer where an event is marked: in the lane of its process, where the playhead stands then."""
    go(page, event)
    settled(page)
    head = page.get_by_test_id("playhead").bounding_box()
    lane = page.locator("[data-testid^=lane-].on").bounding_box()
    assert head
    assert lane
    page.mouse.move(head["x"] + head["width"] / 2, lane["y"] + lane["height"] / 2)


@pytest.mark.parametrize(("kind", "event"), [("exception", 2), ("exit", 3), ("mark", 9)])
def test_a_mark_says_what_it_is_in_the_whole_and_close_by(drawn: Page, kind: str, event: int) -> None:
    tip = drawn.get_by_test_id("tip")
    _point_at(drawn, event)
    expect(tip).to_contain_text(re.compile(f"{kind}|more within a few pixels"))
    expect(drawn).not_to_have_url(re.compile("zoom="))
    for _ in range(4):
        drawn.mouse.wheel(0, -240)
    expect(drawn).to_have_url(re.compile(r"zoom=\d+-\d+"))
    settled(drawn)
    _point_at(drawn, event)
    expect(tip).to_contain_text(kind)


def test_tests_are_bars_along_the_ruler_that_lead_to_them(drawn: Page) -> None:
    bars = drawn.get_by_test_id("test-bar")
    expect(bars).to_have_count(2)
    failed = drawn.get_by_role("button", name=re.compile("^sells it once · failed"))
    passed = drawn.get_by_role("button", name=re.compile("^sells a seat · passed"))
    left, right = passed.bounding_box(), failed.bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] < right["x"]
    failed.click()
    expect(drawn.get_by_test_id("moment")).to_contain_text("sells it once")


def test_what_passing_tests_provoke_is_no_alarm(browser: Browser, tmp_path: Path, complaints: list[str]) -> None:
    film = Film.open(record(_TESTS.format(fate="passed"), tmp_path / "passed.scope"))
    with serving(film) as server:
        page = open_page(browser, server.url, complaints)
        expect(page.get_by_test_id("finding").first).to_contain_text("Crash")
        expect(page.get_by_test_id("calm")).to_contain_text("All 2 tests passed")
        page.close()
    assert complaints == []


def test_what_is_under_the_pointer_has_its_menu(drawn: Page) -> None:
    entries = drawn.get_by_test_id("menu-item")

    def ask_at(event: int, beside: float = 0) -> None:
        go(drawn, event)
        settled(drawn)
        head = drawn.get_by_test_id("playhead").bounding_box()
        lane = drawn.locator("[data-testid^=lane-].on").bounding_box()
        assert head
        assert lane
        x, y = head["x"] + head["width"] / 2 + beside, lane["y"] + lane["height"] / 2
        drawn.mouse.click(x, y, button="right")

    ask_at(2)  # an exception
    expect(entries.filter(has_text="Why did this happen?")).to_be_visible()
    expect(entries.first).to_be_focused()
    drawn.keyboard.press("Escape")
    expect(entries).to_have_count(0)
    ask_at(6, beside=16)  # a call, beyond the mark of the process's beginning: its values are asked for
    expect(entries.filter(has_text="Go to the call")).to_be_focused()
    entries.filter(has_text="Why did this happen?").click()
    expect(drawn.get_by_test_id("tab-causes")).to_have_attribute("aria-selected", "true")
    ask_at(8, beside=-60)  # nothing: the process
    entries.filter(has_text="Pin its lane").click()
    expect(drawn.get_by_test_id("group-pinned")).to_be_visible()
