"""`elixirscope record -- COMMAND`: the command is as it would be, and what it did is recorded."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from elixirscope.brain.plan import Plan
from tests.capture.projects import built, contents, tiny_project
from tests.conftest import Run, environment

pytestmark = pytest.mark.beam

CLOSING = re.compile(
    r"elixirscope: (?P<events>[\d,]+) events · (?P<processes>[\d,]+) processes · 0 lost · "
    r"[\d.]+ (B|kB|MB) · (?P<path>/.*\.scope)\n\Z"
)


def plain(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def test_a_test_run_is_recorded_and_its_project_left_as_it_was(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "tiny")
    unrecorded = plain("mix", "test", cwd=project)
    before = contents(project)
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=project)
    assert contents(project) == before
    assert run.returncode == unrecorded.returncode == 0, run.stderr
    assert "1 test, 0 failures" in run.stdout or "Result: 1 passed" in run.stdout  # as Elixir says it since 1.20
    assert "elixirscope" not in run.stdout
    closing = CLOSING.search(run.stderr)
    assert closing, run.stderr
    assert closing["path"] == str(tmp_path / "r.scope")

    info = json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)
    assert info["complete"]
    assert info["command"] == ["mix", "test"]
    for kind in ("events", "processes"):
        assert closing[kind] == f"{info[kind]:,}"
    assert min(info[kind] for kind in ("events", "processes", "calls", "messages", "states")) > 0
    sources = json.loads((tmp_path / "r.scope" / "sources" / "index.json").read_text())
    assert str(project / "lib" / "counter.ex") in sources


def test_a_first_build_under_record_equals_a_plain_one(elixirscope: Run, tmp_path: Path) -> None:
    # In the same folder one after the other: beams carry the path of their source.
    project = tiny_project(tmp_path / "tiny")
    plain("mix", "compile", cwd=project)
    beams = built(project)
    assert len(beams) > 1
    subprocess.run(["rm", "-r", project / "_build"], check=True)
    elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "compile", cwd=project)
    assert built(project) == beams


def test_the_exit_status_is_the_commands_own(elixirscope: Run, tmp_path: Path) -> None:
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "elixir", "-e", "IO.puts(:hi); System.halt(7)")
    assert (run.returncode, run.stdout) == (7, "hi\n")


def test_what_there_is_to_read_is_read_by_the_command_alone(elixirscope: Run, tmp_path: Path) -> None:
    """Also the first time, when compilers make the agent and the engine before the command starts."""
    (tmp_path / "input").write_text("one\ntwo\n")
    command = ("elixir", "-e", "IO.write(IO.read(:stdio, :eof) || :nothing)")
    cache = environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with (tmp_path / "input").open() as stdin:
        run = elixirscope("record", "-o", tmp_path / "r.scope", "--", *command, stdin=stdin, env=cache)
    assert "(once)" in run.stderr
    assert (run.returncode, run.stdout) == (0, "one\ntwo\n")


def test_a_project_that_ends_before_the_agent_has_started(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "tiny", {"mix.exs": "System.halt(7)\n"})
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=project)
    assert run.returncode == 7
    assert CLOSING.search(run.stderr), run.stderr
    assert json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)["complete"]


def test_a_script_without_a_project_is_recorded_from_its_first_module(elixirscope: Run, tmp_path: Path) -> None:
    script = "defmodule First do def call(n), do: n + 1 end; 2 = First.call(1)"
    command = ("mix", "run", "--no-mix-exs", "-e", script)
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", *command, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)["calls"] > 0


@pytest.mark.parametrize("engine", ["native", "portable"])
def test_a_struct_is_recorded_whole_the_first_time_that_it_is_met(
    elixirscope: Run, tmp_path: Path, engine: str
) -> None:
    script = tmp_path / "structs.exs"
    script.write_text("""
    defmodule Item, do: defstruct [:name]
    defmodule Shop, do: (def show(value), do: value)
    Shop.show(%{__struct__: Item, name: "tea"})
    Shop.show(%{__struct__: Never.Defined, name: "salt"})
    Shop.show(Version.parse!("1.2.3"))
    Shop.show(%URI{host: "shop.test"})
    """)
    elixirscope("record", "--engine", engine, "-o", tmp_path / "r.scope", "--", "elixir", script, cwd=tmp_path)
    sql = "select args from calls where function = 'show' order by call"
    shown = elixirscope("query", tmp_path / "r.scope", sql, "--format", "csv").stdout
    for told in ('%Item{name: ""tea""}', 'Never.Defined{name: ""salt""}', "%Version{", "shop.test"):
        assert told in shown, shown


def test_json_goes_to_a_file_for_stdout_is_the_commands(elixirscope: Run, tmp_path: Path) -> None:
    out = tmp_path / "info.json"
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--json", out, "--", "elixir", "-e", "IO.puts(1)")
    assert run.stdout == "1\n"
    assert json.loads(out.read_text()) == json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)


def test_the_given_plan_is_in_force_and_kept(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "tiny")
    plan = Plan.parse('intent = "minimal"\ndefault = "off"\nmessages = false\n')
    plan.dump(tmp_path / "mine.toml")
    run = elixirscope(
        "record", "--plan", tmp_path / "mine.toml", "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=project
    )
    assert run.returncode == 0, run.stderr
    assert Plan.load(tmp_path / "r.scope" / "plan.toml") == plan
    info = json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)
    assert (info["calls"], info["messages"]) == (0, 0)
    assert info["processes"] > 0


def test_by_default_recordings_go_to_the_users_data_folder(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "my tiny project")
    settings = environment() | {"XDG_DATA_HOME": str(tmp_path / "data")}
    run = elixirscope("record", "--", "elixir", "-e", "1", cwd=project, env=settings)
    closing = CLOSING.search(run.stderr)
    assert closing, run.stderr
    path = Path(closing["path"])
    assert path.parent == tmp_path / "data" / "elixirscope" / "recordings"
    assert path.stat().st_mode & 0o077 == 0  # the recorded values are for the user alone
    assert re.fullmatch(r"my-tiny-project-\d{8}-\d{6}\.scope", path.name)


def test_nothing_recorded_says_why(elixirscope: Run, tmp_path: Path) -> None:
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "sh", "-c", "exit 3")
    assert run.returncode == 3
    assert "nothing was recorded: the command started no Erlang VM" in run.stderr


SCRIPT = """
IO.puts("ready")
case IO.gets("") do
  "go\\n" -> IO.puts("went on")
