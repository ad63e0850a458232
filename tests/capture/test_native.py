"""The native engine: built once, chosen by an option, and nothing it had committed is missing after `kill -9`."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from elixirscope.capture import native, stale
from elixirscope.capture.toolchain import Toolchain, find_toolchain
from elixirscope.errors import TargetError
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log, read_log
from tests.capture.projects import tiny_project
from tests.conftest import Run, environment

pytestmark = pytest.mark.beam

# Each of its processes counts, one event for each number, with a pause at each fortieth so that they move between
# schedulers; then the program is there until it is killed.
COUNTING = """\
defmodule Counting do
  def step(n), do: n
  def run(n, main) do
    step(n)
    if n == 5_000 do
      send(main, :counted)
      # The ring has room for so many, and nobody empties it.
      if System.get_env("STOP_DRAINERS"), do: Process.sleep(:infinity)
    end
    if rem(n, 40) == 0, do: Process.sleep(1)
    run(n + 1, main)
  end
end
# Nobody brings what is committed to disk before the end.
if System.get_env("STOP_DRAINERS"), do: for(n <- 0..System.schedulers(), do: :sys.suspend(:"elixir_scope_drainer_#{n}"))
main = self()
for _ <- 1..6, do: spawn(fn -> Counting.run(1, main) end)
for _ <- 1..6, do: receive(do: (:counted -> :ok))
IO.puts("ready #{System.pid()}")
Process.sleep(:infinity)
"""


# Every number is wanted, however quickly they come.
EVERY_NUMBER = 'every_call = ["Counting"]\n'

RECORD = (sys.executable, "-m", "elixirscope.cli.main", "record", "--engine", "native")


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    toolchain = find_toolchain()
    if toolchain.otp_release not in native.KNOWN_OTP:
        pytest.skip(f"the native engine does not know Erlang/OTP {toolchain.otp_release}")
    return toolchain


def test_it_is_built_once_and_again_when_it_changes(toolchain: Toolchain, tmp_path: Path) -> None:
    sources = tmp_path / "c_src"
    sources.mkdir()
    (sources / "a.c").write_text("#include <erl_nif.h>\nint one(void) { return 1; }\n")
    said: list[str] = []
    library = native.native_library(toolchain, said.append, sources)
    assert library.read_bytes()[:4] == b"\x7fELF"
    assert native.native_library(toolchain, said.append, sources) == library
    assert len(said) == 1
    (sources / "a.c").write_text("int two(void) { return 2; }\n")
    changed = native.native_library(toolchain, said.append, sources)
    other = msgspec.structs.replace(toolchain, otp_release="99")  # each release has its own
    assert len({library, changed, native.native_library(other, said.append, sources)}) == 3
    assert [file.suffix for file in library.parent.iterdir()] == [".so"] * 3
    assert len(said) == 3


def test_what_the_compiler_says_is_passed_on(toolchain: Toolchain, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int one(void) { return nowhere; }\n")
    with pytest.raises(TargetError, match=r"(?s)does not compile.*nowhere"):
        native.native_library(toolchain, sources=tmp_path)


def test_without_a_compiler_it_says_how_to_go_on(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(TargetError, match="needs a C compiler") as raised:
        native.native_library(toolchain)
    assert "--engine portable" in str(raised.value)


def test_an_unknown_release_of_otp_is_recorded_portably_and_told(toolchain: Toolchain) -> None:
    said: list[str] = []
    other = msgspec.structs.replace(toolchain, otp_release="99")
    assert native.choose_library("native", other, said.append) is None
    assert len(said) == 1
    assert "99" in said[0]
    assert "portably" in said[0]


def test_auto_is_native_where_it_can_be_built(toolchain: Toolchain) -> None:
    said: list[str] = []
    library = native.choose_library("auto", toolchain, said.append)
    assert library is not None
    assert library.is_file()
    assert len(said) == 1  # that it is being built
    assert native.choose_library("auto", toolchain, said.append) == library
    assert native.choose_library("native", toolchain, said.append) == library
    assert native.choose_library("portable", toolchain, said.append) is None
    assert len(said) == 1


def test_auto_says_in_a_line_why_it_is_not(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    path = os.environ["PATH"]
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert native.choose_library("auto", toolchain, said.append) is None
    monkeypatch.setenv("PATH", path)
    with monkeypatch.context() as headless:  # an installation of Erlang without its headers
        headless.setenv("PATH", f"{_erlang_without_headers(tmp_path)}:{path}")
        assert native.choose_library("auto", toolchain, said.append) is None
    monkeypatch.setenv("CC", str(_broken_compiler(tmp_path)))
    for _ in range(2):
        assert native.choose_library("auto", toolchain, said.append) is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(_file(tmp_path / "file")))
    assert native.choose_library("auto", toolchain, said.append) is None
    compiler, headers, failed, again, kept = (line for line in said if "(once)" not in line)
    assert not any("\n" in line for line in said)
    assert compiler == "the native engine needs a C compiler, and there is none on PATH: recording portably"
    assert headers.startswith("the native engine needs Erlang's C headers, and there is no erl_nif.h below ")
    assert headers.endswith(": recording portably")
    assert re.fullmatch(r"the native engine does not compile with \S+: recording portably", failed)
    assert again == failed
    assert kept.startswith(f"cannot keep the native engine in {tmp_path / 'file'}")
    assert len(said) == 5 + 2  # what did not compile was not tried again


def test_what_did_not_compile_is_tried_again_when_asked_for(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setenv("CC", str(_broken_compiler(tmp_path)))
        assert native.choose_library("auto", toolchain) is None
    assert native.choose_library("auto", toolchain) is None
    assert native.choose_library("native", toolchain) is not None
    assert native.choose_library("auto", toolchain) is not None


def test_recorders_that_start_together_build_it_together(toolchain: Toolchain) -> None:
    with ThreadPoolExecutor() as pool:
        libraries = set(pool.map(lambda _: native.native_library(toolchain), range(3)))
    assert len(libraries) == 1
    (library,) = libraries
    assert list(library.parent.iterdir()) == [library]


def test_a_compiler_that_does_not_end_or_cannot_be_run_is_told(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_BUILD_S", 1)
    compiler = tmp_path / "cc"
    monkeypatch.setenv("CC", str(compiler))
    for text, said in (("#!/bin/sh\nexec sleep 600\n", "did not end within 1 s"), ("#!/nowhere\n", "No such file")):
        compiler.write_text(text)
        compiler.chmod(0o755)
        with pytest.raises(TargetError, match=f"(?s)does not compile with {compiler}.*{said}"):
            native.native_library(toolchain)


def test_a_library_that_was_damaged_in_the_cache_is_built_anew(
    elixirscope: Run, toolchain: Toolchain, tmp_path: Path
) -> None:
    library = native.native_library(toolchain)
    size = library.stat().st_size
    # The first ends a VM that loads it with SIGBUS, the second with SIGSEGV.
    for name, then in (("cut", size // 3), ("zeros", size)):
        os.truncate(library, size // 3)
        os.truncate(library, then)
        path = tmp_path / f"{name}.scope"
        run = elixirscope("record", "--engine", "native", "-o", path, "--", "elixir", "-e", "IO.puts(:ran)")
        assert (run.returncode, run.stdout) == (0, "ran\n"), run.stderr
        assert ("preparing the capture agent" in run.stderr) == (name == "cut")
        assert json.loads(elixirscope("info", path, "--json").stdout)["engines"] == ["native"], run.stderr
    assert list(library.parent.iterdir()) == [library]


def test_without_a_compiler_the_portable_engine_records_and_it_is_said(
    elixirscope: Run, tmp_path: Path, toolchain: Toolchain
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    compilers = re.compile(r".*(gcc|clang|cc)(-[\d.]+)?")
    for folder in reversed(os.environ["PATH"].split(":")):
        for tool in Path(folder).glob("*"):
            if not compilers.fullmatch(tool.name):
                (tools / tool.name).unlink(missing_ok=True)
                (tools / tool.name).symlink_to(tool)
    settings = {name: value for name, value in environment().items() if name != "CC"} | {"PATH": str(tools)}
    path = tmp_path / "r.scope"
    run = elixirscope("record", "-o", path, "--", "elixir", "-e", "IO.puts(:ran)", env=settings)
    assert (run.returncode, run.stdout) == (0, "ran\n"), run.stderr
    assert "there is none on PATH: recording portably\n" in run.stderr
    info = json.loads(elixirscope("info", path, "--json").stdout)
    assert (info["engines"], info["complete"]) == (["portable"], True)
    insisting = elixirscope("record", "--engine", "native", "--", "elixir", "-e", "IO.puts(:ran)", env=settings)
    assert (insisting.returncode, insisting.stdout) == (6, "")


def _broken_compiler(folder: Path) -> Path:
    compiler = folder / "broken-cc"
    compiler.write_text("#!/bin/sh\necho so it says >&2\nexit 1\n")
    compiler.chmod(0o755)
    return compiler


def _erlang_without_headers(folder: Path) -> Path:
    """A folder for PATH with an `erl` in it."""
    erl = folder / "erlang" / "bin" / "erl"
    erl.parent.mkdir(parents=True)
    (folder / "erlang" / "erts-13.1").mkdir()
    erl.write_text("#!/bin/sh\nexit 1\n")
    erl.chmod(0o755)
    return erl.parent


def _file(path: Path) -> Path:
    path.write_text("")
    return path


def test_a_recording_says_by_which_engine(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "tiny")
    seen = {}
    for engine in ("native", "portable"):
        path = tmp_path / f"{engine}.scope"
        run = elixirscope("record", "--engine", engine, "-o", path, "--", "mix", "test", cwd=project)
        assert run.returncode == 0, run.stderr
        info = json.loads(elixirscope("info", path, "--json").stdout)
        assert info["engines"] == [engine], run.stderr
        assert info["complete"]
        assert info["lost"] == 0
        assert list((path / "raw").glob("*.ring")) == []
        seen[engine] = _instrumented(read_log(path / "raw"))
    assert re.search(r"engine +native", elixirscope("info", tmp_path / "native.scope").stdout)
    assert seen["native"] == seen["portable"]
    assert len(seen["native"]) > 10


def _instrumented(log: Log) -> list[tuple[str, str]]:
    """What instrumented code did, without what differs from run to run."""
    kinds = {int(kind) for kind in (Kind.CALL, Kind.RETURN, Kind.TAIL, Kind.BIND, Kind.STATE)}
    rows = log.rows.at(slice(None), "kind", "site")
    return sorted((str(log.sites[site].function), Kind(kind).name) for kind, site in rows if kind in kinds and site)


@pytest.mark.parametrize("drained", [True, False])
def test_after_kill_9_nothing_that_was_committed_is_missing(tmp_path: Path, *, drained: bool) -> None:
    (tmp_path / "counting.exs").write_text(COUNTING)
    (tmp_path / "plan.toml").write_text(EVERY_NUMBER)
    path = tmp_path / "r.scope"
    run = subprocess.Popen(
        [*RECORD, "--plan", "plan.toml", "-o", str(path), "--", "elixir", "counting.exs"],
        cwd=tmp_path,
        env=environment() | ({} if drained else {"STOP_DRAINERS": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    ready = re.fullmatch(r"ready (\d+)\n", run.stdout.readline())
    assert ready, run.communicate()
    links = sorted((path / "raw").glob("*.ring"))
    shared = [link.readlink() for link in links if link.is_symlink()]
    assert links
    os.kill(int(ready[1]), signal.SIGKILL)
    _, err = run.communicate(timeout=100)
    assert run.returncode == 128 + signal.SIGKILL
    assert "incomplete" in err
    assert not any(link.is_symlink() or link.exists() for link in links)
    assert not any(target.exists() for target in shared)

    log = read_log(path / "raw")
    assert log.gaps == []
    assert sum(loss.count for loss in log.losses) == 0
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for kind, site, process, value in log.rows.at(slice(None), "kind", "site", "process", "value"):
        if kind == Kind.CALL and log.sites[site].function == "step":
            (number,) = log.values.term(value)
            numbers[process].append(number)
    assert len(numbers) == 6
    for counted in numbers.values():
        assert counted == list(range(1, len(counted) + 1))
        assert len(counted) >= 5000


@pytest.mark.parametrize("opened", [False, True])
def test_after_kill_9_of_the_recorder_too_the_next_one_brings_it_home(
    elixirscope: Run, tmp_path: Path, *, opened: bool
) -> None:
    (tmp_path / "counting.exs").write_text(COUNTING)
    path = tmp_path / "r.scope"
    run = subprocess.Popen(
        [*RECORD, "-o", str(path), "--", "elixir", "counting.exs"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout is not None
    with run.stdout:
        ready = re.fullmatch(r"ready (\d+)\n", run.stdout.readline())
    assert ready
    links = sorted((path / "raw").glob("*.ring"))
    targets = [link.readlink() for link in links if link.is_symlink()]
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    vm = os.pidfd_open(int(ready[1]))
    os.kill(int(ready[1]), signal.SIGKILL)
    select.select([vm], [], [], 60)  # until it is gone
    os.close(vm)
    assert all(target.exists() for target in targets)
    if opened:
        assert elixirscope("info", path).returncode == 0
    else:
        stale.sweep()
    if opened or targets:  # else there was no room in shared memory, and nothing to sweep
        assert not any(target.exists() for target in targets)
        assert not any(link.is_symlink() or link.exists() for link in links)
        assert read_log(path / "raw").gaps == []
