defmodule ElixirScope.Capture.ValueCostTest do
  # Work and bytes follow the number of events and their budget, never the term. Counted, not timed. The pipeline
  # is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  alias ElixirScope.Capture.InstrumentationRuntime
  alias ElixirScope.Test.{Pipeline, RawFiles}

  setup :own_folder
  @events 2_000
  @budget 512

  # What recording `fun` took in a process of its own: reductions, and bytes on disk.
  defp cost(dir, fun) do
    pipeline = Pipeline.start(dir)
    test = self()

    # With room enough that nothing is collected: that counts as work, and follows the term.
    {pid, ref} =
      :erlang.spawn_opt(
        fn ->
          {:reductions, before} = Process.info(self(), :reductions)
          fun.()
          {:reductions, later} = Process.info(self(), :reductions)
          send(test, {:cost, later - before})
        end,
        [:monitor, min_heap_size: 8_000_000]
      )

    assert_receive {:cost, reductions}, 120_000
    assert_receive {:DOWN, ^ref, _, ^pid, :normal}, 60_000
    Pipeline.stop(pipeline)
    events = RawFiles.events(dir)
    assert length(events) == @events
    assert RawFiles.losses(dir) == []

    bytes =
      Enum.sum(
        for file <- RawFiles.read(dir), frame <- file.frames, frame.type == :events, do: byte_size(frame.payload)
      )

    # A marker for what was cut, and what tags of external format add to the rough measure.
    assert bytes <= @events * (48 + 2 * @budget)
    %{reductions: reductions, bytes: bytes}
  end

  # The same number of events with a small term and a large one; neither fits the budget.
  defp same_cost(dir, small, large) do
    small = cost(Path.join(dir, "small"), small)
    large = cost(Path.join(dir, "large"), large)
    assert large.reductions <= 1.3 * small.reductions
    assert large.bytes <= 1.3 * small.bytes
  end

  defp parse(_rest, 0), do: :ok

  defp parse(<<_, rest::binary>> = text, n) do
    InstrumentationRuntime.call(1, {text})
    parse(rest, n - 1)
  end

  test "a recursive parser over 10 MB, each call with the rest of it", %{tmp_dir: dir} do
    small = :binary.copy("0123456789", 1_000)
    large = :binary.copy("0123456789", 1_000_000)
    same_cost(dir, fn -> parse(small, @events) end, fn -> parse(large, @events) end)
  end

  test "a map of 100,000 keys in every call", %{tmp_dir: dir} do
    calls = fn map -> fn -> for _ <- 1..@events, do: InstrumentationRuntime.call(1, {map}) end end
    maps = for size <- [1_000, 100_000], do: Map.new(1..size, &{&1, {:row, &1}})
    [small, large] = Enum.map(maps, calls)
    same_cost(dir, small, large)
  end

  defp descend([], _), do: :ok
  defp descend(_, 0), do: :ok

  defp descend([_ | rest] = list, n) do
    InstrumentationRuntime.call(1, {list, n})
    descend(rest, n - 1)
  end

  test "a long list passed down a recursion", %{tmp_dir: dir} do
    small = Enum.to_list(1..10_000)
    large = Enum.to_list(1..1_000_000)
    same_cost(dir, fn -> descend(small, @events) end, fn -> descend(large, @events) end)
  end

  test "a deep list", %{tmp_dir: dir} do
    calls = fn depth ->
      deep = Enum.reduce(1..depth, [], fn n, inner -> [n, inner] end)
      fn -> for _ <- 1..@events, do: InstrumentationRuntime.call(1, {deep}) end
    end

    same_cost(dir, calls.(1_000), calls.(500_000))
  end
end