end
"""


def test_killing_the_recorder_harms_neither_program_nor_recording(elixirscope: Run, tmp_path: Path) -> None:
    script = tmp_path / "wait.exs"
    script.write_text(SCRIPT)
    recorder = subprocess.Popen(
        [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", tmp_path / "r.scope", "--", "elixir", script],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert recorder.stdin is not None
    assert recorder.stdout is not None
    assert recorder.stdout.readline() == "ready\n"
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    recorder.stdin.write("go\n")
    recorder.stdin.close()
    assert recorder.stdout.read() == "went on\n"  # read to its end: the program is over
    recorder.stdout.close()
    info = json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)
    assert info["events"] > 0
    assert not info["complete"]


def test_a_recorder_told_to_stop_stops_the_command_in_order(elixirscope: Run, tmp_path: Path) -> None:
    recording = tmp_path / 'it\'s a "odd" name' / "r.scope"
    wait = 'IO.puts("ready"); Process.sleep(:infinity)'
    unrecorded = subprocess.Popen(["elixir", "-e", wait], stdout=subprocess.PIPE, text=True, env=environment())
    command = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", str(recording)]
    recorded = subprocess.Popen(
        [*command, "--", "elixir", "-e", wait], stdout=subprocess.PIPE, text=True, env=environment()
    )
    for run in (unrecorded, recorded):
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGTERM)
        run.communicate()
    assert recorded.returncode == unrecorded.returncode
    info = json.loads(elixirscope("info", recording, "--json").stdout)
    assert info["events"] > 0
    assert info["complete"], info["coverage"]


def test_nobody_waits_for_a_small_recording_to_be_sealed(tmp_path: Path) -> None:
    """Nor for what that takes to be loaded."""
    script = "import sys\nfrom elixirscope.cli.main import main\ntry: main()\nfinally: print(sorted(sys.modules))"
    command = [sys.executable, "-c", script, "record", "-o", str(tmp_path / "r.scope"), "--", "elixir", "-e", "1"]
    loaded = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("numpy", "pyarrow", "rich.console", "duckdb") if f"'{name}'" in loaded]
    assert {path.name for path in (tmp_path / "r.scope").iterdir()} >= {"raw", "manifest.json"}
    assert not (tmp_path / "r.scope" / "segments").exists()


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="tells who waits for a lock")
def test_ctrl_c_after_the_command_leaves_its_status_and_its_recording(elixirscope: Run, tmp_path: Path) -> None:
    project, recording = tiny_project(tmp_path / "tiny"), tmp_path / "r.scope"
    command = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", str(recording)]
    folder = "Path.join(System.fetch_env!(~s(ELIXIRSCOPE_DIR)), ~s(sources))"
    ends = f"File.mkdir!({folder}); IO.puts(1); IO.gets([]); exit({{:shutdown, 3}})"
    recorder = subprocess.Popen(
        [*command, "--", "mix", "run", "-e", ends],
        cwd=project,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert recorder.stdout is not None
    while recorder.stdout.readline() != "1\n":
        assert recorder.poll() is None
    holder = os.open(recording / "sources", os.O_RDONLY)  # where it would copy the sources to
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert recorder.stdin is not None
    recorder.stdin.write("\n")
    recorder.stdin.flush()
    until = time.monotonic() + 60
    while not re.search(rf"-> FLOCK .* {recorder.pid} ", Path("/proc/locks").read_text()):
        assert time.monotonic() < until
        assert recorder.poll() is None
    recorder.send_signal(signal.SIGINT)
    _, told = recorder.communicate(timeout=60)
    os.close(holder)
    assert recorder.returncode == 3, told
    assert "stopped before all source files were kept" in told
    assert re.search(r"[\d,]+ events · .* · incomplete · ", told), told
    info = json.loads(elixirscope("info", recording, "--json").stdout)
    assert info["events"] > 0
    assert "the recorder" in [row["subject"] for row in info["coverage"]]


def test_every_vm_that_the_command_starts_is_recorded(elixirscope: Run, tmp_path: Path) -> None:
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "sh", "-c", "elixir -e 1 & elixir -e 2; wait")
    assert CLOSING.search(run.stderr), run.stderr
    vms = {file.name.rpartition("-")[0] for file in (tmp_path / "r.scope" / "raw").iterdir()}
    assert len(vms) == 2


# Bad input


def test_no_elixir(elixirscope: Run, tmp_path: Path) -> None:
    settings = environment() | {"PATH": str(tmp_path)}
    run = elixirscope("record", "--", "mix", "test", env=settings, cwd=tmp_path)
    assert run.returncode == 6
    assert re.fullmatch(r"elixirscope: Elixir is not installed here: .*\n  → install it with: .*\n", run.stderr)


def test_command_not_found(elixirscope: Run, tmp_path: Path) -> None:
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "no-such-command")
    assert run.returncode == 6
    assert run.stderr.startswith("elixirscope: command not found: no-such-command\n  → ")
    assert not (tmp_path / "r.scope").exists()


def test_wrong_usage(elixirscope: Run) -> None:
    assert elixirscope("record").returncode == 2
    unknown = elixirscope("record", "--colour", "--", "mix", "test")
    assert unknown.returncode == 2
    assert "No such option" in unknown.stderr
    both = elixirscope("record", "--intent", "state", "--plan", "p.toml", "--", "mix", "test")
    assert both.returncode == 2
    assert "exclude each other" in both.stderr


def test_options_of_the_command_are_its_own(elixirscope: Run, tmp_path: Path) -> None:
    run = elixirscope("record", "-o", tmp_path / "r.scope", "sh", "-c", "echo $0 $1", "--intent", "-o")
    assert run.stdout == "--intent -o\n"


def test_not_a_mix_project(elixirscope: Run, tmp_path: Path) -> None:
    expected = plain("mix", "test", cwd=tmp_path)
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (expected.returncode, expected.stdout)
    assert run.stderr.startswith(expected.stderr)
    assert "Could not find a Mix.Project" in run.stderr
    assert "Traceback" not in run.stderr


def test_compile_error(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "tiny", {"lib/wrong.ex": "defmodule Wrong do\n  def f(x), do: y\nend\n"})
    expected = plain("mix", "test", cwd=project)
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=project)
    # Elixir may report, recorded or not and to either stream, that its checker found the failed compilation gone.
    checker = "Module.ParallelChecker"
    assert run.stdout == expected.stdout or checker in run.stdout + expected.stdout
    for said, wanted in ((run.stdout, expected.stdout), (run.stderr, expected.stderr)):
        lines = iter(said.splitlines())
        assert checker in wanted or all(line in lines for line in wanted.splitlines()), said
    assert "undefined" in run.stdout + run.stderr
    assert run.returncode == 1


def test_an_application_that_fails_to_boot(elixirscope: Run, tmp_path: Path) -> None:
    failing = "defmodule Tiny.App do\n  use Application\n  def start(_, _), do: {:error, :no_database}\nend\n"
    project = tiny_project(tmp_path / "tiny", {"lib/app.ex": failing}, application="Tiny.App")
    expected = plain("mix", "run", cwd=project)
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "run", cwd=project)
    assert run.returncode == expected.returncode == 1
    assert ":no_database" in run.stderr
    assert "elixirscope: internal" not in run.stderr


@pytest.mark.parametrize("taken", ["r.scope/manifest.json", "r.scope/notes.txt"])
def test_an_existing_folder_is_not_overwritten(elixirscope: Run, tmp_path: Path, taken: str) -> None:
    (tmp_path / "r.scope").mkdir()
    (tmp_path / taken).write_text("precious")
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "elixir", "-e", "IO.puts(:ran)")
    assert (run.returncode, run.stdout) == (2, "")
    assert "choose another with -o, or remove it first: rm -r" in run.stderr
    assert (tmp_path / taken).read_text() == "precious"


def test_an_output_that_cannot_be_written(elixirscope: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = elixirscope("record", "-o", tmp_path / "file" / "r.scope", "--", "elixir", "-e", "IO.puts(:ran)")
    assert (run.returncode, run.stdout) == (7, "")
    assert "cannot write the recording" in run.stderr


def test_a_plan_with_a_mistake(elixirscope: Run, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('default = "loud"\n')
    run = elixirscope("record", "--plan", tmp_path / "p.toml", "--", "elixir", "-e", "IO.puts(:ran)")
    assert (run.returncode, run.stdout) == (2, "")
    assert "p.toml, line 1: default: " in run.stderr


BUSY = """
defmodule Busy do
  def work(0), do: :done
  def work(n) do
    send(self(), {:work, n, String.duplicate("x", 400)})
    receive do: ({:work, _, _} -> work(n - 1))
  end
