"""What recording costs a whole test suite: `mix test` plain and recorded, in turn, with the medians and their ratio.

    python benchmarks/suites.py [--runs 7] [--intent debug] [DIR …]

Default: the example. Plain and recorded runs alternate, so that a machine whose speed drifts does not favour one.
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
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def timed(command: list[str], folder: Path) -> float:
    """Wall-clock seconds of one run; its output is thrown away, its failures are its own."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def timed_runs(folder: Path, runs: int, intents: list[str]) -> Iterator[tuple[str, tuple[list[float], list[float]]]]:
    """Each intent with the seconds of `runs` plain and as many recorded runs of the suite in `folder`, in turn."""
    plain_command = ["mix", "test", "--seed", "0"]
    timed(plain_command, folder)  # compiles, and warms the caches
    with tempfile.TemporaryDirectory() as work:
        target = Path(work) / "run.scope"
        for intent in intents:
            script = [sys.executable, "-m", "elixirscope.cli.main", "record", "--intent", intent, "-o", str(target)]
            recorded_command = [*script, "--", *plain_command]
            plain, recorded = [], []
            for _ in range(runs):
                plain.append(timed(plain_command, folder))
                shutil.rmtree(target, ignore_errors=True)
                recorded.append(timed(recorded_command, folder))
            yield intent, (plain, recorded)


def compare(folder: Path, runs: int, intents: list[str]) -> None:
    """Print one line per intent for the suite in `folder`."""
    for intent, (plain, recorded) in timed_runs(folder, runs, intents):
        before, after = statistics.median(plain), statistics.median(recorded)
        print(
            f"{folder.name:<20} {intent:<12} plain {before:6.2f} s   recorded {after:6.2f} s   "
            f"× {after / before:.2f}   (+{after - before:.2f} s)"
        )


def main() -> None:
    """Parse the command line and compare each suite."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / "examples" / "ticket_office"])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--intent", action="append", choices=["debug", "performance", "state", "full", "minimal"])
    options = parser.parse_args()
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} processors, load {load}; medians of {options.runs} runs, recorder and sealing included")
    for folder in options.folders:
        compare(folder.resolve(), options.runs, options.intent or ["minimal", "debug", "full"])


if __name__ == "__main__":
    main()
