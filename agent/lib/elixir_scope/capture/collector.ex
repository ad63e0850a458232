defmodule ElixirScope.Capture.Collector do
  @moduledoc """
  Takes events out of its mailbox and writes them to one raw file, in batches.

  Each collector of instrumented code serves the processes that hash to it; one more, the shard `:vm`, is the VM's
  tracer. A special process of its own (`:proc_lib`) rather than a GenServer: it handles nothing but events.
  """

  use ElixirScope.Capture.Event

  alias ElixirScope.Capture.{
    Batch,
    Clock,
    FrameFile,
    Ingestor,
    Names,
    Native,
    Pacer,
    Plumbing,
    Redaction,
    TraceMessage
  }

  @batch_bytes 65_536
  @idle_ms 20
  @oldest_ns 30_000_000
  # So many messages to a name may wait until somebody is known to have had it.
  @held 100
  # An event that comes so long after the last rest was asked for has woken us.
  @awake_ms 40
  # How often the VM's tracer looks at its queue, in trace messages.
  @tell 64

  @doc false
  def child_spec({shard, _, _} = arg) do
    %{id: {__MODULE__, shard}, start: {__MODULE__, :start_link, [arg]}, shutdown: 10_000}
  end

  @doc "Starts the collector of `{shard, dir, plan}`; shard is a number from 1, or `:vm`."
  def start_link(arg) do
    # What bounds the program's processes (`+hmax`) is not meant for it.
    options = [message_queue_data: :off_heap, max_heap_size: 0]
    :proc_lib.start_link(__MODULE__, :init, [self(), arg], 5_000, options)
  end

  @doc false
  def init(parent, {shard, dir, plan}) do
    Process.flag(:trap_exit, true)

    state = %{
      parent: parent,
      shard: shard,
      file: nil,
      batch: Batch.new(),
      secrets: Redaction.rules(plan),
      budgets: plan.budgets,
      depth: nil,
      traces: 0,
      skew: Clock.skew(0),
      shedding: false,
      plumbing: Plumbing.new(),
      names: %{},
      held: [],
      # Whether anything came since the last rest.
      busy: false,
      # When that was, in ms; nil: it is awake.
      rested_at: nil,
      written: 0,
      lost: 0,
      failed: nil
    }

    case FrameFile.open(dir, if(shard == :vm, do: :vm, else: shard - 1)) do
      {:ok, file} ->
        :proc_lib.init_ack(parent, {:ok, self()})
        loop(%{state | file: file})

      {:error, reason} ->
        # At the start there is somebody to tell. Later the program runs, and what is lost must be counted.
        if Ingestor.open() == nil do
          :proc_lib.init_ack(parent, {:error, {:cannot_write, dir, reason}})
        else
          :proc_lib.init_ack(parent, {:ok, self()})
          state |> fail(reason) |> loop()
        end
    end
  end

  @doc "Tells a collector where its depth is counted: nil for the VM's tracer, which counts its mailbox."
  def depth(pid, depth), do: send(pid, {:depth, depth})

  @doc "Tells the VM's tracer whose traffic is not recorded."
  def serving(pid, pids), do: send(pid, {:serving, pids})

  @doc "Has a collector find out what structs hide that will come, before they do: C leaves to it what it has not met."
  def structs(pid, modules), do: send(pid, {:structs, modules})

  defp loop(state) do
    receive do
      {:"$es", _, _, _, _, _} = event -> take(state, event)
      {:flush, from, ref} -> %{state | rested_at: nil} |> flush() |> answer(from, ref) |> loop()
      {:close, from, ref} -> state |> close() |> answer(from, ref) |> loop()
      {:depth, depth} -> loop(%{state | depth: depth})
      {:structs, modules} -> state |> tap(&Redaction.learn(modules, &1.secrets)) |> loop()
      {:serving, pids} -> loop(%{state | plumbing: Plumbing.serving(state.plumbing, pids)})
      {:EXIT, parent, reason} when parent == state.parent -> stop(state, reason)
      trace when is_tuple(trace) and elem(trace, 0) == :trace_ts -> state |> look() |> add_trace(trace) |> loop()
      _ -> loop(state)
    after
      patience(state) -> state |> rest() |> loop()
    end
  end

  defp patience(%{busy: true}), do: 0
  # Losses may be waiting although no event is: they are looked for each second.
  defp patience(state), do: if(state.batch.count > 0 or state.held != [], do: @idle_ms, else: 1_000)

  defp rest(%{busy: true} = state), do: resting(%{state | busy: false})
  defp rest(state), do: flush(state)

  defp resting(state) do
    Pacer.rest()
    %{state | rested_at: now_ms()}
  end

  # Who was woken rests first: mostly more comes at once, from a process that is quicker while nobody is at work on its
  # events beside it.
  defp busy(%{busy: true} = state), do: state

  defp busy(%{rested_at: at} = state) do
    state = %{state | busy: true}
    if at == nil or now_ms() - at > @awake_ms, do: resting(state), else: state
  end

  defp now_ms, do: :erlang.monotonic_time(:millisecond)

  defp take(%{failed: nil} = state, event), do: state |> busy() |> gather(state.batch, %{}, event)
  defp take(state, event), do: state |> busy() |> add(event) |> loop()

  # While events come only the batch changes, and what is known of the sites it is about: which of their values are
  # secret is asked once a batch.
  defp gather(state, batch, sites, event) do
    {value, more_flags, sites} = event |> told() |> redacted(sites, state.secrets)
    batch = Batch.add(batch, event, value, more_flags)

    if full?(batch) do
      %{state | batch: batch} |> flush() |> loop()
    else
      receive do
        {:"$es", _, _, _, _, _} = event -> gather(state, batch, sites, event)
      after
        0 -> loop(%{state | batch: batch})
      end
    end
  end

  defp full?(batch), do: Batch.size(batch) >= @batch_bytes or batch.last - batch.first > @oldest_ns

  defp add(%{failed: nil} = state, event) do
    {value, more_flags, _} = event |> told() |> redacted(%{}, state.secrets)
    batch = Batch.add(state.batch, event, value, more_flags)
    state = %{state | batch: batch}
    if full?(batch), do: flush(state), else: state
  end

  defp add(state, event) do
    {pid, _, _} = told(event)
    Ingestor.lose(state.shard, pid, 1, state.failed)
    written(state, 1)
  end

  defp told({:"$es", head, _, _, pid, value}), do: {pid, head &&& 0xFFFFFFFF, value}
  defp told({:"$es", _, _, _, _, _, site, pid, _, _, value}), do: {pid, site, value}

  # The value of an event without its secrets, and the flag that says that it had any.
  defp redacted({_, site, value}, sites, secrets) do
    cond do
      value == @none or secrets == nil ->
        {value, 0, sites}

      is_tuple(value) and site > 0 ->
        sites = if is_map_key(sites, site), do: sites, else: Map.put(sites, site, Redaction.positions(site))
        value |> Redaction.redact_at(:erlang.map_get(site, sites), secrets) |> flagged(sites)

      true ->
        value |> Redaction.redact_at([], secrets) |> flagged(sites)
    end
  end

  defp flagged({value, secret?}, sites), do: {value, if(secret?, do: @redacted, else: 0), sites}

  defp add_trace(state, trace) do
    learn(trace)
    {kept?, plumbing} = Plumbing.keep?(state.plumbing, trace)
    state = %{state | plumbing: plumbing, names: Names.learn(state.names, trace)}

    case kept? && traced(state, trace) do
      event when is_tuple(event) ->
        cond do
          state.shedding -> shed(state, event)
          Names.missing?(state.names, trace) and length(state.held) < @held -> %{state | held: [trace | state.held]}
          true -> add(state, event)
        end

      _ ->
        state
    end
  end

  # So that C need not ask the next time.
  defp learn({:trace_ts, _, what, _, told, _}) when what in [:spawn, :spawned, :return_from],
    do: Native.learn_all(told)

  defp learn(trace), do: Native.learn_all(elem(trace, 3))

  # The VM's clock may have been corrected since the recording began.
  defp traced(%{skew: 0} = state, trace), do: TraceMessage.event(trace, state.budgets, state.names)

  defp traced(state, trace) do
    with event when is_tuple(event) <- TraceMessage.event(trace, state.budgets, state.names),
         do: put_elem(event, 4, elem(event, 4) - state.skew)
  end

  # Lives and deaths are kept, whatever happens: they are few, and all else is nothing without them.
  defp shed(state, event) do
    if elem(event, 1) in [@send, @receive, @scheduled_in, @scheduled_out] do
      Ingestor.lose(state.shard, elem(event, 7), 1, :overload)
      state
    else
      add(state, event)
    end
  end

  defp look(%{traces: traces} = state) when traces >= @tell do
    {:message_queue_len, waiting} = Process.info(self(), :message_queue_len)
    limit = Ingestor.limit()
    shedding = waiting > if(state.shedding, do: div(limit, 2), else: limit)
    busy(%{state | traces: 0, shedding: shedding, skew: Clock.skew(state.skew)})
  end

  # After a rest, too.
  defp look(%{batch: %{count: 0}} = state),
    do: busy(%{state | traces: state.traces + 1, skew: Clock.skew(state.skew)})

  defp look(state), do: busy(%{state | traces: state.traces + 1})

  # An event of ours is waiting until it is written: what a killed collector had not yet is then known to be lost.
  defp written(%{depth: nil} = state, _count), do: state

  defp written(state, count) do
    Ingestor.took(state.depth, count)
    state
  end

  # Who had the name is known by now, or never. The time of an event gives its place, not where it is in the file.
  defp flush(%{held: [_ | _] = held} = state) do
    held
    |> Enum.reduce(%{state | held: []}, fn trace, state ->
      add(state, traced(state, trace))
    end)
    |> flush()
  end

  defp flush(%{failed: nil} = state) do
    losses = Ingestor.losses(state.shard)
    lost = losses |> Enum.map(&elem(&1, 1)) |> Enum.sum()
    batch = state.batch

    with :ok <- FrameFile.append(state.file, processes(batch.fresh) ++ lost(losses) ++ events(batch, lost)) do
      Ingestor.told(state.shard, losses)
      state = %{state | batch: Batch.new(batch.known), written: state.written + batch.count, lost: state.lost + lost}
      written(state, batch.count)
    else
      {:error, reason} -> fail(state, reason)
    end
  end

  defp flush(state), do: state

  # The frames of a batch.
  defp processes([]), do: []
  defp processes(fresh), do: [FrameFile.frame_of(:processes, Enum.reverse(fresh), count: length(fresh))]

  defp lost([]), do: []
  defp lost(losses), do: [FrameFile.frame_of(:loss, losses, count: length(losses))]

  defp events(%{count: 0}, 0), do: []

  defp events(batch, lost) do
    now = Clock.nanoseconds()
    opts = [first: batch.first || now, last: batch.last || now, count: batch.count, loss: lost]
    [FrameFile.frame(:events, [batch.events, batch.values], opts)]
  end

  # The disk is full or gone. The application goes on; what it does from here is counted as lost.
  defp fail(state, reason) do
    Ingestor.lose(state.shard, nil, state.batch.count, reason)
    FrameFile.complain(reason)
    written(%{state | failed: reason, batch: Batch.new(state.batch.known)}, state.batch.count)
  end

  # Ends the file in order. After a failure it stays without an end, and so is seen to be incomplete; how much is
  # missing can perhaps be told by now.
  defp close(%{failed: nil} = state) do
    state = flush(state)

    if state.failed == nil do
      FrameFile.write_term(state.file, :end, %{events: state.written, lost: state.lost})
    end

    state
  end

  defp close(%{file: nil} = state), do: state

  defp close(state) do
    losses = Ingestor.losses(state.shard)
    lost = losses |> Enum.map(&elem(&1, 1)) |> Enum.sum()

    with :ok <- FrameFile.append(state.file, lost(losses) ++ events(Batch.new(), lost)) do
      Ingestor.told(state.shard, losses)
    end

    state
  end

  defp stop(state, reason) do
    state |> drain() |> close()
    exit(reason)
  end

  # What was sent before we were told to stop is still recorded.
  defp drain(state) do
    receive do
      {:"$es", _, _, _, _, _} = event -> state |> add(event) |> drain()
      trace when is_tuple(trace) and elem(trace, 0) == :trace_ts -> state |> look() |> add_trace(trace) |> drain()
    after
      0 -> state
    end
  end

  defp answer(state, from, ref) do
    send(from, {ref, :ok})
    state
  end
end
