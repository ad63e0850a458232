# How many modules are instrumented and loaded a second: those of Mix, IEx, ExUnit, EEx and Logger, which this VM does
# not use. DIR. `RESULT loading.first`, and `loading.modules`.

Code.require_file("support.exs", __DIR__)

defmodule Bench.Loading do
  alias ElixirScope.Compiler.Loader
  alias ElixirScope.Plan

  def main do
    dir = System.fetch_env!("DIR")
    Bench.start(dir, :portable)
    base = Path.join(:code.lib_dir(:elixir), "..")

    modules =
      for app <- ~w(mix iex ex_unit eex logger), beam <- Path.wildcard(Path.join([base, app, "ebin", "*.beam"])) do
        {beam |> Path.basename(".beam") |> String.to_atom(), beam |> Path.expand() |> to_charlist(), :project}
      end

    {time, count} = :timer.tc(fn -> Loader.arm(Plan.current(), modules) end)
    Bench.result(System.get_env("KEY", "loading.first"), count * 1_000_000 / time)
    Bench.result("loading.modules", count)
  end
end

Bench.Loading.main()
