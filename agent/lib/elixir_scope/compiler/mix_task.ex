defmodule Mix.Tasks.Compile.ElixirScope do
  @moduledoc """
  Instruments a project when it is compiled: for releases and other places where nothing can be done at load time.

  To be asked for in `mix.exs`, after the other compilers:

      compilers: Mix.compilers() ++ [:elixir_scope]

  The plan is the file that `ELIXIRSCOPE_PLAN` names, or `elixir_scope: [plan: "path"]` in the project. Modules that are
  instrumented already stay as they are; `mix compile --force` makes them anew.
  """

  use Mix.Task.Compiler
  alias ElixirScope.Compiler.Ahead
  alias ElixirScope.Plan

  @impl true
  def run(_args) do
    config = Mix.Project.config()

    case plan_path(config) do
      nil ->
        error("no plan: set ELIXIRSCOPE_PLAN, or `elixir_scope: [plan: \"…\"]` in mix.exs")

      path ->
        case Plan.load(path) do
          {:ok, plan} -> instrument(config[:app], plan)
          {:error, reason} -> error(reason)
        end
    end
  end

  defp plan_path(config), do: System.get_env("ELIXIRSCOPE_PLAN") || get_in(config, [:elixir_scope, :plan])

  defp instrument(app, plan) do
    case Ahead.run(Mix.Project.compile_path(), app, plan) do
      %{instrumented: []} -> {:noop, []}
      %{instrumented: _} -> {:ok, []}
    end
  end

  defp error(reason) do
    Mix.shell().error("elixirscope: #{reason}")
    {:error, []}
  end
end
