defmodule ElixirScope.Capture.LoopsTest do
  # Loops of ten million rounds, recorded as `elixirscope record` does it: they stay flat, in VMs of their own.
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Traced, only: [engines: 0]
  alias ElixirScope.Test.{ChildVM, RawFiles}

  setup :own_folder

  # A frame kept per round would need at least two words in each of them.
  @code """
  defmodule One do
    def loop(0), do: :done
    def loop(n), do: loop(n - 1)
    def to(0), do: :done
    def to(n), do: Other.back(n - 1)
    def serve(n) do
      receive do
        {:total, from} -> send(from, {:total, n}); serve(n)
        {:add, m} when m > 0 -> serve(n + m)
      end
    end
  end
  defmodule Other do
    def back(0), do: :done
    def back(n), do: One.to(n - 1)
  end
  flat = [:monitor, max_heap_size: %{size: 100_000, kill: true, error_logger: false}]
  for fun <- [fn -> One.loop(10_000_000) end, fn -> One.to(10_000_000) end] do
    {pid, ref} = :erlang.spawn_opt(fun, flat)
    receive do {:DOWN, ^ref, _, ^pid, reason} -> IO.puts(reason) end
  end
  {server, _} = :erlang.spawn_opt(fn -> One.serve(0) end, [message_queue_data: :off_heap] ++ flat)
  ask = fn ->
    send(server, {:total, self()})
    total = receive do {:total, total} -> total end
    :erlang.garbage_collect(server)
    {total, Process.info(server, :memory)}
  end
  {0, memory} = ask.()
  for _ <- 1..100 do
    for _ <- 1..10_000, do: send(server, {:add, 1})
    ask.()
  end
  {1_000_000, ^memory} = ask.()
  IO.puts("flat")
  """

  for engine <- engines() do
    test "ten million rounds alone and through two modules, a million of a server: #{engine}", %{tmp_dir: dir} do
      {output, status} = ChildVM.run(dir, @code, "messages => false", unquote(engine))
      assert {output, status} == {"normal\nnormal\nflat\n", 0}
      raw = Path.join(dir, "raw")
      assert RawFiles.complete?(raw)
      # Each of these functions was recorded, as often as the plan allows, and then counted.
      counted =
        for %{what: :counted, calls: calls} <- RawFiles.metas(raw),
            {{_, :function, name, _, _}, n, _} <- calls,
            do: {name, n}

      for name <- [:loop, :to, :back, :serve], do: assert(Enum.sum(for {^name, n} <- counted, do: n) > 100_000)
      assert length(RawFiles.events(raw)) > 20_000
    end
  end
end
