defmodule ElixirScope.Compiler.Hooks do
  @moduledoc """
  Where the agent learns what Elixir's own tools do, and when.

  | hook | so that |
  |---|---|
  | `Mix.Tasks.App.Config.run/1` returns | everything is compiled, nothing has started: modules are instrumented |
  | `Mix.Tasks.Compile.Elixir.run/1` returns (since Elixir 1.19) | what was compiled while the program runs is instrumented |
  | `ExUnit.EventManager.notify/2` | starts, ends and results of tests are events |
  | `System.halt/1` | nothing recorded is lost by it (`System.stop/1` stops applications in order, ours last) |
  | `elixir_module` loads a module | test files and scripts are instrumented, and before Elixir 1.19 what was compiled while the program runs |
  | `:peer` starts a VM | it is used when the agent is ready there |

  A hook that cannot be set costs a part of the recording (it is reported as missing coverage), never the program.
  """

  alias ElixirScope.Boot
  alias ElixirScope.Capture.{Ingestor, PipelineManager, TestEvents, VMTracer}
  alias ElixirScope.Compiler.{Cache, Counterparts, Loader, MemoryDoor, Peers, Rewrite}
  alias ElixirScope.Plan

  # These two wait for the agent.
  @early [
    {:mix, Mix.Tasks.App.Config, [{:wrap, :run, 1, {__MODULE__, :after_config}}]},
    {:elixir, System, [{:wrap, :halt, 1, {__MODULE__, :before_halt}}]}
  ]
  @late [{:ex_unit, ExUnit.EventManager, [{:wrap, :notify, 2, {__MODULE__, :test_event}}]}]
  @code [
    {:elixir, :elixir_erl_compiler,
     [{:wrap, :forms, 3, {MemoryDoor, :compiled}}, {:wrap, :noenv_forms, 3, {MemoryDoor, :compiled}}]},
    {:elixir, :elixir_module, [{:redirect, {:code, :load_binary, 3}, {MemoryDoor, :load_binary}}]}
  ]

  # Since then Elixir leaves what it compiles to be loaded from its file when it is called.
  @again if Version.match?(System.version(), ">= 1.19.0-dev"),
           do: [{:mix, Mix.Tasks.Compile.Elixir, [{:wrap, :run, 1, {__MODULE__, :after_compile}}]}],
           else: []

  @doc "Sets every hook that this installation of Elixir has a place for. Returns what could not be set."
  @spec install(Plan.t()) :: [{module, term}]
  def install(plan), do: early() ++ late(plan)

  @doc "The hooks that Mix may come to before the agent has started, for which they then wait."
  @spec early() :: [{module, term}]
  def early, do: set_all(@early)

  @doc "The other hooks that this plan needs."
  @spec late(Plan.t()) :: [{module, term}]
  def late(plan) do
    if Plan.records_code?(plan) do
      # Before it is needed: then the program waits.
      Cache.opened(plan)
      MemoryDoor.open()
      set_all(@late ++ @code ++ @again) ++ Counterparts.prepare() ++ Peers.install()
    else
      set_all(@late)
    end
  end

  defp set_all(hooks) do
    Rewrite.load(for {app, module, edits} <- hooks, beam = beam(app, module), do: {module, beam, edits})
  end

  @doc "Writes what could not be set into the recording."
  @spec report([{module, term}]) :: :ok
  def report(missing) do
    for {module, reason} <- missing do
      Ingestor.meta(%{
        what: :coverage,
        subject: inspect(module),
        reason: "this version of it cannot be watched: #{inspect(reason, limit: 10)}"
      })
    end

    :ok
  end

  # Since Elixir 1.15 its other applications are not on the path yet when the agent boots. A release has versions in the
  # names of folders, an escript has no folders, and neither has all of Elixir: nil for what is not there. Written as the
  # code server would.
  defp beam(app, module) do
    elixir = with file when is_atom(file) <- :code.which(:elixir), do: ~c""
    lib = :filename.dirname(:filename.dirname(:filename.dirname(elixir)))
    path = :filename.join([lib, app, ~c"ebin", Atom.to_charlist(module) ++ ~c".beam"])

    cond do
      match?({:ok, _}, :prim_file.read_file_info(path)) -> path
      is_list(:code.which(module)) -> :code.which(module)
      true -> nil
    end
  end

  @doc false
  def after_config(args, original) do
    result = original.(args)
    quietly(fn -> Boot.await() end)
    quietly(fn -> Loader.arm() end)
    quietly(fn -> VMTracer.arm() end)
    result
  end

  @doc false
  def after_compile(args, original) do
    result = original.(args)
    quietly(fn -> Loader.arm_again() end)
    result
  end

  @doc false
  def test_event([manager, event] = args, original) do
    quietly(fn -> TestEvents.notify(event, manager) end)
    original.(args)
  end

  @doc false
  def before_halt(args, original) do
    quietly(fn -> Boot.await() end)
    quietly(fn -> PipelineManager.close() end)
    original.(args)
  end

  # A fault of ours must not become one of the program; the recording says that something is missing.
  defp quietly(fun) do
    fun.()
    :ok
  catch
    kind, reason ->
      report(kind, reason)
  end

  defp report(kind, reason) do
    Ingestor.meta(%{what: :coverage, subject: "agent", reason: Exception.format_banner(kind, reason, [])})
    :ok
  catch
    _, _ -> :ok
  end
end
