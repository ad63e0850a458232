"""A release and an escript: recorded from their start, and started as if nobody watched."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import elixirscope as library
from elixirscope.brain.plan import Plan
from elixirscope.capture.agent import compiled_agent
from elixirscope.capture.launcher import target_environment
from elixirscope.capture.release import find_release, toolchain_of, write_boot_script
from elixirscope.capture.toolchain import find_toolchain
from elixirscope.errors import TargetError
from elixirscope.recorded import Recorded
from elixirscope.recording import etf
from elixirscope.recording.terms import Atom, Term
from tests.capture.projects import contents, tiny_project
from tests.conftest import Run, environment

# What the program does: count to three, and end as it is told, when it is told.
PROGRAM = """
defmodule Tiny.App do
  use Application

  def start(_type, _args) do
    Supervisor.start_link([{Task, &work/0}], strategy: :one_for_one)
  end

  defp work do
    await(System.get_env("TINY_WAITS_FOR"))
    {:ok, counter} = Tiny.Counter.start_link(1)
    3 = Tiny.Counter.add(counter, 2)
    again = System.get_env("TINY_AGAIN")

    if again && not File.exists?(again) do
      File.touch!(again)
      :init.restart()
    else
      System.stop(7)
    end
  end

  defp await(nil), do: :ok
  defp await("agent"), do: unless(:persistent_term.get({ElixirScope.Capture.VMTracer, :armed}, nil), do: again("agent"))
  defp await(file), do: unless(File.exists?(file), do: again(file))

  defp again(what) do
    Process.sleep(20)
    await(what)
  end
end
"""
MAIN = """
defmodule Tiny.Main do
  def main(arguments) do
    {:ok, counter} = Tiny.Counter.start_link(length(arguments))
    IO.puts(Tiny.Counter.add(counter, 2))
    System.halt(5)
  end
