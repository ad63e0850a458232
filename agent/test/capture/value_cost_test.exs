defmodule ElixirScope.Capture.ValueCostTest do
  # Work and bytes follow the number of events and their budget, never the term. Portably work is counted; what C
  # does the VM does not count, and its processor time is taken: to follow the term would take it a hundred times as
  # much. The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  alias ElixirScope.Capture.{InstrumentationRuntime, NativeRuntime}
  alias ElixirScope.Test.{NativeLibrary, Pipeline, RawFiles}

  setup :own_folder
  @events 2_000
  @budget 512
  @tries 3
  @native NativeLibrary.load()

  # What recording `fun` took in a process of its own: work, the least of some tries, and bytes on disk.
  defp cost(dir, engine, fun) do
    pipeline = Pipeline.start(dir, "", engine)
    test = self()

    # With room enough that nothing is collected: that counts as work, and follows the term.
    {pid, ref} =
      :erlang.spawn_opt(
        fn -> send(test, {:cost, Enum.min(for _ <- 1..@tries, do: work(engine, fun))}) end,
        [:monitor, min_heap_size: 16_000_000]
      )

    assert_receive {:cost, work}, 120_000
    assert_receive {:DOWN, ^ref, _, ^pid, :normal}, 60_000
    Pipeline.stop(pipeline)
    events = RawFiles.events(dir)
    assert length(events) == @tries * @events
    assert RawFiles.losses(dir) == []

    bytes =
      Enum.sum(
        for file <- RawFiles.read(dir), frame <- file.frames, frame.type == :events, do: byte_size(frame.payload)
      )

    # A marker for what was cut, and what tags of external format add to the rough measure.
    assert bytes <= @tries * @events * (48 + 2 * @budget)
    %{work: work, bytes: bytes}
  end

  defp work(engine, fun) do
    begun = spent(engine)
    fun.()
    spent(engine) - begun
  end

  defp spent(:portable), do: self() |> Process.info(:reductions) |> elem(1)
  defp spent(:native), do: :runtime |> :erlang.statistics() |> elem(0)

  # The same number of events with a small term and a large one; neither fits the budget.
  defp same_cost(dir, engine, small, large) do
    small = cost(Path.join(dir, "small"), engine, small)
    large = cost(Path.join(dir, "large"), engine, large)
    # Times are told apart from each other from some milliseconds on.
    assert large.work <= if(engine == :portable, do: 1.3 * small.work, else: 5 * small.work + 50)
    assert large.bytes <= 1.3 * small.bytes
  end

  defp parse(_runtime, _rest, 0), do: :ok

  defp parse(runtime, <<_, rest::binary>> = text, n) do
    runtime.call(1, {text})
    parse(runtime, rest, n - 1)
  end

  defp descend(_runtime, [], _), do: :ok
  defp descend(_runtime, _, 0), do: :ok

  defp descend(runtime, [_ | rest] = list, n) do
    runtime.call(1, {list, n})
    descend(runtime, rest, n - 1)
  end

  defp repeat(runtime, term), do: fn -> for _ <- 1..@events, do: runtime.call(1, {term}) end

  for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
    @engine engine
    @runtime runtime
    if engine == :native, do: with({:error, reason} <- @native, do: @describetag(skip: reason))

    describe "#{engine}:" do
      test "a recursive parser over 10 MB, each call with the rest of it", %{tmp_dir: dir} do
        [small, large] = for n <- [1_000, 1_000_000], do: :binary.copy("0123456789", n)
        parse = fn text -> fn -> parse(@runtime, text, @events) end end
        same_cost(dir, @engine, parse.(small), parse.(large))
      end

      test "a map of 100,000 keys in every call", %{tmp_dir: dir} do
        [small, large] = for size <- [1_000, 100_000], do: Map.new(1..size, &{&1, {:row, &1}})
        same_cost(dir, @engine, repeat(@runtime, small), repeat(@runtime, large))
      end

      test "a long list passed down a recursion", %{tmp_dir: dir} do
        [small, large] = for size <- [10_000, 1_000_000], do: Enum.to_list(1..size)
        descend = fn list -> fn -> descend(@runtime, list, @events) end end
        same_cost(dir, @engine, descend.(small), descend.(large))
      end

      test "a deep list", %{tmp_dir: dir} do
        [small, large] = for depth <- [1_000, 500_000], do: Enum.reduce(1..depth, [], fn n, inner -> [n, inner] end)
        same_cost(dir, @engine, repeat(@runtime, small), repeat(@runtime, large))
      end
    end
  end
end
