"""What can be asked of a large recording, and how fast: each bar of the design with what this machine does.

    SIZE=1M JSON=out.json python benchmarks/query.py        # 1M, 10M, 100M: 500 bytes of disk per event
    REC=big.scope python benchmarks/query.py                # asks a recording of `generate.py` that is there

Bars are those for 100 million events. They are held against what is measured at SIZE, which is printed beside them:
nothing is scaled, so a small SIZE that holds says little and one that falls short says much. Rates and bytes do not
depend on SIZE. Each question is also
asked of a new process, and of DuckDB, scanning the same tables in the same run.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
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
from questions import ASKED, BARS, COLD, Questions

from elixirscope.film import Film
from elixirscope.query.density import edges

SCANNED: Final = 3  # how often DuckDB is asked each question
_BYTES: Final = 500  # per event: 324 raw, 20 of segments, 120 of columns, 22 of indexes

_OPEN = """
import sys, time
started = time.perf_counter()
from elixirscope.film import Film
from elixirscope.query.timeline import timeline
film = Film.open(sys.argv[1])
timeline(film.query, 0, max(1, film.info.duration_ns), 1000, [p["process"] for p in film.query.processes[:40]])
taken = time.perf_counter() - started
(most,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(taken, int(most) * 1024)
"""  # VmHWM: ru_maxrss of a new process counts what the one that started it had

_SEAL = """
import os, sys, time
from pathlib import Path
os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
import pyarrow
pyarrow.set_cpu_count(1)
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import sealer
spent = 0.0
def timed(relate):
    def call(*args):
        global spent
        started = time.perf_counter()
        try:
            return relate(*args)
        finally:
            spent += time.perf_counter() - started
    return call
class Timed(EventCorrelator):
    def relate(self, slices):
        return map(self.take, slices)
    take = timed(EventCorrelator.take)
    finish = timed(EventCorrelator.finish)
started = time.perf_counter()
sealer.seal(Path(sys.argv[1]), correlate=Timed)
print(time.perf_counter() - started, spent)
"""


_RELATE = """
import sys, time
from itertools import islice
from pathlib import Path
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.heap import kept
from elixirscope.recording.sealer import SLICE
keep = kept()
keep.__enter__()  # as in the seal
slices = Joiner.open(Path(sys.argv[1]) / "raw").slices(SLICE)
correlator, spent, used = EventCorrelator.on_all_cores(), 0.0, 0.0
while group := list(islice(slices, 8)):  # joined before, so that only relating has the cores
    started, before = time.perf_counter(), time.process_time()
    for _ in correlator.relate(group):
        pass
    spent, used = spent + time.perf_counter() - started, used + time.process_time() - before
    last = group[-1]
started, before = time.perf_counter(), time.process_time()
correlator.finish(last)
print(spent + time.perf_counter() - started, used + time.process_time() - before)
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
        self, what: str, bar_ms: float, ask: Callable[[int], object], scan: Callable[[int], object] | None, cold: float
    ) -> None:
        """`ask` and `scan` are given the number of the question; `cold` is what the first took in a new process."""
        ask(ASKED)  # what the first question maps is told by `cold`
        times = [_once(ask, number) for number in range(ASKED)]
        note = f"p50 {statistics.median(times):.2f}, first in a new process {cold:.1f}"
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
    """The numbers that a script prints in a fresh process."""
    return _told(["-c", script, str(path)])


def _told(arguments: list[str]) -> list[float]:
    told = subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in told.stdout.split()]


def seal(path: Path, events: int, bars: Bars) -> None:
    """Seal the recording at `path`."""
    total, correlated = _python(_SEAL, path)
    segments = {file.name: file.stat().st_size for file in (path / "segments").iterdir()}
    values = segments.pop("values.zst")
    bars.add("seal, one core, values included", events / total / 1e6, 1.5, "M ev/s", least=True)
    related, used = _python(_RELATE, path)
    alone = f"{events / correlated / 1e6:.1f} on the one core that sealed"
    note = f"{used / events * 1e9:.0f} ns of processor time per event; {alone}"
    bars.add("correlate, all cores", events / related / 1e6, 10, "M ev/s", least=True, note=note)
    size = sum(segments.values()) / events
    bars.add("size without values", size, 15, "B/event", note=f"values {values / events:.1f} B/event")


