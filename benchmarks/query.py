"""What can be asked of a large recording, and how fast: each bar of the design with what this machine does.

    SIZE=1M JSON=out.json python benchmarks/query.py

Bars are those for 100 million events. They are held against what is measured at SIZE, which is printed beside them:
nothing is scaled, so a small SIZE that holds says little and one that falls short says much. Rates and bytes do not
depend on SIZE. Each question also goes to DuckDB, scanning the same files in the same run.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from answers import Scans, check
from generate import count_of, generate

from elixirscope.film import Film
from elixirscope.query.density import densities, edges
from elixirscope.query.profile import top_functions
from elixirscope.recording.format import Kind

LANES: Final = 40
ASKED: Final = 60  # how often each question is asked
SCANNED: Final = 5  # … of DuckDB

_OPEN = """
import resource, sys, time
started = time.perf_counter()
from elixirscope.film import Film
from elixirscope.query.timeline import timeline
film = Film.open(sys.argv[1])
timeline(film.query, 0, max(1, film.info.duration_ns), 1000, [p["process"] for p in film.query.processes[:40]])
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""

_SEAL = """
import os, sys, time
from pathlib import Path
os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
import pyarrow
pyarrow.set_cpu_count(1)
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import sealer
from elixirscope.recording.log import read_log
spent = 0.0
def correlate(log):
    global spent
    started = time.perf_counter()
    tables = EventCorrelator().correlate(log)
    spent = time.perf_counter() - started
    return tables
started = time.perf_counter()
sealer.seal(Path(sys.argv[1]), correlate=correlate)
print(time.perf_counter() - started, spent)
"""


