"""The timeline and its transport by mouse and keyboard, on the example's recording."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from elixirscope.query.stepping import step
from tests.web.pages import go, named, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


_DASHES = """() => {
  const of = CanvasRenderingContext2D.prototype, draw = of.setLineDash
  window.dashes = new Set()
  of.setLineDash = function (dash) { window.dashes.add(dash.join()); draw.call(this, dash) }
}"""
"""Keeps the patterns of lines that the page draws from now on."""


@pytest.fixture
def desk(page: Page, sale: int) -> Page:
    """The page at a sale, with a lane for every process and room for all of them."""
    page.set_viewport_size({"width": 1280, "height": 4800})
    go(page, sale)
    page.get_by_test_id("cast").select_option("all")
    settled(page)
    return page


def lane_of(page: Page, film: Film, label: str) -> str:
    """The test id of a lane by its process's label."""
    return f"lane-{film.query.process(label)}"


def test_platform_processes_are_folded_until_somebody_looks(desk: Page, film: Film) -> None:
    platform = desk.get_by_test_id("group-platform")
    desk.get_by_test_id("lane-menu-button").click()
    desk.get_by_test_id("lane-search").fill("ExUnit.Server")
    expect(desk.get_by_test_id(lane_of(desk, film, "ExUnit.Server"))).to_be_visible()
    desk.get_by_test_id("lane-search").fill("")
    expect(desk.get_by_test_id(lane_of(desk, film, "ExUnit.Server"))).to_have_count(0)
    desk.get_by_test_id("grouping").select_option("application")
    desk.keyboard.press("Escape")
    expect(desk.get_by_test_id("group-TicketOffice")).to_have_attribute("aria-expanded", "true")
    desk.get_by_test_id("group-TicketOffice").click()
    expect(platform).to_be_visible()
    expect(platform).to_have_attribute("aria-expanded", "false")
    platform.click()
    expect(desk.get_by_test_id(lane_of(desk, film, ":logger"))).to_be_visible()


def test_lanes_are_pinned_hidden_and_moved_by_keyboard(desk: Page, film: Film) -> None:
    ledger, pricing = lane_of(desk, film, "Ledger"), lane_of(desk, film, "Pricing")
    desk.get_by_test_id("lane-menu-button").click()
    desk.get_by_test_id("lane-search").fill("TicketOffice.")
    desk.keyboard.press("Escape")

    def top(lane: str) -> float:
        box = desk.get_by_test_id(lane).bounding_box()
        assert box
        return box["y"]

    assert top(pricing) < top(ledger)
    desk.get_by_test_id(ledger).get_by_role("button", name="Ledger", exact=True).press("p")
    expect(desk.get_by_test_id("group-pinned")).to_be_visible()
    assert top(ledger) < top(pricing)
    desk.get_by_test_id(pricing).get_by_role("button", name="Pricing", exact=True).press("h")
    expect(desk.get_by_test_id(pricing)).to_have_count(0)
    desk.reload()
    settled(desk)
    desk.get_by_test_id("cast").select_option("all")
    expect(desk.get_by_test_id("group-pinned")).to_be_visible()  # remembered for this recording
    desk.get_by_test_id("lane-menu-button").click()
    expect(desk.get_by_test_id("lane-menu")).to_contain_text("1 hidden: Pricing")
    desk.get_by_test_id("show-hidden").click()
    desk.get_by_test_id("lane-search").fill("Pricing")
    expect(desk.get_by_test_id(pricing)).to_be_visible()


def test_lanes_fold_below_their_supervisor(desk: Page, film: Film) -> None:
    shows = film.query.process("Shows")
    below = next(row["process"] for row in film.query.processes if row["supervisor"] == shows)
    lane, child = desk.get_by_test_id(f"lane-{shows}"), desk.get_by_test_id(f"lane-{below}")
    expect(child).to_be_visible()
    lane.get_by_role("button", name=re.compile("^Fold ")).click()
    expect(child).to_have_count(0)
    desk.reload()  # it is remembered
    settled(desk)
    expect(lane).to_be_visible()
    expect(child).to_have_count(0)
    lane.get_by_role("button", name=re.compile("^Unfold ")).click()
    expect(child).to_be_visible()


