"""The constellation in a real Chromium: lives at the moment, heat, and messages on their way."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def sky(page: Page, film: Film, sale: int) -> Page:
    """The constellation at the end of a sale."""
    go(page, sale)
    page.get_by_test_id("tab-constellation").click()
    expect(page.get_by_test_id("constellation")).to_be_visible()
    settled(page)
    return page


def test_lives_and_heat_are_said(sky: Page) -> None:
    expect(sky.get_by_test_id("lives")).to_contain_text(re.compile(r"\d+ alive"))
    sky.get_by_test_id("heat").select_option("mailbox")
    expect(sky.get_by_test_id("heat")).to_have_value("mailbox")


def test_messages_travel_unless_rest_is_asked_for(sky: Page) -> None:
    expect(sky.get_by_test_id("traveller").first).to_be_attached()
    sky.emulate_media(reduced_motion="reduce")
    expect(sky.get_by_test_id("traveller")).to_have_count(0)


def test_a_process_is_chosen_with_the_keyboard(sky: Page) -> None:
    node = sky.get_by_test_id("constellation").get_by_role("button").first
    node.focus()
    sky.keyboard.press("Enter")
    expect(sky.get_by_test_id("constellation").locator(".node.on")).to_have_count(1)