class Bars:
    """The lines printed so far."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def add(self, what: str, measured: float, bar: float, unit: str, *, least: bool = False, note: str = "") -> None:
        holds = measured >= bar if least else measured <= bar
        self.lines.append({"what": what, "measured": measured, "bar": bar, "unit": unit, "holds": holds, "note": note})
        sign = "≥" if least else "≤"
        verdict = "holds" if holds else "short"
        print(f"{what:<44} {measured:>10.2f} {unit:<9} {sign} {bar:<6g} {verdict}   {note}", flush=True)

    def timed(
        self, what: str, bar_ms: float, ask: Callable[[int], object], scan: Callable[[int], object] | None = None
    ) -> None:
        """`ask` and `scan` are given the number of the question."""
        started = time.perf_counter()
        ask(ASKED)
        first = (time.perf_counter() - started) * 1000
        times = [_once(ask, number) for number in range(ASKED)]
        note = f"p50 {statistics.median(times):.2f}, first {first:.1f}"
        if scan is not None:
            scans = [_once(scan, number) for number in range(SCANNED)]
            ratio = statistics.median(scans) / max(statistics.median(times), 1e-6)
            note += f", DuckDB scan {statistics.median(scans):.1f} ms (× {ratio:,.0f})"
        self.add(what, float(np.percentile(times, 95)), bar_ms, "ms p95", note=note)


def _once(ask: Callable[[int], object], number: int) -> float:
    started = time.perf_counter()
    ask(number)
    return (time.perf_counter() - started) * 1000


def _python(script: str, path: Path) -> list[float]:
    """The numbers that a fresh process prints."""
    told = subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True)
    return [float(word) for word in told.stdout.split()]


def measure(path: Path, events: int, bars: Bars) -> None:
    """Seal the recording at `path`, and ask it everything."""
    total, correlated = _python(_SEAL, path)
    segments = {file.name: file.stat().st_size for file in (path / "segments").iterdir()}
    values = segments.pop("values.zst")
    bars.add("seal, one core, values included", events / total / 1e6, 1.5, "M ev/s", least=True)
    bars.add("  of which correlate, one core", events / correlated / 1e6, 10, "M ev/s", least=True)
    size = sum(segments.values()) / events
    bars.add("size without values", size, 15, "B/event", note=f"values {values / events:.1f} B/event")
    opened, resident = _python(_OPEN, path)
    bars.add("open and show the overview", opened, 1, "s")
    bars.add("  resident then", resident / 1e9, 1.5, "GB")
    film = Film.open(path)
    scans, random = Scans(film), np.random.default_rng(7)
    length, part = film.info.duration_ns, film.info.duration_ns // 20
    starts = random.integers(0, length - part, ASKED + 1).tolist()
    messages = film.table("messages").slice(0, 10_000_000)
    picked = random.integers(0, messages.num_rows, ASKED + 1)
    receivers = film.query.column("messages", "to_process")[picked].tolist()
    senders = film.query.column("messages", "from_process")[picked].tolist()
    lanes = list(range(1, 1 + min(LANES, film.info.processes - 1)))
    query, dags = film.query, film.dags

    def process_window(n: int) -> object:
        return query.window(receivers[n], starts[n], starts[n] + part)

    def scanned_window(n: int) -> object:
        return scans.window(receivers[n], starts[n], starts[n] + part)

    bars.timed("one process, 5% window", 30, process_window, scanned_window)
    states = query.column("states", "process")
    owners = states[random.integers(0, len(states), ASKED + 1)].tolist()
    bars.timed(
        "state at T, as text",
        5,
        lambda n: dags.state.at(owners[n], length - starts[n] // 2),
        lambda n: scans.state(owners[n], length - starts[n] // 2),
    )
    bars.timed(
        "flow between two processes",
        5,
        lambda n: query.flow(senders[n], receivers[n], 0, length),
        lambda n: scans.flow(senders[n], receivers[n], 0, length),
    )
    zooms = [(start, start + max(2000, length >> (n % 8))) for n, start in enumerate(starts)]

    def draw(n: int) -> object:
        return densities(query, edges(*zooms[n], 2000)[0], lanes)

    def scanned_draw(n: int) -> object:
        return scans.density(lanes, zooms[n][0], edges(*zooms[n], 2000)[1], zooms[n][1])

    bars.timed(f"density, 2,000 px × {len(lanes)} lanes, any zoom", 50, draw, scanned_draw)
    bars.timed(
        "top functions by self time, any window",
        60,
        lambda n: top_functions(query, *zooms[n]),
        lambda n: scans.top(*zooms[n]),
    )
    late = random.integers(events * 9 // 10, events - 2000, ASKED + 1).tolist()
    bars.timed("backward slice, unlimited", 400, lambda n: dags.causality.slice(late[n]))
    bars.timed("backward slice, nearest 1,000", 5, lambda n: dags.causality.nearest(late[n], 1000))
    bound = np.flatnonzero(query.column("events", "kind") == Kind.BIND)
    chosen = bound[random.integers(0, len(bound), ASKED + 1)].tolist()
    bars.timed("data-flow chain of one value", 100, lambda n: dags.dataflow.flow(chosen[n]))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{'  resident after all questions':<44} {resident / 1e9:>10.2f} GB")


def verify(folder: Path, bars: Bars) -> None:
    """The answers on a small recording of the same kind, against plain Python."""
    generate(folder / "small.scope", 20_000, processes=60, seed=3)
    same = check(Film.open(folder / "small.scope"), seed=5)
    wrong = [name for name, equal in same.items() if not equal]
    note = f"differ: {', '.join(wrong)}" if wrong else f"equal: {', '.join(same)}"
    bars.add("answers that differ from the oracle's", len(wrong), 0, "", note=note)


def main() -> int:
    """Generate, measure, print; 1 when something falls short."""
    size = os.environ.get("SIZE", "1M")
    bars = Bars()
    with tempfile.TemporaryDirectory(prefix="scope-bench-") as work:
        made = generate(Path(work) / "bench.scope", count_of(size))
        load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
        machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, load {load}"
        print(f"{made['events']:,} events measured, bars are those for 100,000,000; {machine}")
        measure(Path(work) / "bench.scope", made["events"], bars)
        verify(Path(work), bars)
    if path := os.environ.get("JSON"):
        told = {"events": made["events"], "machine": machine, "bars": bars.lines}
        Path(path).write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(line["holds"] for line in bars.lines) else 1


if __name__ == "__main__":
    sys.exit(main())
