"""Functions go between a recorded VM and those it starts, both ways, as they do without the recorder."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import elixirscope as library
from tests.capture.projects import tiny_project
from tests.conftest import Run, environment

pytestmark = pytest.mark.beam

SHARED = """\
defmodule Tiny.Shared do
  def adder(n), do: fn x -> x + n end
  def call(f, x), do: f.(x)

  # While a process runs this module's code.
  def hold(f, x) do
    y = f.(x)
    {:held, y}
  end

  def there(node) do
    me = self()
    Node.spawn(node, fn -> send(me, {:from, node(), fn -> :made_there end}) end)

    receive do
      {:from, ^node, f} -> f.()
    after
      20_000 -> :nothing
    end
  end
end
"""
TEST = """\
defmodule Tiny.PeersTest do
  use ExUnit.Case
  alias Tiny.Shared

  setup_all do
    {_, 0} = System.cmd("epmd", ["-daemon"])
    {:ok, _} = :net_kernel.start([:"main%ID%@127.0.0.1", :longnames])
    peer = start(%PEER%)
    on_exit(fn -> :peer.stop(elem(peer, 0)) end)
    :ok = call(peer, :code, %PATHS%, [:code.get_path()])
    {:ok, peer: peer}
  end

  # One without distribution has no node.
  defp start(options) do
    case :peer.start(options) do
      {:ok, pid, :nonode@nohost} -> {pid, nil}
      {:ok, pid, node} -> {pid, node}
    end
  end

  defp call({pid, nil}, m, f, a), do: :peer.call(pid, m, f, a, 20_000)
  defp call({_, node}, m, f, a), do: :erpc.call(node, m, f, a)

  test "made here, called there", %{peer: peer} do
    assert call(peer, Shared, :call, [Shared.adder(2), 3]) == 5
  end

  test "made there, called here", %{peer: peer} do
    made = call(peer, Shared, :adder, [2])
    assert made.(3) == 5
    assert Shared.hold(made, 3) == {:held, 5}
    assert call(peer, Shared, :hold, [made, 3]) == {:held, 5}
    assert made == Shared.adder(2)
  end

  test "spawned there", %{peer: {_, node}} do
    if node, do: assert(Shared.there(node) == :made_there)
  end

  test "all applications of this VM start there, with their environment", %{peer: peer} do
    for {app, _, _} <- Application.loaded_applications() do
      for {key, value} <- Application.get_all_env(app) do
        :ok = call(peer, Application, :put_env, [app, key, value])
      end

      assert {:ok, _} = call(peer, Application, :ensure_all_started, [app])
    end
  end
end
"""
NAMED = 'name: :peer%ID%, host: ~c"127.0.0.1", longnames: true'
# How a peer is started, and what it gets its code path by.
KINDS = {
    "path later": (f"%{{{NAMED}}}", ":add_paths"),
    "path in front": (f"%{{{NAMED}}}", ":add_pathsa"),
    "path from the start": (f'%{{{NAMED}, args: [~c"-pa" | :code.get_path()]}}', ":add_paths"),
    "without distribution": ("%{connection: :standard_io}", ":add_paths"),
}


def cluster(root: Path, kind: str) -> Path:
    peer, paths = KINDS[kind]
    test = TEST.replace("%PEER%", peer).replace("%PATHS%", paths).replace("%ID%", f"{os.getpid()}")
    return tiny_project(root, {"lib/shared.ex": SHARED, "test/counter_test.exs": test})


@pytest.mark.parametrize("engine", ["native", "portable"])
@pytest.mark.parametrize("kind", KINDS)
def test_functions_go_both_ways(elixirscope: Run, tmp_path: Path, kind: str, engine: str) -> None:
    project = cluster(tmp_path / "tiny", kind)
    run = elixirscope("record", "--engine", engine, "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=project)
    assert run.returncode == 0, run.stdout + run.stderr
    info = json.loads(elixirscope("info", tmp_path / "r.scope", "--json").stdout)
    assert info["engines"] == [engine]
    assert info["calls"] > 0


def test_a_peer_with_elixir_is_recorded_with_its_calls(elixirscope: Run, tmp_path: Path) -> None:
    project = cluster(tmp_path / "tiny", "path from the start")
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=project)
    assert run.returncode == 0, run.stdout + run.stderr
    nodes = library.open(tmp_path / "r.scope").sql(
        "select distinct node from calls join processes using (process)"
        " where calls.module = 'Tiny.Shared' and function = 'hold'"
    )
    assert len(nodes.arrow()) == 2


def test_a_module_of_the_same_name_elsewhere_is_left_alone(elixirscope: Run, tmp_path: Path) -> None:
    # Another VM of this recording, whose code is not the project's.
    other = tmp_path / "other"
    other.mkdir()
    (other / "shared.ex").write_text("defmodule Tiny.Shared do\n  def call(_, _), do: :other\nend\n")
    subprocess.run(["elixirc", "shared.ex"], cwd=other, env=environment(), check=True)
    test = """\
defmodule Tiny.OtherTest do
  use ExUnit.Case
  test "other" do
    assert {"other", 0} = System.cmd("elixir", ["-pa", "%OTHER%", "-e", "IO.write(Tiny.Shared.call(1, 2))"])
  end
end
""".replace("%OTHER%", str(other))
    project = tiny_project(tmp_path / "tiny", {"lib/shared.ex": SHARED, "test/counter_test.exs": test})
    run = elixirscope("record", "-o", tmp_path / "r.scope", "--", "mix", "test", cwd=project)
    assert run.returncode == 0, run.stdout + run.stderr