def _machine() -> str:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, load {load}"


def _read(path: Path) -> None:
    """Have the system hold the mapped files, as far as it has room for them: asked is how long answers take, and not
    how long this disk does. Raw files, which no question reads, make room, and what was written is on the disk."""
    os.sync()
    for file in sorted(file for file in (path / "raw").rglob("*") if file.is_file()):
        with file.open("rb") as open_:
            os.posix_fadvise(open_.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    started, size, part = time.perf_counter(), 0, bytearray(1 << 24)
    for folder in ("columns", "index"):
        for file in sorted(file for file in (path / folder).rglob("*.*") if file.is_file()):
            with file.open("rb", buffering=0) as open_:
                while count := open_.readinto(part):
                    size += count
    print(f"{size / 1e9:.1f} GB of columns and indexes read once in {time.perf_counter() - started:.1f} s", flush=True)


def ask(path: Path, bars: Bars) -> None:
    """Open the recording at `path` and ask it everything: in a fresh process first, then again and again."""
    Film.open(path)  # makes columns and indexes, as whoever opens a recording first does
    os.sync()  # or the first questions wait for what is still being written
    _read(path)
    opened, resident = _python(_OPEN, path)
    bars.add("open and show the overview, new process", opened, 1, "s")
    bars.add("  resident then", resident / 1e9, 1.5, "GB")
    film = Film.open(path)
    questions, scans = Questions(film), Scans(film)
    for name, (what, bar) in BARS.items():
        (cold,) = _told([str(Path(__file__).with_name("questions.py")), str(path), name])
        bars.timed(what, bar, questions.ask(name), _scan(name, questions, scans), cold)
        if name in COLD:
            bars.add(f"  {name}, first in a new process", cold, COLD[name], "ms")
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{'  resident after all questions, mapped files included':<44} {resident / 1e9:>10.2f} GB")


def _scan(name: str, asked: Questions, scans: Scans) -> Callable[[int], object] | None:
    """The same question to DuckDB."""
    return {
        "window": lambda n: scans.window(asked.receivers[n], asked.starts[n], asked.starts[n] + asked.part),
        "state": lambda n: scans.state(asked.owners[n], asked.length - asked.starts[n] // 2),
        "flow": lambda n: scans.flow(asked.senders[n], asked.receivers[n], asked.starts[n], asked.length),
        "density": lambda n: scans.density(
            asked.lanes, asked.zooms[n][0], edges(*asked.zooms[n], 2000)[1], asked.zooms[n][1]
        ),
        "top": lambda n: scans.top(*asked.zooms[n]),
    }.get(name)


def verify(folder: Path, bars: Bars) -> None:
    """The answers on a small recording of the same kind, against plain Python."""
    generate(folder / "small.scope", 20_000, processes=60, seed=3)
    same = check(Film.open(folder / "small.scope"), seed=5)
    wrong = [name for name, equal in same.items() if not equal]
    note = f"differ: {', '.join(wrong)}" if wrong else f"equal: {', '.join(same)}"
    bars.add("answers that differ from the oracle's", len(wrong), 0, "", note=note)


def main() -> int:
    """Generate, measure, print; 1 when something falls short."""
    bars = Bars()
    with tempfile.TemporaryDirectory(prefix="scope-bench-") as work:
        if given := os.environ.get("REC"):
            path = Path(given)
            events, machine = Film.open(path).info.events, _machine()
            print(f"{events:,} events asked, bars are those for 100,000,000; {machine}")
        else:
            path, size = Path(work) / "bench.scope", count_of(os.environ.get("SIZE", "1M"))
            room = shutil.disk_usage(work).free
            if room < size * _BYTES:
                print(f"{size:,} events need more than the {room / 1e9:.0f} GB free in {work}", file=sys.stderr)
                return 2
            events, machine = generate(path, size)["events"], _machine()
            print(f"{events:,} events sealed and asked, bars are those for 100,000,000; {machine}")
            seal(path, events, bars)
        ask(path, bars)
        verify(Path(work), bars)
    if kept := os.environ.get("JSON"):
        told = {"events": events, "machine": machine, "bars": bars.lines}
        Path(kept).write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(line["holds"] for line in bars.lines) else 1


if __name__ == "__main__":
    sys.exit(main())
