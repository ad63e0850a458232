"""A real server on a real port, for the example's recording."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from elixirscope.film import Film
from elixirscope.web.app import STATIC
from elixirscope.web.server import Server, serving
from tests.web.pages import FLAGS, open_page


@pytest.fixture(scope="session")
def film(example_recording: Path) -> Film:
    """The example's recording, opened."""
    return Film.open(example_recording)


@pytest.fixture(scope="session")
def server(film: Film) -> Iterator[Server]:
    """The Cinema, serving."""
    with serving(film) as server:
        yield server


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    """A script that carries the token."""
    headers = {"authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert path, "no Chromium on PATH: scripts/need chromium installs it"
    assert (STATIC / "index.html").exists(), "the page is not built: make ui"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page's console complained about; each test ends by looking at it."""
    return []


@pytest.fixture
def page(browser: Browser, server: Server, complaints: list[str]) -> Iterator[Page]:
    """The Cinema, opened by the printed address."""
    page = open_page(browser, server.url, complaints)
    yield page
    page.close()
    assert complaints == []


@pytest.fixture
def sale(film: Film) -> int:
    """The event that ends a call of the function that races."""
    row = film.query.rows("select end_event from raw.calls where function = 'sell' and outcome = 'returned' limit 1")
    return int(row[0]["end_event"])
