# So many events a second for so long: what is lost. ENGINE, DIR, RATE (events a second), SECONDS, KEY.
# `RESULT KEY.rate` events a second that were written, `KEY.lost`, `KEY.memory` bytes of the agent at most.

Code.require_file("support.exs", __DIR__)
alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, NativeRuntime, PipelineManager}

defmodule Bench.Sustained do
  # Work comes in slots of so many milliseconds; who is early sleeps, as programs do.
  @slot 5

  def main do
    dir = System.fetch_env!("DIR")
    key = System.fetch_env!("KEY")
    rate = String.to_integer(System.fetch_env!("RATE"))
    seconds = String.to_integer(System.fetch_env!("SECONDS"))
    engine = Bench.start(dir, String.to_atom(System.fetch_env!("ENGINE")))
    runtime = if engine == :native, do: NativeRuntime, else: InstrumentationRuntime
    parts = System.schedulers_online()
    pairs = div(rate * @slot, 2_000 * parts)
    slots = div(seconds * 1_000, @slot)
    watcher = Task.async(fn -> highest(Ingestor.collectors(), 0) end)
    begun = :erlang.monotonic_time(:millisecond)

    1..parts
    |> Enum.map(fn _ -> Task.async(fn -> paced(runtime, begun, 0, slots, pairs) end) end)
    |> Task.await_many(:infinity)

    took = :erlang.monotonic_time(:millisecond) - begun
    send(watcher.pid, :enough)
    PipelineManager.close()
    {events, lost} = Bench.written(dir)
    Bench.result("#{key}.made", parts * pairs * 2 * slots)
    Bench.result("#{key}.rate", events * 1_000 / took)
    Bench.result("#{key}.lost", lost)
    Bench.result("#{key}.memory", Task.await(watcher))
  end

  defp paced(_runtime, _begun, slots, slots, _pairs), do: :ok

  defp paced(runtime, begun, slot, slots, pairs) do
    pairs(runtime, slot, pairs)
    wait(begun + (slot + 1) * @slot - :erlang.monotonic_time(:millisecond))
    paced(runtime, begun, slot + 1, slots, pairs)
  end

  defp pairs(_runtime, _slot, 0), do: :ok

  defp pairs(runtime, slot, n) do
    frame = runtime.call(1, {slot, :b})
    runtime.return(frame, 2, {:ok, slot})
    pairs(runtime, slot, n - 1)
  end

  defp wait(ms) when ms <= 0, do: :ok

  defp wait(ms) do
    receive do
    after
      ms -> :ok
    end
  end

  defp highest(collectors, most) do
    used = for pid <- collectors, {:memory, bytes} <- [Process.info(pid, :memory)], do: bytes
    most = max(most, Enum.sum(used))

    receive do
      :enough -> most
    after
      100 -> highest(collectors, most)
    end
  end
end

Bench.Sustained.main()
