defmodule ElixirScope.Capture.Ingestor do
  @moduledoc """
  The one way out of a recorded process: hands an event to the collector of that process, or drops and counts it.

  A process always uses the same collector, so that the order in a file is the order in the process. Depth is
  counted before sending: a collector that falls behind can never hurt the application.
  """

  alias ElixirScope.Capture.Meta

  @key {__MODULE__, :channel}
  @lost :elixir_scope_lost
  # Slots of the counters: 1 the limit of events per collector, then one depth per collector.
  @limit 1

  @typedoc "Everything `put/2` needs, in one term that is never copied."
  @type channel :: {pos_integer, tuple, :atomics.atomics_ref(), map}

  @doc "Makes the shared counters for `count` collectors. Returns the channel, which `publish/2` opens."
  def create(count, limit) do
    :ets.new(@lost, [:named_table, :public, write_concurrency: true])
    counters = :atomics.new(count + 1, signed: true)
    :atomics.put(counters, @limit, limit)
    :persistent_term.put({__MODULE__, :counters}, counters)
    counters
  end

  @doc "The counters of `create/2`."
  def counters, do: :persistent_term.get({__MODULE__, :counters})

  @doc "Opens the channel: from now on events are recorded."
  def publish(collectors, budgets) do
    :persistent_term.put(@key, {tuple_size(collectors), collectors, counters(), budgets})
  end

  @doc "Closes the channel: instrumented code runs on and records nothing."
  def close, do: :persistent_term.erase(@key)

  @doc "The open channel; nil when nothing is recorded."
  @spec channel() :: channel | nil
  def channel, do: :persistent_term.get(@key, nil)

  @doc "Hands over one event (see `ElixirScope.Capture.Event`) of the calling process."
  def put({count, collectors, counters, _budgets}, event) do
    n = :erlang.phash2(self(), count) + 1

    if :atomics.add_get(counters, n + 1, 1) <= :atomics.get(counters, @limit) do
      :erlang.send(:erlang.element(n, collectors), event)
    else
      :atomics.sub(counters, n + 1, 1)
      lose(n, self(), 1, :overload)
    end

    :ok
  end

  @doc "Collector `n` has taken `count` events out of its mailbox."
  def took(counters, n, count), do: :atomics.sub(counters, n + 1, count)

  @doc "Collector `n` starts with an empty mailbox; how many events were waiting for the one before."
  def reset(n), do: :atomics.exchange(counters(), n + 1, 0)

  @doc "Changes how many events may wait for one collector; 0 drops, and counts, everything."
  def limit(events), do: :atomics.put(counters(), @limit, events)

  @doc "Counts events that were dropped, by shard and process."
  def lose(shard, pid, count, reason) do
    key = {shard, pid, reason}
    :ets.update_counter(@lost, key, count, {key, 0})
  end

  @doc "Takes the counts of a shard: `[{pid, count, reason}]`."
  def take_losses(shard) do
    for [pid, reason] <- :ets.match(@lost, {{shard, :"$1", :"$2"}, :_}),
        {{_, ^pid, ^reason}, count} <- :ets.take(@lost, {shard, pid, reason}) do
      {pid, count, reason}
    end
  end

  @doc "Writes the sites of a module, before any of its events."
  def put_sites(module, info, sites), do: Meta.sites(module, info, sites)

  @doc "Writes a META frame."
  def meta(map), do: Meta.write(map)
end
