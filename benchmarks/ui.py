"""How the Cinema feels on a large recording: each bar of the design with what a real headless Chromium shows.

    SIZE=1M QUICK=1 JSON=out.json python benchmarks/ui.py        # 1M, 10M, 100M; REC=folder takes a recording at hand

Input goes through the browser as a hand would do it. "To pixels" is from the input event to the frame of the answer:
nothing that any visible panel asked for is still under way, and what they drew has been presented. The timeline and the
picture of the moment come earlier; each line says when. QUICK=1 shortens ten minutes of use to one. The exit status is
1 when a bar is not reached.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import FloatRect, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent))

from generate import count_of, generate

from elixirscope.film import Film

FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
ASKED: Final = 200  # inputs of each sort: of 60, three decide what the 95th percentile is
REST_MS: Final = 100  # a hand that has come to a spot is still at least as long before it presses
SMOOTH_S: Final = 4  # seconds of panning and of zooming without a rest

# Told before the page runs: when lanes were first drawn, how long after an input the timeline and the picture of the
# moment were shown (`near`), and when the whole page was at rest again (`done`).
_WATCH: Final = """
(() => {
  const bench = window.bench = { painted: null, armed: null, frames: null }
  const asking = (what) => document.querySelector('[data-testid=cinema]')?.dataset[what] !== 'false'
  // What the page has yet to draw: the callbacks that it waits for.
  const frame = window.requestAnimationFrame.bind(window), cancel = window.cancelAnimationFrame.bind(window)
  const drawings = new Set()
  window.requestAnimationFrame = (draw) => {
    const id = frame((now) => { drawings.delete(id); draw(now) })
    drawings.add(id)
    return id
  }
  window.cancelAnimationFrame = (id) => { drawings.delete(id); cancel(id) }
  // Only until the lanes are drawn: a page that is asked for every frame is late for the next input.
  const painting = (now) => {
    if (Number(document.querySelector('canvas')?.dataset.drawn) > 0) bench.painted = now
    else frame(painting)
  }
  frame(painting)
  bench.count = () => {
    const frames = (bench.frames = [])
    const count = (now) => {
      if (bench.frames !== frames) return
      frames.push(now)
      frame(count)
    }
    frame(count)
  }
  // A task that is posted while a frame is made runs when it has been drawn.
  const drawn = new MessageChannel()
  let before = null
  drawn.port1.onmessage = () => {
    const settled = (what) => !before[what] && !asking(what) && drawings.size === 0
    const [near, done] = [settled('busy'), settled('asking')]
    // And is presented by the time of the next one.
    frame(() => {
      if (near) bench.near ??= performance.now()
      if (done && near) bench.done = performance.now()
      else rest()
    })
  }
  const rest = () => {
    before = { busy: asking('busy'), asking: asking('asking') }
    drawn.port2.postMessage(null)
  }
  // A click begins when the button goes down; what it asks for, when it comes up.
  for (const kind of ['pointerdown', 'pointerup', 'pointermove', 'wheel', 'keydown'])
    addEventListener(kind, (event) => {
      if (bench.armed === kind || (bench.armed === 'pointerup' && kind === 'pointerdown')) {
        bench.started ??= event.timeStamp
        bench.called ??= performance.now()
      }
      if (bench.armed !== kind) return
      bench.armed = null
      frame(rest) // this one, where the browser hands inputs over at its beginning
    }, { capture: true })
})()
"""


class Bars:
    """The lines printed so far."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def add(self, what: str, measured: float, bar: float, unit: str, *, least: bool = False, note: str = "") -> None:
        holds = measured >= bar if least else measured <= bar
        self.lines.append({"what": what, "measured": measured, "bar": bar, "unit": unit, "holds": holds, "note": note})
        sign, verdict = "≥" if least else "≤", "holds" if holds else "short"
        print(f"{what:<40} {measured:>9.1f} {unit:<7} {sign} {bar:<5g} {verdict}   {note}", flush=True)


