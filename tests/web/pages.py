"""A page of the Cinema in a real Chromium, and what tests do with it."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


def open_page(browser: Browser, url: str, complaints: list[str], *, width: int = 1280, height: int = 800) -> Page:
    """A page of its own, at rest, whose complaints are kept."""

    def keep(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} {message.location.get('url', '')}")

    page = browser.new_page(viewport={"width": width, "height": height})
    page.on("console", keep)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    settled(page)
    return page


def settled(page: Page) -> None:
    """Wait until the page has placed its first moment and has the answer to everything it asked."""
    expect(page.get_by_test_id("cinema")).to_have_attribute("data-ready", "true")


def named(page: Page, event: int) -> None:
    """Wait until the address names the moment of an event; it does when the hand has rested."""
    expect(page).to_have_url(re.compile(rf"#/e{event}\b"))


def go(page: Page, event: int) -> None:
    """Open the moment of an event, as a link does."""
    page.evaluate("hash => { location.hash = hash }", f"#/e{event}")
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{event}")


def type_pattern(page: Page, pattern: str) -> None:
    """Type a pattern at once: half of one, asked for because the hand rested, is refused, and the browser says so."""
    page.keyboard.insert_text(pattern)
