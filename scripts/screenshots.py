"""Takes the pictures of the documentation: the Cinema on a fresh recording of the example, in the system's Chromium.

    python scripts/screenshots.py [RECORDING]

Pictures go to docs/screenshots. Look at them before committing.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from elixirscope.film import Film
from elixirscope.pictures import record as drawn
from elixirscope.recording.presence import is_recording
from elixirscope.web.follower import follow
from elixirscope.web.server import serving

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "ticket_office"
TARGET = ROOT / "docs" / "screenshots"
SALES = ROOT / "scripts" / "sales.exs"
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PATIENCE_MS = 30_000
_QUIET = "processes: client, box\n 1  client -> box cast :hello\n 2  box callback Box.handle_cast(:hello, 1)\n"
_QUIET += " 3  box return {:noreply, 2}\n"


def main() -> None:
    """Record the example unless a recording is given, and take every picture of it."""
    expect.set_options(timeout=PATIENCE_MS)
    with tempfile.TemporaryDirectory() as work:
        recording = Path(sys.argv[1]) if len(sys.argv) > 1 else record(Path(work) / "ticket_office.scope")
        empty = drawn(_QUIET, Path(work) / "quiet.scope")
        TARGET.mkdir(parents=True, exist_ok=True)
        for old in TARGET.glob("*.png"):
            old.unlink()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
            with serving(Film.open(recording)) as server:
                for name, steps in SCENES.items():
                    shoot(browser, server.url, name, steps)
                shoot(browser, server.url, "cinema-light", cinema, theme="light")
                loading(browser, server.url)
            with serving(Film.open(empty)) as server:
                shoot(browser, server.url, "empty", lambda page: tab(page, "calls"), story=False)
            incomplete(browser, Path(work))
            live(browser, Path(work))
            browser.close()
        squeeze()


def squeeze() -> None:
    """Make the pictures small enough for a repository: 256 colours, where pngquant is installed."""
    pngquant = shutil.which("pngquant")
    if pngquant is None:
        print("screenshots: no pngquant found, the pictures stay as large as the browser made them", file=sys.stderr)
        return
    subprocess.run([pngquant, "--force", "--ext", ".png", "--speed", "1", *sorted(TARGET.glob("*.png"))], check=True)


def shoot(
    browser: Browser, url: str, name: str, steps: Callable[[Page], None], *, theme: str = "dark", story: bool = True
) -> None:
    """One picture, on a page of its own: what one view remembers does not show in another's."""
    page = opened(browser, url, theme)
    if story:
        page.get_by_test_id("finding").filter(has_text="Race").first.get_by_test_id("evidence").first.wait_for()
        page.get_by_test_id("evidence").filter(has_text="became").last.click()  # a moment with a state and its change
        page.get_by_test_id("source-line").first.wait_for()
    settle(page)
    steps(page)
    settle(page)
    page.screenshot(path=TARGET / f"{name}.png")
    page.close()


def opened(browser: Browser, url: str, theme: str = "dark") -> Page:
    """A page of its own."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page.goto(url)
    return page


def loading(browser: Browser, url: str) -> None:
    """The shapes of what is coming, while no answer has come yet."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page.route("**/api/f*", lambda route: None)  # never answered
    page.goto(url)
    page.locator("[aria-busy=true]").first.wait_for()
    page.screenshot(path=TARGET / "loading.png")
    page.close()


def incomplete(browser: Browser, work: Path) -> None:
    """A recording that lacks something: functions that were only counted, events that were lost, and its end."""
    sign, target, plan = work / "enough", work / "killed.scope", work / "narrow.toml"
    _elixirscope("plan", ".", "--intent", "debug", "-o", plan).wait()
    narrow = re.sub(r"(?m)^collector_events = .*$", "collector_events = 1500", plan.read_text())
    plan.write_text(re.sub(r"(?m)^calls_per_second = .*$", "calls_per_second = 2000", narrow))
    options = ["--engine", "portable", "--plan", plan, "-o", target]
    recorder = _elixirscope("record", *options, "--", "mix", "run", SALES, sign)
    _until(sign.exists, recorder)
    _kill(target, recorder)
    with serving(Film.open(target)) as server:
        page = opened(browser, server.url)
        settle(page)
        page.get_by_test_id("processes").get_by_text("main", exact=True).click()
        page.locator("body").press("f")
        settle(page)
        page.screenshot(path=TARGET / "incomplete.png")
        page.close()


def live(browser: Browser, work: Path) -> None:
    """A recording that is being made, followed."""
    target = work / "live.scope"
    recorder = _elixirscope("record", "-o", target, "--", "mix", "run", SALES)
    _until(lambda: is_recording(target), recorder)
    with serving(follow(target)) as server:
        page = opened(browser, server.url)
        page.get_by_test_id("live").wait_for()
        events = "+document.querySelector('header .facts span').innerText.replace(/\\D/g, '')"
        page.wait_for_function(f"() => {events} > 12000")
        for _ in range(12):
            if _in_view_ms(page) < 80:
                break
            page.keyboard.press("w")
            page.wait_for_timeout(200)
        page.wait_for_timeout(1_000)  # it never settles: the next edition is always on its way
        page.screenshot(path=TARGET / "live.png")
        page.close()
        _kill(target, recorder)


