defmodule ElixirScope.Capture.InstrumentationRuntime do
  @moduledoc """
  The functions that instrumented code calls. Cheap, never raise, and do nothing when nothing is recorded.

  `frame` is the native time of the CALL event; with the process it names the frame. Of a frame that began when nothing
  was recorded, 0, nothing is.
  """

  use ElixirScope.Capture.Event
  alias ElixirScope.Capture.{CallBudget, Clock, Ingestor, States, Value}

  @compile {:inline, flags: 1, put: 4, put: 6, arguments: 4}

  @doc "A frame begins. Returns its name; 0 when nothing is recorded, or this call is only counted."
  @spec call(pos_integer, tuple) :: integer
  def call(site, args) do
    case Ingestor.code_channel() do
      nil ->
        0

      {_, _, clock, %{argument: budget}, calls} = channel ->
        if CallBudget.spent?(calls, site) do
          0
        else
          {value, cut?} = arguments(args, budget, calls, site)
          frame = Clock.now(clock)
          Ingestor.put(channel, {:"$es", head(@call, flags(cut?), 0, site), frame, frame, self(), value})
          frame
        end
    end
  end

  defp arguments({}, _budget, _calls, _site), do: {@none, false}
  defp arguments(_args, :none, _calls, _site), do: {@none, false}

  defp arguments(args, budget, calls, site) do
    if Value.fits?(args, budget) do
      {args, false}
    else
      CallBudget.charge(calls, site, budget)
      Value.clip(args, budget)
    end
  end

  @doc "As `call/2`, at level `calls`: no values."
  def call0(site), do: call(site, {})

  @doc "A frame ends with a value, which is also returned."
  @spec return(integer, pos_integer, value) :: value when value: term
  def return(0, _site, value), do: value

  def return(frame, site, value) do
    case Ingestor.code_channel() do
      nil -> :ok
      {_, _, _, %{argument: budget}, _} = channel -> put(channel, budget, @return, frame, site, value)
    end

    value
  end

  @doc "As `return/3`, at level `calls`: the value is not recorded."
  def return0(frame, site), do: plain(@return, frame, site)

  @doc "As `return0/2`, and passes the value through."
  def return0(frame, site, value) do
    plain(@return, frame, site)
    value
  end

  @doc "A frame ends by calling something in tail position."
  def tail(frame, site), do: plain(@tail, frame, site)

  @doc "Variables were bound; `values` in the order of the site's names."
  def bind(0, _site, _values), do: :ok

  def bind(frame, site, values) do
    case Ingestor.code_channel() do
      nil -> :ok
      {_, _, _, %{binding: budget}, _} = channel -> put(channel, budget, @bind, frame, site, values)
    end
  end

  @doc "An exception was caught in this frame: every deeper one has ended."
  def caught(frame, site, class, reason, stack), do: failure(@caught, frame, site, {class, reason, stack})

  @doc "This frame is about to raise."
  def raising(frame, site, class, reason), do: failure(@raise, frame, site, {class, reason})

  @doc """
  An OTP callback returned: takes the new state out of its result, which is passed through. `shape` is one of
  `ElixirScope.AST.Callbacks`.
  """
  def state(frame, site, shape, before, result) do
    with {_, _, clock, %{state: budget}, _} = channel <- Ingestor.code_channel(),
         {:ok, state} <- States.after_callback(shape, before, result) do
      ts = Clock.now(clock)

      if before != @none and :erts_debug.same(before, state) do
        Ingestor.put(channel, {:"$es", head(@state, @unchanged, 1, site), ts, frame, self(), @none})
      else
        {value, cut?} = Value.clip(state, budget)
        Ingestor.put(channel, {:"$es", head(@state, flags(cut?), 1, site), ts, frame, self(), value})
      end
    end

    result
  end

  defp failure(_kind, 0, _site, _value), do: :ok

  defp failure(kind, frame, site, value) do
    case Ingestor.code_channel() do
      nil -> :ok
      {_, _, _, %{reason: budget}, _} = channel -> put(channel, budget, kind, frame, site, value)
    end
  end

  defp put(channel, :none, kind, frame, site, _value), do: put(channel, head(kind, 0, 0, site), frame, @none)

  defp put(channel, budget, kind, frame, site, value) do
    if Value.fits?(value, budget) do
      put(channel, head(kind, 0, 0, site), frame, value)
    else
      {value, cut?} = Value.clip(value, budget)
      put(channel, head(kind, flags(cut?), 0, site), frame, value)
    end
  end

  defp put({_, _, clock, _, _} = channel, head, frame, value),
    do: Ingestor.put(channel, {:"$es", head, Clock.now(clock), frame, self(), value})

  defp plain(_kind, 0, _site), do: :ok

  defp plain(kind, frame, site) do
    with {_, _, clock, _, _} = channel <- Ingestor.code_channel() do
      ts = Clock.now(clock)
      Ingestor.put(channel, {:"$es", head(kind, 0, 0, site), ts, frame, self(), @none})
    end

    :ok
  end

  defp flags(true), do: @truncated
  defp flags(false), do: 0
end
