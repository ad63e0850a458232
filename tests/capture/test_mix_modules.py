"""What Mix loads in any case is loaded at once with the agent: the program must not be able to tell."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capture.projects import tiny_project
from tests.conftest import Run, environment

pytestmark = pytest.mark.beam

# What is loaded, and from where, when the program's own code begins.
APPLICATION = """\
defmodule Tiny.Application do
  use Application
  def start(_type, _args) do
    lines = for {module, file} <- :code.all_loaded(), do: [inspect(module), " ", inspect(file), "\\n"]
    File.write!(System.fetch_env!("LOADED"), lines)
    Supervisor.start_link([], strategy: :one_for_one)
  end
end
"""
# What the agent itself needs of others, which Mix may not have needed yet.
AGENTS = {
    *(":otp_internal", ":trace", "Range", "ExUnit.EventManager"),
    *("Collectable.Map", "Enumerable.Map", "String.Chars.Integer", "String.Chars.List"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tiny_project(tmp_path / "tiny", {"lib/application.ex": APPLICATION}, application="Tiny.Application")


@pytest.fixture
def loaded(elixirscope: Run, project: Path, tmp_path: Path) -> Callable[..., dict[str, str]]:
    def run(*command: str, recorded: bool, **variables: str) -> dict[str, str]:
        file = tmp_path / "loaded"
        env = environment() | variables | {"LOADED": str(file)}
        if recorded:
            target = tmp_path / "r.scope"
            done = elixirscope("record", "--intent", "minimal", "-o", target, "--", *command, cwd=project, env=env)
            shutil.rmtree(target)
        else:
            done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return dict(line.split(" ", 1) for line in file.read_text().splitlines())

    return run


@pytest.mark.parametrize("command", [("mix", "test"), ("mix", "run")])
def test_nothing_is_loaded_that_is_not_without_the_agent(
    loaded: Callable[..., dict[str, str]], command: tuple[str, ...]
) -> None:
    loaded(*command, recorded=False)  # compiles the project, and the next one the agent
    loaded(*command, recorded=True)
    plain = loaded(*command, recorded=False)
    recorded = loaded(*command, recorded=True)
    assert {name for name in recorded.keys() - plain.keys() if not name.startswith("ElixirScope.")} <= AGENTS
    assert {name: recorded[name] for name in plain} == plain


def test_a_module_of_the_programs_own_in_place_of_one_is_loaded(
    loaded: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    loaded("mix", "run", recorded=False)
    theirs = loaded("mix", "run", recorded=False)[":sofs"].strip("~c'\"")
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(theirs, own)
    found = loaded("mix", "run", recorded=True, ERL_FLAGS=f"-pa {own}")[":sofs"]
    assert str(own) in found
