defmodule ElixirScope.Capture.PlumbingTest do
  use ExUnit.Case, async: true
  alias ElixirScope.Capture.Plumbing

  defp pids(n), do: for(_ <- 1..n, do: spawn(fn -> :ok end))

  # What is kept of some trace messages, in order.
  defp film(filter, traces) do
    {kept, filter} =
      Enum.flat_map_reduce(traces, filter, fn trace, filter ->
        {kept?, filter} = Plumbing.keep?(filter, trace)
        {if(kept?, do: [trace], else: []), filter}
      end)

    {kept, filter}
  end

  defp tracker(parent),
    do:
      {:proc_lib, :init_p, [parent, [], :gen, :init_it, [:gen_server, parent, parent, Kernel.LexicalTracker, {}, []]]}

  test "a compiler's life and all its traffic are left out, both ends" do
    [main, tracker] = pids(2)

    {kept, filter} =
      film(Plumbing.new(), [
        {:trace_ts, main, :spawn, tracker, tracker(main), 1},
        {:trace_ts, tracker, :spawned, main, tracker(main), 2},
        {:trace_ts, tracker, :getting_linked, main, 3},
        {:trace_ts, main, :link, tracker, 3},
        {:trace_ts, main, :send, :x, tracker, 4},
        {:trace_ts, tracker, :receive, :x, main, 5},
        {:trace_ts, tracker, :send, :reply, main, 6},
        {:trace_ts, main, :receive, :reply, tracker, 7},
        {:trace_ts, tracker, :register, :name, 8},
        {:trace_ts, tracker, :exit, :normal, 9},
        # On its way when it ended.
        {:trace_ts, main, :receive, :late, tracker, 10}
      ])

    assert kept == []
    assert {true, _} = Plumbing.keep?(filter, {:trace_ts, main, :exit, :normal, 11})
  end

  test "what a compiler starts for the program is of the program" do
    [worker, child] = pids(2)
    # What the top of a script spawns.
    program = {:elixir_compiler_0, :"-__FILE__/1-fun-0-", []}
    {[], filter} = film(Plumbing.new(), [{:trace_ts, worker, :spawned, self(), {:elixir_erl_compiler, :x, []}, 1}])

    assert {[{_, ^child, :spawned, _, _, _}, {_, ^child, :receive, _, _, _}], _} =
             film(filter, [
               {:trace_ts, worker, :spawn, child, program, 2},
               {:trace_ts, child, :spawned, worker, program, 2},
               {:trace_ts, child, :receive, :x, self(), 3},
               {:trace_ts, child, :receive, :y, worker, 4}
             ])
  end

  test "processes that serve, by pid and by name" do
    code = Process.whereis(:code_server)
    filter = Plumbing.new([code])
    refute filter |> Plumbing.keep?({:trace_ts, self(), :send, :x, :code_server, 1}) |> elem(0)
    refute filter |> Plumbing.keep?({:trace_ts, self(), :send, :x, {:code_server, node()}, 1}) |> elem(0)
    refute filter |> Plumbing.keep?({:trace_ts, self(), :receive, :x, code, 1}) |> elem(0)
    assert filter |> Plumbing.keep?({:trace_ts, self(), :send, :x, {:code_server, :other@host}, 1}) |> elem(0)
    assert filter |> Plumbing.keep?({:trace_ts, self(), :send, :x, :init, 1}) |> elem(0)
    assert filter |> Plumbing.keep?({:trace_ts, self(), :receive, :x, :undefined, 1}) |> elem(0)
  end

  test "does not grow with the number of processes compiled in" do
    filter =
      Enum.reduce(pids(5_000), Plumbing.new(), fn pid, filter ->
        mfa = {:elixir_compiler, :compile, []}
        {_, filter} = film(filter, [{:trace_ts, pid, :spawned, self(), mfa, 1}, {:trace_ts, pid, :exit, :normal, 2}])
        filter
      end)

    assert map_size(filter.alive) == 0
    assert map_size(filter.ended) + map_size(filter.before) <= 512
  end
end
