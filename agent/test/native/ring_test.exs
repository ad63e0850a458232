defmodule ElixirScope.Native.RingTest do
  # Rings without a pipeline: the library is one for the VM.
  use ExUnit.Case, async: false
  alias ElixirScope.Capture.{Native, NativeRuntime}
  alias ElixirScope.Test.NativeLibrary

  with {:error, reason} <- NativeLibrary.load(), do: @moduletag(skip: reason)
  @moduletag :tmp_dir

  test "rings take no more than half of what is free, and are powers of two" do
    mb = 1_048_576
    assert Native.size(1_000 * mb, 5, 64 * mb) == 16 * mb
    assert Native.size(1_000 * mb, 5, 16 * mb) == 16 * mb
    assert Native.size(1_000 * mb, 5, 16 * mb - 1) == 8 * mb
    assert Native.size(64 * mb, 5, 16 * mb) == 4 * mb
    assert Native.size(64 * mb, 3, 16 * mb) == 8 * mb
    assert Native.size(12 * mb, 5, 16 * mb) == 1 * mb
    assert Native.size(10 * mb, 5, 16 * mb) == nil
    assert Native.size(0, 5, 16 * mb) == nil
    assert Native.size(1_000 * mb, 65, 1) == 1 * mb

    for free <- [13, 40, 99], count <- [2, 3, 5, 6], size = Native.size(free * mb, count, 64 * mb) do
      assert 2 * ((count - 1) * size + mb) <= free * mb
    end
  end

  @mb 1_048_576
  @part div(@mb, 2)

  test "blocks of a ring are there before they are used: some at first, more the more is written", %{tmp_dir: dir} do
    rings = rings(dir, 4 * @mb)
    assert Enum.all?(rings, &(bytes(&1) in @part..@mb))
    # The writer comes to the end of them.
    numbers = Enum.to_list(1..20_000)
    assert recorded(numbers) == {numbers, 0}
    assert [{used, n}] = for({path, n} <- Enum.with_index(rings), bytes(path) >= @mb, do: {path, n})
    assert bytes(used) in (20_000 * 64)..(4 * @part)
    NativeRuntime.ahead(n)
    assert bytes(used) > 2 * 20_000 * 64
  end

  test "without room for its first blocks there is no ring; without room for more it goes round in those it has",
       %{tmp_dir: dir} do
    small = Path.join(dir, "small")
    File.mkdir_p!(small)
    # For two parts of one of them.
    room = "size=#{(:erlang.system_info(:schedulers) + 2) * (div(@part, 1024) + 8)}k"

    # Where a small file system may be mounted.
    if match?({_, 0}, System.cmd("mount", ~w(-t tmpfs -o) ++ [room, "tmpfs", small], stderr_to_stdout: true)) do
      on_exit(fn -> System.cmd("umount", ["-l", small]) end)
      rings(small, 4 * @mb)

      for round <- 1..5 do
        {numbers, lost} = recorded(Enum.to_list(1..60_000))
        assert numbers == Enum.to_list(1..length(numbers))
        assert length(numbers) + lost == 60_000
        assert length(numbers) in 8_000..20_000, "round #{round}: #{length(numbers)}"
      end

      NativeRuntime.recording(0)
      NativeRuntime.discard()
      no_space = 28
      path = Path.join(small, "more.ring")
      assert NativeRuntime.create(path, @mb, 300, path) == {:error, no_space}
      refute File.exists?(path)
    end
  end

  defp rings(dir, size) do
    on_exit(fn ->
      NativeRuntime.recording(0)
      NativeRuntime.discard()
    end)

    :ok = NativeRuntime.discard()
    :ok = NativeRuntime.configure({512, 512, 512, 512, 512}, [], 0)
    :ok = NativeRuntime.calls_begin()
    paths = for n <- 0..:erlang.system_info(:schedulers), do: Path.join(dir, "#{n}.ring")
    for {path, n} <- Enum.with_index(paths), do: :ok = NativeRuntime.create(path, size, 300 + n, path)
    NativeRuntime.recording(1)
    paths
  end

  # What is there afterwards of these numbers, which a process writes that stays on one scheduler and so with one ring;
  # and how many are not.
  defp recorded(numbers) do
    {_, ref} = :erlang.spawn_opt(fn -> for n <- numbers, do: NativeRuntime.call(1, {n}) end, [:monitor, scheduler: 1])
    assert_receive {:DOWN, ^ref, _, _, :normal}, 60_000
    rest = for n <- 0..:erlang.system_info(:schedulers), do: drained(n, [])
    {Enum.flat_map(rest, &elem(&1, 0)), rest |> Enum.map(&elem(&1, 1)) |> Enum.sum()}
  end

  defp drained(n, chunks) do
    {tail, bytes, told, count} = NativeRuntime.mark(n)

    case NativeRuntime.drain(n, 262_144) do
      {:empty, lost} ->
        NativeRuntime.advance(n, tail, bytes, lost, count)
        {chunks |> Enum.reverse() |> Enum.concat(), lost - told}

      {tail, _lost, _processes, events, values, _count, _first, _last} ->
        NativeRuntime.advance(n, tail, bytes, told, count)

        chunk =
          for <<_::binary-size(40), at::little-32, size::little-32 <- events>>,
              {n} = :erlang.binary_to_term(binary_part(values, at, size)),
              do: n

        drained(n, [chunk | chunks])
    end
  end

  defp bytes(path) do
    {blocks, 0} = System.cmd("stat", ["-c", "%b %B", path])
    [count, bytes] = blocks |> String.split() |> Enum.map(&String.to_integer/1)
    count * bytes
  end
end
