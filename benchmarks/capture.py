"""What recording costs the program that is recorded: each bar of the design with what this machine does.

    QUICK=1 JSON=out.json SUITES=folder python benchmarks/capture.py

Ratios are taken within one VM, of medians of interleaved runs; plain VM tracing does the same work beside ours. QUICK
shortens the minute of sustained load to five seconds. SUITES names a folder of checkouts of projects whose `mix test`
is timed plain and recorded. The table is printed as it stands in docs/overhead.md. The exit status is 1 when a bar
is not reached; a bar that could not be measured is said to be so, and is no success either.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import suites

from elixirscope.capture.native import native_library
from elixirscope.capture.toolchain import find_toolchain
from elixirscope.errors import ElixirScopeError

ROOT: Final = Path(__file__).resolve().parent.parent
AGENT: Final = ROOT / "agent"
EBIN: Final = AGENT / "_build" / "test" / "lib" / "elixir_scope" / "ebin"
RUNS: Final = 7
# VMs for each engine, in turn: what one costs also depends on where its memory and its threads happen to be.
VMS: Final = 7
# Of the sustained load, whatever the machine has.
SCHEDULERS: Final = 4
CASES: Final = {
    "call_small": "call and return, small arguments",
    "call_long": "the same, 200,000 in one go",
    "call_empty": "call and return, no values",
    "bind": "binding",
    "state_same": "state, unchanged",
    "state_changed": "state, one key of 50 changed",
    "call_fun": "call and return, with a function",
    "call_cut": "call and return, 5 KB term, cut",
}
WAYS: Final = {
    "bare": "bare",
    "portable": "portable",
    "native": "native",
    "trace": "erlang:trace",
    "dbg": "dbg",
    "nothing": "C that does nothing",
    "noted": "C that notes the time",
    "send": "one send",
    "collector": "one send, collected",
}

# Seals one recording of a million events over and over, on one core, until it is told to stop.
_SEALER: Final = """
import shutil, sys
from pathlib import Path
import pyarrow
pyarrow.set_cpu_count(1)
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording.seal import SEGMENTS
from elixirscope.recording.sealer import seal
path = Path(sys.argv[1])
while True:
    shutil.rmtree(path / SEGMENTS, ignore_errors=True)
    seal(path, correlate=EventCorrelator)
    print("sealed", flush=True)
"""


def run_script(name: str, **settings: str | Path | int) -> dict[str, float]:
    """Run one script of agent/bench in a VM of its own, in an empty folder; the figures it printed."""
    with tempfile.TemporaryDirectory(prefix="elixirscope-bench-") as folder:
        environment = {**os.environ, "DIR": folder, **{key: str(value) for key, value in settings.items()}}
        command = ["elixir", "-pa", str(EBIN), str(AGENT / "bench" / f"{name}.exs")]
        done = subprocess.run(command, cwd=AGENT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{name}.exs failed (status {done.returncode})")
    rows = (line.split() for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return {key: float(number) for _, key, number in rows}


def build_native() -> None:
    """Name the native engine's library for the scripts, when it can be built here."""
    try:
        os.environ["NATIVE_LIBRARY"] = str(native_library(find_toolchain()))
    except ElixirScopeError as error:
        print(f"the native engine is not measured: {error}", file=sys.stderr)


def _is_built(engine: str) -> bool:
    """Whether the scripts can record with an engine: without a library they would take the other one for the native."""
    return engine != "native" or "NATIVE_LIBRARY" in os.environ


