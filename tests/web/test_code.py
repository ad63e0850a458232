"""The code view in a real Chromium: all passings of a line, and prints that nobody wrote."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from elixirscope.query.sources import executed
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def put(page: Page, film: Film) -> int:
    """The line at which a seat is given away, its passings open."""
    row = film.query.rows(
        "select state from raw.states join raw.processes using (process)"
        " where label like 'Seats%' and version > 3 order by state limit 1"
    )[0]
    go(page, int(row["state"]))
    expect(page.get_by_test_id("source-line")).to_contain_text("put_in")
    settled(page)
    line = int(page.get_by_test_id("source-line").get_attribute("data-line") or 0)
    page.get_by_test_id(f"hits-{line}").click()
    expect(page.get_by_test_id("line-hits")).to_be_visible()
    return line


def test_an_expression_is_printed_at_every_passing(page: Page, put: int) -> None:
    hits = page.get_by_test_id(f"hits-{put}").inner_text().rstrip("×")
    expect(page.get_by_test_id("passings")).to_have_text(f"{hits} passings + {2 * int(hits)} in closures")
    page.get_by_test_id("retro").fill("{seat, String.length(customer)}")
    prints = page.get_by_test_id("line-hits").locator("li")
    expect(prints.first).to_contain_text(re.compile(r'\{"[A-Z]\d", \d+\}'))
    expect(page.get_by_test_id("retro-tally")).to_contain_text("×")
    page.get_by_test_id("retro-failures").click()  # put_in makes closures of its own on this line
    expect(prints.filter(has_text="no variable").first).to_be_visible()
    page.get_by_test_id("retro-failures").click()
    page.get_by_test_id("retro-only").fill('seat == "A1"')
    expect(prints.first).to_contain_text('{"A1"')
    expect(prints.filter(has_text='{"B')).to_have_count(0)
    expect(page.get_by_test_id("highlights")).to_be_attached()


def test_passings_are_walked_with_the_keyboard(page: Page, put: int) -> None:
    page.get_by_test_id("retro").fill("seat")
    # A seat, in quotes: the list before, without a value, has other passings too.
    expect(page.get_by_test_id("line-hits").locator("li").nth(1)).to_contain_text('"')
    page.get_by_test_id("print").first.click()
    expect(page.get_by_test_id("print").first).to_have_attribute("aria-current", "true")
    settled(page)
    page.get_by_test_id("retro").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("print").nth(1)).to_have_attribute("aria-current", "true")
    expect(page.get_by_test_id("pick").first).to_be_attached()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("line-hits")).to_have_count(0)
    expect(page.get_by_test_id("pick")).to_have_count(0)


def test_a_wrong_expression_is_refused_with_its_place(page: Page, put: int, complaints: list[str]) -> None:
    with page.expect_console_message(lambda message: "400" in message.text):
        page.get_by_test_id("retro").fill("seat +")
    expect(page.get_by_role("alert")).to_be_visible()
    complaints[:] = [text for text in complaints if "400" not in text]


def test_lines_that_ran_are_shaded_and_hold_their_values(page: Page, film: Film, put: int) -> None:
    ran = {one.line: one.hits for one in executed(film.query, "lib/ticket_office/seats.ex")}
    counts = page.get_by_test_id("code").locator("button.hits:not(.idle)")
    expect(counts).to_have_text([f"{hits}×" for hits in ran.values()])
    grounds = counts.evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert len(set(grounds)) > 1  # the more often, the darker
    assert not any(ground in ("transparent", "rgba(0, 0, 0, 0)") for ground in grounds)
    expect(page.get_by_test_id("ghost").filter(has_text="customer = ").first).to_contain_text("seat = ")
