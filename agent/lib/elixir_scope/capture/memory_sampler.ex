defmodule ElixirScope.Capture.MemorySampler do
  @moduledoc """
  Looks at the memory of processes when tracing begins and then several times a second, and writes down that of those in
  which it has changed.

  It is what a process has allocated for itself: heaps, stack, and what is about to join them. To ask for more (messages
  that wait, shared binaries) costs the more the more there is of it. At most 500 processes are looked at at a time;
  where there are more, it takes several times until it is everyone's turn.
  """

  use GenServer
  alias ElixirScope.Capture.Meta

  @name :elixir_scope_memory
  @every_ms 200
  @at_a_time 500
  @parts [:heap_block_size, :old_heap_block_size, :mbuf_size]

  @doc "Starts it under the agent's supervisor."
  def start_link(_arg), do: GenServer.start_link(__MODULE__, nil, name: @name, spawn_opt: [max_heap_size: 0])

  @doc "Tracing has begun: a program that is quick would end before the first look."
  @spec begin() :: :ok
  def begin, do: GenServer.cast(@name, :begin)

  @impl true
  def init(nil) do
    Process.send_after(self(), :look, @every_ms)
    {:ok, %{meta: nil, known: %{}, next: 0, waiting: [], crowded: false, word: :erlang.system_info(:wordsize)}}
  end

  @impl true
  def handle_info(:look, state) do
    Process.send_after(self(), :look, @every_ms)
    handle_cast(:begin, state)
  end

  @impl true
  def handle_cast(:begin, state), do: {:noreply, state |> anew(Process.whereis(:elixir_scope_meta)) |> look()}

  # A meta file names its own processes: another one (its writer has died) knows none.
  defp anew(%{meta: meta} = state, meta), do: state
  defp anew(state, meta), do: %{state | meta: meta, known: %{}, next: 0}

  defp look(%{waiting: []} = state) do
    pids = Process.list()
    # Of those that are gone only a few are remembered.
    known = if map_size(state.known) > 2 * length(pids), do: Map.take(state.known, pids), else: state.known
    look(%{state | known: known}, pids)
  end

  defp look(state), do: look(state, state.waiting)

  defp look(state, pids) do
    {now, later} = Enum.split(pids, @at_a_time)

    {state, fresh, samples} =
      for pid <- now, pid != self(), bytes = bytes(pid, state.word), reduce: {state, [], []} do
        {state, fresh, samples} ->
          case state.known do
            %{^pid => {_, ^bytes}} ->
              {state, fresh, samples}

            %{^pid => {index, _}} ->
              {known(state, pid, index, bytes), fresh, [sample(index, bytes) | samples]}

            _ ->
              index = state.next
              state = known(%{state | next: index + 1}, pid, index, bytes)
              {state, [{index, pid} | fresh], [sample(index, bytes) | samples]}
          end
      end

    if samples != [], do: Meta.samples(fresh, samples)
    crowded(%{state | waiting: later})
  end

  defp known(state, pid, index, bytes), do: %{state | known: Map.put(state.known, pid, {index, bytes})}

  defp sample(index, bytes), do: <<index::little-32, bytes::little-64>>

  defp crowded(%{waiting: [_ | _], crowded: false} = state) do
    reason = "there were more than #{@at_a_time}: that of each is looked at the more seldom"
    Meta.write(%{what: :coverage, subject: "memory of processes", reason: reason})
    %{state | crowded: true}
  end

  defp crowded(state), do: state

  # nil for one that has ended.
  defp bytes(pid, word) do
    case :erlang.process_info(pid, :garbage_collection_info) do
      {_, info} ->
        word * Enum.reduce(info, 0, fn {part, words}, sum -> if part in @parts, do: sum + words, else: sum end)

      :undefined ->
        nil
    end
  end
end
