"""Finding values and names, and asking why there is none, in a real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from elixirscope.query.search import find
from tests.web.pages import go, named, settled, type_pattern

pytestmark = [pytest.mark.beam, pytest.mark.browser]


def test_a_pattern_is_found_at_all_its_places_from_the_keyboard(page: Page, film: Film) -> None:
    page.keyboard.press("7")
    expect(page.get_by_test_id("find-text")).to_be_focused()
    type_pattern(page, "{:put, _, _}")
    expected = find(film.query, "{:put, _, _}")
    expect(page.get_by_test_id("find-hit")).to_have_count(min(100, expected.total))
    expect(page.get_by_test_id("find-total")).to_have_text(str(expected.total))
    page.get_by_test_id("find-hit").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("find-hit").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{expected.hits[1].moment.event}")
    event = expected.hits[1].moment.event
    assert event is not None
    named(page, event)


def test_places_of_one_kind_and_as_marks_on_the_timeline(page: Page, film: Film) -> None:
    page.keyboard.press("7")
    type_pattern(page, "{:put, _, _}")
    page.get_by_test_id("find-message").click()
    expected = find(film.query, "{:put, _, _}", ["message"])
    expect(page.get_by_test_id("find-total")).to_have_text(str(expected.total))
    expect(page.get_by_test_id("find-hit")).to_have_count(min(100, expected.total))
    page.get_by_test_id("find-mark").click()
    expect(page.get_by_test_id("highlights")).to_contain_text("{:put, _, _}")


def test_a_text_finds_names_and_values_and_a_wrong_pattern_says_where(page: Page, complaints: list[str]) -> None:
    page.keyboard.press("7")
    page.keyboard.type("Seats.put/3")
    expect(page.get_by_test_id("find-name").first).to_contain_text("TicketOffice.Seats.put/3")
    page.get_by_test_id("find-text").fill("%{status: }}")
    expect(page.get_by_test_id("find").get_by_role("alert")).to_contain_text("pattern")
    complaints.clear()  # the browser reports the refusal (400) too


def test_why_no_such_message_was_sent(page: Page) -> None:
    page.keyboard.press("/")
    type_pattern(page, "{:refund, _, _}")
    page.get_by_test_id("palette-entry").filter(has_text="Find every value").click()
    page.get_by_test_id("find-why-not").click()
    expect(page.get_by_test_id("inquiry")).to_contain_text("Why was no {:refund, _, _} sent?")
    expect(page.get_by_test_id("verdict")).to_contain_text("never sent")


def test_why_a_function_was_never_called(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("Seats.put/9")
    page.get_by_test_id("palette-entry").filter(has_text="never called").click()
    expect(page.get_by_test_id("verdict")).to_contain_text("not recorded")


def test_every_value_like_one_from_its_menu(page: Page, sale: int) -> None:
    go(page, sale)
    page.get_by_test_id("tab-values").click()
    value = page.get_by_test_id("binding").first.locator(".value").last
    value.click(button="right")
    page.get_by_test_id("menu-item").filter(has_text="Find every value like it").click()
    expect(page.get_by_test_id("find-hit").first).to_be_visible()
    settled(page)
