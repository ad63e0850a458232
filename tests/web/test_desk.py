"""The desk around the views: where it begins, what a link reopens, how panels move."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from elixirscope.web.server import Server
from tests.web.pages import PATIENCE_MS, go, open_page, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


def test_a_link_that_comes_while_the_page_loads_wins(browser: Browser, server: Server, sale: int) -> None:
    held: list[Route] = []
    page = browser.new_page()
    page.route("**/api/findings", lambda route: held.append(route))
    page.goto(server.url)
    expect(page.get_by_test_id("timeline")).to_be_visible()
    page.evaluate("hash => { location.hash = hash }", f"#/e{sale}")
    with page.expect_response("**/api/findings"):
        expect(page.get_by_test_id("moment")).to_contain_text(f"e{sale}")
        until = time.monotonic() + PATIENCE_MS / 1000
        while not held and time.monotonic() < until:  # findings are asked for once lanes are drawn
            page.wait_for_timeout(20)
        assert len(held) == 1
        held[0].continue_()
    settled(page)
    expect(page.get_by_test_id("finding").first).to_be_visible()
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{sale}")
    page.close()


def test_nothing_is_said_before_it_is_known(browser: Browser, server: Server) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.route("**/api/**", lambda route: None)  # never answered
    page.goto(server.url)
    expect(page.get_by_test_id("processes").locator("[aria-busy=true]")).to_be_visible()
    expect(page.get_by_test_id("copy-moment")).to_have_text("–")
    for said in ("No process", "in view", " of 0", "0.000"):
        expect(page.get_by_text(said).locator("visible=true")).to_have_count(0)
    page.close()


def test_a_panel_is_dragged_to_another_place_and_stays_there(page: Page) -> None:
    tab = page.get_by_test_id("tab-stack").bounding_box()
    views = page.get_by_test_id("tab-query").bounding_box()
    assert tab
    assert views
    page.mouse.move(tab["x"] + 10, tab["y"] + 10)
    page.mouse.down()
    page.mouse.move(views["x"] + views["width"] + 40, views["y"] + 12, steps=4)
    page.mouse.up()
    stack = page.locator("[data-dock=bottom]").get_by_test_id("tab-stack")
    expect(stack).to_have_attribute("aria-selected", "true")
    page.reload()
    settled(page)
    expect(stack).to_have_attribute("aria-selected", "true")


def test_a_preset_lays_out_the_desk(page: Page) -> None:
    page.keyboard.press("Alt+5")
    expect(page.get_by_test_id("tab-causes")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_test_id("tab-why")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Control+k")
    page.keyboard.type("Move Code to the left")
    page.keyboard.press("Enter")
    expect(page.locator("[data-dock=left]").get_by_test_id("code")).to_be_visible()


def test_a_link_reopens_the_whole_view(page: Page, browser: Browser, server: Server, sale: int) -> None:
    go(page, sale)
    page.get_by_test_id("tab-calls").click()
    page.get_by_test_id("tab-values").click()
    page.keyboard.press("w")
    page.keyboard.press("r")
    expect(page).to_have_url(re.compile(r"view=calls&beside=values&window=\d+-\d+&zoom=\d+-\d+"))
    settled(page)
    other = browser.new_page(viewport={"width": 1280, "height": 800})
    other.goto(server.url)
    settled(other)
    link = page.url
    other.evaluate("link => { location.href = link }", link)
    expect(other.get_by_test_id("moment")).to_contain_text(f"e{sale}")
    expect(other.get_by_test_id("tab-calls")).to_have_attribute("aria-selected", "true")
    expect(other.get_by_test_id("tab-values")).to_have_attribute("aria-selected", "true")
    settled(other)
    assert other.url == link
    other.close()


def test_a_wall_screen_is_read_from_afar(browser: Browser, server: Server, complaints: list[str], sale: int) -> None:
    def drawn(size: float) -> None:
        """Wait until everything is drawn so many times its plain size."""
        page.wait_for_function(
            "size => Math.abs(document.querySelector('header').getBoundingClientRect().height / 44 - size) < 0.02",
            arg=size,
        )

    page = open_page(browser, server.url, complaints, width=3840, height=2160)
    drawn(1.6)
    go(page, sale)
    # What is pointed at is what is hit, in any size.
    box = page.get_by_test_id("canvas").bounding_box()
    assert box
    page.mouse.click(box["x"] + 700, box["y"] - 8)  # on the ruler: there are no marks that would draw it to themselves
    head = page.get_by_test_id("playhead").bounding_box()
    assert head
    assert abs(head["x"] + head["width"] / 2 - box["x"] - 700) < 3
    page.set_viewport_size({"width": 1280, "height": 800})
    drawn(1)

    page.get_by_test_id("size").click()
    page.get_by_test_id("menu-item").filter(has_text="130 %").click()
    page.keyboard.press("]")
    drawn(1.5)
    page.reload()
    settled(page)
    drawn(1.5)  # it is remembered
    menu = page.get_by_test_id("size")
    menu.click()
    inside = page.get_by_test_id("menu").bounding_box()
    assert inside
    assert inside["x"] + inside["width"] <= 1280
    page.get_by_test_id("menu-item").first.click()
    drawn(1)
    page.close()
    assert complaints == []
