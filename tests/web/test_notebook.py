"""The notebook in a real Chromium: kept, written, put in order, remembered, exported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


def keep(page: Page, event: int, note: str) -> None:
    go(page, event)
    settled(page)
    before = page.get_by_test_id("kept").count()
    page.locator("body").press("n")
    expect(page.get_by_test_id("kept")).to_have_count(before + 1)
    written = page.get_by_test_id("note").nth(before)
    expect(written).to_be_focused()
    page.keyboard.type(note)
    page.keyboard.press("Enter")


def test_moments_are_kept_ordered_and_remembered(page: Page, sale: int) -> None:
    keep(page, sale, "the second sale")
    keep(page, 1, "where it begins <b>")
    page.get_by_test_id("note").nth(1).press("Alt+ArrowUp")
    expect(page.get_by_test_id("note").first).to_have_value("where it begins <b>")
    page.reload()
    settled(page)
    page.get_by_test_id("tab-notebook").click()
    expect(page.get_by_test_id("note").first).to_have_value("where it begins <b>")
    expect(page.get_by_test_id("note").nth(1)).to_have_value("the second sale")
    page.get_by_test_id("kept").nth(1).get_by_title("Go to this moment").click()
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{sale}")
    page.get_by_test_id("kept").nth(1).get_by_role("button", name="Remove").click()
    expect(page.get_by_test_id("kept")).to_have_count(1)


def test_the_notebook_leaves_as_markdown(page: Page, sale: int) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    keep(page, sale, "sold <script> twice")
    page.get_by_test_id("notebook-copy").click()
    expect(page.get_by_test_id("said")).to_contain_text("Markdown")
    text = page.evaluate("() => navigator.clipboard.readText()")
    assert text.startswith("# Notebook of ")
    assert "sold \\<script\\> twice" in text
    assert re.search(rf"<http://[^>]+#/e{sale}>", text)
    with page.expect_download() as download:
        page.get_by_test_id("notebook-download").click()
    assert download.value.suggested_filename.endswith("-notebook.md")
    assert Path(download.value.path()).read_text() == text


def test_keeping_a_moment_twice_keeps_one(page: Page, sale: int) -> None:
    keep(page, sale, "once")
    page.locator("body").press("n")
    expect(page.get_by_test_id("note").first).to_be_focused()
    expect(page.get_by_test_id("kept")).to_have_count(1)
