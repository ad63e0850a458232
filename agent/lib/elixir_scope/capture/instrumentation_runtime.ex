defmodule ElixirScope.Capture.InstrumentationRuntime do
  @moduledoc """
  The functions that instrumented code calls. Cheap, never raise, and do nothing when nothing is recorded.

  `frame` is the native time of the CALL event; with the process it names the frame. Of a frame that began when nothing
  was recorded, 0, nothing is.
  """

  use ElixirScope.Capture.Event
  import ElixirScope.Capture.Ingestor, only: [channel: 1]
  alias ElixirScope.Capture.{CallBudget, Ingestor, States, Value}

  @doc "A frame begins. Returns its name; 0 when nothing is recorded, or this call is only counted."
  @spec call(pos_integer, tuple) :: integer
  def call(site, args) do
    case Ingestor.code_channel() do
      nil ->
        0

      channel(calls: calls, argument: budget) = channel ->
        cond do
          CallBudget.spent?(calls, site) ->
            0

          args == {} or budget == :none ->
            Ingestor.begin(channel, head(@call, 0, 0, site), @none)

          Value.fits?(args, budget) ->
            Ingestor.begin(channel, head(@call, 0, 0, site), args)

          true ->
            CallBudget.charge(calls, site, budget)
            {value, cut?} = Value.clip(args, budget)
            Ingestor.begin(channel, head(@call, flags(cut?), 0, site), value)
        end
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
      channel(argument: budget) = channel -> put(channel, budget, @return, frame, site, value)
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
      channel(binding: budget) = channel -> put(channel, budget, @bind, frame, site, values)
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
    with channel(state: budget) = channel <- Ingestor.code_channel(),
         {:ok, state} <- States.after_callback(shape, before, result) do
      if before != @none and :erts_debug.same(before, state) do
        Ingestor.put(channel, head(@state, @unchanged, 1, site), frame, @none)
      else
        {value, cut?} = Value.clip(state, budget)
        Ingestor.put(channel, head(@state, flags(cut?), 1, site), frame, value)
      end
    end

    result
  end

  defp failure(_kind, 0, _site, _value), do: :ok

  defp failure(kind, frame, site, value) do
    case Ingestor.code_channel() do
      nil -> :ok
      channel(reason: budget) = channel -> put(channel, budget, kind, frame, site, value)
    end
  end

  defp put(channel, :none, kind, frame, site, _value), do: Ingestor.put(channel, head(kind, 0, 0, site), frame, @none)

  defp put(channel, budget, kind, frame, site, value) do
    if Value.fits?(value, budget) do
      Ingestor.put(channel, head(kind, 0, 0, site), frame, value)
    else
      {value, cut?} = Value.clip(value, budget)
      Ingestor.put(channel, head(kind, flags(cut?), 0, site), frame, value)
    end
  end

  defp plain(_kind, 0, _site), do: :ok

  defp plain(kind, frame, site) do
    case Ingestor.code_channel() do
      nil -> :ok
      channel -> Ingestor.put(channel, head(kind, 0, 0, site), frame, @none)
    end
  end

  defp flags(true), do: @truncated
  defp flags(false), do: 0
end
