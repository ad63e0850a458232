defmodule ElixirScope.Capture.CallLimit do
  @moduledoc """
  How many calls a second each function may have recorded, so that all calls together cost no more than
  `calls_percent` of one processor's time: the more often a function is called, the sooner it is only counted. Pure:
  told the time and what was spent until then, it says the limit.

  It begins at `calls_per_second` and is never above that. While more is spent than may be, it falls in proportion, and
  at once. After a second in which less than half was spent, it doubles.
  """

  @least 20
  # What was spent before the first look may be a moment's: it does not fall further than that at a time.
  @steepest 0.1

  @type t :: %{
          most: pos_integer,
          share: float,
          limit: pos_integer,
          looked: {integer, integer},
          second: {integer, integer}
        }

  @doc "At the plan's limit. `now` and `spent` in ns."
  @spec new(map, integer, integer) :: t
  def new(limits, now, spent \\ 0) do
    most = limits.calls_per_second
    %{most: most, share: limits.calls_percent / 100, limit: most, looked: {now, spent}, second: {now, spent}}
  end

  @doc "The limit after a look at `now`, when `spent` ns were spent in all."
  @spec look(t, integer, integer) :: t
  def look(%{looked: {before, spent_before}} = state, now, spent) do
    rate = (spent - spent_before) / max(now - before, 1)
    state = %{state | looked: {now, spent}}

    if rate > state.share,
      do: %{state | limit: max(trunc(state.limit * max(state.share / rate, @steepest)), min(@least, state.most))},
      else: state
  end

  @doc "The limit for the next second."
  @spec turn(t, integer, integer) :: t
  def turn(%{second: {before, spent_before}} = state, now, spent) do
    rate = (spent - spent_before) / max(now - before, 1)
    limit = if 2 * rate < state.share, do: min(2 * state.limit, state.most), else: state.limit
    %{state | limit: limit, second: {now, spent}}
  end
end