def test_from_the_whole_recording_to_the_nanosecond(page: Page, sale: int) -> None:
    go(page, sale)
    page.locator("body").press("f")
    settled(page)
    expect(page.get_by_test_id("timeline")).to_contain_text(re.compile(r"^\s*(\S+ \S+) of \1"))
    for _ in range(70):
        page.keyboard.press("w")
    settled(page)
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.wait_for_function("() => { const [, a, b] = /zoom=(\\d+)-(\\d+)/.exec(location.hash); return b - a <= 40 }")
    expect(page.get_by_test_id("timeline")).to_contain_text(re.compile(r"^\s*\d\d ns of "))


def test_steps_of_a_kind_and_speed_from_the_transport(page: Page, film: Film, sale: int) -> None:
    go(page, sale)
    settled(page)
    for kind in ("call", "message", "state", "exception"):
        page.get_by_test_id("step-kind").select_option(kind)
        for scope in ("process", "any"):
            page.get_by_test_id("step-scope").select_option(scope)
            for direction in ("next", "previous"):
                to = step(film.query, sale, direction=direction, scope=scope, kind=kind)
                go(page, sale)
                settled(page)
                page.get_by_test_id(f"step-{direction}").click()
                if to is None or to.event is None:
                    expect(page.get_by_test_id("transport")).to_contain_text(f"no {direction} {kind}")
                else:
                    expect(page.get_by_test_id("moment")).to_contain_text(f"e{to.event}")
                    named(page, to.event)
    speed = page.get_by_role("button", name=re.compile("^Speed"))
    expect(speed).to_have_text("1×")
    speed.click()
    expect(speed).to_have_text("2×")


def test_causality_passes_through_a_hidden_lane_as_a_dashed_arrow(desk: Page, film: Film) -> None:
    hidden = film.query.process("Pricing")
    lane = desk.get_by_test_id(f"lane-{hidden}")
    desk.locator("body").press("f")
    settled(desk)
    desk.evaluate(_DASHES)
    # Closer stretches are asked for ahead, too.
    whole = re.compile(
        rf"/api/timeline\?from=0&to={film.info.duration_ns}&.*through=(\d+%2C)*{hidden}(&|%2C|$)",
    )
    with desk.expect_response(lambda answer: whole.search(answer.url) is not None) as asked:
        lane.get_by_role("button", name="Pricing", exact=True).press("h")
    expect(lane).to_have_count(0)
    assert any(hidden in arrow[-1] for arrow in asked.value.json()["messages"])
    desk.wait_for_function("() => window.dashes.has('2,4')")


def test_a_brush_scopes_the_lists_and_escape_clears_it(page: Page, sale: int) -> None:
    go(page, sale)
    box = page.get_by_test_id("canvas").bounding_box()
    assert box
    total = page.get_by_text(re.compile(r"in view$"))
    expect(total.first).to_be_visible()
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 100, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 20, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.get_by_text(re.compile(r"in the window$")).first).to_be_visible()
    expect(page).to_have_url(re.compile(r"window=\d+-\d+"))
    before = page.url
    page.get_by_test_id("window-end").press("ArrowRight")
    expect(page).not_to_have_url(before)
    page.get_by_test_id("window-end").press("Escape")
    expect(page).not_to_have_url(re.compile("window="))
    expect(total.first).to_be_visible()