class Hand:
    """Somebody at the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.random = np.random.default_rng(11)
        found = page.get_by_test_id("lanes").bounding_box()
        assert found is not None
        self.lanes: FloatRect = found
        self.at = (0.0, 0.0)

    def spot(self) -> tuple[float, float]:
        """Anywhere among the lanes."""
        across, down = self.random.uniform(0.1, 0.9, 2).tolist()
        return self.lanes["x"] + across * self.lanes["width"], self.lanes["y"] + down * self.lanes["height"]

    def timed(self, act: Callable[[], None], kind: str) -> tuple[float, float, float]:
        """ms from the input of a kind that `act` makes to when the page hears of it, to the frame that shows the
        timeline and the picture, and to the one that shows everything."""
        fresh = {"armed": kind, "started": None, "called": None, "near": None, "done": None}
        self.page.evaluate("(fresh) => Object.assign(bench, fresh)", fresh)
        act()
        self.page.wait_for_function("() => bench.done !== null", timeout=60_000, polling=5)
        times = self.page.evaluate("() => [bench.called, bench.near, bench.done].map((at) => at - bench.started)")
        called, near, done = (float(time) for time in times)
        return called, near, done

    def scrub(self) -> None:
        """One move of a drag along the ruler."""
        x, _ = self.spot()
        self.page.mouse.move(x, self.lanes["y"] - 14)

    def pan(self) -> None:
        self.page.keyboard.press("d" if self.random.random() < 0.5 else "a")

    def zoom(self) -> None:
        self.page.mouse.wheel(0, -60 if self.random.random() < 0.6 else 60)

    def select(self) -> None:
        """Comes to a spot, rests, and presses."""
        self.anywhere()
        self.page.wait_for_timeout(REST_MS)
        self.page.mouse.click(*self.at)

    def jump(self) -> None:
        """Presses where the pointer was not a moment before: on a touch screen."""
        self.page.mouse.click(*self.spot())

    def anywhere(self) -> None:
        """Places the pointer at rest; zooming goes around it."""
        self.at = self.spot()
        self.page.mouse.move(*self.at)

    def smooth(self, act: Callable[[], None]) -> float:
        """Frames per second while `act` is done again and again."""
        self.page.evaluate("() => bench.count()")
        until = time.monotonic() + SMOOTH_S
        while time.monotonic() < until:
            act()
        frames = np.array(self.page.evaluate("() => { const all = bench.frames; bench.frames = null; return all }"))
        return float((len(frames) - 1) / (frames[-1] - frames[0]) * 1000)

    def heap(self) -> float:
        """MB of JavaScript objects that are alive."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


@contextmanager
def served(recording: Path) -> Iterator[str]:
    """The address of a Cinema in a process of its own."""
    command = [sys.executable, "-m", "elixirscope.cli.main", "open", "--no-browser", str(recording)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def measure(page: Page, url: str, bars: Bars) -> None:
    """Open the page and use it."""
    page.add_init_script(_WATCH)
    page.goto(url)
    page.wait_for_function("() => bench.painted !== null", timeout=120_000)
    bars.add("first meaningful paint", float(page.evaluate("() => bench.painted")), 1000, "ms", note="lanes drawn")
    page.locator("[data-testid=cinema][data-ready=true]").wait_for(timeout=600_000)
    hand = Hand(page)
    page.keyboard.press("f")
    hand.anywhere()

    def latency(what: str, act: Callable[[], None], kind: str) -> None:
        called, near, done = np.array([hand.timed(act, kind) for _ in range(ASKED)]).T
        note = f"p50 {np.median(near):.1f}, worst {near.max():.0f}; the page hears of it after "
        note += f"{np.median(called):.1f}, p95 {np.percentile(called, 95):.1f}"
        bars.add(f"{what}, to timeline and picture", float(np.percentile(near, 95)), 50, "ms p95", note=note)
        note = f"p50 {np.median(done):.1f}, worst {done.max():.0f}"
        bars.add(f"{what}, to every panel", float(np.percentile(done, 95)), 50, "ms p95", note=note)

    latency("zoom", hand.zoom, "wheel")
    latency("pan", hand.pan, "keydown")
    latency("select", hand.select, "pointerup")
    done = np.array([hand.timed(hand.jump, "pointerup")[2] for _ in range(ASKED)])
    p50, p95 = np.percentile(done, [50, 95])
    print(f"  without a way to it, as by touch, to every panel: p50 {p50:.1f}, p95 {p95:.1f} ms")
    page.mouse.move(hand.lanes["x"] + hand.lanes["width"] / 2, hand.lanes["y"] - 14)
    page.mouse.down()
    latency("scrub", hand.scrub, "pointermove")
    page.mouse.up()
    hand.anywhere()
    bars.add("frames while panning", hand.smooth(hand.pan), 55, "/s", least=True)
    bars.add("frames while zooming", hand.smooth(hand.zoom), 55, "/s", least=True)
    minutes = float(os.environ["MINUTES"]) if "MINUTES" in os.environ else 1 if os.environ.get("QUICK") else 10
    acts = (hand.zoom, hand.pan, hand.select)
    until, used = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < until:
        acts[used % len(acts)]()
        used += 1
        if used % 20 == 0:
            page.keyboard.press("f")
    bars.add(f"heap after {minutes} min of use", hand.heap(), 300, "MB", note=f"{used:,} inputs")


def main() -> int:
    """Generate, serve, use, print; 1 when something falls short."""
    size, bars = os.environ.get("SIZE", "1M"), Bars()
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser_path is None:
        print("no Chromium on PATH: scripts/need chromium installs it", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="scope-bench-") as work, sync_playwright() as playwright:
        recording = Path(os.environ.get("REC") or Path(work) / "bench.scope")
        if not recording.exists():
            generate(recording, count_of(size))
        load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
        machine = f"{platform.machine()}, {os.cpu_count()} processors, load {load}"
        with served(recording) as url:
            events = Film.open(recording).info.events
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            print(f"{recording.name}, {events:,} events; {machine}; Chromium {browser.version}, 1440 × 900", flush=True)
            measure(browser.new_page(viewport={"width": 1440, "height": 900}), url, bars)
            browser.close()
    if path := os.environ.get("JSON"):
        Path(path).write_text(json.dumps({"events": events, "machine": machine, "bars": bars.lines}, indent=1) + "\n")
    return 0 if all(line["holds"] for line in bars.lines) else 1


if __name__ == "__main__":
    sys.exit(main())
