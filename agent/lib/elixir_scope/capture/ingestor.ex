defmodule ElixirScope.Capture.Ingestor do
  @moduledoc """
  The one way out of a recorded process: hands an event to the collector of that process, or drops and counts it.

  A process always uses the same collector, so that the order in a file is the order in the process. Room for an event
  is taken before sending: a collector that falls behind can never hurt the application.
  """

  import Record
  alias ElixirScope.Capture.{CallBudget, Clock, Meta, Redaction}
  alias ElixirScope.Plan
  require Clock

  # Into each of the three that end in it: a call costs as much as all that it does before it sends.
  @compile {:inline, hand: 5}

  # Atoms: looking up a tuple takes twice as long as all else with a key.
  @key :elixir_scope_channel
  @code :elixir_scope_code
  @limit {__MODULE__, :limit}
  @lost :elixir_scope_lost

  # Reading an atomic waits until all that was written before is; adding to it does no more than that. So what every
  # event needs to know of it is one sum: how much room is left.
  @room 1
  @written 2
  @given 3

  @typedoc "A collector, and the room for events that wait for it (of its own: no two collectors share a cache line)."
  @type slot :: {pid, :atomics.atomics_ref()}
  # Everything an event needs, in one term that is never copied: slots and how many, the clock, the budget of calls, and
  # those of values, by what they are values of: bytes, or `:none`.
  @budgets [:argument, :binding, :reason, :state]
  defrecord :channel, [:slots, :count, :clock, :calls | @budgets]

  @type channel ::
          record(:channel,
            slots: tuple,
            count: pos_integer,
            clock: Clock.t(),
            calls: CallBudget.t(),
            argument: budget,
            binding: budget,
            reason: budget,
            state: budget
          )
  @type budget :: non_neg_integer | :none

  @doc "Makes what all share; the tables belong to the caller, which must outlive the pipeline."
  @spec create(non_neg_integer) :: :ok
  def create(limit) do
    :ets.new(@lost, [:named_table, :public, write_concurrency: true])
    :persistent_term.put(@limit, :atomics.new(1, signed: true))
    limit(limit)
  end

  @doc "A place for a collector in the channel: room for events, and how many it has written."
  @spec slot(pid) :: slot
  def slot(collector) do
    room = :atomics.new(3, signed: true)
    give(room, limit())
    {collector, room}
  end

  @doc "Opens the channel: from now on events are recorded, of instrumented code when `code/1` says so."
  @spec publish([slot], map) :: :ok
  def publish(slots, budgets) do
    channel =
      channel(slots: List.to_tuple(slots), count: length(slots), clock: Clock.current(), calls: CallBudget.current())

    :persistent_term.put(@key, budgets(channel, budgets))
  end

  @doc "Closes the channel: instrumented code runs on and records nothing."
  def close do
    :persistent_term.put(@key, nil)
    :persistent_term.put(@code, nil)
  end

  @doc "What instrumented code may record: everything, `:calls` without values, or `:nothing`."
  @spec code(:everything | :calls | :nothing) :: :ok
  def code(what) do
    channel = if what != :nothing, do: open()
    channel = if channel != nil and what == :calls, do: budgets(channel, %{}), else: channel
    :persistent_term.put(@code, channel)
  end

  defp budgets(channel, budgets) do
    [argument, binding, reason, state] = for of <- @budgets, do: Map.get(budgets, of, :none)
    channel(channel, argument: argument, binding: binding, reason: reason, state: state)
  end

  @doc "The open channel; nil when nothing is recorded."
  @spec open() :: channel | nil
  def open, do: :persistent_term.get(@key, nil)

  @doc "The channel as it is open for instrumented code."
  @spec code_channel() :: channel | nil
  def code_channel, do: :persistent_term.get(@code, nil)

  @doc "The collectors of the open channel."
  @spec collectors() :: [pid]
  def collectors do
    case open() do
      channel(slots: slots) -> for {pid, _} <- Tuple.to_list(slots), do: pid
      nil -> []
    end
  end

  @doc "Hands over a CALL of the calling process; its time, which names the frame."
  @spec begin(channel, non_neg_integer, term) :: integer
  def begin(channel(clock: clock) = channel, head, value) do
    frame = Clock.now(clock)
    hand(channel, head, frame, frame, value)
    frame
  end

  @doc "Hands over any other event of the calling process; the parts are those of `ElixirScope.Capture.Event`."
  @spec put(channel, non_neg_integer, integer, term) :: :ok
  def put(channel(clock: clock) = channel, head, frame, value),
    do: hand(channel, head, Clock.now(clock), frame, value)

  @doc "As `put/4`, of an event that has its time."
  @spec put(channel, non_neg_integer, integer, integer, term) :: :ok
  def put(channel, head, ts, frame, value), do: hand(channel, head, ts, frame, value)

  defp hand(channel(slots: slots, count: count), head, ts, frame, value) do
    n = :erlang.phash2(self(), count) + 1
    {collector, room} = :erlang.element(n, slots)

    if :atomics.add_get(room, @room, -1) >= 0 do
      :erlang.!(collector, {:"$es", head, ts, frame, self(), value})
    else
      :atomics.add(room, @room, 1)
      lose(n, self(), 1, :overload)
    end

    :ok
  end

  @doc "So many events are written, or counted as lost: there is room for others."
  def took(room, count) do
    :atomics.add(room, @room, count)
    :atomics.add(room, @written, count)
  end

  @doc "How many events were ever handed over."
  def handed(room), do: :atomics.get(room, @given) - :atomics.get(room, @room) + :atomics.get(room, @written)

  @doc "How many events wait; from then on none."
  def forget(room) do
    given = :atomics.get(room, @given)
    given - :atomics.exchange(room, @room, given)
  end

  @doc "How many events may wait for one collector."
  @spec limit() :: integer
  def limit, do: :atomics.get(:persistent_term.get(@limit), 1)

  @doc "Changes how many events may wait for one collector; 0 drops, and counts, everything."
  @spec limit(non_neg_integer) :: :ok
  def limit(events) do
    :atomics.put(:persistent_term.get(@limit), 1, events)

    with channel(slots: slots) <- open() do
      for {_, room} <- Tuple.to_list(slots), do: give(room, events)
    end

    :ok
  end

  # May leave less room than none.
  defp give(room, events), do: :atomics.add(room, @room, events - :atomics.exchange(room, @given, events))

  # So many events in each of so many tries.
  @sample 100
  @tries 5

  @doc """
  What handing over an event costs a process here, in ns: the middle of some tries with a collector that takes all, which
  together take less than a millisecond.
  """
  @spec cost_ns() :: pos_integer
  def cost_ns do
    taker = :erlang.spawn_opt(&take/0, message_queue_data: :off_heap, max_heap_size: 0)
    {_, room} = slot(taker)
    :atomics.put(room, @room, @sample * @tries)
    channel = channel(slots: {{taker, room}}, count: 1, clock: Clock.current())

    times =
      for _ <- 1..@tries do
        begun = :erlang.monotonic_time(:nanosecond)
        for n <- 1..@sample, do: begin(channel, n, {n, :value})
        div(:erlang.monotonic_time(:nanosecond) - begun, @sample)
      end

    Process.exit(taker, :kill)
    times |> Enum.sort() |> Enum.at(div(@tries, 2)) |> max(1)
  end

  defp take do
    receive do
      _ -> take()
    end
  end

  @doc "Counts events that were dropped, by shard (1 and up, or `:vm`) and process."
  @spec lose(pos_integer | :vm, pid | nil, non_neg_integer, term) :: :ok
  def lose(shard, pid, count, reason) do
    key = {shard, pid, reason}
    :ets.update_counter(@lost, key, count, {key, 0})
    :ok
  rescue
    # The agent has ended in the middle of this; there is nobody left to count for.
    ArgumentError -> :ok
  end

  @doc "The counts of a shard that are not told yet: `[{pid, count, reason}]`."
  def losses(shard) do
    for [pid, reason, count] <- :ets.match(@lost, {{shard, :"$1", :"$2"}, :"$3"}), count > 0, do: {pid, count, reason}
  end

  @doc "These counts are on disk. Until then they stay: a collector may be killed on the way."
  def told(shard, losses) do
    for {pid, count, reason} <- losses do
      key = {shard, pid, reason}
      :ets.update_counter(@lost, key, -count, {key, 0})
      :ets.delete_object(@lost, {key, 0})
    end

    :ok
  end

  @doc "Whether nobody asked this before, in this recording."
  @spec first?(atom) :: boolean
  def first?(what) do
    :ets.insert_new(@lost, {what, 0})
  rescue
    # There is no recording (any more).
    ArgumentError -> false
  end

  @doc """
  Gives the sites of a module their budgets, and what is secret of them. Returns what says in the recording what they
  mean, with META frames that go with them: it is to be written before any of the module's events.
  """
  @spec sites(module, map, [tuple], [map]) :: Meta.frames()
  def sites(module, info, sites, told \\ []) do
    CallBudget.announce(module, sites)
    # Here, and not where they are written: that may be late, or never.
    with %{} = plan <- Plan.current(), do: Redaction.note_sites(module, sites, Redaction.rules(plan))
    Meta.sites(module, info, sites, told)
  end

  @doc "As `sites/4`, and writes it."
  @spec put_sites(module, map, [tuple]) :: :ok
  def put_sites(module, info, sites), do: module |> sites(info, sites) |> Meta.put()

  @doc "Writes a META frame."
  def meta(map), do: Meta.write(map)
end