end
"""
COUNTING = {f"Tiny.Counter.{name}" for name in ("start_link", "init", "add", "handle_call")}
STRIPPED = "packed without debug information"


def built(project: Path, *command: str) -> None:
    settings = environment() | {"MIX_ENV": "prod"}
    subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True, timeout=150, check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tiny_project(
        tmp_path_factory.mktemp("released") / "tiny", {"lib/app.ex": PROGRAM}, application="Tiny.App"
    )
    built(project, "mix", "release")
    return project


@pytest.fixture(scope="module")
def release(project: Path) -> Path:
    return project / "_build" / "prod" / "rel" / "tiny"


def settings(tmp_path: Path, **variables: str | Path) -> dict[str, str]:
    """No node name: other programs may run here by the same; and what a release writes is not written into it."""
    ours = {"RELEASE_DISTRIBUTION": "none", "RELEASE_TMP": str(tmp_path / "tmp")}
    return environment() | ours | {name: str(value) for name, value in variables.items()}


def calls(recording: Recorded) -> list[str]:
    rows = recording.calls.arrow().to_pylist()
    return [f"{row['module']}.{row['function']}" for row in rows if row["module"].startswith("Tiny")]


def missing(recording: Recorded) -> str:
    return " ".join(f"{row.subject}: {row.reason}" for row in recording.info.coverage)


@pytest.mark.beam
def test_a_release_is_recorded_from_its_start_and_left_as_it_was(
    elixirscope: Run, project: Path, release: Path, tmp_path: Path
) -> None:
    before = contents(release)
    command = ("env", "TINY=1", release / "bin" / "tiny", "start")
    odd = tmp_path / 'it\'s an "odd" $(name).scope'
    run = elixirscope("record", "-o", odd, "--", *command, cwd=project, env=settings(tmp_path))
    assert run.returncode == 7, run.stderr
    assert contents(release) == before
    recording = library.open(odd)
    assert recording.info.complete
    assert {*calls(recording)} == {f"Tiny.App.{name}" for name in ("start", "work", "await", "stop")} | COUNTING
    assert recording.info.states > 0
    # All that there is of Elixir in a release can be watched.
    assert [row.subject for row in recording.info.coverage] == ["Elixir's compiler"]


@pytest.mark.beam
def test_its_other_command_that_starts_a_vm_is_recorded_too(
    elixirscope: Run, project: Path, release: Path, tmp_path: Path
) -> None:
    script = "{:ok, c} = Tiny.Counter.start_link(1); IO.puts(Tiny.Counter.add(c, 4)); System.halt(5)"
    command = (release / "bin" / "tiny", "eval", script)
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", *command, cwd=project, env=settings(tmp_path))
    assert (run.returncode, run.stdout) == (5, "5\n")
    recording = library.open(tmp_path / "r.scope")
    assert recording.info.complete
    assert {*calls(recording)} == COUNTING


@pytest.mark.beam
def test_a_vm_that_begins_anew_is_recorded_as_another(
    elixirscope: Run, project: Path, release: Path, tmp_path: Path
) -> None:
    run = elixirscope(
        "record", "-o", tmp_path / "r.scope", "--", release / "bin" / "tiny", "start",
        cwd=project, env=settings(tmp_path, TINY_AGAIN=tmp_path / "again"),
    )  # fmt: skip
    assert run.returncode == 7, run.stderr
    recording = library.open(tmp_path / "r.scope")
    assert recording.info.complete
    assert calls(recording).count("Tiny.App.start") == 2


@pytest.mark.beam
def test_without_the_build_that_it_came_from_it_says_what_to_do(
    elixirscope: Run, release: Path, tmp_path: Path
) -> None:
    # Where it was built there is another build by now; what is stripped differs from it.
    elsewhere = shutil.copytree(release, tmp_path / "elsewhere" / "tiny", symlinks=True)
    other = tiny_project(tmp_path / "other", {"lib/counter.ex": "defmodule Tiny.Counter do\n  def other, do: 1\nend\n"})
    built(other, "mix", "compile")
    command = (elsewhere / "bin" / "tiny", "start")
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", *command, cwd=other, env=settings(tmp_path))
    assert run.returncode == 7, run.stderr
    recording = library.open(tmp_path / "r.scope")
    assert calls(recording) == []
    assert recording.info.processes > 0
    assert recording.info.messages > 0
    assert f"calls and values of tiny: its modules were {STRIPPED}" in missing(recording)
    assert 'strip_beams: [keep: ["Dbgi"]]' in missing(recording)


@pytest.mark.beam
def test_a_release_that_nobody_saw_coming_is_recorded_late_and_says_so(
    elixirscope: Run, project: Path, release: Path, tmp_path: Path
) -> None:
    run = elixirscope(
        "record", "-o", tmp_path / "r.scope", "--", "sh", "-c", f"cd '{release}/bin' && exec ./tiny start",
        cwd=project, env=settings(tmp_path, TINY_WAITS_FOR="agent"),
    )  # fmt: skip
    assert run.returncode == 7, run.stderr
    recording = library.open(tmp_path / "r.scope")
    assert recording.info.complete
    assert {*calls(recording)} == COUNTING
    assert "the start and the end of tiny: it had started before the recorder could" in missing(recording)


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Path]:
    """What a program that runs in the background waits for. It ends with the test."""
    go = tmp_path / "go"
    yield go
    go.touch()


@pytest.mark.beam
def test_a_daemon_is_recorded_until_it_ends(
    elixirscope: Run, project: Path, release: Path, tmp_path: Path, go: Path
) -> None:
    run = elixirscope(
        "record", "-o", tmp_path / "r.scope", "--", release / "bin" / "tiny", "daemon",
        cwd=project, env=settings(tmp_path, TINY_WAITS_FOR=go),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "runs on, and is recorded until it ends" in run.stderr
    go.touch()
    until = time.monotonic() + 60
    while not (recording := library.open(tmp_path / "r.scope")).info.complete and time.monotonic() < until:
        time.sleep(0.2)
    assert recording.info.complete
    assert "Tiny.Counter.add" in calls(recording)


@pytest.fixture(scope="module")
def escript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the escript `tiny` in it."""
    project = tiny_project(tmp_path_factory.mktemp("escript") / "tiny", {"lib/main.ex": MAIN})
    mix = project / "mix.exs"
    mix.write_text(mix.read_text().replace("deps: []", "deps: [], escript: [main_module: Tiny.Main]"))
    built(project, "mix", "escript.build")
    return project


@pytest.mark.beam
def test_an_escript_is_recorded(elixirscope: Run, escript: Path, tmp_path: Path) -> None:
    before = contents(escript)
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "./tiny", "a", "b", "c", cwd=escript)
    assert (run.returncode, run.stdout) == (5, "5\n")
    assert contents(escript) == before
    recording = library.open(tmp_path / "r.scope")
    assert recording.info.complete
    assert {*calls(recording)} == {"Tiny.Main.main"} | COUNTING
    assert [row.subject for row in recording.info.coverage] == ["Elixir's compiler"]


