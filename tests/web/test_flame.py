"""Where time went, in a real Chromium: the flame graph in its four views, and the critical path."""

from __future__ import annotations

import re
from itertools import groupby

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def flame(page: Page, sale: int) -> Page:
    """The flame graph of the whole recording."""
    go(page, sale)
    page.get_by_test_id("tab-calls").click()
    page.get_by_test_id("calls-flame").click()
    page.locator("body").press("f")
    expect(page.get_by_test_id("flame")).to_be_visible()
    settled(page)
    expect(page.get_by_test_id("flame")).to_have_attribute("data-busy", "false")
    return page


def test_the_keyboard_walks_the_flame_graph_and_opens_a_call(flame: Page) -> None:
    graph, about = flame.get_by_test_id("flame"), flame.get_by_test_id("flame-about")
    graph.focus()
    flame.keyboard.press("ArrowRight")
    expect(about).to_contain_text(re.compile(r"/\d+: .* (ns|µs|ms|s) \("))
    first = about.inner_text()
    flame.keyboard.press("ArrowRight")
    expect(about).not_to_have_text(first)
    before = flame.get_by_test_id("moment").inner_text()
    flame.keyboard.press("Enter")
    expect(flame.get_by_test_id("moment")).not_to_have_text(before, use_inner_text=True)
    settled(flame)
    expect(graph).to_have_attribute("data-busy", "false")  # a new graph begins unzoomed
    graph.focus()
    flame.keyboard.press("ArrowRight")
    flame.keyboard.press("z")
    flame.get_by_test_id("flame-reset").click()
    expect(flame.get_by_test_id("flame-reset")).to_have_count(0)


def test_a_function_is_found_and_opened_between_callers_and_callees(flame: Page) -> None:
    flame.get_by_test_id("flame-search").fill("sell")
    expect(flame.get_by_test_id("flame-matched")).to_contain_text("function")
    flame.get_by_test_id("flame-function").filter(has_text="BoxOffice.sell/3").click()
    expect(flame.get_by_test_id("flame-sandwich")).to_have_attribute("aria-pressed", "true")
    graph = flame.get_by_test_id("flame")
    expect(graph).to_have_attribute("data-busy", "false")
    graph.focus()
    flame.keyboard.press("ArrowUp")
    expect(flame.get_by_test_id("flame-about")).to_contain_text("TicketOffice.BoxOffice.sell/3:")
    flame.keyboard.press("ArrowUp")
    expect(flame.get_by_test_id("flame-about")).to_contain_text("TicketOffice.BoxOffice.sell_any/1:")


def test_the_call_tree_tells_arguments_and_returns_and_opens(page: Page, film: Film, sale: int) -> None:
    row = film.query.rows("select call, args, result from raw.calls where end_event = ?", [sale])[0]
    go(page, sale)
    page.get_by_test_id("tab-calls").click()
    page.get_by_test_id("calls-tree").click()
    tree = page.get_by_test_id("calls")
    expect(tree).to_contain_text(str(film.query.values.text(row["args"])).strip("{}")[:20])
    expect(tree).to_contain_text("→")
    # The path to the moment stands open, the rest is a click away.
    expect(page.get_by_test_id("call").filter(has_text="BoxOffice.sell/3").first).to_be_visible()
    shut = tree.locator("[role=treeitem][aria-expanded=false]").first
    if shut.count():
        rows = page.get_by_test_id("call").count()
        shut.locator("button").first.click()
        expect(page.get_by_test_id("call").nth(rows)).to_be_visible()


@pytest.mark.parametrize("view", ["time", "inverted"])
def test_the_other_views_are_drawn(flame: Page, view: str) -> None:
    flame.get_by_test_id(f"flame-{view}").click()
    expect(flame.get_by_test_id("flame")).to_be_visible()
    expect(flame.get_by_test_id("flame-about")).to_contain_text("in all")


def test_the_critical_path_of_a_test_crosses_processes(page: Page, film: Film, sale: int) -> None:
    go(page, sale)
    page.get_by_test_id("tab-calls").click()
    page.get_by_test_id("calls-critical").click()
    test = film.query.rows("select event, call from raw.tests where name like '%no seat is sold twice%'")[0]
    page.get_by_test_id("critical-of").select_option(f"t{test['event']}")
    path = film.dags.performance.path(test["call"], limit=500)
    segments, folds = page.get_by_test_id("segment"), page.get_by_test_id("segment-fold")
    expect(page.get_by_test_id("critical-total")).to_have_text(f"{path.total} stretches")
    # Three and more in a row that each take less than a two-hundredth of the whole are one row, until it is opened.
    short = [one.end - one.start < 0.005 * (path.end - path.start) for one in path.segments]
    runs = [len(list(run)) for brief, run in groupby(short) if brief]
    expect(folds).to_have_text([re.compile(f"{run} short stretches") for run in runs if run >= 3])
    for fold in folds.all():
        fold.press("Enter")
        expect(fold).to_have_attribute("aria-expanded", "true")
    expect(segments).to_have_count(len(path.segments))
    expect(segments.filter(has_text="waited in the mailbox").first).to_be_visible()
    expect(segments.filter(has_text="message on its way").first).to_be_visible()
    segments.filter(has_text="waited in the mailbox").first.click()
    settled(page)
    expect(page.get_by_test_id("critical")).to_be_visible()
