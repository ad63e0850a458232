"""The command runs as if nobody watched: environment, streams, signals and exit status are its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elixirscope.capture.launcher import launch, target_environment
from elixirscope.errors import TargetError

# Runs `launch` in a process of its own, as the command line does.
RECORDER = """
import sys
from pathlib import Path
from elixirscope.capture.launcher import launch
sys.exit(launch(sys.argv[1:], ebin=Path("/e"), recording=Path("/r")))
"""


def recorder(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RECORDER, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # not the terminal's foreground group
    )


def test_streams_and_exit_status_are_the_commands_own() -> None:
    out, err = (run := recorder("sh", "-c", "read line; echo out $line; echo err >&2; exit 41")).communicate("hi\n")
    assert (out, err, run.returncode) == ("out hi\n", "err\n", 41)


def test_files_that_are_open_for_the_command_stay_so() -> None:
    reading, writing = os.pipe()
    telling = [sys.executable, "-c", f"import os; os.write({writing}, b'told')"]
    subprocess.run([sys.executable, "-c", RECORDER, *telling], pass_fds=[writing], check=True)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == "told"


def test_killed_by_a_signal_exits_like_a_shell() -> None:
    run = recorder("sh", "-c", "kill -9 $$")
    run.communicate()
    assert run.returncode == 128 + 9


def test_a_signal_that_comes_as_soon_as_the_command_runs_is_not_lost() -> None:
    run = recorder("sh", "-c", "trap 'echo got it; exit 7' HUP; kill -HUP $PPID; while kill -0 $PPID; do read x; done")
    assert run.communicate()[0] == "got it\n"
    assert run.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_signals_sent_to_the_recorder_reach_the_command(number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    run = recorder(
        "sh", "-c", f"trap 'echo got {name}; exit 7' {name}; echo ready; while kill -0 $PPID; do read x; done"
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    run.send_signal(number)
    out, _ = run.communicate()
    assert (out, run.returncode) == (f"got {name}\n", 7)


def test_an_ignored_signal_stays_ignored_for_the_command() -> None:
    script = "trap '' HUP; exec \"$@\""
    probe = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    out = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-c", RECORDER, sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out == "True\n"


def test_the_command_starts_with_default_signals() -> None:
    numbers = "(signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP)"
    probe = f"import signal; print([signal.getsignal(n).name for n in {numbers}])"
    out, _ = recorder(sys.executable, "-c", probe).communicate()
    assert out == "['SIG_DFL', 'SIG_DFL', 'SIG_DFL']\n"


def test_suspending_and_continuing_the_recorder_suspends_and_continues_the_command() -> None:
    run = recorder("sh", "-c", "echo $$; read x; echo done")
    assert run.stdout is not None
    child = int(run.stdout.readline())
    run.send_signal(signal.SIGTSTP)
    os.waitpid(run.pid, os.WUNTRACED)  # returns when the recorder has stopped
    while _state(child) != "T":
        os.sched_yield()
    run.send_signal(signal.SIGCONT)
    out, _ = run.communicate("\n")
    assert (out, run.returncode) == ("done\n", 0)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_command_not_found() -> None:
    with pytest.raises(TargetError, match="command not found: no-such-command"):
        launch(["no-such-command"], ebin=Path("/e"), recording=Path("/r"))


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    script = tmp_path / "broken"
    script.write_bytes(b"\x7fELF")
    script.chmod(0o755)
    with pytest.raises(TargetError, match=r"cannot run .*broken"):
        launch([str(script)], ebin=Path("/e"), recording=Path("/r"))


def test_existing_flags_of_the_user_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERL_AFLAGS", "-kernel shell_history enabled")
    environment = target_environment(Path("/cache/ebin"), Path("/rec"))
    flags, _, boot = environment["ERL_AFLAGS"].partition(" -eval ")
    assert flags == "-kernel shell_history enabled -pz /cache/ebin"
    assert boot.endswith(r",\ catch\ \'Elixir.ElixirScope.Boot\':start()")
    assert environment["ELIXIRSCOPE_DIR"] == "/rec"


@pytest.mark.beam
@pytest.mark.parametrize("name", ["plain", "with space", 'it\'s "quoted" \\ #1'])
def test_a_vm_that_cannot_load_the_agent_runs_on_and_finds_any_path(tmp_path: Path, name: str) -> None:
    ebin = tmp_path / name
    ebin.mkdir()
    environment = target_environment(ebin, tmp_path)
    show = "io:setopts([{encoding,utf8}]), {ok,[[P]]} = init:get_argument(pz), io:put_chars(P), halt()."
    out = subprocess.run(
        ["erl", "-noshell", "-eval", show], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert out == str(ebin)


def test_nothing_heavy_is_loaded_before_the_command_starts() -> None:
    needed = (
        "elixirscope.cli.main, elixirscope.cli.record, elixirscope.capture.recorder, elixirscope.brain.orchestrator"
    )
    script = f"import {needed}, sys; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    heavy = ("numpy", "pyarrow", "rich.console", "duckdb", "tree_sitter", "traceback")
    assert not [name for name in heavy if f"'{name}'" in loaded]