@pytest.mark.beam
def test_an_escript_with_another_elixir_runs_unrecorded_and_says_so(escript: Path, tmp_path: Path) -> None:
    machine = find_toolchain()
    ebin = shutil.copytree(compiled_agent(machine).resolve(), tmp_path / "agent")
    bundle = ebin / "elixir_scope.bundle"
    version = machine.elixir_version.encode()
    other = b"0" + version[1:]
    bundle.write_bytes(bundle.read_bytes().replace(b"-" + version + b"-", b"-" + other + b"-", 1))
    (tmp_path / "plan.terms").write_text(Plan().terms())
    done = subprocess.run(
        ["./tiny"], cwd=escript, env=target_environment(ebin, tmp_path), capture_output=True, text=True, timeout=150
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (5, "2\n")
    assert f"elixirscope: not recording: it runs Elixir {machine.elixir_version}, and the recorder found" in done.stderr


# Which release


def step(*parts: Term) -> Term:
    return (Atom("apply"), (Atom("application"), *parts))


STEPS: list[Term] = [
    step(Atom("load"), [(Atom("application"), Atom("elixir"), [(Atom("vsn"), list(b"1.99.1"))])]),
    step(Atom("start_boot"), [Atom("stdlib"), Atom("permanent")]),
    step(Atom("start_boot"), [Atom("elixir"), Atom("permanent")]),
    step(Atom("start_boot"), [Atom("tiny"), Atom("permanent")]),
]


def fake_release(root: Path, steps: list[Term] = STEPS, erts: str = "15.2.1") -> Path:
    """A release whose program is `root/bin/app`."""
    folder = root / "releases" / "0.1.0"
    for made in (folder, root / "bin", root / f"erts-{erts}"):
        made.mkdir(parents=True)
    (root / "releases" / "start_erl.data").write_text(f"{erts} 0.1.0")
    (folder / "start.boot").write_bytes(etf.encode((Atom("script"), (list(b"app"), list(b"0.1.0")), steps)))
    program = root / "bin" / "app"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_a_release_is_found_in_what_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake_release(tmp_path / "my app")
    link = tmp_path / "link"
    link.symlink_to(program)
    starts = [
        [str(program), "start"],
        [str(link), "start"],
        ["env", "A=1", str(program), "start"],
        ["sh", "-c", f"sleep 1; exec '{program}' start"],
    ]
    for command in starts:
        found = find_release(command)
        assert found is not None, command
        assert (found.root, found.elixir, found.otp) == (tmp_path / "my app", "1.99.1", "27")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert find_release(["app", "start"]) == found
    for command in (["mix", "test"], ["echo", "it's", str(tmp_path)], ["no-such-command"]):
        assert find_release(command) is None


def test_what_has_no_elixir_or_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    assert find_release([str(fake_release(tmp_path / "erlang", STEPS[1:2]))]) is None
    assert find_release([str(fake_release(tmp_path / "idle", STEPS[:1]))]) is None
    damaged = fake_release(tmp_path / "damaged")
    (tmp_path / "damaged" / "releases" / "0.1.0" / "start.boot").write_bytes(b"\x83h\x03")
    assert find_release([str(damaged)]) is None


def test_of_several_releases_none_is_guessed(tmp_path: Path) -> None:
    said: list[str] = []
    both = [f"{fake_release(tmp_path / name)} start" for name in ("a", "b")]
    assert find_release(["sh", "-c", f"{both[0]} & {both[1]}"], said.append) is None
    assert len(said) == 1
    assert said[0].startswith("the command names 2 releases")


def test_one_that_may_not_read_its_boot_script_starts_from_its_own(tmp_path: Path) -> None:
    said: list[str] = []
    program = fake_release(tmp_path / "app")
    assert find_release(["/usr/bin/sudo", "-E", "-u", "app", str(program), "start"], said.append) is None
    assert said == ["sudo may hide the recording from the release: to have what happens while it starts, leave it out"]


def test_its_boot_script_gets_one_step_after_elixirs_start(tmp_path: Path) -> None:
    release = find_release([str(fake_release(tmp_path / "app"))])
    assert release is not None
    variables = write_boot_script(release, tmp_path / "boot")
    name = os.path.normpath(release.folder / variables["RELEASE_BOOT_SCRIPT"])
    script = etf.decode(Path(f"{name}.boot").read_bytes())
    assert isinstance(script, tuple)
    *identity, steps = script
    assert identity == [Atom("script"), (list(b"app"), list(b"0.1.0"))]
    assert isinstance(steps, list)
    ours = steps.pop(3)
    assert steps == STEPS
    assert "ElixirScope.Boot" in repr(ours)


@pytest.mark.beam
def test_the_agent_is_compiled_by_the_elixir_of_the_release(release: Path, tmp_path: Path) -> None:
    found = find_release([str(release / "bin" / "tiny")])
    assert found is not None
    machine = find_toolchain()
    assert toolchain_of(found) == machine
    other = msgspec.structs.replace(found, elixir="1.99.1")
    own = toolchain_of(other)
    assert own.elixirc.startswith(str(release))
    sources = tmp_path / "lib"
    sources.mkdir()
    (sources / "agent.ex").write_text("defmodule Agent.OfTest do\n  def version, do: unquote(System.version())\nend\n")
    ebin = compiled_agent(own, sources=sources)
    try:
        script = "IO.puts(Agent.OfTest.version())"
        out = subprocess.run(["elixir", "-pa", ebin, "-e", script], capture_output=True, text=True, check=True).stdout
        assert out.strip() == machine.elixir_version
    finally:
        shutil.rmtree(ebin.parent)


@pytest.mark.beam
def test_a_release_for_which_nothing_can_compile(tmp_path: Path) -> None:
    release = find_release([str(fake_release(tmp_path / "app"))])
    assert release is not None
    with pytest.raises(TargetError, match=r"runs Elixir 1\.99\.1 .* this machine has Elixir 1\.") as raised:
        toolchain_of(release)
    assert raised.value.hint == "put Elixir 1.99.1 on PATH"
