"""Findings in a real Chromium: their flags on the timeline, and the panel that has something to say about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.web.server import serving
from tests.web.pages import go, open_page, settled

pytestmark = [pytest.mark.browser]

_STATELESS = """
processes: main, worker
 10  main call Shop.open() @ lib/shop.ex:2
 12  main starts worker
 14  worker call Shop.sell("A1") @ lib/shop.ex:3
 15  worker bind seat = "A1" @ lib/shop.ex:3
 16  worker raise :error, %RuntimeError{message: "boom", __exception__: true} @ lib/shop.ex:4
 17  worker exits {%RuntimeError{message: "boom", __exception__: true}, [{Shop, :sell, 1, []}]}
 90  main return :ok @ lib/shop.ex:9
"""


def test_a_crash_without_a_state_opens_on_the_panel_that_tells_of_it(
    browser: Browser, tmp_path: Path, complaints: list[str]
) -> None:
    with serving(Film.open(record(_STATELESS, tmp_path / "stateless.scope"))) as server:
        page = open_page(browser, server.url, complaints)
        expect(page.get_by_test_id("finding").first).to_contain_text("Crash")
        expect(page.get_by_test_id("tab-values")).to_have_attribute("aria-selected", "true")
        expect(page.get_by_test_id("values")).to_contain_text("boom")
        # Who chose another panel keeps it.
        page.get_by_test_id("tab-stack").click()
        page.get_by_test_id("finding").first.locator(".head").click()
        page.get_by_test_id("finding").first.locator(".head").click()
        settled(page)
        expect(page.get_by_test_id("tab-stack")).to_have_attribute("aria-selected", "true")
        page.close()
    assert complaints == []


_CALM = """
processes: main, box
 5   main starts box
 10  box callback Box.handle_cast(:one, 1) @ lib/box.ex:2
 20  box return {:noreply, 2}
 21  box state 2
 50  main -> box cast :two
 80  box callback Box.handle_cast(:two, 2) @ lib/box.ex:2
 81  box raise :error, :odd @ lib/box.ex:3
 90  box return {:noreply, 3}
"""


def test_without_a_finding_it_opens_where_code_runs_and_tells_of_exceptions(
    browser: Browser, tmp_path: Path, complaints: list[str]
) -> None:
    with serving(Film.open(record(_CALM, tmp_path / "calm.scope"))) as server:
        page = open_page(browser, server.url, complaints)
        expect(page.get_by_test_id("findings")).to_contain_text("Nothing suspicious")
        expect(page.get_by_test_id("findings")).to_contain_text("1 exception came up")
        expect(page.get_by_test_id("moment")).to_contain_text("Box calls Box.handle_cast")  # the next after its middle
        second = page.get_by_test_id("moment").inner_text()
        go(page, 6)  # its state: between two calls
        page.get_by_test_id("call-previous").click()
        expect(page.get_by_test_id("moment")).to_contain_text("Box calls Box.handle_cast")
        expect(page.get_by_test_id("moment")).not_to_have_text(second)
        page.close()
    assert complaints == []


@pytest.mark.beam
def test_a_flag_on_the_timeline_opens_its_step_of_the_story(page: Page, film: Film) -> None:
    page.locator("body").press("f")
    settled(page)
    flags = page.get_by_test_id("flag")
    told = [(index, place, step) for index, one in enumerate(film.findings) for place, step in enumerate(one.evidence)]
    expect(flags).to_have_count(len(told))
    number, (index, place, step) = [one for one in enumerate(told) if one[1][2].moment.event is not None][-1]
    finding = film.findings[index]
    expect(flags.nth(number)).to_have_attribute("title", f"{finding.title}: {step.text}")
    flags.nth(number).dispatch_event("click")  # flags may lie on each other
    settled(page)
    head = page.get_by_test_id("finding").nth(index).locator(".head")
    expect(head).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{step.moment.event}")
    expect(page.get_by_test_id("explain-step")).to_have_text(f"step {place + 1} of {len(finding.evidence)}")
    expect(page.locator("[data-testid=flag].open")).to_have_count(len(finding.evidence))