def test_wasd_fit_and_the_frame_zoom(page: Page, sale: int) -> None:
    go(page, sale)
    page.keyboard.press("f")
    expect(page).not_to_have_url(re.compile("zoom="))
    for key in ("w", "w", "w", "a", "d", "s"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.keyboard.press("z")
    settled(page)
    page.get_by_test_id("fit").click()
    expect(page).not_to_have_url(re.compile("zoom="))


@pytest.mark.parametrize(
    ("key", "back", "hint"), [(".", ",", "next"), ("m", "M", "message"), ("c", "C", "state"), ("x", "X", "exception")]
)
def test_every_way_to_step_has_a_key(page: Page, film: Film, key: str, back: str, hint: str) -> None:
    seats = film.query.rows("select state from raw.states where version = 3 order by state limit 1")
    go(page, int(seats[0]["state"]))
    page.keyboard.press(key)
    moment = page.get_by_test_id("moment")
    expect(moment).not_to_contain_text(f"e{seats[0]['state']}")
    settled(page)
    stepped = moment.inner_text()
    page.keyboard.press(back)
    expect(moment).not_to_have_text(stepped)


def test_before_a_process_lived_the_first_step_is_to_its_birth(page: Page, film: Film) -> None:
    born = max(film.query.processes, key=lambda row: row["start"])
    page.evaluate("hash => { location.hash = hash }", f"#/5ns@{born['process']}")
    settled(page)
    page.keyboard.press(",")
    expect(page.get_by_text("no previous event")).to_be_visible()
    page.keyboard.press(".")
    expect(page).to_have_url(re.compile(rf"#/{born['start']}ns@{born['process']}\b"))
    expect(page.get_by_test_id("moment")).to_contain_text(re.compile(r"e\d+"))


def test_playing_moves_the_playhead_until_it_is_paused(page: Page, sale: int) -> None:
    go(page, sale)
    before = page.get_by_test_id("moment").inner_text()
    page.get_by_test_id("play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_test_id("moment")).not_to_have_text(before)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_click_is_answered_by_what_the_pointer_asked_for_on_its_way(page: Page, sale: int) -> None:
    go(page, sale)
    settled(page)  # before there are lanes a pointer asks for nothing
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/frame?" in request.url else None)
    lanes = page.get_by_test_id("lanes").bounding_box()
    assert lanes
    x, y = lanes["x"] + lanes["width"] * 0.37, lanes["y"] + 12
    before = page.get_by_test_id("moment").inner_text()
    with page.expect_response("**/api/frame?*"):
        page.mouse.move(x, y)
    page.mouse.click(x, y)
    expect(page.get_by_test_id("moment")).not_to_have_text(before)
    settled(page)
    assert len(asked) == 1


def test_the_focus_ends_where_a_drag_of_the_playhead_ended(page: Page, sale: int) -> None:
    go(page, sale)
    lanes = page.get_by_test_id("lanes").bounding_box()
    assert lanes
    page.mouse.move(lanes["x"] + lanes["width"] * 0.2, lanes["y"] - 14)
    page.mouse.down()
    for share in (0.3, 0.5, 0.7, 0.8):
        page.mouse.move(lanes["x"] + lanes["width"] * share, lanes["y"] - 14)
    page.mouse.up()
    settled(page)
    playhead = page.get_by_test_id("playhead")
    line = playhead.bounding_box()
    assert line
    assert abs(line["x"] + line["width"] / 2 - lanes["x"] - lanes["width"] * 0.8) < 1.5
    # It is the time of the focus that is there, not the hand alone.
    copied = page.get_by_test_id("moment").inner_text()
    page.get_by_test_id("step-first").click()
    expect(page.get_by_test_id("moment")).not_to_have_text(copied)


def test_the_next_step_is_asked_for_before_it_is_taken(page: Page, film: Film, sale: int) -> None:
    go(page, sale)
    settled(page)
    second, third = sale, sale
    for _ in range(2):
        moment = step(film.query, third, direction="next", scope="process", kind="any")
        assert moment is not None
        assert moment.event is not None
        second, third = third, moment.event
    ahead = re.compile(rf"step\?event={second}&|frame\?at=\d+&process=\d+&event={third}&")
    with page.expect_response(lambda answer: "frame" in answer.url and bool(ahead.search(unquote(answer.url)))):
        page.keyboard.press(".")
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{second}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(unquote(request.url)))
    page.keyboard.press(".")
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{third}")
    assert not [url for url in asked if ahead.search(url)]


def test_back_and_forward_walk_the_moments(page: Page, film: Film, sale: int) -> None:
    go(page, sale)
    other = film.query.process("Ledger")
    page.get_by_test_id(f"process-{other}").click()
    expect(page.get_by_test_id("moment")).to_contain_text("Ledger")
    expect(page).to_have_url(re.compile(rf"ns@{other}\b"))
    page.go_back()
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{sale}")
    page.go_forward()
    expect(page.get_by_test_id("moment")).to_contain_text("Ledger")


def test_the_process_in_focus_stays_in_sight_in_the_list(page: Page, film: Film, sale: int) -> None:
    page.set_viewport_size({"width": 1280, "height": 420})  # most rows are out of sight
    settled(page)
    rows = page.get_by_test_id("processes").locator("[data-testid^=process-]").all()
    numbers = [int(str(row.get_attribute("data-testid")).removeprefix("process-")) for row in rows]
    found = film.query.rows("select process, min(event) as event from raw.events group by 1")
    firsts = {row["process"]: int(row["event"]) for row in found}  # of some only others tell
    there = [(row, firsts[number]) for row, number in zip(rows, numbers, strict=True) if number in firsts]
    assert len(there) > 10
    for row, first in (there[-1], there[0]):
        go(page, first)
        expect(row).to_have_attribute("aria-current", "true")
        expect(row).to_be_in_viewport()


def test_a_link_and_the_way_back_bring_their_moment_into_view(page: Page, film: Film, sale: int) -> None:
    go(page, sale)
    expect(page.get_by_test_id("playhead")).to_be_visible()
    page.locator("body").press("z")  # close to the frame: whatever else happened is out of view
    settled(page)
    last = int(film.query.rows("select max(event) as event from raw.events where process is not null")[0]["event"])
    go(page, last)
    expect(page.get_by_test_id("playhead")).to_be_visible()


def test_levels_of_zoom_by_mouse_and_keyboard(page: Page, film: Film, sale: int) -> None:
    go(page, sale)
    current = page.get_by_test_id("levels").locator("[aria-current]")
    for level, label in (
        ("system", "ticket_office"),
        ("application", "TicketOffice"),
        ("function", "BoxOffice.sell/3"),
    ):
        expect(page.get_by_test_id(f"level-{level}")).to_contain_text(label)
    expect(page.get_by_test_id("level-line")).to_contain_text("box_office.ex:")
    expect(page.get_by_test_id("level-value")).to_contain_text(" = ")
    page.get_by_test_id("level-system").click()
    expect(page.get_by_test_id("cast")).to_have_value("all")
    expect(page).not_to_have_url(re.compile("zoom="))

    page.locator("body").press(">")
    expect(page.get_by_test_id("cast")).to_have_value("application")
    page.locator("body").press(">")
    expect(page.get_by_test_id("cast")).to_have_value("process")
    expect(page.get_by_test_id("lanes")).to_be_visible()
    expect(current).to_have_attribute("data-testid", "level-process")
    page.locator("body").press(">")
    expect(page.get_by_test_id("tab-calls")).to_have_attribute("aria-selected", "true")
    page.locator("body").press(">")
    expect(page.get_by_test_id("line-hits")).to_be_visible()
    page.locator("body").press(">")
    expect(page.get_by_test_id("hop").first).to_be_visible()
    expect(current).to_have_attribute("data-testid", "level-value")
    page.locator("body").press("<")
    expect(current).to_have_attribute("data-testid", "level-line")
    assert f"e{sale}" in page.url  # all the while the same moment

    # The bar by keyboard: arrows walk it, and Down lists what is one level closer.
    page.get_by_test_id("level-system").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("inside-system")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("menu")).to_contain_text("Alive at this moment")
    ledger = page.get_by_test_id("menu-item").filter(has_text=re.compile("^Ledger"))
    ledger.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("level-process")).to_contain_text("Ledger")
    expect(page.get_by_test_id("cast")).to_have_value("process")
    expect(page.get_by_test_id(lane_of(page, film, "Ledger"))).to_be_visible()
