"""The keyboard, as the sheet of shortcuts promises it: one walk over the whole desk, without a mouse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]

VIEWS = ("messages", "calls", "constellation", "causes", "flow", "query", "find")


def test_the_sheet_names_every_key_and_escape_closes_it(page: Page) -> None:
    page.locator("body").press("?")
    sheet = page.get_by_role("dialog", name="Shortcuts")
    for key in (
        "w",
        "a",
        "s",
        "d",
        ".",
        ",",
        "f",
        "/",
        "Ctrl K",
        "?",
        "Esc",
        "n",
        "r",
        "<",
        ">",
        "[",
        "]",
        "j",
        "k",
        "Ctrl F",
    ):
        expect(sheet.locator("kbd", has_text=re.compile(f"^{re.escape(key)}$"))).to_have_count(1)
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    page.keyboard.press("Control+f")
    expect(page.get_by_test_id("find-text")).to_be_focused()
    page.keyboard.press("Escape")
    for key in ("/", "Control+k"):
        page.locator("body").press(key)
        expect(page.get_by_test_id("palette").get_by_role("combobox").or_(page.locator("dialog input"))).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("palette")).to_have_count(0)


def test_one_walk_without_a_mouse(page: Page, sale: int) -> None:
    go(page, sale)
    body = page.locator("body")
    for number, view in enumerate(VIEWS, start=1):
        body.press(str(number))
        expect(page.get_by_test_id(f"tab-{view}")).to_have_attribute("aria-selected", "true")
        if view == "find":
            page.locator(":focus").blur()  # it takes the keyboard, to type what to find
    # Tabs by arrow keys: the one in front is the one that Tab reaches.
    page.get_by_test_id("tab-messages").click()
    page.get_by_test_id("tab-messages").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("tab-calls")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("tab-messages")).to_be_focused()
    expect(page.get_by_test_id("tab-calls")).to_have_attribute("tabindex", "-1")

    body.press("f")
    expect(page).not_to_have_url(re.compile("zoom="))
    body.press("r")  # the window is all that is in view, until Escape
    expect(page).to_have_url(re.compile("window="))
    body.press("Escape")
    expect(page).not_to_have_url(re.compile("window="))
    for key, view in (("i", "flow"), ("y", "causes"), ("u", "constellation")):
        body.press(key)
        expect(page.get_by_test_id(f"tab-{view}")).to_have_attribute("aria-selected", "true")
    body.press("u")
    theme = page.locator("html").get_attribute("data-theme")
    body.press("t")
    expect(page.locator("html")).not_to_have_attribute("data-theme", str(theme))
    grouping = page.get_by_test_id("grouping")
    before = grouping.input_value()
    body.press("g")
    expect(grouping).not_to_have_value(before)
    body.press("n")
    expect(page.get_by_test_id("note")).to_be_focused()
    page.keyboard.press("Escape")

    # Tab reaches the bar, the header and the views in the order in which they stand, and the focus can be seen.
    page.get_by_test_id("search").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("size")).to_be_focused()
    shown = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert shown == "solid"
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("level-system")).to_be_focused()

    # A menu: Enter opens it, arrows walk it, Escape gives the keyboard back.
    page.get_by_test_id("size").focus()
    page.keyboard.press("Enter")
    items = page.get_by_test_id("menu-item")
    expect(items.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(items.last).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("size")).to_be_focused()

    # The playhead is a slider, and what is typed in a field is no command.
    settled(page)
    moment = page.get_by_test_id("moment").locator(".time")
    at = moment.inner_text()
    page.get_by_test_id("playhead").press("ArrowRight")
    expect(moment).not_to_have_text(at)
    page.get_by_test_id("cinema").get_by_label("Filter processes").press_sequentially("wasd")
    expect(page.get_by_label("Filter processes")).to_have_value("wasd")
