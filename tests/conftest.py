"""Fixtures that several layers share: the example recorded once per run, and a way to run the command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import elixirscope as library
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recorded import Recorded
from elixirscope.recording.log import read_log

# How fast an example is drawn and tested is the machine's business, and no property of ours.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A shell's background jobs ignore what a terminal sends, under `nohup` that it is closed, and all that they start does:
# programs under test could not be told.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def environment() -> dict[str, str]:
    """The environment of a user's shell: UTF-8, and nothing of ours left over."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ELIXIRSCOPE")}
    return kept | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


def run_command(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `elixirscope ARGUMENTS…` as a user does, in a process of its own."""
    settings: dict[str, object] = {
        "capture_output": True,
        "text": True,
        "timeout": 150,
        "env": environment(),
        "stdin": subprocess.DEVNULL,
    }
    command = [sys.executable, "-m", "elixirscope.cli.main", *map(str, arguments)]
    return subprocess.run(command, check=False, **(settings | options))  # type: ignore[call-overload, no-any-return]


def record_script(script: str, folder: Path) -> Recorded:
    """What a script of Elixir did, recorded in `folder`, for questions in Python."""
    (folder / "script.exs").write_text(script)
    done = run_command("record", "-o", folder / "script.scope", "--", "elixir", "script.exs", cwd=folder)
    assert done.returncode == 0, done.stderr
    return library.open(folder / "script.scope")


@pytest.fixture(scope="session")
def elixirscope() -> Run:
    """The command line, run as a user runs it."""
    return run_command


@pytest.fixture(scope="session")
def example_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private copy of the example, so that runs do not meet in one `_build`."""
    folder = tmp_path_factory.mktemp("example") / "ticket_office"
    ignored = shutil.ignore_patterns("_build", "deps", "*.scope")
    shutil.copytree(ROOT / "examples" / "ticket_office", folder, ignore=ignored)
    return folder


@pytest.fixture(scope="session")
def example_recording(example_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's test run, recorded for real."""
    target = tmp_path_factory.mktemp("recordings") / "ticket_office.scope"
    # One of its two faults is a race: now and then a run escapes it, or ends before a crashed process is started again.
    for _ in range(12):
        shutil.rmtree(target, ignore_errors=True)
        done = run_command("record", "-o", target, "--", "mix", "test", cwd=example_project)
        assert (target / "raw").is_dir(), done.stderr
        report = run_command("report", target, "--json")
        assert report.returncode == 0, report.stderr
        if '"kind": "race"' in report.stdout and _restarts(target):
            return target
    raise AssertionError("twelve recorded runs, and no race with a restart was found in any of them")


def _restarts(recording: Path) -> bool:
    processes = EventCorrelator().correlate(read_log(recording / "raw"))["processes"].to_pylist()
    return any(row["incarnation"] and row["module"] == "TicketOffice.Checkout" for row in processes)
