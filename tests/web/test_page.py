"""The Cinema in a real Chromium, on the example's recording: one focus moves every view."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.query.tree import supervision_order
from elixirscope.web.server import Server, serving
from tests.web.pages import go, named, open_page

pytestmark = [pytest.mark.beam, pytest.mark.browser]


def test_the_first_look_shows_what_went_wrong(page: Page) -> None:
    findings = page.get_by_test_id("finding")
    expect(findings.first).to_contain_text(re.compile("Race|Crash"))
    assert findings.count() >= 2
    expect(page.get_by_test_id("timeline")).to_be_visible()
    expect(page.get_by_test_id("processes")).to_contain_text("Promotions")
    expect(page.get_by_test_id("tests").get_by_role("button", name=re.compile("^failed")).first).to_be_visible()


def test_nothing_is_asked_of_the_network(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    expect(page.get_by_test_id("cinema")).to_have_attribute("data-ready", "true")
    page.wait_for_function("() => ['Inter', 'JetBrains Mono'].every(font => document.fonts.check(`13px '${font}'`))")
    loopback = f"http://127.0.0.1:{server.port}/"
    assert [url for url in asked if not url.startswith((loopback, "data:"))] == []
    assert len([url for url in asked if url.endswith(".woff2")]) == 2  # each once: not again by the style
    page.close()


def test_evidence_moves_every_view(page: Page) -> None:
    race = page.get_by_test_id("finding").filter(has_text="Race").first
    race.click()
    evidence = race.get_by_test_id("evidence")
    expect(evidence.nth(1)).to_be_visible()
    before = page.get_by_test_id("moment").inner_text()
    evidence.nth(1).click()
    expect(page.get_by_test_id("moment")).not_to_have_text(before)
    expect(page.get_by_test_id("source-line")).to_be_visible()
    expect(page.get_by_test_id("playhead")).to_be_visible()


def test_the_address_names_the_moment_and_reopens_it(page: Page, sale: int) -> None:
    go(page, sale)
    expect(page.get_by_test_id("code")).to_contain_text("def sell")
    said = page.get_by_test_id("moment").inner_text()
    page.reload()
    expect(page.get_by_test_id("moment")).to_have_text(said, use_inner_text=True)
    named(page, sale)


def test_step_forward_and_back_by_event(page: Page, sale: int) -> None:
    go(page, sale)
    page.get_by_test_id("step-next").click()
    expect(page.get_by_test_id("moment")).not_to_contain_text(f"e{sale}")
    page.get_by_test_id("step-previous").click()
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{sale}")


def test_the_keyboard_steps_too_and_back_walks_the_moments(page: Page, sale: int) -> None:
    go(page, sale)
    page.keyboard.press(".")
    expect(page.get_by_test_id("moment")).not_to_contain_text(f"e{sale}")
    page.keyboard.press(",")
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{sale}")


def test_state_shows_what_changed(page: Page, film: Film) -> None:
    rows = film.query.rows(
        "select state from raw.states join raw.processes using (process)"
        " where label = 'Promotions' and version > 0 order by version desc limit 1"
    )
    go(page, int(rows[0]["state"]))
    expect(page.get_by_test_id("state")).to_contain_text("percent: nil")
    expect(page.get_by_test_id("state-diff")).to_be_visible()


def test_the_values_of_the_frame_are_shown(page: Page, sale: int) -> None:
    go(page, sale)
    page.get_by_role("tab", name="Values").click()
    expect(page.get_by_test_id("values")).to_contain_text("seat")
    page.get_by_role("tab", name="Stack").click()
    expect(page.get_by_test_id("stack-frame").first).to_contain_text("sell")


@pytest.mark.parametrize("tab", ["messages", "calls", "constellation", "causes", "flow", "query"])
def test_every_tab_has_something_to_show(page: Page, sale: int, tab: str) -> None:
    go(page, sale)
    page.get_by_test_id(f"tab-{tab}").click()
    expect(page.get_by_role("tab", selected=True).filter(has_text=re.compile(tab, re.IGNORECASE))).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_sql_is_answered_and_refusals_are_said(page: Page, complaints: list[str]) -> None:
    page.get_by_test_id("tab-query").click()
    page.get_by_test_id("sql").fill("select 41 + 1 as answer")
    page.get_by_test_id("run").click()
    expect(page.get_by_test_id("rows")).to_contain_text("42")
    page.get_by_test_id("sql").fill("select * from read_csv('/etc/passwd')")
    # The browser reports every refused request; this one was meant.
    with page.expect_console_message(lambda message: "400" in message.text):
        page.get_by_test_id("run").click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile("read_csv|file|not allowed|disabled", re.IGNORECASE))
    complaints[:] = [text for text in complaints if "400" not in text]


def test_the_palette_finds_a_function(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_test_id("palette")).to_be_visible()
    page.keyboard.type("BoxOffice.sell")
    expect(page.get_by_test_id("palette-entry").first).to_contain_text("sell")


def test_a_page_without_the_token_shows_nothing(server: Server) -> None:
    answer = httpx.get(f"http://127.0.0.1:{server.port}/")
    assert answer.status_code == 401
    assert "token" in answer.text


_HOSTILE = """
processes: client, seats
 1  client call BoxOffice.sell("<script>document.title='owned'</script><img src=x onerror=document.title='owned'>")
 2  client -> seats  call {:free?, "<script>document.title='owned'</script>"} as q
 3  seats callback Seats.handle_call({:free?, "<script>document.title='owned'</script>"}, {client, #q})
 4  seats state %{"<img src=x onerror=document.title='owned'>" => "<b>bold</b>"}
 5  seats return {:reply, true, 1}
 6  seats -> client reply true to q
 7  seats exits {:badkey, "<img src=x onerror=document.title='owned'>"}
"""


def test_recorded_markup_stays_text(browser: Browser, tmp_path: Path) -> None:
    film = Film.open(record(_HOSTILE, tmp_path / "hostile.scope"))
    with serving(film) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.url)
        for event in range(film.info.events):
            go(page, event)
            page.wait_for_load_state("networkidle")
            for tab in ("messages", "calls", "causes"):
                page.get_by_test_id(f"tab-{tab}").click()
            assert page.title() != "owned"
            assert page.locator("img[src=x], td b, script:not([src])").count() == 0
        page.get_by_test_id("tab-messages").click()
        expect(page.get_by_test_id("messages")).to_contain_text("<script>")
        page.close()


def test_every_one_of_hundreds_of_processes_has_its_row(
    browser: Browser, tmp_path: Path, complaints: list[str]
) -> None:
    names = [f"w{number}" for number in range(300)]
    lines = [
        f"processes: {', '.join(names)}",
        *(f" {number + 1} {name} exits :normal" for number, name in enumerate(names)),
    ]
    film = Film.open(record("\n".join(lines) + "\n", tmp_path / "many.scope"))
    order = [row["process"] for row, _ in supervision_order(film.query.processes)]
    with serving(film) as server:
        page = open_page(browser, server.url, complaints)
        rows = page.get_by_test_id("processes")
        expect(rows.locator("[data-testid^=process-]").first).to_be_visible()
        assert rows.locator("[data-testid^=process-]").count() < 100  # only those in sight are made
        rows.evaluate("list => { list.scrollTop = list.scrollHeight }")
        last = page.get_by_test_id(f"process-{order[-1]}")
        expect(last).to_be_in_viewport()
        last.click()
        expect(last).to_have_attribute("aria-current", "true")
        rows.evaluate("list => { list.scrollTop = 0 }")  # whoever scrolls away is let go
        expect(page.get_by_test_id(f"process-{order[0]}")).to_be_in_viewport()
        middle = page.get_by_test_id(f"process-{order[150]}")
        page.evaluate("at => { location.hash = at }", f"#/100ns@{order[150]}")
        expect(middle).to_be_in_viewport()
        expect(middle).to_have_attribute("aria-current", "true")
        page.close()
    assert complaints == []
