defmodule ElixirScope.Capture.Clock do
  @moduledoc """
  The time of events: the VM's monotonic time, at a third of what it costs.

  `erlang:monotonic_time/0` takes a lock, because the VM may be correcting its clock: after the wall clock was set, or
  the machine slept. The counter beneath knows no correction, and as long as there is none the two differ by a constant.
  The times of a recording are what that counter has counted since its beginning. What the VM's tracer tells in the VM's
  own time is moved by the corrections since (`skew/1`).

  With the native engine, whose clock follows the VM's, and where the counter has another unit, it is the VM's clock.
  """

  @key :elixir_scope_clock
  @tries 50
  # As well as the two can be compared, in native units.
  @tolerance 500

  @typedoc """
  The counter and the VM's time at the beginning, in native units; nil: the VM's own clock. Both, for what they differ by
  fits no word of the VM: the VM's time begins at the smallest number that does.
  """
  @type t :: {integer, integer} | nil

  @doc "Chooses the clock of a recording by `engine`."
  @spec start(:native | :portable) :: :ok
  def start(engine) do
    same? = :erlang.convert_time_unit(1, :second, :perf_counter) == :erlang.convert_time_unit(1, :second, :native)
    :persistent_term.put(@key, if(engine == :portable and same?, do: beginning()))
  end

  # Of what is read within the shortest time: nothing came in between.
  defp beginning do
    {_, counter, vm} =
      Enum.min(for _ <- 1..@tries, do: read() |> then(fn {from, vm, to} -> {to - from, div(from + to, 2), vm} end))

    {counter, vm}
  end

  defp read, do: {:os.perf_counter(), :erlang.monotonic_time(), :os.perf_counter()}

  @doc "The clock of the recording."
  @spec current() :: t
  def current, do: :persistent_term.get(@key, nil)

  @doc "The time, in native units. A macro, for a call would cost half as much as reading it."
  defmacro now(clock) do
    quote do
      case unquote(clock) do
        nil -> :erlang.monotonic_time()
        {counter, vm} -> :os.perf_counter() - counter + vm
      end
    end
  end

  @doc "The time, in nanoseconds."
  @spec nanoseconds() :: integer
  def nanoseconds, do: :erlang.convert_time_unit(now(current()), :native, :nanosecond)

  @doc """
  How far the VM's clock is ahead of the recording's, given how far it was: what an event of the VM's tracer is to be moved
  back by.
  """
  @spec skew(integer) :: integer
  def skew(before) do
    case current() do
      nil ->
        0

      {counter, began} ->
        {from, vm, to} = read()
        skew(before, from - counter + began, vm, to - counter + began)
    end
  end

  @doc """
  As `skew/1`, when the VM's clock showed `vm` between `from` and `to` of ours. It stays as it was while that may be so, and
  when there was an interruption, after which nothing is known.
  """
  @spec skew(integer, integer, integer, integer) :: integer
  def skew(before, from, vm, to) do
    same? = vm - before >= from - @tolerance and vm - before <= to + @tolerance
    if same? or interrupted?(to - from), do: before, else: vm - div(from + to, 2)
  end

  defp interrupted?(time), do: :erlang.convert_time_unit(time, :native, :microsecond) >= 5
end
