"""What recording costs a whole test suite: `mix test` plain and recorded, in turn, with the medians and their ratio.

    python benchmarks/suites.py [--runs 7] [--intent debug] [--engine auto] [--keep FILE] [DIR …]

Default: the example. Plain and recorded runs alternate, so that a machine whose speed drifts does not favour one; each
way has run once before. Two times are told: the program's own, from its start to its end, and the whole command's, in
which the recorder also plans, starts, and reads the recording to say what it holds. With FILE the seconds of all runs
are kept there, and what is printed is of all that are there: the suites need not be measured at one go.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from checkout import arguments

ROOT: Final = Path(__file__).resolve().parent.parent
PLAIN: Final = ("mix", "test", "--seed", "0")
INTENTS: Final = ("minimal", "debug", "full")
# Recorded ÷ plain, at most: the median over the suites.
BARS: Final = {"minimal": 1.02, "debug": 1.10, "full": 1.5}
# Runs the command that follows; writes its seconds, and those of processors that it used, into the file named first.
_TIMER: Final = """
import resource, subprocess, sys, time
started = time.perf_counter()
status = subprocess.call(sys.argv[2:])
took, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(f"{took} {used.ru_utime + used.ru_stime}")
sys.exit(status)
"""


@dataclass
class Times:
    """Seconds of the runs of one way: the program's own, those of processors that it used, and the whole command's."""

    own: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)

    def add(self, other: Times) -> None:
        """Take in the runs of another."""
        self.own += other.own
        self.processor += other.processor
        self.command += other.command


@dataclass
class Suite:
    """What one project's runs took."""

    name: str
    plain: Times = field(default_factory=Times)
    recorded: dict[str, Times] = field(default_factory=dict)
    problem: str = ""  # why it could not be measured

    def ratio(self, intent: str, *, command: bool = False) -> float:
        """Recorded ÷ plain, of medians: of the program's own time, or of the command's."""
        times = self.recorded[intent].command if command else self.recorded[intent].own
        return statistics.median(times) / statistics.median(self.plain.own)

    def more(self, intent: str) -> float:
        """How many milliseconds of processors a recorded run takes more than a plain one, of medians."""
        return 1e3 * (statistics.median(self.recorded[intent].processor) - statistics.median(self.plain.processor))

    def row(self) -> str:
        """A row for `head`."""
        cells = (
            f"× {self.ratio(i):.2f} | {self.more(i):+.0f} ms | × {self.ratio(i, command=True):.2f}"
            for i in self.recorded
        )
        return f"| {self.name} | {statistics.median(self.plain.own):.2f} s | {' | '.join(cells)} |"


def head(intents: list[str]) -> str:
    """The first lines of a table of suites."""
    names = " | ".join(f"{intent} | processor | command" for intent in intents)
    return f"| suite | plain | {names} |\n|---|---{'|---|---|---' * len(intents)}|"


def chosen(folder: Path) -> list[Path]:
    """The checkouts in `folder` that have tests."""
    return sorted(path for path in folder.resolve().iterdir() if any(path.glob("test/**/*_test.exs")))


def timed(command: list[str], folder: Path) -> tuple[float, int]:
    """Wall-clock seconds and exit status of one run; its output is thrown away."""
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return time.perf_counter() - started, done.returncode


def run(prefix: list[str], folder: Path, work: Path) -> tuple[Times, int]:
    """One run of the suite in `folder`, by the command `prefix` if there is one; its times, and its exit status.

    Raises `FileNotFoundError` when the suite was not started.
    """
    own = work / "own"
    own.unlink(missing_ok=True)
    test = [sys.executable, "-c", _TIMER, str(own), *PLAIN, *arguments(folder.name)]
    seconds, status = timed([*prefix, *test], folder)
    took, used = own.read_text(encoding="utf-8").split()
    return Times([float(took)], [float(used)], [seconds]), status


def measure(folder: Path, runs: int, intents: list[str], engine: str = "auto") -> Suite:
    """Run the suite in `folder` plain and at each intent, in turn, `runs` times after one that warms the caches.

    A suite that does not pass by itself is not measured: it says little to have failed sooner or later.
    """
    suite = Suite(folder.name, recorded={intent: Times() for intent in intents})
    with tempfile.TemporaryDirectory(prefix="elixirscope-suites-") as name:
        work = Path(name)
        target = work / "run.scope"
        record = [sys.executable, "-m", "elixirscope.cli.main", "record", "--engine", engine, "-o", str(target)]
        for count in range(runs + 1):
            plain, status = run([], folder, work)
            if count:
                suite.plain.add(plain)
            elif status and run([], folder, work)[1]:  # a test of theirs may fail now and then
                suite.problem = f"its tests fail without being recorded (status {status})"
                return suite
            for intent in intents:
                try:
                    times, _ = run([*record, "--intent", intent, "--"], folder, work)
                except FileNotFoundError:
                    suite.problem = f"it could not be recorded at {intent}"
                    return suite
                if count:
                    suite.recorded[intent].add(times)
                shutil.rmtree(target, ignore_errors=True)
    return suite


def median(measured: list[Suite], intent: str, *, command: bool = False) -> float | None:
    """The median over the suites of what recording costs, as `Suite.ratio`; None when none was measured."""
    ratios = [
        suite.ratio(intent, command=command) for suite in measured if suite.plain.own and intent in suite.recorded
    ]
    return statistics.median(ratios) if ratios else None


def loaded(file: Path) -> dict[str, Suite]:
    """The suites that `keep` has written; none where there is no file."""
    if not file.exists():
        return {}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {
        name: Suite(
            name, Times(**suite["plain"]), {intent: Times(**times) for intent, times in suite["recorded"].items()}
        )
        for name, suite in kept.items()
    }


def keep(file: Path, suite: Suite) -> Suite:
    """Add the runs of a suite to those in `file`; returns all of them."""
    kept = loaded(file)
    whole = kept.setdefault(suite.name, Suite(suite.name))
    whole.plain.add(suite.plain)
    for intent, times in suite.recorded.items():
        whole.recorded.setdefault(intent, Times()).add(times)
    text = json.dumps({name: asdict(each) for name, each in kept.items()}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
    return whole


def main() -> None:
    """Parse the command line and measure each suite."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / "examples" / "ticket_office"])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--engine", choices=["auto", "native", "portable"], default="auto")
    parser.add_argument("--intent", action="append", choices=["debug", "performance", "state", "full", "minimal"])
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add the runs to those in FILE, and print all")
    options = parser.parse_args()
    intents = options.intent or list(INTENTS)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} processors, load {load}; medians of {options.runs} runs\n\n{head(intents)}", flush=True)
    measured = loaded(options.keep) if options.keep else {}
    for folder in options.folders:
        suite = measure(folder.resolve(), options.runs, intents, options.engine)
        if suite.problem:
            print(f"{suite.name} is not measured: {suite.problem}", file=sys.stderr)
            continue
        measured[suite.name] = keep(options.keep, suite) if options.keep else suite
        print(suite.row(), flush=True)
    if options.keep:
        print("\n".join(["", f"all runs kept in {options.keep}:", "", head(intents)]))
        print("\n".join(f"{suite.row()} {len(suite.plain.own)} runs" for suite in measured.values()))
    print()
    for intent in intents:
        if (ratio := median(list(measured.values()), intent)) is not None:
            print(f"{intent}: × {ratio:.3f} in the median of {len(measured)} suites, bar {BARS.get(intent, '–')}")


if __name__ == "__main__":
    main()
