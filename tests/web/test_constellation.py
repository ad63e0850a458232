"""The constellation in a real Chromium: lives at the moment, heat, and messages on their way."""

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
def sky(page: Page, film: Film, sale: int) -> Page:
    """The constellation at the end of a sale."""
    go(page, sale)
    page.get_by_test_id("tab-constellation").click()
    expect(page.get_by_test_id("constellation")).to_be_visible()
    settled(page)
    return page


def test_lives_and_heat_are_said(sky: Page) -> None:
    expect(sky.get_by_test_id("lives")).to_contain_text(re.compile(r"\d+ alive"))
    glowing = sky.locator("g.node:has(circle.heat:not([opacity='0']))")
    expect(glowing.first).to_be_attached()  # somebody was active just now
    sky.get_by_test_id("heat").select_option("mailbox")
    expect(glowing.and_(sky.locator(":not([aria-label*='waiting in the mailbox'])"))).to_have_count(0)


def test_who_holds_the_most_memory_glows_the_most(sky: Page) -> None:
    sky.get_by_test_id("everybody").click()
    sky.get_by_test_id("heat").select_option("memory")
    held: dict[float, float] = {}
    for node in sky.locator("g.node:has(title)").all():
        found = re.search(r"([\d.]+) (B|kB|MB) of memory", node.get_attribute("aria-label") or "")
        if found:
            radius = float(node.locator("circle.heat").get_attribute("r") or 0)
            held[radius] = float(found[1]) * {"B": 1, "kB": 1e3, "MB": 1e6}[found[2]]
    assert len(held) > 1
    assert held[max(held)] == max(held.values())


def test_messages_travel_unless_rest_is_asked_for(sky: Page) -> None:
    expect(sky.get_by_test_id("traveller").first).to_be_attached()
    sky.emulate_media(reduced_motion="reduce")
    expect(sky.get_by_test_id("traveller")).to_have_count(0)


def test_a_process_is_chosen_with_the_keyboard(sky: Page) -> None:
    node = sky.get_by_test_id("constellation").get_by_role("button").first
    node.focus()
    sky.keyboard.press("Enter")
    expect(sky.get_by_test_id("constellation").locator(".node.on")).to_have_count(1)


def test_in_space_it_turns_zooms_and_chooses_by_keyboard(sky: Page) -> None:
    sky.locator("body").press("u")
    canvas = sky.get_by_test_id("sky")
    expect(canvas).to_have_attribute("data-drawn", re.compile(r"[1-9]\d*"))
    expect(sky.get_by_test_id("sky-3d")).to_have_attribute("aria-pressed", "true")
    turned, zoomed = canvas.get_attribute("data-yaw"), canvas.get_attribute("data-zoom")
    canvas.focus()
    sky.keyboard.press("ArrowRight")
    expect(canvas).not_to_have_attribute("data-yaw", str(turned))
    sky.keyboard.press("+")
    expect(canvas).not_to_have_attribute("data-zoom", str(zoomed))
    sky.keyboard.press("0")
    expect(canvas).to_have_attribute("data-zoom", str(zoomed))
    about = sky.get_by_test_id("sky-about").text_content()
    sky.keyboard.press("PageDown")
    expect(sky.get_by_test_id("sky-about")).not_to_have_text(str(about))
    sky.locator("body").press("u")
    expect(sky.get_by_test_id("constellation")).to_be_visible()


def test_hundreds_of_processes_are_painted(browser: Browser, tmp_path: Path, complaints: list[str]) -> None:
    names = [f"w{number}" for number in range(320)]
    lines = [f"processes: top, pool, lone, {', '.join(names)}", " 1 top starts pool supervising Pool as Pool"]
    lines += [f" {number + 2} pool starts {name} running Worker" for number, name in enumerate(names)]
    lines += [" 400 w3 -> w4 cast {:job, 1}", " 450 lone exits :normal", " 500 w5 exits :normal"]
    film = Film.open(record("\n".join(lines) + "\n", tmp_path / "many.scope"))
    with serving(film) as server:
        page = open_page(browser, server.url, complaints)
        page.locator("body").press("End")
        page.get_by_test_id("tab-constellation").click()
        if "all" not in (page.get_by_test_id("everybody").text_content() or ""):
            page.get_by_test_id("everybody").click()
        expect(page.get_by_test_id("sky")).to_have_attribute("data-drawn", re.compile(r"^32\d$"))
        expect(page.get_by_test_id("sky-about")).to_contain_text("alive")
        # Around one that lives no more, and that nobody dealt with, there is nobody.
        everybody = page.get_by_test_id("everybody")
        everybody.click()
        page.get_by_test_id("cast").select_option("all")  # else those of the finding are near, too
        lone = next(row["process"] for row in film.query.processes if row["parent"] is None and row["end"] is not None)
        page.evaluate("at => { location.hash = at }", f"#/500000ns@{lone}")
        expect(everybody).to_have_text(re.compile(r"^all 32\d$"))
        expect(everybody).to_be_disabled()
        page.close()
    assert complaints == []


_RESTART = """
processes: app, sup, one, two, other
  1  app starts sup supervising App.Sup as App.Sup
  2  sup starts other running App.Other as App.Other
  3  sup starts one running App.Ledger as App.Ledger
  5  one links other
  8  one -> other cast {:hello, 1}
 20  one exits {:badarith, []}
 21  sup receives {:EXIT, one, {:badarith, []}}
 30  sup starts two running App.Ledger as App.Ledger
 90  two -> other cast {:hello, 2}
"""


def test_who_died_who_was_restarted_and_who_is_tied_to_whom(
    browser: Browser, tmp_path: Path, complaints: list[str]
) -> None:
    film = Film.open(record(_RESTART, tmp_path / "restart.scope"))
    first, again = (row["process"] for row in film.query.processes if str(row["label"]).startswith("Ledger"))
    with serving(film) as server:
        page = open_page(browser, server.url, complaints)
        page.evaluate("at => { location.hash = at }", f"#/8000ns@{first}")
        page.get_by_test_id("tab-constellation").click()
        sky = page.get_by_test_id("constellation")
        expect(sky.get_by_test_id(f"node-{first}")).to_have_attribute("aria-label", re.compile("alive"))
        expect(sky.locator("path.tie.link").first).to_be_attached()
        expect(sky.locator("path.tree.supervises")).to_have_count(2)  # of the two that are there
        expect(sky.locator("g.node text").filter(has_text="Ledger").first).to_be_visible()
        page.locator("body").press("End")
        page.evaluate("at => { location.hash = at }", f"#/90000ns@{again}")
        expect(page.get_by_test_id("lives")).to_contain_text("1 crashed")
        expect(page.get_by_test_id("lives")).to_contain_text("1 restarted")
        expect(sky.get_by_test_id(f"node-{again}")).to_have_attribute(
            "aria-label", re.compile("took the place of one that died")
        )
        expect(sky.get_by_test_id(f"node-{again}").locator(".again")).to_be_attached()
        page.close()
    assert complaints == []
