defmodule ElixirScope.Capture.InstrumentationRuntime do
  @moduledoc """
  The functions that instrumented code calls. Cheap, never raise, and do nothing when nothing is recorded.

  `frame` is the native time of the CALL event; with the process it names the frame.
  """

  use ElixirScope.Capture.Event
  alias ElixirScope.Capture.{Ingestor, States, Value}

  @compile {:inline, flags: 1}

  @doc "A frame begins. Returns its name; 0 when nothing is recorded."
  @spec call(pos_integer, tuple) :: integer
  def call(site, args) do
    case Ingestor.channel() do
      nil ->
        0

      {_, _, _, %{argument: budget}} = channel ->
        {value, cut?} = if args == {}, do: {@none, false}, else: Value.clip(args, budget)
        frame = :erlang.monotonic_time()
        Ingestor.put(channel, {:"$es", @call, flags(cut?), 0, frame, frame, site, self(), nil, 0, value})
        frame
    end
  end

  @doc "As `call/2`, at level `calls`: no values."
  def call0(site), do: call(site, {})

  @doc "A frame ends with a value, which is also returned."
  @spec return(integer, pos_integer, value) :: value when value: term
  def return(frame, site, value) do
    put(@return, frame, site, value, :argument)
    value
  end

  @doc "As `return/3`, at level `calls`: the value is not recorded."
  def return0(frame, site) do
    put(@return, frame, site, @none, :argument)
    :ok
  end

  @doc "As `return0/2`, and passes the value through."
  def return0(frame, site, value) do
    put(@return, frame, site, @none, :argument)
    value
  end

  @doc "A frame ends by calling something in tail position."
  def tail(frame, site), do: put(@tail, frame, site, @none, :argument)

  @doc "Variables were bound; `values` in the order of the site's names."
  def bind(frame, site, values), do: put(@bind, frame, site, values, :binding)

  @doc "An exception was caught in this frame: every deeper one has ended."
  def caught(frame, site, class, reason, stack), do: put(@caught, frame, site, {class, reason, stack}, :reason)

  @doc "This frame is about to raise."
  def raising(frame, site, class, reason), do: put(@raise, frame, site, {class, reason}, :reason)

  @doc """
  An OTP callback returned: takes the new state out of its result, which is passed through. `shape` is one of
  `ElixirScope.AST.Callbacks`.
  """
  def state(frame, site, shape, before, result) do
    with channel when channel != nil <- Ingestor.channel(),
         {:ok, state} <- States.after_callback(shape, before, result) do
      ts = :erlang.monotonic_time()

      if before != @none and :erts_debug.same(before, state) do
        Ingestor.put(channel, {:"$es", @state, @unchanged, 1, ts, frame, site, self(), nil, 0, @none})
      else
        {value, cut?} = Value.clip(state, elem(channel, 3).state)
        Ingestor.put(channel, {:"$es", @state, flags(cut?), 1, ts, frame, site, self(), nil, 0, value})
      end
    end

    result
  end

  defp put(kind, frame, site, value, budget) do
    case Ingestor.channel() do
      nil ->
        :ok

      channel ->
        {value, cut?} = Value.clip(value, Map.fetch!(elem(channel, 3), budget))
        ts = :erlang.monotonic_time()
        Ingestor.put(channel, {:"$es", kind, flags(cut?), 0, ts, frame, site, self(), nil, 0, value})
    end
  end

  defp flags(true), do: @truncated
  defp flags(false), do: 0
end
