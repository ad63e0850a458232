"""What recording costs a whole test suite: `mix test` plain and recorded, in turn, with the medians and their ratio.

    python benchmarks/suites.py [--runs 7] [--intent debug] [--engine auto] [DIR …]

Default: the example. Plain and recorded runs alternate, so that a machine whose speed drifts does not favour one; each
way has run once before. Two times are told: the program's own, from its start to its end, and the whole command's, in
which the recorder also plans, starts, and reads the recording to say what it holds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from checkout import arguments

ROOT: Final = Path(__file__).resolve().parent.parent
PLAIN: Final = ("mix", "test", "--seed", "0")
INTENTS: Final = ("minimal", "debug", "full")
# Runs the command that follows and writes its seconds into the file named first.
_TIMER: Final = """
import subprocess, sys, time
started = time.perf_counter()
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(time.perf_counter() - started))
sys.exit(status)
"""


@dataclass
class Recorded:
    """Seconds of the recorded runs of one intent: the program's own, and the whole command's."""

    own: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)


@dataclass
class Suite:
    """What one project's runs took, in seconds."""

    name: str
    plain: list[float] = field(default_factory=list)
    recorded: dict[str, Recorded] = field(default_factory=dict)

    def ratio(self, intent: str, *, command: bool = False) -> float:
        """Recorded ÷ plain, of medians: of the program's own time, or of the command's."""
        times = self.recorded[intent].command if command else self.recorded[intent].own
        return statistics.median(times) / statistics.median(self.plain)

    def row(self) -> str:
        """A row for `HEAD`."""
        cells = (f"× {self.ratio(i):.2f} | × {self.ratio(i, command=True):.2f}" for i in self.recorded)
        return f"| {self.name} | {statistics.median(self.plain):.2f} s | {' | '.join(cells)} |"


def head(intents: list[str]) -> str:
    """The first lines of a table of suites."""
    names = " | ".join(f"{intent} | command" for intent in intents)
    return f"| suite | plain | {names} |\n|---|---{'|---|---' * len(intents)}|"


def timed(command: list[str], folder: Path) -> float:
    """Wall-clock seconds of one run; its output is thrown away, its failures are its own."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def measure(folder: Path, runs: int, intents: list[str], engine: str = "auto") -> Suite:
    """Run the suite in `folder` plain and at each intent, in turn, `runs` times after one that warms the caches."""
    suite = Suite(folder.name, recorded={intent: Recorded() for intent in intents})
    with tempfile.TemporaryDirectory(prefix="elixirscope-suites-") as work:
        for count in range(runs + 1):
            plain = timed(list(PLAIN), folder)
            if count:
                suite.plain.append(plain)
            for intent in intents:
                target, own = Path(work) / "run.scope", Path(work) / "own"
                record = [sys.executable, "-m", "elixirscope.cli.main", "record", "--engine", engine]
                timer = [sys.executable, "-c", _TIMER, str(own), *PLAIN]
                seconds = timed([*record, "--intent", intent, "-o", str(target), "--", *timer], folder)
                if count:
                    suite.recorded[intent].command.append(seconds)
                    suite.recorded[intent].own.append(float(own.read_text(encoding="utf-8")))
                shutil.rmtree(target, ignore_errors=True)
    return suite


def main() -> None:
    """Parse the command line and measure each suite."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / "examples" / "ticket_office"])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--engine", choices=["auto", "native", "portable"], default="auto")
    parser.add_argument("--intent", action="append", choices=["debug", "performance", "state", "full", "minimal"])
    options = parser.parse_args()
    intents = options.intent or list(INTENTS)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} processors, load {load}; medians of {options.runs} runs\n\n{head(intents)}", flush=True)
    for folder in options.folders:
        print(measure(folder.resolve(), options.runs, intents, options.engine).row(), flush=True)


if __name__ == "__main__":
    main()
