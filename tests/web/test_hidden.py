"""What passes through lanes that are hidden, on the example's recording."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]

_DASHES = """() => {
  const of = CanvasRenderingContext2D.prototype, draw = of.setLineDash
  window.dashes = new Set()
  of.setLineDash = function (dash) { window.dashes.add(dash.join()); draw.call(this, dash) }
}"""
"""Keeps the patterns of lines that the page draws from now on."""


@pytest.fixture
def lanes(page: Page, sale: int) -> Page:
    """The page with a lane for every process and room for all of them."""
    page.set_viewport_size({"width": 1280, "height": 4800})
    go(page, sale)
    page.get_by_test_id("cast").select_option("all")
    settled(page)
    return page


def test_causality_passes_through_a_hidden_lane_as_a_dashed_arrow(lanes: Page, film: Film) -> None:
    hidden = film.query.process("Pricing")
    lane = lanes.get_by_test_id(f"lane-{hidden}")
    lanes.locator("body").press("f")
    settled(lanes)
    lanes.evaluate(_DASHES)
    with lanes.expect_response(lambda answer: "/api/timeline?" in answer.url and "through=" in answer.url) as asked:
        lane.get_by_role("button", name="Pricing", exact=True).press("h")
    expect(lane).to_have_count(0)
    assert any(hidden in arrow["via"] for arrow in asked.value.json()["messages"])
    lanes.wait_for_function("() => window.dashes.has('2,4')")
