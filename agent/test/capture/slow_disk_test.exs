defmodule ElixirScope.Capture.SlowDiskTest do
  # A disk that takes a fraction of what the program makes: the program does not wait, the agent's memory stays as it is,
  # and what is not written is counted, process by process.
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  alias ElixirScope.Test.{ChildVM, NativeLibrary, RawFiles, SlowDisk}

  setup :own_folder

  if :os.type() != {:unix, :linux} or System.find_executable("cc") == nil,
    do: @moduletag(skip: "needs Linux and a C compiler")

  @events 100_000
  @limit 8_000_000

  # What the collectors hold is looked at while they fall behind.
  @code """
  alias ElixirScope.Capture.{Ingestor, Native}
  runtime = Native.runtime()
  used = fn -> Ingestor.collectors() |> Enum.map(&elem(Process.info(&1, :memory), 1)) |> Enum.sum() end
  workers = for _ <- 1..3 do
    spawn_monitor(fn -> Process.put(:used, for n <- 1..#{@events}, reduce: 0 do
      most ->
        runtime.call(1, {n})
        if rem(n, 10_000) == 0, do: max(most, used.()), else: most
    end); exit({:used, Process.get(:used)}) end)
  end
  most = for {pid, ref} <- workers, do: (receive do {:DOWN, ^ref, _, ^pid, {:used, used}} -> used end)
  IO.puts("used \#{Enum.max(most)}")
  """

  for engine <- if(match?({:ok, _}, NativeLibrary.library()), do: [:portable, :native], else: [:portable]) do
    test "#{engine}: the program runs to its end, and all it made is written or counted", %{tmp_dir: dir} do
      SlowDisk.set(dir, 2_000_000)
      # Rings are as small as they may be.
      limits =
        "limits => \#{collector_events => 2000, memory_bytes => #{@limit}}, lifecycle => false, messages => false"

      limits = limits <> ", every_call => [<<\"*\">>]"
      File.write!(Path.join(dir, "script.exs"), @code)
      env = ChildVM.environment(dir, limits, unquote(engine)) ++ SlowDisk.environment(dir)
      {output, 0} = System.cmd("elixir", [Path.join(dir, "script.exs")], env: env, stderr_to_stdout: true)
      assert [_, used] = Regex.run(~r/^used (\d+)$/m, output)
      assert String.to_integer(used) < @limit

      raw = Path.join(dir, "raw")
      assert RawFiles.complete?(raw)
      kept = for(%{site: 1, kind: :call} = e <- RawFiles.events(raw), do: e.pid) |> Enum.frequencies()
      losses = RawFiles.losses(raw)
      lost = Enum.reduce(losses, %{}, fn {pid, count, _}, sums -> Map.update(sums, pid, count, &(&1 + count)) end)
      assert Enum.sum(Map.values(kept)) + Enum.sum(Map.values(lost)) == 3 * @events
      assert map_size(Map.delete(lost, nil)) > 0
      # Where it is told whose they were, each process has all.
      if not is_map_key(lost, nil),
        do: for({pid, count} <- lost, do: assert(count + Map.get(kept, pid, 0) == @events))
    end
  end
end
