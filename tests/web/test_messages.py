"""Messages in a real Chromium: the list, the sequence diagram, and the ways from a message to its two ends."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def request_of_the_race(film: Film) -> dict[str, int]:
    """A request of the race whose handling was recorded."""
    rows = film.query.rows(
        "select message, send_event, handle_call from raw.messages"
        " where kind = 'call' and handle_call is not null and send_event is not null"
        " and contains(value_text(value), ':free?') order by sent_at limit 1"
    )
    return {name: int(value) for name, value in rows[0].items()}


def open_sequence(page: Page, event: int) -> None:
    go(page, event)
    page.get_by_test_id("tab-messages").click()
    page.get_by_test_id("messages-sequence").click()
    expect(page.get_by_test_id("sequence")).to_be_visible()
    settled(page)


def test_the_sequence_shows_requests_and_leads_to_both_ends(page: Page, request_of_the_race: dict[str, int]) -> None:
    open_sequence(page, request_of_the_race["send_event"])
    page.get_by_test_id("message-search").fill(":free?")
    arrows = page.get_by_test_id("arrow")
    expect(arrows.first).to_contain_text(":free?")
    arrows.first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("moment")).to_contain_text("send")
    arrows.first.focus()
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_test_id("moment")).to_contain_text("handle_call")


def test_time_in_the_mailbox_is_said(page: Page, request_of_the_race: dict[str, int]) -> None:
    open_sequence(page, request_of_the_race["send_event"])
    page.get_by_test_id("message-search").fill(":free?")
    expect(page.locator('[data-testid=arrow][aria-label*="in the mailbox"]').first).to_be_visible()


def test_arrows_are_walked_with_the_keyboard(page: Page, request_of_the_race: dict[str, int]) -> None:
    open_sequence(page, request_of_the_race["send_event"])
    page.get_by_test_id("arrow").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("arrow").nth(1)).to_be_focused()
    expect(page.get_by_test_id("arrow").nth(1)).to_have_attribute("tabindex", "0")


def test_processes_are_chosen(page: Page, request_of_the_race: dict[str, int]) -> None:
    open_sequence(page, request_of_the_race["send_event"])
    heads = page.get_by_test_id("sequence").locator(".head")
    before = heads.count()
    assert before > 1
    page.get_by_test_id("choose-processes").click()
    chosen = page.get_by_test_id("menu-item").filter(has_text="✓").first
    name = chosen.locator(".title").inner_text().replace("✓", "").strip()
    chosen.click()
    expect(heads.filter(has_text=name)).to_have_count(0)


def test_a_message_is_copied_as_mermaid(page: Page, request_of_the_race: dict[str, int]) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_sequence(page, request_of_the_race["send_event"])
    page.get_by_test_id("copy-mermaid").click()
    expect(page.get_by_test_id("said")).to_have_text("Copied Mermaid")
    text = page.evaluate("() => navigator.clipboard.readText()")
    assert text.startswith("sequenceDiagram\n  participant p0 as ")
    assert "->>" in text


def test_the_menu_of_a_message_answers_the_keyboard(page: Page, request_of_the_race: dict[str, int]) -> None:
    go(page, request_of_the_race["send_event"])
    page.get_by_test_id("tab-messages").click()
    page.get_by_test_id("messages-list").click()
    more = page.get_by_test_id("message").first.get_by_role("button", name="More about this message")
    more.focus()
    page.keyboard.press("Enter")
    items = page.get_by_test_id("menu-item")
    expect(items.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("menu")).to_have_count(0)
    expect(more).to_be_focused()


def test_messages_are_filtered_by_pattern(page: Page, request_of_the_race: dict[str, int]) -> None:
    go(page, request_of_the_race["send_event"])
    page.get_by_test_id("tab-messages").click()
    page.locator("body").press("f")
    page.get_by_test_id("message-search").fill("{:free?, _}")
    messages = page.get_by_test_id("message")
    expect(messages.filter(has_text=":put")).to_have_count(0)
    expect(messages.first).to_contain_text("{:free?, ")
