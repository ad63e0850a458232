defmodule ElixirScope.Capture.Collector do
  @moduledoc """
  Takes events out of its mailbox and writes them to one raw file, in batches.

  Each collector of instrumented code serves the processes that hash to it; one more, the shard `:vm`, is the VM's
  tracer. A special process of its own (`:proc_lib`) rather than a GenServer: it handles nothing but events.
  """

  use ElixirScope.Capture.Event
  alias ElixirScope.Capture.{Batch, FrameFile, Ingestor, Redaction, VMTracer}

  @batch_bytes 65_536
  @idle_ms 20
  @oldest_ns 100_000_000
  # How often the depth is told and, for the VM tracer, the queue is looked at.
  @tell 64

  @doc false
  def child_spec({shard, _, _} = arg) do
    %{id: {__MODULE__, shard}, start: {__MODULE__, :start_link, [arg]}, shutdown: 10_000}
  end

  @doc "Starts the collector of `{shard, dir, plan}`; shard is a number from 1, or `:vm`."
  def start_link(arg) do
    :proc_lib.start_link(__MODULE__, :init, [self(), arg], 5_000, [{:message_queue_data, :off_heap}])
  end

  @doc false
  def init(parent, {shard, dir, plan}) do
    Process.flag(:trap_exit, true)

    case FrameFile.open(dir, if(shard == :vm, do: :vm, else: shard - 1)) do
      {:ok, file} ->
        waiting = if shard == :vm, do: 0, else: Ingestor.reset(shard)
        if waiting > 0, do: Ingestor.lose(shard, nil, waiting, :collector_restarted)

        state = %{
          parent: parent,
          shard: shard,
          file: file,
          batch: Batch.new(),
          words: Enum.map(plan.redact.keys, &String.downcase/1),
          budgets: plan.budgets,
          limit: plan.limits.collector_events,
          counters: Ingestor.counters(),
          taken: 0,
          shedding: false,
          written: 0,
          lost: 0,
          failed: nil
        }

        :proc_lib.init_ack(parent, {:ok, self()})
        loop(state)

      {:error, reason} ->
        :proc_lib.init_ack(parent, {:error, {:cannot_write, dir, reason}})
    end
  end

  defp loop(state) do
    receive do
      {:"$es", _, _, _, _, _, _, _, _, _, _} = event -> state |> add(event) |> took() |> loop()
      {:flush, from, ref} -> state |> flush() |> answer(from, ref) |> loop()
      {:close, from, ref} -> state |> close() |> answer(from, ref) |> loop()
      {:EXIT, parent, reason} when parent == state.parent -> stop(state, reason)
      trace when is_tuple(trace) -> state |> add_trace(trace) |> took() |> loop()
      _ -> loop(state)
    after
      # Losses may be waiting although no event is: they are looked for each second.
      if(state.batch.count > 0, do: @idle_ms, else: 1_000) -> state |> flush() |> loop()
    end
  end

  defp add(%{failed: nil} = state, event) do
    {value, secret?} =
      case elem(event, 10) do
        @none -> {@none, false}
        value -> Redaction.redact(value, elem(event, 6), state.words)
      end

    batch = Batch.add(state.batch, event, value, if(secret?, do: 2, else: 0))
    state = %{state | batch: batch}
    if Batch.size(batch) >= @batch_bytes or batch.last - batch.first > @oldest_ns, do: flush(state), else: state
  end

  defp add(state, event) do
    Ingestor.lose(state.shard, elem(event, 7), 1, state.failed)
    state
  end

  defp add_trace(state, trace) do
    case VMTracer.event(trace, state.budgets) do
      nil -> state
      event when state.shedding -> shed(state, event)
      event -> add(state, event)
    end
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

  defp took(%{taken: taken} = state) when taken < @tell - 1, do: %{state | taken: taken + 1}

  defp took(%{shard: :vm} = state) do
    {:message_queue_len, waiting} = Process.info(self(), :message_queue_len)
    shedding = waiting > if(state.shedding, do: div(state.limit, 2), else: state.limit)
    %{state | taken: 0, shedding: shedding}
  end

  defp took(state) do
    Ingestor.took(state.counters, state.shard, @tell)
    %{state | taken: 0}
  end

  defp flush(%{failed: nil} = state) do
    losses = Ingestor.take_losses(state.shard)
    lost = losses |> Enum.map(&elem(&1, 1)) |> Enum.sum()
    batch = state.batch

    with :ok <- write_processes(state.file, batch.fresh),
         :ok <- write_losses(state.file, losses),
         :ok <- write_events(state.file, batch, lost) do
      %{state | batch: Batch.new(batch.known), written: state.written + batch.count, lost: state.lost + lost}
    else
      {:error, reason} -> fail(state, losses, reason)
    end
  end

  defp flush(state), do: state

  defp write_processes(_file, []), do: :ok

  defp write_processes(file, fresh) do
    FrameFile.write_term(file, :processes, Enum.reverse(fresh), count: length(fresh))
  end

  defp write_losses(_file, []), do: :ok
  defp write_losses(file, losses), do: FrameFile.write_term(file, :loss, losses, count: length(losses))

  defp write_events(_file, %{count: 0}, 0), do: :ok

  defp write_events(file, batch, lost) do
    now = :erlang.monotonic_time(:nanosecond)
    opts = [first: batch.first || now, last: batch.last || now, count: batch.count, loss: lost]
    FrameFile.write(file, :events, [batch.events, batch.values], opts)
  end

  # The disk is full or gone. The application goes on; what it does from here is counted as lost.
  defp fail(state, losses, reason) do
    for {pid, count, why} <- losses, do: Ingestor.lose(state.shard, pid, count, why)
    Ingestor.lose(state.shard, nil, state.batch.count, reason)

    if :persistent_term.get({__MODULE__, :warned}, false) == false do
      :persistent_term.put({__MODULE__, :warned}, true)

      text =
        "elixirscope: recording stopped: #{:file.format_error(reason)}. The program runs on; free space and record again.\n"

      :io.put_chars(:standard_error, text)
    end

    %{state | failed: reason, batch: Batch.new(state.batch.known)}
  end

  # Ends the file in order. After a failure it stays without an end, and so is seen to be incomplete.
  defp close(state) do
    state = flush(state)

    if state.failed == nil do
      FrameFile.write_term(state.file, :end, %{events: state.written, lost: state.lost})
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
      {:"$es", _, _, _, _, _, _, _, _, _, _} = event -> state |> add(event) |> drain()
      trace when is_tuple(trace) and elem(trace, 0) == :trace_ts -> state |> add_trace(trace) |> drain()
    after
      0 -> state
    end
  end

  defp answer(state, from, ref) do
    send(from, {ref, :ok})
    state
  end
end