def _in_view_ms(page: Page) -> float:
    """How much time the timeline shows."""
    amount, unit = page.locator(".overview > span").inner_text().split(" ")[:2]
    return float(amount.replace(",", "")) * {"s": 1e3, "ms": 1.0, "µs": 1e-3, "ns": 1e-6}[unit]


def _kill(recording: Path, recorder: subprocess.Popen[bytes]) -> None:
    """End the recorded program as a crash of the machine would."""
    names = [re.search(r"@nohost\.(\d+)-", path.name) for path in (recording / "raw").iterdir()]
    os.kill(next(int(name[1]) for name in names if name), signal.SIGKILL)
    recorder.wait()


def _elixirscope(*arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "elixirscope.cli.main", *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=EXAMPLE, stdin=quiet, stdout=quiet, stderr=quiet)


def _until(done: Callable[[], bool], program: subprocess.Popen[bytes]) -> None:
    while not done():
        if program.poll() is not None:
            sys.exit("screenshots: the recorded program ended before its picture was taken")
        time.sleep(0.05)


def tab(page: Page, name: str) -> None:
    """Bring a panel to the front."""
    page.get_by_test_id(f"tab-{name}").click()


def tall(page: Page, name: str) -> None:
    """Bring a panel to the front and give it the larger part of the desk."""
    tab(page, name)
    page.get_by_role("button", name="Make the view taller").click()


def cinema(page: Page) -> None:
    """The whole desk at the moment when the seat is sold again."""
    tab(page, "messages")


def story(page: Page) -> None:
    """The first step of a crash's story: where the value was made that is fatal much later."""
    crash = page.get_by_test_id("finding").filter(has_text="Crash").first
    crash.locator(".head").click()
    crash.get_by_test_id("evidence").first.wait_for()
    settle(page)
    page.get_by_test_id("explain-first").click()


def menu(page: Page) -> None:
    """What can be asked about a call, where it is drawn: the one that crashed."""
    page.get_by_test_id("finding").filter(has_text="Crash").first.locator(".head").click()
    page.locator("[data-testid^=lane-].on").filter(has_text="Till").wait_for()
    settle(page)
    lane = page.locator("[data-testid^=lane-].on").bounding_box()
    head = page.get_by_test_id("playhead").bounding_box()
    assert lane
    assert head
    page.mouse.click(head["x"] - 120, lane["y"] + lane["height"] / 2, button="right")
    page.get_by_test_id("menu-item").filter(has_text="Go to the call").wait_for()


def sequence(page: Page) -> None:
    """Messages as a space-time diagram."""
    tall(page, "messages")
    page.get_by_test_id("messages-sequence").click()
    page.get_by_test_id("sequence").wait_for()


def state_diff(page: Page) -> None:
    """Two versions of a state, far apart."""
    page.keyboard.press("Alt+3")
    page.get_by_test_id("compare-from").fill("1")
    page.get_by_test_id("compare-from").press("Enter")
    page.get_by_test_id("change-path").nth(1).wait_for()


def who_changed(page: Page) -> None:
    """Who last changed a field."""
    page.keyboard.press("Alt+3")
    page.get_by_test_id("change-path").first.click()
    page.get_by_test_id("blame-version").wait_for()


def history(page: Page) -> None:
    """Every version of a state, with what it changed."""
    page.keyboard.press("Alt+3")
    page.get_by_test_id("state-list").click()
    page.get_by_test_id("history-changes").first.wait_for()


def retro(page: Page) -> None:
    """A print that nobody wrote, at every passing of a line."""
    line = page.get_by_test_id("source-line").get_attribute("data-line")
    page.get_by_test_id(f"hits-{line}").click()
    page.get_by_test_id("retro").fill("{seat, customer}")
    expect(page.get_by_test_id("line-hits").locator("li").filter(has_text="customer 1").first).to_be_visible()


def flame(page: Page) -> None:
    """Where the time of all tests went."""
    tall(page, "calls")
    page.get_by_test_id("calls-flame").click()
    page.keyboard.press("f")
    page.get_by_test_id("flame").wait_for()


def critical(page: Page) -> None:
    """What the test with many customers waited for."""
    tall(page, "calls")
    page.get_by_test_id("calls-critical").click()
    page.get_by_test_id("segment").first.wait_for()


def causes(page: Page) -> None:
    """Why it happened, lit up on the timeline."""
    tab(page, "causes")
    settle(page)
    page.get_by_test_id("cone-backward").click()
    page.get_by_test_id("cone").wait_for()


def cone(page: Page) -> None:
    """What an event led to, lit in every view."""
    tab(page, "causes")
    settle(page)
    page.get_by_test_id("cone-forward").click()
    page.get_by_test_id("cone").wait_for()
    tab(page, "constellation")
    for _ in range(3):
        page.locator("body").press("s")


