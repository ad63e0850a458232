defmodule ElixirScope.OnceTest do
  use ExUnit.Case, async: true
  alias ElixirScope.Once

  # What needs `made`, as its users do: it looks whether it is there, before and once more.
  defp need(made, making) do
    if :atomics.get(made, 1) == 0 do
      Once.run(__MODULE__, fn -> if :atomics.get(made, 1) == 0, do: making.() end)
    end

    {:atomics.get(made, 1), Process.info(self(), [:messages, :monitors, :links])}
  end

  test "whoever comes while it is made waits until it is, and no longer" do
    test = self()
    made = :atomics.new(1, [])

    making = fn ->
      send(test, {:making, self()})
      receive(do: (:go -> :atomics.add(made, 1, 1)))
    end

    ask = fn -> spawn_monitor(fn -> exit({:found, need(made, making)}) end) end
    first = ask.()
    assert_receive {:making, maker}
    others = for _ <- 1..20, do: ask.()
    # All of them have come to where they wait: for the name, in processes of their own.
    until(fn -> length(Keyword.get(Process.info(maker, [:monitored_by]), :monitored_by)) == 21 end)
    refute_received {:DOWN, _, _, _, _}
    send(maker, :go)

    for {pid, ref} <- [first | others] do
      assert_receive {:DOWN, ^ref, :process, ^pid, {:found, found}}
      assert found == {1, [messages: [], monitors: [], links: []]}
    end

    refute_received {:making, _}
    assert Process.whereis(__MODULE__) == nil
  end

  defp until(condition), do: unless(condition.(), do: until(condition))
end
