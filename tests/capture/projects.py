"""Tiny Mix projects, and what a folder holds, byte for byte."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from textwrap import dedent

_MIX = """\
defmodule Tiny.MixProject do
  use Mix.Project
  def project, do: [app: :tiny, version: "0.1.0", deps: []]
  def application, do: [extra_applications: [:logger]{mod}]
end
"""
COUNTER = """\
defmodule Tiny.Counter do
  use GenServer
  def start_link(n), do: GenServer.start_link(__MODULE__, n)
  def add(counter, n), do: GenServer.call(counter, {:add, n})
  @impl true
  def init(n), do: {:ok, n}
  @impl true
  def handle_call({:add, n}, _from, total), do: {:reply, total + n, total + n}
end
"""
TEST = """\
defmodule Tiny.CounterTest do
  use ExUnit.Case
  test "counts" do
    {:ok, counter} = Tiny.Counter.start_link(1)
    assert Tiny.Counter.add(counter, 2) == 3
  end
end
"""


def tiny_project(root: Path, files: dict[str, str] | None = None, *, application: str = "") -> Path:
    """A Mix project with a counter and its test, and `files` besides; `application` is its callback module."""
    everything = {
        "mix.exs": _MIX.format(mod=f", mod: {{{application}, []}}" if application else ""),
        "lib/counter.ex": COUNTER,
        "test/test_helper.exs": "ExUnit.start(seed: 0)\n",
        "test/counter_test.exs": TEST,
    } | (files or {})
    for name, text in everything.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return root


def built(root: Path) -> dict[str, str]:
    """Every compiled file below `root` with the hash of its content. Of debug information what it is written as: since
    OTP 26 the order within depends on which atoms the VM has met before."""
    script = """
    for path <- Path.wildcard("**/*.{beam,app}", match_dot: true) do
      content =
        with {:ok, _, chunks} <- :beam_lib.all_chunks(String.to_charlist(path)) do
          for {id, data} <- chunks, do: {id, if(id == ~c"Dbgi", do: :erlang.binary_to_term(data), else: data)}
        else
          _ -> File.read!(path)
        end

      hash = :crypto.hash(:sha256, :erlang.term_to_binary(content, [:deterministic]))
      IO.puts(path <> " " <> Base.encode16(hash))
    end
    """
    done = subprocess.run(["elixir", "-e", script], cwd=root, capture_output=True, text=True, timeout=120, check=True)
    return dict(line.split(" ") for line in done.stdout.splitlines())


def contents(root: Path) -> dict[str, str]:
    """Every file below `root` with the hash of its bytes and its mode."""
    return {
        str(file.relative_to(root)): f"{file.stat().st_mode:o} {hashlib.sha256(file.read_bytes()).hexdigest()}"
        for file in sorted(root.rglob("*"))
        if file.is_file()
    }
