"""The page on a recording that is being made, whose server is started again, or whose folder is deleted."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from elixirscope.film import Film
from elixirscope.recording.presence import recorder_of
from elixirscope.web.address import Address
from elixirscope.web.follower import follow
from elixirscope.web.server import Server, serving
from tests.growing import counting
from tests.recording.samples import make_shop
from tests.web.pages import open_page

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A recording that is being made, and the file whose appearance ends its program."""
    with counting(tmp_path) as made:
        yield made


def shown_events(page: Page) -> int:
    """How many events the header counts."""
    text = page.locator("header .facts span").first.inner_text()
    return int("".join(c for c in text if c.isdigit()))


def grows(page: Page) -> None:
    """Wait until the page shows more events than now."""
    before = shown_events(page)
    page.wait_for_function(
        "before => +document.querySelector('header .facts span').innerText.replace(/\\D/g, '') > before", arg=before
    )


def test_a_page_follows_the_program_until_it_has_ended(browser: Browser, running: tuple[Path, Path]) -> None:
    recording, stop = running
    with serving(follow(recording)) as server:
        page = open_page(browser, server.url, [])
        mark, moment = page.get_by_test_id("live"), page.get_by_test_id("moment").locator(".time")
        expect(mark).to_have_text("Live")
        entries = page.evaluate("history.length")
        grows(page)
        grows(page)
        assert page.evaluate("history.length") == entries, "moments that nobody chose are in the history"

        page.keyboard.press("e")
        expect(mark).to_have_text("Paused · follow")
        stays = moment.inner_text()
        grows(page)
        assert moment.inner_text() == stays

        mark.click()
        expect(mark).to_have_text("Live")
        expect(moment).not_to_have_text(stays)

        look, findings = page.get_by_test_id("look"), page.get_by_test_id("findings")
        expect(findings).to_contain_text("The program is still running.")
        look.click()
        expect(findings).to_contain_text(re.compile(r"What went wrong in the first .*s"))
        expect(findings).to_contain_text("Nothing suspicious was found.")
        expect(look).to_have_text("Look again")
        grows(page)

        stop.touch()
        expect(mark).to_have_text("The program has ended")
        expect(look).to_have_count(0)
        expect(findings).to_contain_text("Nothing suspicious was found.")
        assert shown_events(page) == Film.open(recording).info.events
        page.close()


def test_a_page_says_when_nothing_happens(browser: Browser, tmp_path: Path) -> None:
    """A recorder is at work, and its program does nothing."""
    recording = make_shop(tmp_path / "shop.scope", 500, processes=6, state_bytes=10)
    with recorder_of(recording / "raw"), serving(follow(recording)) as server:
        page = open_page(browser, server.url, [])
        mark = page.get_by_test_id("live")
        expect(mark).to_have_text(re.compile(r"Live · nothing for \d+ s"))
        mark.click()
        expect(mark).to_have_text("Paused · follow")
        page.close()


def test_a_page_finds_a_server_that_was_started_again(browser: Browser, film: Film) -> None:
    with serving(film) as first:
        page = open_page(browser, first.url, [])
        address = first.address
    trouble = page.get_by_test_id("trouble")
    expect(trouble).to_contain_text("does not answer")
    with serving(film, address=address):
        expect(trouble).to_have_count(0)
        page.get_by_test_id("step-next").click()
        expect(page.get_by_test_id("cinema")).to_have_attribute("data-ready", "true")
        page.close()


def test_a_recording_deleted_under_the_page(browser: Browser, example_recording: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.scope"
    shutil.copytree(example_recording, copy)
    with serving(Film.open(copy)) as server:
        page = open_page(browser, server.url, [])
        copy.rename(tmp_path / "elsewhere.scope")
        trouble = page.get_by_test_id("trouble")
        expect(trouble).to_contain_text("is gone: it was moved or deleted")
        (tmp_path / "elsewhere.scope").rename(copy)
        expect(trouble).to_have_count(0)
        page.close()


def test_short_questions_do_not_wait_for_long_ones(server: Server, client: httpx.Client) -> None:
    slow = "select count(*) from range(100000000000) a, range(1000) b"
    carried = {"authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=str(client.base_url), headers=carried) as other:
        with pytest.raises(httpx.ReadTimeout):
            other.post("/api/query", json={"sql": slow}, timeout=2)
        assert client.get("/api/info").status_code == 200
        # It was cancelled when the client went away: the next one has its turn before the limit of 20 s.
        assert client.post("/api/query", json={"sql": "select 1 as one"}, timeout=15).json()["rows"] == [[1]]


def test_port_and_token_are_kept_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    address = Address(4321, "secret")
    address.keep(tmp_path / "a.scope")
    assert Address.of(tmp_path / "a.scope") == address
    assert Address.of(tmp_path / "b.scope").token != "secret"
    [file] = (tmp_path / "elixirscope" / "addresses").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert Address.of(tmp_path / "a.scope").token != "secret", "others could have read it"
