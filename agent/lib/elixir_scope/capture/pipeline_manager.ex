defmodule ElixirScope.Capture.PipelineManager do
  @moduledoc """
  Looks after the pipeline: opens the channel when all collectors stand, watches their memory, flushes, closes.
  """

  use GenServer
  alias ElixirScope.Capture.{Collector, Ingestor, Meta, VMTracer}

  @name :elixir_scope_pipeline
  @every_ms 250

  def start_link(arg), do: GenServer.start_link(__MODULE__, arg, name: @name)

  @doc "Writes everything handed over until now. Bounded to five seconds; does nothing when nothing is recorded."
  def flush, do: call(:flush)

  @doc "As `flush/0`, and ends the files in order: for the moment before the VM halts."
  def close, do: call(:close)

  @doc "Returns when the channel is open."
  def ready, do: GenServer.call(@name, :ready)

  defp call(request) do
    if Ingestor.channel() != nil, do: GenServer.call(@name, request, 5_000)
    :ok
  catch
    :exit, _ -> :ok
  end

  @impl true
  def init({supervisor, plan}) do
    {:ok, %{supervisor: supervisor, plan: plan, limited: false, collectors: nil}, {:continue, :open}}
  end

  @impl true
  def handle_continue(:open, state), do: {:noreply, open(state)}

  # A restarted collector has a new pid: it is put in the place of the old one.
  defp open(state) do
    found =
      for {{Collector, shard}, pid, _, _} <- Supervisor.which_children(state.supervisor), is_pid(pid), into: %{} do
        {shard, pid}
      end

    Process.send_after(self(), :look, @every_ms)

    if found == state.collectors do
      state
    else
      {vm, numbered} = Map.pop(found, :vm)
      collectors = numbered |> Enum.sort() |> Enum.map(&elem(&1, 1)) |> List.to_tuple()
      Ingestor.publish(collectors, state.plan.budgets)
      VMTracer.collector(vm)
      for {_, pid} <- found, do: Process.monitor(pid)
      %{state | collectors: found}
    end
  end

  @impl true
  def handle_call(:ready, _from, state), do: {:reply, :ok, state}

  def handle_call(:flush, _from, state) do
    delivered()
    ask(state, :flush)
    {:reply, :ok, state}
  end

  def handle_call(:close, _from, state) do
    delivered()
    ask(state, :close)
    Meta.close()
    {:reply, :ok, state}
  end

  @impl true
  def handle_info(:look, state), do: {:noreply, state |> watch() |> open()}
  # The supervisor is about to start another one: look at once, and again with the next tick.
  def handle_info({:DOWN, _, :process, _, _}, state), do: {:noreply, open(state)}
  def handle_info(_, state), do: {:noreply, state}

  # All trace messages that belong to what has happened until now have arrived.
  defp delivered do
    ref = :erlang.trace_delivered(:all)

    receive do
      {:trace_delivered, :all, ^ref} -> :ok
    after
      1_000 -> :ok
    end
  end

  defp ask(state, what) do
    for {_, pid} <- state.collectors || %{} do
      monitor = Process.monitor(pid)
      send(pid, {what, self(), monitor})
      {pid, monitor}
    end
    |> Enum.each(fn {_pid, monitor} ->
      receive do
        {^monitor, :ok} -> Process.demonitor(monitor, [:flush])
        {:DOWN, ^monitor, _, _, _} -> :ok
      after
        4_000 -> Process.demonitor(monitor, [:flush])
      end
    end)
  end

  defp watch(state) do
    used = state.collectors |> Map.values() |> Enum.map(&memory/1) |> Enum.sum()
    over = used > if(state.limited, do: div(state.plan.limits.memory_bytes, 2), else: state.plan.limits.memory_bytes)

    if over != state.limited do
      Ingestor.limit(if over, do: 0, else: state.plan.limits.collector_events)
      Meta.write(%{what: :step, limited: over, memory_bytes: used})
    end

    %{state | limited: over}
  end

  defp memory(pid) do
    case Process.info(pid, :memory) do
      {:memory, bytes} -> bytes
      nil -> 0
    end
  end
end
