"""The page of a program that had very many processes: it lists some, says how many others there are, and finds each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.query.cast import called
from elixirscope.web.questions import SHOWN
from elixirscope.web.server import serving
from tests.web.pages import open_page, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]

MANY = SHOWN + 300


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A pool of so many workers, of which the last is told something."""
    names = [f"w{number}" for number in range(MANY)]
    lines = [f"processes: top, pool, {', '.join(names)}", " 1 top starts pool supervising Pool as Pool"]
    lines += [f" {number + 2} pool starts {name} as Worker{number}" for number, name in enumerate(names[:5])]
    lines += [f" {number + 2} pool starts {name} running Worker" for number, name in enumerate(names) if number >= 5]
    lines += [f" {MANY + 10} top -> {names[-1]} cast :hello"]
    return Film.open(record("\n".join(lines) + "\n", tmp_path_factory.mktemp("crowd") / "crowd.scope"))


@pytest.fixture
def page(browser: Browser, crowd: Film) -> Iterator[Page]:
    """It, opened."""
    complaints = list[str]()
    with serving(crowd) as server:
        page = open_page(browser, server.url, complaints)
        yield page
        page.close()
    assert complaints == []


def test_some_are_listed_and_the_others_counted(page: Page, crowd: Film) -> None:
    expect(page.get_by_test_id("listed")).to_contain_text(f"{SHOWN:,} that tell most")
    pool = called(crowd.query, "Pool", 1).rows[0]["process"]
    expect(page.get_by_test_id(f"more-{pool}")).to_have_text(f"+ {MANY + 2 - SHOWN}")


def test_one_that_is_not_listed_is_found_and_gets_a_lane(page: Page, crowd: Film) -> None:
    last = crowd.query.processes[-1]
    number = last["process"]
    lane = page.get_by_test_id(f"lane-{number}")
    expect(lane).to_have_count(0)
    page.get_by_label("Filter processes").fill(last["label"])
    page.get_by_test_id(f"process-{number}").click()
    expect(lane).to_be_attached()
    page.get_by_label("Filter processes").fill("")
    expect(page.get_by_test_id(f"process-{number}")).to_have_attribute("aria-current", "true")
    page.get_by_label("Filter processes").fill("nobody is called so")
    expect(page.get_by_test_id("processes")).to_contain_text("No process is called that.")


def test_one_that_is_not_listed_is_called_by_its_name(page: Page, crowd: Film) -> None:
    page.locator("body").press("End")
    settled(page)
    expect(page.get_by_test_id("messages")).to_contain_text(crowd.query.processes[-1]["label"])


def test_lanes_are_searched_among_all(page: Page, crowd: Film) -> None:
    last = crowd.query.processes[-1]
    page.get_by_test_id("cast").select_option("all")
    page.get_by_test_id("lane-menu-button").click()
    page.get_by_test_id("lane-search").fill(last["label"])
    expect(page.get_by_test_id(f"lane-{last['process']}")).to_be_attached()
