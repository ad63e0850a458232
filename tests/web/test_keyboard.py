"""The keyboard, as the sheet of shortcuts promises it: one walk over the whole desk, without a mouse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
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


def test_every_key_of_the_sheet_is_pressed_by_a_test(page: Page) -> None:
    page.locator("body").press("?")
    sheet = page.get_by_role("dialog", name="Shortcuts")
    sections = sheet.locator("section").filter(has_not_text=re.compile("On the timeline|In the views|marks mean"))
    told = sections.locator("kbd").all_inner_texts()
    assert len(told) == len(set(told))
    pressed = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    names = {"Ctrl": "Control", "←": "ArrowLeft", "→": "ArrowRight", "Esc": "Escape"}
    for key in told:
        name = "+".join(names.get(part, part) for part in key.split(" "))
        number = re.fullmatch(r"(Alt\+)?[1-7]", name)  # those of the views are walked in `test_one_walk`
        wanted = re.compile(rf"""["']{re.escape(name)}["']""", re.IGNORECASE if "Control" in name else 0)
        assert number or wanted.search(pressed), f"no test presses {name}"


def test_steps_edges_and_play_from_the_keyboard(page: Page, film: Film, sale: int) -> None:
    go(page, sale)
    body, moment = page.locator("body"), page.get_by_test_id("moment")
    here = moment.inner_text()
    body.press("ArrowRight")
    expect(moment).not_to_have_text(here, use_inner_text=True)
    body.press("ArrowLeft")
    expect(moment).to_contain_text(f"e{sale}")
    process = film.query.process_row(film.query.event(sale)["process"])
    assert process is not None
    playhead = page.get_by_test_id("playhead")
    body.press("Home")
    expect(playhead).to_have_attribute("aria-valuenow", str(process["start"]))
    body.press("End")
    expect(playhead).to_have_attribute("aria-valuenow", str(process["end"] or film.info.duration_ns))
    body.press("Home")
    body.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(playhead).not_to_have_attribute("aria-valuenow", str(process["start"]))
    body.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    body.press("e")  # the recording is finished: there is no end to follow
    settled(page)


def test_lanes_and_the_desk_from_the_keyboard(page: Page, film: Film, sale: int) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    go(page, sale)
    settled(page)
    body, process = page.locator("body"), film.query.event(sale)["process"]
    body.press("p")
    expect(page.get_by_test_id("group-pinned")).to_be_visible()
    body.press("p")
    expect(page.get_by_test_id("group-pinned")).to_have_count(0)
    body.press("h")
    expect(page.get_by_test_id(f"lane-{process}")).to_have_count(0)
    body.press("H")
    expect(page.get_by_test_id(f"lane-{process}")).to_have_count(1)
    dock = page.locator("[data-dock=bottom]")

    def height() -> float:
        box = dock.bounding_box()
        assert box
        return box["height"]

    small = height()
    body.press("v")
    page.wait_for_function("h => document.querySelector('[data-dock=bottom]').clientHeight > h + 40", arg=small)
    body.press("v")
    page.wait_for_function("h => document.querySelector('[data-dock=bottom]').clientHeight < h + 40", arg=small)
    drawn = "size => Math.abs(document.querySelector('header').getBoundingClientRect().height / 44 - size) < 0.02"
    body.press("]")
    page.wait_for_function(f"() => !({drawn})(1)")
    body.press("[")
    page.wait_for_function(drawn, arg=1)
    body.press("l")
    expect(page.get_by_test_id("said")).to_have_text("Copied the link")
    assert f"#/e{sale}" in page.evaluate("() => navigator.clipboard.readText()")
    fronts = [("messages", "values"), ("state", "values"), ("calls", "stack"), ("causes", "why")]
    body.press("Alt+1")
    expect(page.get_by_test_id("tab-constellation")).to_have_attribute("aria-selected", "true")
    for number, tabs in enumerate(fronts, start=2):
        body.press(f"Alt+{number}")
        for tab in tabs:
            expect(page.get_by_test_id(f"tab-{tab}")).to_have_attribute("aria-selected", "true")


def test_zoom_from_the_keyboard(page: Page, sale: int) -> None:
    go(page, sale)
    settled(page)
    body = page.locator("body")

    def stretch() -> list[int]:
        """What the address says is in view, when the hand has rested."""
        expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
        found = re.search(r"zoom=(\d+)-(\d+)", page.url)
        assert found
        return [int(found[1]), int(found[2])]

    def after(key: str) -> list[int]:
        before = page.url
        body.press(key)
        expect(page).not_to_have_url(before)
        return stretch()

    stretch()  # of the sale: named before the hand goes on
    start = after("z")
    width = start[1] - start[0]
    farther = after("s")
    assert farther[1] - farther[0] > width
    right = after("d")
    assert right[0] > farther[0]
    left = after("a")
    assert left[0] < right[0]
    nearer = after("w")
    assert nearer[1] - nearer[0] < left[1] - left[0]
    assert after("-")[1] - after("+")[0] > 0


def test_the_palette_has_everything(page: Page, film: Film, sale: int) -> None:
    go(page, sale)

    def choose(text: str) -> None:
        page.locator("body").press("Control+k")
        page.keyboard.type(text)
        expect(page.get_by_test_id("palette-entry").first).to_contain_text(text)
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("palette")).to_have_count(0)

    choose("Calls: flame graph")
    expect(page.get_by_test_id("flame")).to_be_visible()
    choose("Calls: critical path")
    expect(page.get_by_test_id("critical-of")).to_be_visible()
    choose("Messages: sequence diagram")
    expect(page.get_by_test_id("messages-sequence")).to_have_attribute("aria-pressed", "true")
    choose("Lanes of all processes")
    expect(page.get_by_test_id("cast")).to_have_value("all")
    choose("Group lanes by name")
    expect(page.get_by_test_id("grouping")).to_have_value("name")
    choose("Light up in every view what led to this event")
    expect(page.get_by_test_id("cone")).to_contain_text("what led to")
    choose("Take the light and all marks off the views")
    expect(page.get_by_test_id("cone")).to_have_count(0)
    choose("Next call of any process")
    expect(page.get_by_test_id("moment")).not_to_contain_text(f"e{sale}")
    choose(film.findings[-1].title)
    head = page.get_by_test_id("finding").nth(len(film.findings) - 1).locator(".head")
    expect(head).to_have_attribute("aria-expanded", "true")


def test_what_was_found_for_another_text_is_not_chosen(page: Page) -> None:
    page.locator("body").press("Control+k")
    first = page.get_by_test_id("palette-entry").first
    page.keyboard.type("sell")
    expect(first).to_contain_text("sell")
    page.route("**/api/search?*", lambda route: None)  # the answer to what comes next is on its way
    page.get_by_test_id("palette").fill("Move Code to the left")
    expect(first).to_contain_text("Move Code to the left")


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
