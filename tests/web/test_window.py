"""The focus window, brushed on the timeline: every view that lists anything is about it, and says so."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from elixirscope.dags.retro import retro
from elixirscope.film import Film
from elixirscope.query.search import find
from elixirscope.query.sources import hits_within
from tests.web.pages import go, settled, type_pattern

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def window(page: Page, film: Film) -> tuple[int, int]:
    """A stretch of the whole recording, brushed around a moment at which a seat was given away."""
    state = film.query.rows(
        "select state from raw.states join raw.processes using (process)"
        " where label like 'Seats%' and version > 3 order by state limit 1"
    )[0]["state"]
    go(page, int(state))
    page.locator("body").press("f")
    settled(page)
    head, canvas = page.get_by_test_id("playhead").bounding_box(), page.get_by_test_id("canvas").bounding_box()
    assert head
    assert canvas
    x, y = head["x"] + head["width"] / 2, canvas["y"] + 20
    page.keyboard.down("Shift")
    page.mouse.move(x - 15, y)
    page.mouse.down()
    page.mouse.move(x + 15, y, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page).to_have_url(re.compile(r"window=\d+-\d+"))
    page.reload()  # the link names it in whole nanoseconds
    settled(page)
    found = re.search(r"window=(\d+)-(\d+)", page.url)
    assert found
    return int(found[1]), int(found[2])


def test_lists_and_searches_are_about_the_window(page: Page, film: Film, window: tuple[int, int]) -> None:
    for view in ("messages", "calls"):
        page.get_by_test_id(f"tab-{view}").click()
        expect(page.get_by_text(re.compile("in the window$")).first).to_be_visible()
    with page.expect_response(lambda answer: f"/api/flame?from={window[0]}&to={window[1]}" in answer.url):
        page.get_by_test_id("calls-flame").click()
    page.get_by_test_id("tab-causes").click()
    page.get_by_test_id("causes-spacetime").click()
    expect(page.get_by_text(re.compile("crossings in the window$"))).to_be_visible()

    page.locator("body").press("7")
    type_pattern(page, "{:put, _, _}")
    inside, everywhere = (find(film.query, "{:put, _, _}", within=within).total for within in (window, None))
    assert 0 < inside < everywhere
    total = page.get_by_test_id("find-total")
    expect(total).to_have_text(f"{inside} in the window")

    page.get_by_test_id("tab-query").click()
    page.get_by_test_id("sql").fill("select $from as since, $to as until, '$to' as text")
    page.get_by_test_id("run").click()
    expect(page.get_by_test_id("rows").locator("td")).to_have_text([str(window[0]), str(window[1]), "$to"])

    page.get_by_test_id("window-end").press("Escape")
    expect(page).not_to_have_url(re.compile("window="))
    expect(page.get_by_test_id("rows").locator("td").nth(1)).not_to_have_text(str(window[1]))
    page.get_by_test_id("tab-find").click()
    expect(total).to_have_text(str(everywhere))


def test_passings_and_lists_of_the_whole_are_about_the_window(page: Page, film: Film, window: tuple[int, int]) -> None:
    line = int(page.get_by_test_id("source-line").get_attribute("data-line") or 0)
    page.get_by_test_id(f"hits-{line}").click()
    answer = retro(film.query, "lib/ticket_office/seats.ex", line, "1", within=window)
    passings = page.get_by_test_id("passings")
    expect(passings).to_have_text(re.compile(rf"^{answer.total - answer.closures} passings?\b.* in the window$"))
    tests = film.query.rows('select start, "end" as until from raw.tests')
    outside = [one for one in tests if one["start"] > window[1] or one["until"] < window[0]]
    expect(page.get_by_test_id("tests").locator(".beyond")).to_have_count(len(outside))
    page.get_by_test_id("window-end").press("Escape")
    expect(passings).not_to_contain_text("window")
    expect(page.get_by_test_id("tests").locator(".beyond")).to_have_count(0)


def test_who_talked_with_whom_is_about_the_window(page: Page, film: Film, window: tuple[int, int]) -> None:
    with page.expect_response(lambda answer: f"from={window[0]}&to={window[1]}" in answer.url) as answered:
        page.get_by_test_id("tab-constellation").click()
    expect(page.get_by_test_id("counted")).to_contain_text("messages in the window")
    shown = answered.value.json()
    plain = film.query.rows(
        "select count(*) as n from raw.messages where coalesce(sent_at, received_at) between ? and ?"
        " and from_process is not null and to_process is not null",
        list(window),
    )
    assert sum(edge["count"] for edge in shown["edges"] if edge["kind"] == "message") == plain[0]["n"] > 0
    ended = film.query.rows('select count(*) as n from raw.processes where "end" between ? and ?', list(window))
    if ended[0]["n"] > 0:
        expect(page.get_by_test_id("lives")).to_contain_text(f"{ended[0]['n']} ended")
    page.get_by_test_id("window-end").press("Escape")
    expect(page.get_by_test_id("counted")).not_to_contain_text("window")


def test_the_critical_path_is_about_the_window(page: Page, film: Film, window: tuple[int, int]) -> None:
    tests = film.query.rows(
        'select event, call, "end" - start as ns from raw.tests where call is not null and start < ? and "end" > ?'
        " order by ns desc limit 1",
        [window[1], window[0]],
    )
    page.get_by_test_id("tab-calls").click()
    page.get_by_test_id("calls-critical").click()
    page.get_by_test_id("critical-of").select_option(f"t{tests[0]['event']}")
    inside = film.dags.performance.path(tests[0]["call"], within=window)
    expect(page.get_by_test_id("critical-span")).to_have_text(re.compile("in the window$"))
    total = page.get_by_test_id("critical-total")
    expect(total).to_have_text(re.compile(rf"^{inside.total} stretch"))
    page.get_by_test_id("window-end").press("Escape")
    expect(page.get_by_test_id("critical-span")).not_to_contain_text("window")
    whole = film.dags.performance.path(tests[0]["call"])
    expect(total).to_have_text(re.compile(rf"^{whole.total} stretch"))


def test_code_states_findings_and_steps_are_about_the_window(page: Page, film: Film, window: tuple[int, int]) -> None:
    def outside(at: int, until: int | None = None) -> bool:
        return at > window[1] or (at if until is None else until) < window[0]

    ran = {one.line: one.hits for one in hits_within(film.query, "lib/ticket_office/seats.ex", window)}
    code = page.get_by_test_id("code")
    expect(code.locator("button.hits:not(.idle)")).to_have_text([f"{hits}×" for hits in ran.values()])

    whole = [one for one in film.findings if all(outside(step.moment.at) for step in one.evidence)]
    expect(page.get_by_test_id("finding").and_(page.locator(".beyond"))).to_have_count(len(whole))

    named = re.search(r"#/e(\d+)", page.url)
    assert named
    event = int(named[1])
    state = film.query.rows("select process from raw.states where state = ?", [event])[0]
    page.get_by_test_id("tab-state").click()
    page.get_by_test_id("state-list").click()
    versions = film.dags.state.history(state["process"], limit=200)
    ends = [film.info.duration_ns if one.until is None else one.until for one in versions]
    before = [one for one, end in zip(versions, ends, strict=True) if outside(one.at, end)]
    expect(page.get_by_test_id("state-version")).to_have_count(len(versions))
    expect(page.get_by_test_id("state-history").locator(".beyond")).to_have_count(len(before))

    page.get_by_test_id("tab-why").click()
    causes = film.dags.causality.why(event, limit=12)
    expect(page.get_by_test_id("why").locator(".beyond")).to_have_count(sum(outside(step.at) for step in causes))


def test_moments_that_were_kept_are_dimmed_outside_of_the_window(page: Page, window: tuple[int, int]) -> None:
    scoped = page.url.partition("#")[2]
    page.locator("body").press("n")
    page.keyboard.press("Enter")
    go(page, 1)
    page.locator("body").press("n")
    page.keyboard.press("Enter")
    kept = page.get_by_test_id("kept")
    expect(kept).to_have_count(2)
    expect(kept.and_(page.locator(".beyond"))).to_have_count(0)
    page.evaluate("hash => { location.hash = hash }", scoped)
    page.get_by_test_id("tab-notebook").click()
    expect(kept.and_(page.locator(".beyond"))).to_have_count(1)
    expect(kept.nth(1)).to_have_class(re.compile("beyond"))
