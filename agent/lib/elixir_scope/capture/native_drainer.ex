defmodule ElixirScope.Capture.NativeDrainer do
  @moduledoc """
  Brings what is in one ring into frames: fifty times a second while anything comes, twenty times while nothing does. The ring is told what is safe only when it
  is written, together with how long the file then was: so whoever goes on after a crash, this process restarted or
  the recorder when the VM is gone, cuts the file back to there and repeats nothing and misses nothing.
  """

  use GenServer
  alias ElixirScope.Capture.{FrameFile, Native, NativeRuntime}

  # While anything comes, and the longest while nothing does.
  @every_ms 20
  @seldom_ms 50
  @chunk 262_144
  # A writer is in the middle of an event for microseconds.
  @settle_ms 2

  def child_spec(ring),
    do: %{id: {__MODULE__, ring.number}, start: {__MODULE__, :start_link, [ring]}, shutdown: 10_000}

  def start_link(ring),
    do: GenServer.start_link(__MODULE__, ring, name: name(ring.number), spawn_opt: [max_heap_size: 0])

  @doc "`:flush` writes everything committed until now; `:close` also ends the file and removes the ring."
  def ask(number, what), do: :gen_server.send_request(name(number), what)

  @doc "Returns when what was asked is done, cannot be, or takes too long."
  def answered(request) do
    :gen_server.receive_response(request, 4_000)
    :ok
  end

  defp name(number), do: :"elixir_scope_drainer_#{number}"

  @impl true
  def init(ring) do
    Process.flag(:trap_exit, true)
    # It does little, and that must not wait for a program that keeps all schedulers busy.
    Process.flag(:priority, :high)

    case reopen(ring, NativeRuntime.mark(ring.number)) do
      {:ok, file, bytes} ->
        state = %{
          ring: ring,
          file: file,
          bytes: bytes,
          wait: @every_ms,
          failed: nil,
          unwritten: 0,
          closed: false
        }

        {:ok, state, {:continue, :drain}}

      {:error, reason} ->
        {:stop, {:cannot_write, ring.frames, reason}}
    end
  end

  defp reopen(ring, {tail, 0, lost, events}) do
    with {:ok, file} <- FrameFile.create(ring.frames, 256 + ring.number),
         {:ok, bytes} <- :file.position(file, :cur) do
      NativeRuntime.advance(ring.number, tail, bytes, lost, events)
      {:ok, file, bytes}
    end
  end

  defp reopen(ring, {_tail, bytes, _lost, _events}) do
    with {:ok, file} <- :file.open(ring.frames, [:read, :write, :raw, :binary]),
         {:ok, ^bytes} <- :file.position(file, bytes),
         :ok <- :file.truncate(file),
         do: {:ok, file, bytes}
  end

  @impl true
  def handle_continue(:drain, state) do
    {:noreply, again(state, drain(state))}
  end

  @impl true
  def handle_info(:drain, state), do: {:noreply, again(state, drain(state))}
  def handle_info(_, state), do: {:noreply, state}

  @impl true
  def handle_call(:flush, _from, state), do: {:reply, :ok, drain(state)}
  def handle_call(:close, _from, state), do: {:reply, :ok, close(state)}

  @impl true
  def terminate(_reason, %{closed: true}), do: :ok

  def terminate(reason, state) when reason == :shutdown or reason == :normal do
    Native.close()
    close(state)
  end

  # Restarted: the next one goes on.
  def terminate(_reason, _state), do: :ok

  defp again(_before, %{closed: true} = state), do: state

  # All drainers at the same times: to wake a scheduler costs more than to find a ring empty, above all while the
  # program starts or compiles and nothing comes.
  defp again(before, state) do
    wait = if state.bytes > before.bytes, do: @every_ms, else: min(2 * before.wait, @seldom_ms)
    next = (Integer.floor_div(:erlang.monotonic_time(:millisecond), wait) + 1) * wait
    Process.send_after(self(), :drain, next, abs: true)
    %{state | wait: wait}
  end

  # All that is committed, chunk by chunk: what comes while we write is soon enough for the next time, unless much does.
  defp drain(state, unnamed \\ 1)
  defp drain(%{closed: true} = state, _unnamed), do: state

  defp drain(%{ring: %{number: n}} = state, unnamed) do
    {tail, _, told, _} = NativeRuntime.mark(n)
    drained = NativeRuntime.drain(n, @chunk)
    # Asked later, for what is named is lost by then.
    losers = NativeRuntime.lost_by(n)

    case drained do
      {:empty, lost} ->
        losses = losses(lost - told, losers, unnamed)
        if losses == [], do: state, else: write(state, tail, told, losses, {[], <<>>, <<>>, 0, nil, nil})

      {tail, lost, processes, events, values, count, first, last} ->
        batch = {processes, events, values, count, first, last}
        state = write(state, tail, told, losses(lost - told, losers, unnamed), batch)
        if byte_size(events) + byte_size(values) > div(@chunk, 2), do: drain(state, unnamed), else: state
    end
  end

  # Rows of a LOSS frame: by process as far as it is known, nil for the others (a drainer may have died with what it
  # knew). So many may yet be named: a writer is in the middle of one.
  defp losses(loss, losers, unnamed) do
    others = loss - sum(losers) - unnamed
    if others > 0, do: [{nil, others} | losers], else: losers
  end

  defp sum(losses), do: Enum.sum(for {_, count} <- losses, do: count)

  defp write(%{failed: nil, file: file} = state, tail, told, losses, batch) do
    {_, _, _, before} = NativeRuntime.mark(state.ring.number)

    frames = processes(elem(batch, 0)) ++ lost(losses, :overload) ++ events(batch, sum(losses))
    bytes = state.bytes + IO.iodata_length(frames)

    with :ok <- FrameFile.append(file, frames) do
      NativeRuntime.advance(state.ring.number, tail, bytes, told + sum(losses), before + elem(batch, 3))
      %{state | bytes: bytes}
    else
      {:error, reason} ->
        FrameFile.complain(reason)
        write(%{state | failed: reason}, tail, told, losses, batch)
    end
  end

  # The disk is full or gone: the ring is emptied all the same, and what was in it is lost.
  defp write(state, tail, told, losses, batch) do
    {_, bytes, _, events} = NativeRuntime.mark(state.ring.number)
    NativeRuntime.advance(state.ring.number, tail, bytes, told + sum(losses), events)
    %{state | unwritten: state.unwritten + sum(losses) + elem(batch, 3)}
  end

  # The frames of a batch.
  defp processes([]), do: []

  defp processes(encoded) do
    processes = for {index, pid} <- Enum.reverse(encoded), do: {index, :erlang.binary_to_term(pid)}
    [FrameFile.frame_of(:processes, processes, count: length(processes))]
  end

  defp lost([], _reason), do: []

  defp lost(losses, reason) do
    rows = for {pid, count} <- losses, do: {pid, count, reason}
    [FrameFile.frame_of(:loss, rows, count: length(rows))]
  end

  defp events({_, _, _, 0, _, _}, 0), do: []

  defp events({_, events, values, count, first, last}, loss) do
    now = :erlang.monotonic_time(:nanosecond)
    [FrameFile.frame(:events, [events, values], first: first || now, last: last || now, count: count, loss: loss)]
  end

  defp close(%{closed: true} = state), do: state

  defp close(state) do
    state = drain_all(state, 1)

    receive do
    after
      @settle_ms -> :ok
    end

    state = drain_all(state, 0)
    finish(state)
    Native.remove(state.ring)
    %{state | closed: true}
  end

  defp drain_all(state, unnamed) do
    state = drain(state, unnamed)
    if match?({:empty, _}, NativeRuntime.drain(state.ring.number, 1)), do: state, else: drain_all(state, unnamed)
  end

  # After a failure the file stays without an end, and so is seen to be incomplete; how much is missing can perhaps
  # be told by now.
  defp finish(%{failed: nil} = state) do
    {_, _, lost, events} = NativeRuntime.mark(state.ring.number)
    FrameFile.write_term(state.file, :end, %{events: events, lost: lost})
  end

  defp finish(%{unwritten: 0}), do: :ok
  defp finish(state), do: FrameFile.append(state.file, lost([{nil, state.unwritten}], state.failed))
end
