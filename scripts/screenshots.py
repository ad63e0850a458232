"""Takes the pictures of the documentation: the Cinema on a fresh recording of the example, in the system's Chromium.

    python scripts/screenshots.py [RECORDING]

Pictures go to docs/screenshots. Look at them before committing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from elixirscope.film import Film
from elixirscope.web.server import serving

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "screenshots"
TABS = ("messages", "calls", "constellation", "causes", "flow", "query")
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def main() -> None:
    """Record the example unless a recording is given, and take every picture of it."""
    with tempfile.TemporaryDirectory() as work:
        recording = Path(sys.argv[1]) if len(sys.argv) > 1 else record(Path(work) / "ticket_office.scope")
        TARGET.mkdir(parents=True, exist_ok=True)
        with serving(Film.open(recording)) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
            for theme in ("dark", "light"):
                page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=theme)
                page.goto(server.url)
                take(page, theme)
            browser.close()


def take(page: Page, theme: str) -> None:
    """The pictures of one theme; the tabs only once."""
    page.get_by_test_id("finding").filter(has_text="Race").first.click()
    page.get_by_test_id("evidence").filter(has_text="became").last.click()  # a moment with a state and its change
    page.get_by_test_id("source-line").first.wait_for()
    settle(page)
    page.screenshot(path=TARGET / ("cinema.png" if theme == "dark" else "cinema-light.png"))
    if theme == "dark":
        for tab in TABS:
            page.get_by_test_id(f"tab-{tab}").click()
            settle(page)
            page.screenshot(path=TARGET / f"{tab}.png")


def settle(page: Page) -> None:
    """Wait until the page has what it asked for and has drawn it."""
    page.wait_for_load_state("networkidle")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def record(target: Path) -> Path:
    """The example's test run, recorded."""
    command = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", str(target), "--", "mix", "test"]
    subprocess.run(command, cwd=ROOT / "examples" / "ticket_office", check=False, capture_output=True)
    return target


def chromium() -> str:
    """The system's Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    sys.exit("screenshots: no Chromium found; run scripts/need chromium")


if __name__ == "__main__":
    main()
