"""SQL in a real Chromium: completed, refused with its place, drawn, set on the timeline, remembered."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def query(page: Page, sale: int) -> Page:
    """The query view, nothing asked yet."""
    go(page, sale)
    page.get_by_test_id("tab-query").click()
    settled(page)
    return page


def test_tables_and_columns_are_completed(query: Page) -> None:
    sql = query.get_by_test_id("sql")
    sql.fill("select * from cal")
    expect(query.get_by_test_id("completions").get_by_role("option").first).to_contain_text("calls")
    query.keyboard.press("Tab")
    expect(sql).to_have_value("select * from calls")
    query.keyboard.type(" where dura")
    expect(query.get_by_test_id("completions").get_by_role("option").first).to_contain_text("duration")
    query.keyboard.press("Enter")
    expect(sql).to_have_value("select * from calls where duration")
    query.keyboard.type(" > 0 limit 3")
    query.keyboard.press("Escape")
    query.keyboard.press("Control+Enter")
    expect(query.get_by_test_id("rows").locator("tbody tr")).to_have_count(3)


def test_an_error_points_at_its_place(query: Page, complaints: list[str]) -> None:
    query.get_by_test_id("sql").fill("select *\nfrom calls where durration > 3")
    with query.expect_console_message(lambda message: "400" in message.text):
        query.get_by_test_id("run").click()
    expect(query.get_by_test_id("error-place")).to_have_text("line 2, column 18")
    expect(query.get_by_test_id("sql-error")).to_have_text("durration")
    complaints[:] = [text for text in complaints if "400" not in text]


def test_a_result_is_drawn_and_set_on_the_timeline(query: Page) -> None:
    query.get_by_test_id("example").filter(has_text="busiest functions").click()
    query.get_by_test_id("draw").click()
    expect(query.get_by_test_id("point").first).to_be_visible()
    query.get_by_test_id("example").filter(has_text="time in mailboxes").click()
    expect(query.get_by_test_id("chart").locator("path.line")).to_be_attached()
    query.get_by_test_id("mark").click()
    expect(query.get_by_test_id("pick-lane")).to_be_visible()
    expect(query.get_by_test_id("pick-lane").locator(".tick").first).to_be_attached()
    query.get_by_role("button", name="Take these marks off the timeline").click()
    expect(query.get_by_test_id("pick-lane")).to_have_count(0)


def test_a_row_opens_its_moment_and_queries_are_remembered(query: Page) -> None:
    query.get_by_test_id("example").filter(has_text="slowest calls").click()
    before = query.get_by_test_id("moment").inner_text()
    query.get_by_test_id("row-link").first.click()
    expect(query.get_by_test_id("moment")).not_to_have_text(before, use_inner_text=True)
    query.reload()
    settled(query)
    query.get_by_test_id("sql-history").click()
    expect(query.get_by_test_id("menu-item").first).to_have_text(re.compile("duration desc|select call, label"))
    query.get_by_test_id("menu-item").first.click()
    expect(query.get_by_test_id("rows")).to_be_visible()


def test_recorded_markup_in_a_result_stays_text(query: Page) -> None:
    query.get_by_test_id("sql").fill("select '<script>document.title=1</script><b>x</b>' as value")
    query.get_by_test_id("run").click()
    expect(query.get_by_test_id("rows")).to_contain_text("<script>")
    assert query.locator("td b, td script").count() == 0
