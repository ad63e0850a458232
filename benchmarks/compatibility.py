"""Other people's test suites, plain and recorded at `full` with both engines: is every test's result the same?

    python benchmarks/compatibility.py [--rounds 3] [--only NAME] [--write docs/compatibility.md] FOLDER

FOLDER holds checkouts whose `mix test` works, dependencies included; nothing is fetched. The ways alternate, each with
the same seed. A test differs when a recorded run gave a result that no plain run gave; one that varies without being
recorded is named, but is no difference. The commit is that of the checkout, or the first line of its file `.commit`.
The exit status is 1 when a test differs.
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
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from checkout import arguments

WAYS: Final = ("plain", "portable", "native")
FORMATTER: Final = Path(__file__).with_name("results_formatter.ex")
BEGIN, END = "<!-- made by benchmarks/compatibility.py -->", "<!-- end -->"
LIMIT_S: Final = 1200


@dataclass
class Way:
    """What came of one project's runs of one way."""

    runs: int = 0
    results: dict[str, Counter[str]] = field(default_factory=dict)  # of each test
    events: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def counted(self) -> str:
        """How the tests of a run ended, on average: `46 passed, 1 skipped`."""
        total = sum(self.results.values(), Counter[str]())
        return (
            ", ".join(f"{count / max(1, self.runs):.6g} {result}" for result, count in sorted(total.items()))
            or "nothing ran"
        )


