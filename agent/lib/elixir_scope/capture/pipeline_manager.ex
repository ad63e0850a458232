defmodule ElixirScope.Capture.PipelineManager do
  @moduledoc """
  Looks after the pipeline: opens the channel when all collectors stand, watches their memory, flushes, closes.
  """

  use GenServer

  alias ElixirScope.Capture.{
    CallBudget,
    CallLimit,
    Collector,
    Ingestor,
    KillSwitch,
    Meta,
    Native,
    Pacer,
    TraceSession,
    VMTracer
  }

  @name :elixir_scope_pipeline
  @every_ms 100
  # For so long more and more has to wait at the last step.
  @hopeless_ms 2_000
  @turn_ns 1_000_000_000
  @anew "what watches over the agent was started again"

  def start_link(arg), do: GenServer.start_link(__MODULE__, arg, name: @name, spawn_opt: [max_heap_size: 0])

  @doc "Writes everything handed over until now. Bounded to five seconds; does nothing when nothing is recorded."
  def flush, do: call(:flush)

  @doc "As `flush/0`, and ends the files in order: for the moment before the VM halts."
  def close, do: call(:close)

  @doc "Returns when the channel is open."
  def ready, do: GenServer.call(@name, :ready)

  defp call(request) do
    if Ingestor.open() != nil, do: GenServer.call(@name, request, 5_000)
    :ok
  catch
    :exit, _ -> :ok
  end

  @impl true
  def init({supervisor, plan}) do
    Process.flag(:trap_exit, true)
    # slots: shard => {collector, depth}; the VM's tracer has no depth.
    {:ok,
     %{
       supervisor: supervisor,
       plan: plan,
       slots: %{},
       retired: [],
       limited: false,
       # At the last step: since when (ms), what waited for the VM's collector then, and the most since.
       last: nil,
       switch: KillSwitch.new(plan.limits),
       # What an event of the portable engine costs here, in ns.
       cost: Ingestor.cost_ns(),
       looked: nil,
       turned: ns(),
       calls: nil
     }, {:continue, :open}}
  end

  @impl true
  def handle_continue(:open, state) do
    # After one that was killed: it may have stepped down, and what it knew of that is gone.
    if Ingestor.open() != nil, do: anew(state)
    state = open(state)
    spent = spent(state)
    calls = CallLimit.new(state.plan.limits, ns(), spent)
    {:noreply, again(%{state | looked: {now(), spent}, calls: calls})}
  end

  @impl true
  def handle_call(:ready, _from, state), do: {:reply, :ok, state}

  def handle_call(:flush, _from, state) do
    delivered()
    state = retire(state)
    ask(state, :flush)
    {:reply, :ok, state}
  end

  def handle_call(:close, _from, state) do
    delivered()
    state = retire(state)
    ask(state, :close)
    state = counted(state)
    Meta.close()
    {:reply, :ok, state}
  end

  @impl true
  def handle_info(:look, state) do
    VMTracer.watch()
    {:noreply, state |> watch() |> turn() |> retire() |> open() |> again()}
  end

  # Its supervisor starts another one: look at once, and if that is too early with the next tick.
  def handle_info({:DOWN, _, :process, _, _}, state), do: {:noreply, open(state)}
  def handle_info(_, state), do: {:noreply, state}

  # The collectors end next: they are to have all the VM has told.
  @impl true
  def terminate(_reason, state) do
    delivered()
    state |> retire() |> counted()
  end

  defp anew(state) do
    Ingestor.limit(state.plan.limits.collector_events)
    for of <- [:code, :messages], do: limit(of, false, @anew)
    stepped(nil, :values, @anew)
    with vm when is_pid(vm) <- VMTracer.collector(), do: VMTracer.messages(vm, true)
  end

  defp again(state) do
    Process.send_after(self(), :look, @every_ms)
    state
  end

  # A restarted collector has a new pid: it is put in the place of the old one. While one is missing its place is
  # kept, so that a process stays with its collector.
  defp open(state) do
    found =
      for {{Collector, shard}, pid, _, _} <- Supervisor.which_children(state.supervisor),
          is_pid(pid),
          pid != collector(state, shard),
          do: {shard, pid}

    slots = Enum.reduce(found, state.slots, fn {shard, pid}, slots -> Map.put(slots, shard, slot(shard, pid)) end)

    if found != [] do
      replaced = for {shard, _} <- found, shard != :vm, old = state.slots[shard], do: {shard, elem(old, 1)}
      {{vm, nil}, numbered} = Map.pop(slots, :vm)
      numbered |> Enum.sort() |> Enum.map(&elem(&1, 1)) |> Ingestor.publish(state.plan.budgets)
      Ingestor.code(code(state.switch.step))
      VMTracer.collector(vm)
      Collector.serving(vm, [self() | VMTracer.serving()])
      retire(%{state | slots: slots, retired: replaced ++ state.retired})
    else
      state
    end
  end

  defp collector(state, shard) do
    with {pid, _} <- state.slots[shard], do: pid
  end

  defp slot(shard, pid) do
    Process.monitor(pid)
    {_, depth} = slot = if shard == :vm, do: {pid, nil}, else: Ingestor.slot(pid)
    Collector.depth(pid, depth)
    slot
  end

  # What waited for a collector that has died is lost. A process may have held the old channel a moment longer:
  # places are counted once more with every tick.
  defp retire(state) do
    for {shard, depth} <- state.retired, (waiting = Ingestor.forget(depth)) > 0 do
      Ingestor.lose(shard, nil, waiting, :collector_restarted)
    end

    state
  end

  # All trace messages that belong to what has happened until now have arrived.
  defp delivered do
    ref = TraceSession.delivered()

    receive do
      {:trace_delivered, :all, ^ref} -> :ok
    after
      1_000 -> :ok
    end
  end

  # Collectors and drainers beside each other: in the end the program waits for them.
  defp ask(state, what) do
    drainers = Native.ask(what)

    collectors =
      for {_, {pid, _}} <- state.slots do
        monitor = Process.monitor(pid)
        send(pid, {what, self(), monitor})
        monitor
      end

    Pacer.wake()
    Enum.each(collectors, &answered/1)
    Native.answered(drainers)
  end

  defp answered(monitor) do
    receive do
      {^monitor, :ok} -> Process.demonitor(monitor, [:flush])
      {:DOWN, ^monitor, _, _, _} -> :ok
    after
      4_000 -> Process.demonitor(monitor, [:flush])
    end
  end

  defp watch(state) do
    limits = state.plan.limits
    used = for {shard, {pid, _}} <- state.slots, into: %{}, do: {shard, memory(pid)}
    all = used |> Map.values() |> Enum.sum()
    over = all > if(state.limited, do: div(limits.memory_bytes, 2), else: limits.memory_bytes)

    if over != state.limited do
      Ingestor.limit(if over, do: 0, else: limits.collector_events)
      limit(:code, over, "the agent held #{div(all, 1024)} kB of #{div(limits.memory_bytes, 1024)} allowed")
    end

    state |> Map.put(:limited, over) |> step(all, used[:vm])
  end

  defp limit(of, on?, reason),
    do: Meta.write(%{what: :limit, of: of, on: on?, reason: reason, unix_ns: :erlang.system_time(:nanosecond)})

  # The VM traces on, however many messages wait: there is no refusing them, only asking for less, and at once.
  defp step(state, all, waiting) do
    if hopeless?(state, waiting), do: VMTracer.give_up()
    state = %{state | last: last(state, waiting)}

    if waiting > 4 * state.plan.limits.memory_bytes,
      do: taken(state, KillSwitch.fall(state.switch, now(), "more messages were sent than the agent could take")),
      else: step(state, all)
  end

  # The last step does not help: of lives alone more come than are written. What was sent before it may come later, and a
  # disk may be slow for a while.
  defp hopeless?(%{last: {since, first, most}, plan: %{limits: limits}}, waiting) do
    bytes = limits.memory_bytes

    waiting > most and waiting > 2 * bytes and waiting - first > div(bytes, 4) and
      now() - since >= max(limits.step_after_ms, @hopeless_ms)
  end

  defp hopeless?(_state, _waiting), do: false

  defp last(%{switch: %{step: :lifecycle}, last: nil}, waiting), do: {now(), waiting, waiting}

  defp last(%{switch: %{step: :lifecycle}, last: {since, first, most}}, waiting),
    do: {since, first, max(most, waiting)}

  defp last(_state, _waiting), do: nil

  defp step(%{looked: {before, spent_before}} = state, memory) do
    spent = spent(state)
    now = now()
    # A restarted collector counts anew.
    overhead = KillSwitch.overhead_percent(max(spent - spent_before, 0), now - before, System.schedulers_online())

    state = taken(state, KillSwitch.look(state.switch, now, %{memory_bytes: memory, overhead_percent: overhead}))
    limited(%{state | looked: {now, spent}}, CallLimit.look(state.calls, ns(), spent))
  end

  defp taken(state, {switch, :stay}), do: %{state | switch: switch}

  defp taken(state, {switch, {step, reason}}) do
    stepped(state.switch.step, step, reason)
    if step == :lifecycle != (state.switch.step == :lifecycle), do: messages(state, step != :lifecycle)
    %{state | switch: switch}
  end

  defp stepped(from, to, reason) do
    Meta.write(%{what: :step, from: from, to: to, reason: reason, unix_ns: :erlang.system_time(:nanosecond)})
    Ingestor.code(code(to))
    Native.code(code(to))
  end

  defp spent(state) do
    handed = Enum.sum(for {_, {_, depth}} <- state.slots, depth != nil, do: Ingestor.handed(depth))
    state.cost * handed + Native.spent_ns() + CallBudget.spent()
  end

  defp limited(state, calls) do
    if calls.limit != state.calls.limit, do: CallBudget.limit(calls.limit)
    %{state | calls: calls}
  end

  # A second is over when it is looked at, a little late.
  defp turn(state) do
    now = ns()

    if now - state.turned >= @turn_ns,
      do: state |> counted() |> limited(CallLimit.turn(state.calls, now, spent(state))),
      else: state
  end

  defp counted(state) do
    left_out = CallBudget.turn()
    now = ns()

    if left_out != [] do
      calls =
        for {subject, calls, since} <- left_out,
            do: {subject, calls, unix(if(since == 0, do: state.turned, else: since))}

      Meta.write(%{what: :counted, until_unix_ns: unix(now), calls_per_second: state.calls.limit, calls: calls})
    end

    %{state | turned: now}
  end

  defp unix(monotonic), do: monotonic + :erlang.time_offset(:nanosecond)
  defp ns, do: :erlang.monotonic_time(:nanosecond)

  defp code(:values), do: :everything
  defp code(:calls), do: :calls
  defp code(_), do: :nothing

  defp messages(%{slots: %{vm: {vm, _}}}, on?), do: VMTracer.messages(vm, on?)

  defp now, do: :erlang.monotonic_time(:millisecond)

  defp memory(pid) do
    case Process.info(pid, :memory) do
      {:memory, bytes} -> bytes
      nil -> 0
    end
  end
end