def compile_c(source: Path, library: Path) -> bool:
    """Whether `source` could be compiled into `library`, with Erlang's headers where they are found."""
    if not (compiler := shutil.which("cc")):
        return False
    root = subprocess.run(
        ["erl", "-noshell", "-eval", "io:put_chars(code:root_dir()), halt()."],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    flags = ["-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", f"-I{root}/usr/include"]
    return subprocess.run([compiler, *flags, "-o", str(library), str(source), "-ldl"], check=False).returncode == 0


@contextmanager
def sealing() -> Iterator[None]:
    """While inside, a sealer works beside us; ends the program if it did not all the while."""
    with tempfile.TemporaryDirectory(prefix="elixirscope-bench-") as folder:
        from generate import generate

        path = Path(folder) / "r.scope"
        generate(path, 1_000_000)
        with subprocess.Popen([sys.executable, "-c", _SEALER, str(path)], stdout=subprocess.PIPE) as sealer:
            assert sealer.stdout is not None
            try:
                if sealer.stdout.readline() != b"sealed\n":
                    sys.exit("the sealer beside the load does not work")
                yield
                if sealer.poll() is not None:
                    sys.exit("the sealer beside the load has died")
            finally:
                sealer.kill()


class Bars:
    """Bars with what was measured, as lines on the screen and as rows of the JSON."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def at_most(self, what: str, measured: float | None, bar: float, unit: str = "", note: str = "") -> None:
        """A bar that holds when the figure is not above it; None: not measured."""
        self._add(what, measured, bar, "≤", unit, note, measured is not None and measured <= bar)

    def at_least(
        self, what: str, measured: float | None, bar: float, unit: str = "", note: str = "", *, zero: float = 0
    ) -> None:
        """A bar that holds when the figure is not below it, and `zero` is 0."""
        self._add(what, measured, bar, "≥", unit, note, measured is not None and measured >= bar and zero == 0)

    def _add(self, what: str, measured: float | None, bar: float, sign: str, unit: str, note: str, holds: bool) -> None:
        verdict = "not measured" if measured is None else "holds" if holds else "short"
        row = {"what": what, "measured": measured, "bar": bar, "sign": sign, "unit": unit, "note": note}
        self.rows.append(row | {"verdict": verdict})
        shown = "–" if measured is None else f"{measured:,.2f}"
        told = f" ({note})" if note else ""
        print(f"| {what}{told} | {shown} {unit} | {sign} {bar:g} {unit} | {verdict} |".replace("  ", " "), flush=True)

    @property
    def held(self) -> bool:
        """Whether every bar was measured and reached."""
        return all(row["verdict"] == "holds" for row in self.rows)


def machine() -> str:
    """The machine and its load, in one line."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{platform.machine()} {model}, {os.cpu_count()} processors, load {load}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


# What each VM printed, by engine.
Runs = dict[str, list[dict[str, float]]]
Settings = dict[str, str | Path | int]


def several(name: str, settings: Settings) -> Runs:
    """The figures of a script by engine, of VMs that ran in turn, each with all it is compared with."""
    engines = ("native", "portable")
    runs: Runs = {engine: [] for engine in engines}
    for _ in range(VMS):
        for engine in engines:
            runs[engine].append(run_script(name, ENGINE=engine, RUNS=RUNS, **settings))
    return runs


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Each figure's median over VMs."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def ratio(runs: list[dict[str, float]], above: tuple[str, str], below: tuple[str, str]) -> tuple[float, str] | None:
    """What one thing costs beyond another, as a share of what a third does: the median of each VM's own, and its range.

    `above` and `below` are two keys each, the second one of what is taken away ("" for nothing).
    """
    if not all(key in runs[0] or not key for key in (*above, *below)):
        return None

    def beyond(run: dict[str, float], pair: tuple[str, str]) -> float:
        return run[pair[0]] - run.get(pair[1], 0.0)

    each = [beyond(run, above) / beyond(run, below) for run in runs]
    return statistics.median(each), f"{min(each):.2f} to {max(each):.2f} by VM"


def event_table(runs: Runs) -> None:
    """Nanoseconds per event, a row per case; what both engines' runs have, from the native one's."""
    known = medians(runs["portable"]) | medians(runs["native"])
    print("\n| ns per event | " + " | ".join(WAYS.values()) + " |\n|---" + "|---" * len(WAYS) + "|")
    for case, name in CASES.items():
        cells = (known.get(f"{case}.{way}") for way in WAYS)
        print(f"| {name} | " + " | ".join("–" if ns is None else f"{ns:,.0f}" for ns in cells) + " |")
    print()


def event_bars(bars: Bars, runs: Runs) -> None:
    """What one event costs, as ratios within each VM."""

    def over_bare(engine: str, case: str, way: str, below: str, bare: str) -> tuple[float, str] | None:
        return ratio(runs[engine], (f"{case}.{way}", f"{case}.bare"), (f"{case}.{below}", bare))

    for engine, bar in (("native", 0.15), ("portable", 0.6)):
        short, long = (over_bare(engine, case, engine, "trace", f"{case}.bare") for case in ("call_small", "call_long"))
        note = f"{short[1]}; of 200,000 in one go {long[0]:.2f}" if short and long else ""
        bars.at_most(f"call + return, small: {engine} ÷ VM trace", short and short[0], bar, note=note)
    for what, bar in (("empty", 0.10), ("small", 0.20)):
        case = f"call_{what}"
        event = over_bare("native", case, "native", "collector", "")
        taken = over_bare("native", case, "native", "send", "")
        note = f"{event[1]}; to a process that only takes it {taken[0]:.2f}" if event and taken else ""
        bars.at_most(f"event, {what}: native ÷ one send to a collector", event and event[0], bar, note=note)
    nothing, noted = (over_bare("native", "call_empty", way, "collector", "") for way in ("nothing", "noted"))
    if nothing and noted:
        told = f"{nothing[0]:.2f}; {noted[0]:.2f}"
        print(f"| the same of C that does nothing; of C that notes the time | {told} | | |")
    native = medians(runs["native"])
    for case, what, bar, unit, of in (
        ("state_same", "state unchanged", 50, "ns", 1),
        ("state_changed", "one key of 50 changed", 2.5, "µs", 1000),
    ):
        measured = (native[f"{case}.native"] - native[f"{case}.bare"]) / of if f"{case}.native" in native else None
        bars.at_most(f"{what}, native, over bare", measured, bar, unit)


def message_bars(bars: Bars, settings: Settings) -> None:
    """A message sent and received."""
    runs = several("messages", settings)

    def traced(engine: str, way: str) -> tuple[float, str] | None:
        bare = f"messages_{engine}.bare"
        return ratio(runs[engine], (f"messages_{engine}.{way}", bare), (f"messages_{engine}.trace", bare))

    own, portable, nothing = traced("native", "native"), traced("portable", "portable"), traced("native", "nothing")
    notes = [own[1]] if own else []
    notes += [f"portable {portable[0]:.2f}"] if portable else []
    notes += [f"a tracer that does nothing {nothing[0]:.2f}"] if nothing else []
    bars.at_most("send + receive: native ÷ VM process trace", own and own[0], 0.5, note="; ".join(notes))


def load_bars(bars: Bars, seconds: int) -> None:
    """Many events for a long time, and very many for a short one."""
    with sealing():
        for engine, rate in (("native", 1_000_000), ("portable", 400_000)):
            what = f"sustained {seconds} s, {SCHEDULERS} schedulers, beside the sealer, {engine}"
            if not _is_built(engine):
                bars.at_least(what, None, rate / 1e6, "M/s")
                continue
            # A little more is asked for: the last slot ends late.
            load: dict[str, str | int] = {
                "RATE": rate * 102 // 100,
                "SECONDS": seconds,
                "ERL_FLAGS": f"+S {SCHEDULERS}:{SCHEDULERS}",
            }
            figures = run_script("sustained", ENGINE=engine, KEY="s", **load)
            lost, mb = figures["s.lost"], figures["s.memory"] / 1e6
            bars.at_least(
                what,
                figures["s.rate"] / 1e6,
                rate / 1e6,
                "M/s",
                f"{lost:,.0f} lost, collectors at most {mb:,.0f} MB",
                zero=lost,
            )
    for engine in ("native", "portable"):
        burst: dict[str, str | int] = {"ENGINE": engine, "RATE": 1_000_000, "SECONDS": 1, "KEY": "b"}
        figures = run_script("sustained", **burst) if _is_built(engine) else {}
        bars.at_most(f"burst of 1 M events in a second, {engine}: lost", figures.get("b.lost"), 0)


def overload_bars(bars: Bars) -> None:
    """Collectors or drainers that stand still, and a disk that takes 5 MB a second."""
    with tempfile.TemporaryDirectory(prefix="elixirscope-bench-") as folder:
        library, source = Path(folder) / "slow_disk.so", AGENT / "test" / "support" / "slow_disk.c"
        slow = {"LD_PRELOAD": library, "SLOW_DISK": Path(folder) / "bytes_a_second"}
        if not compile_c(source, library):
            slow = {}
        for engine in ("native", "portable"):
            figures = run_script("overload", ENGINE=engine, RUNS=3, **slow)
            note = f"{figures.get(f'overload_{engine}.lost', 0):,.0f} counted as lost in both"
            for way, name in (("stopped", "a stopped collector"), ("slow", "a disk of 5 MB/s")):
                share = figures.get(f"overload_{engine}.{way}")
                bars.at_least(f"speed with {name} ÷ recorded, {engine}", share, 0.9, note=note)


def loading_bars(bars: Bars) -> None:
    """Instrumentation at load time, of modules of Elixir's own tools."""
    with tempfile.TemporaryDirectory(prefix="elixirscope-bench-") as cache:
        first = run_script("loading", XDG_CACHE_HOME=cache)
        again = run_script("loading", XDG_CACHE_HOME=cache)
    note = f"{first['loading.modules']:.0f} modules"
    processors = min(os.cpu_count() or 1, 4)  # the bar is 40 with four: it is the compiler's, which takes all there are
    at_first = f"{note}; {processors} processors of the bar's 4"
    bars.at_least("modules instrumented a second, first time", first["loading.first"], 10 * processors, note=at_first)
    bars.at_least("the same from the cache", again["loading.first"], 500, note=note)


def suite_bars(bars: Bars, folder: str | None) -> None:
    """Real suites, wall clock of the program recorded ÷ plain, the median over the projects."""
    intents, measured = list(suites.INTENTS), []
    for project in suites.chosen(Path(folder)) if folder else []:
        suite = suites.measure(project, int(os.environ.get("ROUNDS", "7")), intents)
        print(f"{suite.name}: {suite.problem or suite.row()}", file=sys.stderr, flush=True)
        if not suite.problem:
            measured.append(suite)
    for intent in intents:
        ratio, note = suites.median(measured, intent), "SUITES=folder of checkouts"
        if ratio is not None:
            note = f"{len(measured)} projects; the whole command × {suites.median(measured, intent, command=True):.2f}"
        bars.at_most(f"suites, {intent}: recorded ÷ plain", ratio, suites.BARS[intent], note=note)
    if measured:
        print("\n".join(["", suites.head(intents), *(suite.row() for suite in measured)]))


def main() -> int:
    """Measure everything; 0 when all bars hold."""
    seconds = 5 if os.environ.get("QUICK") else 60
    if not shutil.which("elixir"):
        sys.exit("Elixir is not installed here")
    subprocess.run(["mix", "compile"], cwd=AGENT, env={**os.environ, "MIX_ENV": "test"}, check=True, stdout=sys.stderr)
    build_native()
    started = time.time()
    place = machine()
    print(f"{place}; medians of {RUNS} interleaved runs, of {VMS} VMs")
    with tempfile.TemporaryDirectory(prefix="elixirscope-bench-") as folder:
        library = Path(folder) / "floor.so"
        floor: Settings = {"FLOOR_LIBRARY": library} if compile_c(AGENT / "bench" / "floor.c", library) else {}
        runs = several("events", floor)
        event_table(runs)
        bars = Bars()
        print("| what | measured | bar | |\n|---|---|---|---|")
        event_bars(bars, runs)
        message_bars(bars, floor)
    load_bars(bars, seconds)
    overload_bars(bars)
    loading_bars(bars)
    suite_bars(bars, os.environ.get("SUITES"))
    print(
        f"\n{sum(row['verdict'] == 'holds' for row in bars.rows)} of {len(bars.rows)} bars hold; {machine()} at the end"
    )
    if target := os.environ.get("JSON"):
        content = {"machine": place, "unix": started, "seconds": seconds, "figures": runs, "bars": bars.rows}
        Path(target).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if bars.held else 1


if __name__ == "__main__":
    sys.exit(main())
