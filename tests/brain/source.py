"""Small Elixir projects, written as text."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from elixirscope.brain.analyzer import join, read_project
from elixirscope.brain.facts import Analysis
from elixirscope.brain.project import find_project

MIX = """\
defmodule {module}.MixProject do
  use Mix.Project
  def project, do: [app: :{app}, version: "0.1.0"]
end
"""


def analyze(root: Path | str) -> Analysis:
    """The analysis of a project, every file read anew."""
    project = find_project(Path(root))
    return join(project, read_project(project, {}))


def write_project(root: Path, files: dict[str, str], app: str = "shop") -> Path:
    """Write `files` (path → source) and a mix.exs for `app` below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "mix.exs").write_text(MIX.format(module=app.title(), app=app))
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return root


STOCK = """\
defmodule Shop.Stock do
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts, name: __MODULE__)
  def count(item), do: GenServer.call(__MODULE__, {:count, item})
  def take(item), do: GenServer.call(__MODULE__, {:take, item})
  def restock(item, n), do: GenServer.cast(__MODULE__, {:restock, item, n})

  @impl true
  def init(_), do: {:ok, %{}}

  @impl true
  def handle_call({:count, item}, _from, state), do: {:reply, Map.get(state, item, 0), state}

  def handle_call({:take, item}, _from, state) do
    case state do
      %{^item => n} when n > 0 -> {:reply, :ok, %{state | item => n - 1}}
      _ -> {:reply, :sold_out, state}
    end
  end

  @impl true
  def handle_cast({:restock, item, n}, state), do: {:noreply, Map.put(state, item, n)}
end
"""
