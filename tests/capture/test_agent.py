"""The agent is compiled once with the target's own compiler, whole or not at all."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from elixirscope.capture.agent import compiled_agent
from elixirscope.capture.toolchain import Toolchain, find_toolchain
from elixirscope.errors import EnvironmentProblem, TargetError

pytestmark = pytest.mark.beam


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return find_toolchain()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "a.ex").write_text("defmodule A do\n  def one, do: B.two()\nend\n")
    (folder / "b.ex").write_text("defmodule B do\n  def two, do: 2\nend\n")
    return folder


def test_it_is_compiled_once_and_again_when_it_changes(toolchain: Toolchain, sources: Path) -> None:
    said: list[str] = []
    ebin = compiled_agent(toolchain, said.append, sources)
    assert sorted(file.name for file in ebin.iterdir()) == [
        "Elixir.A.beam",
        "Elixir.B.beam",
        "elixir_scope.app",
        "elixir_scope.bundle",
    ]
    assert compiled_agent(toolchain, said.append, sources) == ebin
    assert len(said) == 1
    assert toolchain.elixir_version in said[0]
    (sources / "b.ex").write_text("defmodule B do\n  def two, do: 3\nend\n")
    assert compiled_agent(toolchain, said.append, sources) != ebin


def test_it_is_compiled_again_when_it_was_damaged(toolchain: Toolchain, sources: Path) -> None:
    ebin = compiled_agent(toolchain, sources=sources)
    contents = {file.name: file.read_bytes() for file in ebin.iterdir()}
    (ebin / "kernel-0123.hook").write_text("a recorded VM keeps here what it has rewritten")
    said: list[str] = []
    assert compiled_agent(toolchain, said.append, sources) == ebin
    assert said == []
    os.truncate(ebin / "elixir_scope.bundle", 100)
    (ebin / "Elixir.A.beam").unlink()
    assert compiled_agent(toolchain, sources=sources) == ebin
    assert {file.name: file.read_bytes() for file in ebin.iterdir()} == contents


def test_two_recorders_at_once_compile_once(toolchain: Toolchain, sources: Path) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        folders = set(pool.map(lambda _: compiled_agent(toolchain, said.append, sources), range(2)))
    assert len(folders) == 1
    assert len(said) == 1


def test_what_the_compiler_says_is_passed_on_and_nothing_is_kept(
    toolchain: Toolchain, sources: Path, tmp_path: Path
) -> None:
    (sources / "b.ex").write_text("defmodule B do\n  def two, do: nowhere\nend\n")
    with pytest.raises(TargetError, match=r"(?s)does not compile with Elixir.*nowhere"):
        compiled_agent(toolchain, sources=sources)
    assert [file.suffix for file in (tmp_path / "cache" / "elixirscope" / "agent").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written(
    toolchain: Toolchain, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentProblem, match="cannot keep the compiled capture agent"):
        compiled_agent(toolchain, sources=sources)


def test_the_real_agent_is_an_application(toolchain: Toolchain) -> None:
    ebin = compiled_agent(toolchain)
    check = (
        "ok = application:load(elixir_scope), {ok, Ms} = application:get_key(elixir_scope, modules),"
        '[{module, M} = code:ensure_loaded(M) || M <- Ms], io:put_chars("loaded"), halt().'
    )
    elixir = subprocess.run(
        [toolchain.elixir, "-e", "IO.write :code.lib_dir(:elixir)"], capture_output=True, text=True, check=True
    ).stdout
    out = subprocess.run(
        ["erl", "-noshell", "-pa", str(ebin), f"{elixir}/ebin", "-eval", check],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out == "loaded"
