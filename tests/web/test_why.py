"""Why and why not, in a real Chromium: menus of what was recorded, answers, cones in every view."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from elixirscope.query.sources import lines_of
from elixirscope.query.stacks import functions_of
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def charge(film: Film) -> int:
    """The message whose handling crashed the till."""
    rows = film.query.rows(
        "select send_event from raw.messages where contains(value_text(value), ':charge')"
        " and contains(value_text(value), 'SPRING') and send_event is not null order by sent_at limit 1"
    )
    return int(rows[0]["send_event"])


def test_a_cone_is_lit_in_every_view_and_put_out(page: Page, charge: int) -> None:
    go(page, charge)
    page.get_by_test_id("tab-causes").click()
    settled(page)
    page.get_by_test_id("cone-forward").click()
    expect(page.get_by_test_id("cone")).to_contain_text("what follows from")
    expect(page.get_by_test_id("cone-forward")).to_have_attribute("aria-pressed", "true")
    page.get_by_test_id("tab-messages").click()
    page.get_by_test_id("messages-list").click()
    page.locator("body").press("f")
    expect(page.locator("[data-testid=message].unlit").first).to_be_attached()
    page.get_by_test_id("cone").click()
    expect(page.locator("[data-testid=message].unlit")).to_have_count(0)


def test_a_cone_tells_who_what_and_where_in_all_other_views(page: Page, film: Film, charge: int) -> None:
    cone = {charge, *(step.event for step in film.dags.causality.forward(charge, limit=1000))}
    processes = {film.query.event(event)["process"] for event in cone}
    go(page, charge)
    page.get_by_test_id("tab-causes").click()
    page.get_by_test_id("cone-forward").click()
    expect(page.get_by_test_id("cone")).to_contain_text(f"{len(cone):,}")

    unlit = page.locator(".unlit")
    rows = page.get_by_test_id("processes").locator("li:has([data-testid^=process-])")
    names = rows.locator("[data-testid^=process-]").evaluate_all("all => all.map(one => one.dataset.testid)")
    shown = {int(name.removeprefix("process-")) for name in names}
    expect(page.get_by_test_id("processes").locator("li.unlit")).to_have_count(len(shown - processes))
    evidence = [step.moment.event for finding in film.findings[:1] for step in finding.evidence]
    expect(page.get_by_test_id("finding").first.locator("li.unlit")).to_have_count(
        sum(one not in cone for one in evidence)
    )

    # The lines that it came by.
    told = ", ".join(map(str, sorted(cone)))
    first = film.query.rows(
        f"select event, file from raw.events join raw.sites using (site) where event in ({told}) and file like 'lib/%'"
        " order by event limit 1"
    )[0]
    go(page, int(first["event"]))
    expect(page.get_by_test_id("code")).to_contain_text(first["file"].split("/")[-1])
    for line in lines_of(film.query, sorted(cone))[first["file"]]:
        expect(page.locator(f"[data-testid=code] [data-line='{line}']")).to_have_class(re.compile("reached"))

    # The functions that it came by, however often they were called elsewhere.
    reached = set(functions_of(film.query, sorted(cone)))
    page.locator("body").press("f")
    page.get_by_test_id("tab-calls").click()
    page.get_by_test_id("calls-flame").click()
    settled(page)
    expect(page.get_by_test_id("flame")).to_have_attribute("data-busy", "false")
    rows = page.locator("tr:has([data-testid=flame-function])")
    names = rows.locator("button").evaluate_all("all => all.map(one => one.title.split(':')[0])")
    assert 0 < len([name for name in names if name in reached]) < len(names)
    expect(rows.and_(unlit)).to_have_count(len([name for name in names if name not in reached]))

    # Processes, and moments that were kept.
    page.get_by_test_id("tab-constellation").click()
    page.get_by_test_id("everybody").click()
    expect(page.locator("[data-testid=constellation] .unlit").first).to_be_attached()
    page.locator("body").press("n")
    page.keyboard.press("Enter")
    go(page, 1)
    page.locator("body").press("n")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("kept").and_(unlit)).to_have_count(1)
    page.get_by_test_id("cone").click()
    expect(unlit).to_have_count(0)
    expect(page.locator(".reached")).to_have_count(0)


def test_a_call_that_did_not_return_is_asked_about(page: Page, film: Film) -> None:
    rows = film.query.rows("select call from raw.calls where function = 'discount' and outcome = 'raised' limit 1")
    go(page, int(rows[0]["call"]))
    page.get_by_test_id("tab-stack").click()
    page.get_by_test_id("stack-frame").first.click(button="right", position={"x": 60, "y": 8})
    page.get_by_test_id("menu-item").filter(has_text="not return").click()
    expect(page.get_by_test_id("inquiry")).to_contain_text("discount")
    expect(page.get_by_test_id("verdict")).to_be_visible()
    evidence = page.get_by_test_id("inquiry-evidence").first
    expect(evidence).to_be_visible()
    evidence.click()
    page.get_by_role("button", name="Close the question").click()
    expect(page.get_by_test_id("inquiry")).to_have_count(0)


def test_a_value_is_copied_as_json(page: Page, sale: int) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    go(page, sale)
    page.get_by_test_id("tab-stack").click()
    page.get_by_test_id("stack-frame").first.click(button="right", position={"x": 60, "y": 8})
    page.get_by_test_id("menu-item").filter(has_text="Copy as JSON").first.click()
    expect(page.get_by_test_id("said")).to_have_text("Copied JSON")
    assert isinstance(json.loads(page.evaluate("() => navigator.clipboard.readText()")), list)


def test_a_finding_explains_itself_step_by_step(page: Page) -> None:
    step, told = page.get_by_test_id("explain-step"), page.get_by_test_id("told")
    expect(step).to_be_visible()
    evidence = page.get_by_test_id("finding").filter(has_text="Race").first.get_by_test_id("evidence")
    evidence.first.click()
    expect(step).to_contain_text("step 1 of")
    expect(told).to_contain_text("checked")
    page.get_by_test_id("explain-next").click()
    expect(step).to_contain_text("step 2 of")
    page.get_by_test_id("explain-previous").click()
    expect(step).to_contain_text("step 1 of")
    page.locator("body").press("j")
    expect(evidence.nth(1)).to_have_attribute("aria-current", "step")
    expect(evidence.nth(1)).to_be_in_viewport()
    page.locator("body").press("k")
    expect(step).to_contain_text("step 1 of")
    page.get_by_test_id("explain-fix").click()
    expect(told).to_contain_text("one request")
    page.locator("body").press("j")  # whoever moves on is told what happens there
    expect(told).not_to_contain_text("one request")
    page.get_by_test_id("reel").last.click()
    expect(evidence.last).to_have_attribute("aria-current", "step")
    page.get_by_test_id("explain-first").click()
    expect(step).to_contain_text("step 1 of")
    page.get_by_role("button", name="Close the story").click()
    expect(page.get_by_test_id("caption")).to_have_count(0)