def run(project: Path, way: str, formatter: Path, into: Way) -> None:
    """One run of the suite; what it says goes nowhere, unless no test ran."""
    with tempfile.TemporaryDirectory(prefix="elixirscope-compatibility-") as work:
        results, info = Path(work) / "results", Path(work) / "info.json"
        # Loaded at once: since Elixir 1.15 Mix takes what is no dependency off the path.
        load = "-s code ensure_modules_loaded Elixir.ResultsFormatter"
        flags = f"{os.environ.get('ERL_AFLAGS', '')} -pa {formatter} {load}".strip()
        environment = {**os.environ, "COMPATIBILITY_RESULTS": str(results), "ERL_AFLAGS": flags}
        command = [
            "mix",
            "test",
            "--seed",
            "0",
            "--formatter",
            "ExUnit.CLIFormatter",
            "--formatter",
            "ResultsFormatter",
            *arguments(project.name),
        ]
        if way != "plain":
            record = [sys.executable, "-m", "elixirscope.cli.main", "record", "--intent", "full", "--engine", way]
            command = [*record, "-o", str(Path(work) / "r.scope"), "--json", str(info), "--", *command]
        try:
            done = subprocess.run(
                command, cwd=project, env=environment, capture_output=True, text=True, errors="replace",
                stdin=subprocess.DEVNULL, timeout=LIMIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            into.problems.append(f"{way}: no end after {LIMIT_S} s")
            return
        if not results.exists():
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            into.problems.append(f"{way}: no test ran: {said[-1] if said else 'it said nothing'}")
            return
        into.runs += 1
        for line in results.read_text(encoding="utf-8").splitlines():
            module, name, result = line.split("\t")
            into.results.setdefault(f"{module} {name}", Counter())[result] += 1
        if info.exists():
            told = json.loads(info.read_text(encoding="utf-8"))
            into.events.append(told["events"])
            into.lost.append(told["lost"])


def differences(plain: Way, recorded: Way) -> list[str]:
    """A line for each test whose recorded results are not among its plain ones, or that did not run."""
    lines = []
    for test in sorted(plain.results.keys() | recorded.results.keys()):
        before, after = plain.results.get(test, Counter()), recorded.results.get(test, Counter())
        if set(after) - set(before) or not after or not before:
            lines.append(f"{test}: plain {shown(before)}, recorded {shown(after)}")
    return lines


def shown(results: Counter[str]) -> str:
    """`3 passed, 1 failed`."""
    return ", ".join(f"{count} {result}" for result, count in results.most_common()) or "did not run"


def commit(project: Path) -> str:
    """The commit of a checkout, abbreviated; a dash when nothing tells it."""
    noted = project / ".commit"
    if noted.exists():
        return noted.read_text(encoding="utf-8").split()[0][:10]
    if not (project / ".git").exists():
        return "–"
    command = ["git", "-C", str(project), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()[:10] or "–"


def measure(project: Path, rounds: int, formatter: Path) -> dict[str, Way]:
    """All ways in turn, `rounds` times, after one run that compiles."""
    warm = Way()
    run(project, "plain", formatter, warm)
    ways = {way: Way() for way in WAYS}
    if warm.problems:
        ways["plain"].problems = warm.problems
        return ways
    for _ in range(rounds):
        for way in WAYS:
            run(project, way, formatter, ways[way])
    return ways


def row(project: Path, ways: dict[str, Way]) -> str:
    """One line of the table."""
    plain = ways["plain"]
    cells = [project.name, f"`{commit(project)}`", str(len(plain.results)), plain.counted()]
    for way in WAYS[1:]:
        recorded = ways[way]
        if not recorded.runs or not plain.runs:
            cells += ["did not run", "–"]
            continue
        differing = len(differences(plain, recorded))
        events = f"{statistics.median(recorded.events):,.0f}" if recorded.events else "–"
        most = max(recorded.lost, default=0)
        lost = f", {most:,} lost" if most else ""
        cells += ["same" if not differing else f"{differing} differ", f"{events}{lost}"]
    return "| " + " | ".join(cells) + " |"


HEAD: Final = "| project | commit | tests | plain | portable | events | native | events |\n" + "|---" * 8 + "|"


def report(measured: dict[Path, dict[str, Way]], rounds: int) -> tuple[str, bool]:
    """The table with its differences in Markdown, and whether there were none."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    tests = sum(len(ways["plain"].results) for ways in measured.values())
    lines = [
        f"{len(measured)} projects, {tests:,} tests; {rounds} round(s) of each way in turn, seed 0, `--intent full`; "
        f"{os.cpu_count()} processors, load {load}.",
        "",
        HEAD,
        *(row(project, ways) for project, ways in measured.items()),
        "",
    ]
    same = True
    for project, ways in measured.items():
        for way in WAYS:
            lines += [f"- {project.name}: {problem}" for problem in ways[way].problems]
            same &= not ways[way].problems
        for way in WAYS[1:]:
            found = differences(ways["plain"], ways[way]) if ways[way].runs else []
            lines += [f"- {project.name}, {way}: {line}" for line in found]
            same &= not found
        varied = [f"{test} ({shown(results)})" for test, results in ways["plain"].results.items() if len(results) > 1]
        lines += [f"- {project.name}, not recorded, varies by itself: {line}" for line in varied]
    return "\n".join(lines).strip() + "\n", same


def write(page: Path, text: str) -> None:
    """Replace what is between the two marks of `page`."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{page} has no lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def main() -> int:
    """Parse the command line and compare each project; 0 when nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="checkouts, a folder each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", help="the name of a project; may be given more than once")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    options = parser.parse_args()
    # Others are there as dependencies only.
    found = sorted(path for path in options.folder.resolve().iterdir() if any(path.glob("test/**/*_test.exs")))
    projects = [path for path in found if not options.only or path.name in options.only]
    if not projects or not shutil.which("mix"):
        sys.exit(f"no Mix project in {options.folder}" if shutil.which("mix") else "Elixir is not installed here")
    measured = {}
    with tempfile.TemporaryDirectory(prefix="elixirscope-formatter-") as formatter:
        subprocess.run(["elixirc", "-o", formatter, str(FORMATTER)], check=True, stdout=subprocess.DEVNULL)
        print(HEAD, flush=True)
        for project in projects:
            measured[project] = measure(project, options.rounds, Path(formatter))
            print(row(project, measured[project]), flush=True)
    text, same = report(measured, options.rounds)
    print(f"\n{text}")
    if options.write:
        write(options.write, text)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
