"""The state view in a real Chromium: any two versions, who changed a field, a term part by part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.web.server import serving
from tests.web.pages import go, open_page, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def sold(film: Film) -> dict[str, int]:
    """The last version of the seats of the test in which many customers come at once."""
    rows = film.query.rows(
        "select state, process, version from raw.states join raw.processes using (process)"
        " where label like 'Seats%' order by version desc, state desc limit 1"
    )
    return {name: int(value) for name, value in rows[0].items()}


def open_state(page: Page, sold: dict[str, int]) -> None:
    go(page, sold["state"])
    page.get_by_test_id("tab-state").click()
    expect(page.get_by_test_id("value-tree")).to_be_visible()
    # The moment that the page opened with can have a state, too: what is clicked must be that of this one.
    expect(page.locator(".version[aria-current=true]")).to_have_text(str(sold["version"]))
    settled(page)


def test_any_two_versions_are_compared(page: Page, sold: dict[str, int]) -> None:
    open_state(page, sold)
    changes = page.get_by_test_id("change-path")
    expect(changes).to_have_count(1)
    page.get_by_test_id("compare-from").fill("0")
    page.get_by_test_id("compare-from").press("Enter")
    expect(changes.nth(5)).to_be_visible()
    page.get_by_test_id("state-list").click()
    versions = page.get_by_test_id("state-version")
    expect(versions).to_have_count(sold["version"] + 1)
    told = page.get_by_test_id("history-changes")  # all but the first changed something
    expect(told).to_have_count(sold["version"])
    expect(told.last).to_contain_text(re.compile(r'\.seats\["[A-Z]\d"\]\s*nil|customer'))
    versions.nth(1).click()
    expect(page.get_by_test_id("state-history").locator("[aria-current=true]")).to_contain_text("v1")


def test_who_changed_a_field_is_told_and_leads_there(page: Page, sold: dict[str, int]) -> None:
    open_state(page, sold)
    page.get_by_test_id("change-path").first.click()
    blame = page.get_by_test_id("blame")
    expect(blame).to_contain_text(f"version {sold['version']}")
    expect(blame).to_contain_text("handle_call/3")
    blame.get_by_test_id("blame-message").click()
    expect(page.get_by_test_id("moment")).to_contain_text("send")


def test_a_term_opens_part_by_part_with_the_keyboard(page: Page, sold: dict[str, int]) -> None:
    open_state(page, sold)
    parts = page.get_by_test_id("part")
    expect(parts.filter(has_text="seats:").first).to_be_visible()
    page.get_by_test_id("value-tree").locator(".twist").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    first = page.get_by_test_id("part-key").filter(has_text='"A1"').first
    expect(first).to_be_visible()
    changed = page.get_by_test_id("change-path").inner_text().removeprefix(".seats[").removesuffix("]")
    marked = page.get_by_test_id("value-tree").locator(".differs")
    expect(marked).to_have_count(2)  # the seats, and the one that was sold
    expect(marked.nth(1)).to_contain_text(changed)
    first.click()
    expect(page.get_by_test_id("blame")).to_contain_text('.seats["A1"]')
    page.get_by_test_id("state-form").click()
    expect(page.get_by_test_id("value-tree")).to_have_count(0)
    expect(page.get_by_test_id("state")).to_contain_text("%{seats: %{")


def test_a_process_without_a_state_shows_whom_it_talks_to(page: Page, sale: int) -> None:
    go(page, sale)
    page.get_by_test_id("tab-state").click()
    expect(page.get_by_test_id("state-neighbour")).to_be_visible()
    expect(page.get_by_test_id("value-tree")).to_be_visible()


def test_a_huge_term_is_opened_a_page_at_a_time_and_told_as_text(
    browser: Browser, tmp_path: Path, complaints: list[str]
) -> None:
    numbers = ", ".join(map(str, range(1_000, 1_300)))
    picture = f"""
processes: client, box
 1  client -> box cast :go
 2  box callback Box.handle_cast(:go, 1)
 3  box state %{{numbers: [{numbers}], name: "box"}}
 4  box return {{:noreply, 2}}
"""
    with serving(Film.open(record(picture, tmp_path / "huge.scope"))) as server:
        page = open_page(browser, server.url, complaints)
        go(page, 4)
        page.get_by_test_id("tab-state").click()
        tree = page.get_by_test_id("value-tree")
        tree.get_by_role("button", name=re.compile("^numbers: ")).click()
        expect(tree).to_contain_text("list · 300 parts")
        parts = page.get_by_test_id("part")
        before = parts.count()
        tree.get_by_role("button", name="250 more parts").click()
        expect(tree.get_by_role("button", name="200 more parts")).to_be_visible()
        assert parts.count() > before
        page.get_by_test_id("state-form").click()
        expect(page.get_by_test_id("state")).to_contain_text("%{numbers: [1000, 1001, ")
        page.close()
    assert complaints == []