end
:done = Busy.work(100_000)
IO.puts("all done")
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_while_recording(elixirscope: Run, tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "busy.exs").write_text(BUSY)
    with (small_disk / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, 6 * 1024 * 1024)
    run = elixirscope("record", "-o", small_disk / "r.scope", "--", "elixir", tmp_path / "busy.exs")
    assert (run.returncode, run.stdout) == (0, "all done\n"), run.stderr
    assert re.search(r"no space|disk|full", run.stderr, re.IGNORECASE), run.stderr
    info = json.loads(elixirscope("info", small_disk / "r.scope", "--json").stdout)
    assert info["events"] > 0
    assert not info["complete"]


def test_a_disk_that_is_already_full(elixirscope: Run, small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, 20 * 1024 * 1024)
    run = elixirscope("record", "-o", small_disk / "r.scope", "--", "elixir", "-e", "IO.puts(:ran)")
    assert (run.returncode, run.stdout) == (7, "")
    assert "is full" in run.stderr


def test_a_folder_whose_name_is_not_ascii_where_no_language_is_set(elixirscope: Run, tmp_path: Path) -> None:
    path = tmp_path / "Größe.scope"
    settings = environment() | {"LC_ALL": "C"}  # the VM takes names of files for Latin-1
    run = elixirscope("record", "-o", path, "--", "elixir", "-e", "IO.puts(:ran)", env=settings)
    assert (run.returncode, run.stdout) == (0, "ran\n")
    assert "not recording" not in run.stderr
    assert json.loads(elixirscope("info", path, "--json").stdout)["complete"]


