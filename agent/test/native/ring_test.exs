defmodule ElixirScope.Native.RingTest do
  # Rings without a pipeline: the library is one for the VM.
  use ExUnit.Case, async: false
  alias ElixirScope.Capture.{Native, NativeRuntime}
  alias ElixirScope.Test.NativeLibrary

  with {:error, reason} <- NativeLibrary.load(), do: @moduletag(skip: reason)
  @moduletag :tmp_dir

  @mb 1_048_576
  @first div(@mb, 2)

  test "rings take no more than half of what is free, and no more than is wanted" do
    least = &(&1 * (@first + 4096))
    assert Native.growth(1_000 * @mb, 5, 64 * @mb) == 64 * @mb - least.(5)
    assert Native.growth(64 * @mb, 5, 64 * @mb) == 32 * @mb - least.(5)
    assert Native.growth(6 * @mb, 5, 64 * @mb) == 3 * @mb - least.(5)
    assert Native.growth(1_000 * @mb, 65, 1) == 0
    assert Native.growth(5 * @mb, 5, 64 * @mb) == nil
    assert Native.growth(0, 2, 64 * @mb) == nil
  end

  test "a ring is small while it is read, and doubles when it is not, as far as there is room", %{tmp_dir: dir} do
    rings = rings(dir, 7 * @first)
    # Each fits: what was read makes room.
    for from <- [1, 3_001, 6_001] do
      numbers = Enum.to_list(from..(from + 2_999))
      assert recorded(numbers) == {numbers, 0}
      assert Enum.map(rings, &bytes/1) |> Enum.all?(&(&1 in @first..@mb))
    end

    # More than three of those, which it takes in three steps from wherever its records lie.
    numbers = Enum.to_list(1..40_000)
    assert recorded(numbers) == {numbers, 0}
    assert Enum.map(rings, &div(bytes(&1), @first)) |> Enum.sort(:desc) |> hd() == 8
    # And more than all.
    {kept, lost} = recorded(Enum.to_list(1..80_000))
    assert kept == Enum.to_list(1..length(kept))
    assert lost == 80_000 - length(kept) and length(kept) in 60_000..65_536
    assert Enum.map(rings, &div(bytes(&1), @first)) |> Enum.sort(:desc) |> hd() == 8
  end

  test "wherever its records lie when a ring doubles, all of them stay as they are", %{tmp_dir: dir} do
    for before <- 0..9_000//1_500 do
      rings(dir, 3 * @first)
      laps = if before > 0, do: Enum.to_list(1..before), else: []
      assert recorded(laps) == {laps, 0}
      numbers = Enum.to_list(1..20_000)
      assert recorded(numbers) == {numbers, 0}
      given_up(dir)
    end
  end

  test "without room for its blocks there is no ring; without room for more it stays as it is", %{tmp_dir: dir} do
    small = Path.join(dir, "small")
    File.mkdir_p!(small)
    # For one of them to double.
    room = "size=#{(:erlang.system_info(:schedulers) + 2) * (div(@first, 1024) + 8)}k"

    # Where a small file system may be mounted.
    if match?({_, 0}, System.cmd("mount", ~w(-t tmpfs -o) ++ [room, "tmpfs", small], stderr_to_stdout: true)) do
      on_exit(fn -> System.cmd("umount", ["-l", small]) end)
      rings(small, 64 * @mb)

      for round <- 1..5 do
        {numbers, lost} = recorded(Enum.to_list(1..60_000))
        assert numbers == Enum.to_list(1..length(numbers))
        assert length(numbers) + lost == 60_000
        assert length(numbers) in 12_000..20_000, "round #{round}: #{length(numbers)}"
      end

      NativeRuntime.recording(0)
      # What is given up takes no room.
      :ok = NativeRuntime.discard()
      [next, large] = for name <- ["next.ring", "large.ring"], do: Path.join(small, name)
      assert NativeRuntime.create(next, @mb, 300, next) == :ok
      no_space = 28
      assert NativeRuntime.create(large, 64 * @mb, 301, large) == {:error, no_space}
      refute File.exists?(large)
    end
  end

  defp given_up(dir) do
    NativeRuntime.recording(0)
    :ok = NativeRuntime.discard()
    for path <- Path.wildcard(Path.join(dir, "*.ring")), do: File.rm!(path)
  end

  defp rings(dir, growth) do
    on_exit(fn ->
      NativeRuntime.recording(0)
      NativeRuntime.discard()
    end)

    :ok = NativeRuntime.discard()
    :ok = NativeRuntime.configure({512, 512, 512, 512, 512}, [], 0)
    :ok = NativeRuntime.calls_begin()
    :ok = NativeRuntime.growth(growth)
    paths = for n <- 0..:erlang.system_info(:schedulers), do: Path.join(dir, "#{n}.ring")
    for {path, n} <- Enum.with_index(paths), do: :ok = NativeRuntime.create(path, @first, 300 + n, path)
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
