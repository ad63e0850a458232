defmodule ElixirScope.Capture.NamesTest do
  use ExUnit.Case, async: true
  alias ElixirScope.Capture.Names

  defp pid, do: spawn(fn -> :ok end)

  test "a message goes to who had the name when it was sent" do
    [first, second] = [pid(), pid()]

    names =
      %{}
      |> Names.learn({:trace_ts, first, :register, :server, 10})
      |> Names.learn({:trace_ts, first, :unregister, :server, 20})
      |> Names.learn({:trace_ts, second, :register, :server, 30})

    assert Names.receiver(names, :server, 15) == first
    assert Names.receiver(names, :server, 29) == first
    assert Names.receiver(names, {:server, node()}, 30) == second
    assert Names.receiver(names, :server, 9) == first
    assert Names.receiver(names, {:server, :other@host}, 30) == nil
    assert Names.receiver(names, second, 1) == second
    assert Names.receiver(names, make_ref(), 1) == nil
  end

  test "a name from before" do
    assert Names.receiver(%{}, :init, 1) == Process.whereis(:init)
    assert Names.receiver(%{}, :nobody_at_all, 1) == nil
  end

  test "only a local name without a bearer is missing" do
    names = Names.learn(%{}, {:trace_ts, self(), :register, :server, 10})
    sent = fn to -> {:trace_ts, self(), :send, :hello, to, 20} end
    assert Names.missing?(names, sent.(:nobody_at_all))
    assert Names.missing?(names, sent.({:nobody_at_all, node()}))
    refute Names.missing?(names, sent.(:server))
    refute Names.missing?(names, sent.({:nobody_at_all, :other@host}))
    refute Names.missing?(names, sent.(self()))
    refute Names.missing?(names, {:trace_ts, self(), :send_to_non_existing_process, :hello, :nobody_at_all, 20})
  end

  test "a name that changes hands for ever takes no more room" do
    names = Enum.reduce(1..1_000, %{}, &Names.learn(&2, {:trace_ts, self(), :register, :server, &1}))
    assert length(names.server) < 20
    assert Names.receiver(names, :server, 1_000) == self()
  end
end