def window(page: Page) -> None:
    """A window that scopes all views: who talked with whom in it."""
    tall(page, "constellation")
    page.locator("body").press("r")
    page.get_by_test_id("counted").filter(has_text="in the window").wait_for()
    for _ in range(3):
        page.locator("body").press("s")


def grouped(page: Page) -> None:
    """All lanes of the whole recording, by application."""
    page.get_by_test_id("cast").select_option("all")
    page.locator("body").press("g")
    page.locator("body").press("f")


def palette(page: Page) -> None:
    """Functions, processes, values and commands from one field."""
    page.keyboard.press("Control+k")
    page.keyboard.type("sell")
    page.get_by_test_id("palette-entry").filter(has_text="BoxOffice.sell/3").wait_for()


def flow(page: Page) -> None:
    """Where a value came from."""
    tab(page, "values")
    page.get_by_test_id("binding").filter(has_text="customer").get_by_role("button").first.click()
    page.get_by_test_id("hop").first.wait_for()


def flow_forward(page: Page) -> None:
    """Where a value went."""
    tab(page, "values")
    page.get_by_test_id("binding").filter(has_text="customer").get_by_test_id("binding-forward").click()
    page.get_by_test_id("hop").first.wait_for()


def space_time(page: Page) -> None:
    """What could have influenced an event, what could come of it, and what is concurrent with it."""
    tall(page, "causes")
    page.get_by_test_id("causes-spacetime").click()
    page.get_by_test_id("dot").first.wait_for()


def relation(page: Page) -> None:
    """Two moments compared: the shortest way from one to the other."""
    page.locator("body").press("b")
    page.get_by_test_id("evidence").nth(2).click()
    page.get_by_test_id("relation").locator("summary").click()
    page.get_by_test_id("relation-step").first.wait_for()


def find(page: Page) -> None:
    """Every place of a value, by its shape, and as marks on the timeline."""
    page.locator("body").press("7")
    page.keyboard.type("{:put, _, _}")
    page.get_by_test_id("find-hit").first.wait_for()
    page.get_by_test_id("find-mark").click()


def why_not(page: Page) -> None:
    """Why something did not happen."""
    page.locator("body").press("7")
    page.keyboard.type("{:refund, _}")
    page.get_by_test_id("find-why-not").click()
    page.get_by_test_id("verdict").wait_for()


def space(page: Page) -> None:
    """All processes in space."""
    tall(page, "constellation")
    page.get_by_test_id("everybody").click()
    page.get_by_test_id("sky-3d").click()
    page.locator("[data-testid=sky][data-drawn]").wait_for()


def query(page: Page) -> None:
    """A result as a chart."""
    tall(page, "query")
    page.get_by_test_id("example").filter(has_text="busiest functions").click()
    page.get_by_test_id("draw").click()
    page.get_by_test_id("chart").wait_for()


def error(page: Page) -> None:
    """A query that is wrong, and where."""
    tab(page, "query")
    page.get_by_test_id("sql").fill("select function, durration\nfrom calls order by durration desc")
    page.get_by_test_id("run").click()
    page.get_by_test_id("error-place").wait_for()


def notebook(page: Page) -> None:
    """Moments kept with a line of text each."""
    for told, note in (
        ("was told", "told that the seat is free"),
        ("acted:", "and takes it"),
        ("acted too:", "so does this one"),
    ):
        page.get_by_test_id("evidence").filter(has_text=told).last.click()
        settle(page)
        page.locator("body").press("n")
        page.keyboard.type(note)
        page.keyboard.press("Enter")


SCENES: dict[str, Callable[[Page], None]] = {
    "cinema": cinema,
    "story": story,
    "menu": menu,
    "sequence": sequence,
    "calls": lambda page: tall(page, "calls"),
    "flame": flame,
    "critical-path": critical,
    "state-diff": state_diff,
    "who-changed": who_changed,
    "state-history": history,
    "retroactive-print": retro,
    "constellation": lambda page: tall(page, "constellation"),
    "constellation-3d": space,
    "window": window,
    "lanes": grouped,
    "causes": causes,
    "cone": cone,
    "space-time": space_time,
    "two-moments": relation,
    "flow": flow,
    "flow-forward": flow_forward,
    "find": find,
    "palette": palette,
    "shortcuts": lambda page: page.keyboard.press("?"),
    "why-not": why_not,
    "query": query,
    "notebook": notebook,
    "error": error,
}


def settle(page: Page) -> None:
    """Wait until the page has what it asked for and has drawn it, and its last word has faded."""
    page.wait_for_load_state("networkidle")
    page.locator("[data-testid=cinema][data-ready=true]").wait_for()
    page.locator("[data-testid=flame][data-busy=true]").wait_for(state="detached")
    page.locator("[data-testid=said].shown").wait_for(state="detached")
    page.evaluate("() => document.activeElement.tagName === 'BUTTON' && document.activeElement.blur()")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def record(target: Path) -> Path:
    """The example's test run, recorded; again when chance spared it the race."""
    command = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", str(target), "--", "mix", "test"]
    for _ in range(12):
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(command, cwd=EXAMPLE, check=False, capture_output=True)
        if any(finding.kind == "race" for finding in Film.open(target).findings):
            break
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
