# The speed of a recorded process while nobody takes its events, as a share of its speed while somebody does. ENGINE, DIR,
# RUNS; SLOW_DISK, where `slow_disk.c` is preloaded: the same with a disk that takes 5 MB a second.
# `RESULT overload_ENGINE.stopped` and `.slow`, and `.lost`: events that were dropped and counted.

Code.require_file("support.exs", __DIR__)
alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, NativeRuntime, PipelineManager}

defmodule Bench.Overload do
  # More than collectors and rings hold.
  @pairs 1_000_000

  def main do
    dir = System.fetch_env!("DIR")
    runs = String.to_integer(System.get_env("RUNS", "9"))
    wanted = String.to_atom(System.fetch_env!("ENGINE"))
    engine = Bench.start(dir, wanted)

    if engine == wanted do
      runtime = if engine == :native, do: NativeRuntime, else: InstrumentationRuntime

      ways = [
        {"taken", fn -> measure(runtime) end},
        {"stopped", fn -> stopped(engine, fn -> measure(runtime) end) end}
      ]

      slow = System.get_env("SLOW_DISK")
      ways = if slow, do: ways ++ [{"slow", fn -> slow(slow, fn -> measure(runtime) end) end}], else: ways
      [{_, taken} | hindered] = Bench.medians(ways, runs)
      PipelineManager.close()
      {_, lost} = Bench.written(dir)
      for {way, time} <- hindered, do: Bench.result("overload_#{engine}.#{way}", taken / time)
      Bench.result("overload_#{engine}.lost", lost)
    end
  end

  # As fast as it goes, so that events are dropped while they are taken, too.
  defp measure(runtime) do
    Bench.in_fresh_process(@pairs, 2, fn ->
      frame = runtime.call(1, {1, :b})
      runtime.return(frame, 2, {:ok, 1})
    end)
  end

  defp stopped(engine, fun) do
    takers = takers(engine)
    Enum.each(takers, &suspend/1)
    time = fun.()
    Enum.each(takers, &:erlang.resume_process/1)
    PipelineManager.flush()
    time
  end

  defp slow(file, fun) do
    File.write!(file, "5000000")
    time = fun.()
    File.rm!(file)
    PipelineManager.flush()
    time
  end

  # Refused by OTP 25 with `internal_error` now and then while the other runs native code that may block, as files are.
  defp suspend(pid, times \\ 100) do
    :erlang.suspend_process(pid)
  rescue
    error in ErlangError ->
      if times == 0 or not Process.alive?(pid), do: reraise(error, __STACKTRACE__)
      :erlang.yield()
      suspend(pid, times - 1)
  end

  defp takers(:portable), do: Ingestor.collectors()

  defp takers(:native),
    do: for(n <- 0..:erlang.system_info(:schedulers), pid = Process.whereis(:"elixir_scope_drainer_#{n}"), do: pid)
end

Bench.Overload.main()