def test_what_bounds_the_programs_processes_does_not_end_the_agents(elixirscope: Run, tmp_path: Path) -> None:
    functions = "\n".join(f"  def f{n}(x), do: {{:a, x + {n}, [x, %{{b: x}}]}}" for n in range(600))
    project = tiny_project(tmp_path / "tiny", {"lib/large.ex": f"defmodule Large do\n{functions}\nend\n"})
    plain("mix", "compile", cwd=project)
    run = elixirscope(
        *("record", "-o", tmp_path / "r.scope", "--", "mix", "run", "--no-compile", "-e", "Large.f7(1)"),
        cwd=project,
        env=environment() | {"ERL_FLAGS": "+hmax 400000", "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert run.returncode == 0, run.stderr
    assert "maximum heap size reached" not in run.stdout + run.stderr
    info = json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)
    assert info["calls"] > 0
    assert not any("killed" in row["reason"] for row in info["coverage"])


def test_where_the_system_would_end_a_program_for_its_recording(elixirscope: Run, tmp_path: Path) -> None:
    limited = 64 * 1024 * 1024
    if shutil.disk_usage(tmp_path).free < limited:
        pytest.skip("the disk would be full before")
    run = elixirscope(
        *("record", "-o", tmp_path / "r.scope", "--", "elixir", "-e", "IO.puts(:ran)"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limited, limited)),
    )
    assert (run.returncode, run.stdout) == (7, "")
    assert "files may have 65,536 kB here (ulimit -f)" in run.stderr
    assert not (tmp_path / "r.scope").exists()
