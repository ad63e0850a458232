defmodule ElixirScope.Application do
  @moduledoc """
  The agent as an OTP application. Started before the user's, so it stops after them and loses nothing.
  """

  use Application

  alias ElixirScope.Capture.{
    CallBudget,
    Clock,
    Collector,
    FrameFile,
    Ingestor,
    MemorySampler,
    Meta,
    Native,
    Pacer,
    PipelineManager,
    Redaction,
    Value
  }

  alias ElixirScope.Plan

  @doc false
  def child_spec(arg), do: %{id: __MODULE__, start: {__MODULE__, :start_link, [arg]}, type: :supervisor}

  @impl true
  def start(_type, _args) do
    case Application.get_env(:elixir_scope, :recording) do
      %{hello: %{os_pid: ours}} = settings ->
        # Another VM's come with its environment, which tests of clusters bring to all VMs.
        if ours == List.to_integer(:os.getpid()), do: start_link(settings), else: nothing()

      # As a dependency of the compile-time door, without a recorder.
      nil ->
        nothing()
    end
  end

  defp nothing, do: Supervisor.start_link([], strategy: :one_for_one)

  # From here on nothing comes in; the collectors write what they have, and end their files.
  @impl true
  def prep_stop(state) do
    Ingestor.close()
    Native.close()
    state
  end

  @doc "Starts the pipeline that writes to `dir` (the recording's `raw` folder)."
  def start_link(%{dir: dir, plan: plan, hello: hello}) do
    # Where no events of code come, those of tests do.
    count = if Plan.lives_only?(plan), do: 1, else: min(System.schedulers_online(), 8)
    Ingestor.create(plan.limits.collector_events)
    Redaction.create()
    Plan.put(plan)
    Value.first(plan.first)
    CallBudget.create(plan)
    FrameFile.name(dir)
    hello = Native.open(dir, plan, hello)
    Clock.start(hello.engine)

    # A crash of ours must never take the VM along, nor give up recording while there is hope.
    with {:ok, top} <- Supervisor.start_link([], strategy: :one_for_one, max_restarts: 1_000, max_seconds: 60),
         {:ok, _} <- Supervisor.start_child(top, {Meta, {dir, hello}}),
         {:ok, _} <- Supervisor.start_child(top, Pacer),
         {:ok, collectors} <- Supervisor.start_child(top, collectors(count, dir, plan)),
         {:ok, _} <- start_all(top, Native.children(hello)),
         {:ok, _} <- start_all(top, if(plan.memory, do: [MemorySampler], else: [])),
         {:ok, _} <- Supervisor.start_child(top, {PipelineManager, {collectors, plan}}) do
      Native.begin(hello)
      {:ok, top}
    end
  end

  defp start_all(top, children) do
    Enum.reduce_while(children, {:ok, nil}, fn child, _ ->
      case Supervisor.start_child(top, child) do
        {:ok, _} = started -> {:cont, started}
        error -> {:halt, error}
      end
    end)
  end

  defp collectors(count, dir, plan) do
    children = for shard <- Enum.to_list(1..count) ++ [:vm], do: {Collector, {shard, dir, plan}}
    options = [strategy: :one_for_one, max_restarts: 1_000, max_seconds: 60]
    %{id: :collectors, start: {Supervisor, :start_link, [children, options]}, type: :supervisor}
  end
end
