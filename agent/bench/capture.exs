# What recording costs the recorded process, in ns of wall time per event: medians of interleaved runs.
#
#     cd agent && mix run --no-start bench/capture.exs
#
# Each scenario is measured plain (the same code, nothing recorded), with the portable engine, and, where it has an
# equal, with the VM's call trace (`return_trace`, to a process). Collectors drain between the runs, not during the
# measured part more than they do in life: a run is short enough to stay below the limit of waiting events.

alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, PipelineManager}

defmodule Bench.Subject do
  # Kept out of line, as instrumented functions are.
  def small(a, b), do: {a, b}
  def big(term), do: term
end

defmodule Bench do
  @events 4_000
  @runs 9

  def main do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_#{System.pid()}")
    File.mkdir_p!(dir)
    plan = Path.join(dir, "plan.terms")
    File.write!(plan, "\#{version => 1, redact => \#{keys => [<<\"password\">>, <<\"token\">>]}}.")
    {:ok, plan} = ElixirScope.Plan.load(plan)
    {:ok, _} = ElixirScope.Application.start_link(%{dir: dir, plan: plan, hello: %{what: :hello}})
    PipelineManager.ready()

    machine()
    IO.puts(String.pad_trailing("ns per event (median of #{@runs})", 36) <> "   plain  portable  VM trace")

    for {name, events, run, recorded, traced} <- scenarios() do
      plain = fn -> measure(events, run) end
      portable = fn -> measure(events, recorded) end
      trace = fn -> traced && measure_traced(events, run, traced) end
      times = for _ <- 1..@runs, do: {plain.(), portable.(), trace.()}

      cells = for n <- 0..2, do: times |> Enum.map(&elem(&1, n)) |> median() |> cell()
      IO.puts(String.pad_trailing(name, 36) <> Enum.join(cells))
    end

    PipelineManager.flush()
    lost = for n <- 1..8, {_, count, _} <- Ingestor.take_losses(n), do: count
    IO.puts("lost: #{Enum.sum(lost)} events")
    File.rm_rf!(dir)
  end

  # {name, events per round, plain, recorded, function to trace}
  defp scenarios do
    # Made at run time: a literal would be sent without being copied.
    big = Map.new(1..100, &{&1, "text #{&1}, and some more of it to make five kilobytes"})
    state = Map.new(1..50, &{&1, {:row, &1}})
    changed = Map.put(state, 1, :changed)

    [
      {"call and return, small arguments", 2, fn -> Bench.Subject.small(1, :b) end,
       fn ->
         frame = InstrumentationRuntime.call(1, {1, :b})
         InstrumentationRuntime.return(frame, 2, Bench.Subject.small(1, :b))
       end, {Bench.Subject, :small, 2}},
      {"call and return, no values", 2, fn -> Bench.Subject.small(1, :b) end,
       fn ->
         frame = InstrumentationRuntime.call0(1)
         InstrumentationRuntime.return0(frame, 2, Bench.Subject.small(1, :b))
       end, nil},
      {"binding", 1, fn -> {1, "two"} end, fn -> InstrumentationRuntime.bind(1, 3, {1, "two"}) end, nil},
      {"state, unchanged", 1, fn -> {:noreply, state} end,
       fn -> InstrumentationRuntime.state(1, 4, :gen_server, state, {:noreply, state}) end, nil},
      {"state, changed (50 keys)", 1, fn -> {:noreply, changed} end,
       fn -> InstrumentationRuntime.state(1, 4, :gen_server, state, {:noreply, changed}) end, nil},
      {"call and return, 5 KB term, cut", 2, fn -> Bench.Subject.big(big) end,
       fn ->
         frame = InstrumentationRuntime.call(1, {big})
         InstrumentationRuntime.return(frame, 2, Bench.Subject.big(big))
       end, {Bench.Subject, :big, 1}}
    ]
  end

  # In a fresh process, as calls are made in life.
  defp measure(events, fun) do
    rounds = div(@events, events)
    PipelineManager.flush()

    Task.async(fn ->
      repeat(100, fun)
      begun = :erlang.monotonic_time(:nanosecond)
      repeat(rounds, fun)
      (:erlang.monotonic_time(:nanosecond) - begun) / (rounds * events)
    end)
    |> Task.await(60_000)
  end

  defp measure_traced(events, fun, mfa) do
    sink = spawn(&sink/0)
    :erlang.trace_pattern(mfa, [{:_, [], [{:return_trace}]}], [:local])

    time =
      Task.async(fn ->
        :erlang.trace(self(), true, [:call, :monotonic_timestamp, {:tracer, sink}])
        rounds = div(@events, events)
        repeat(100, fun)
        begun = :erlang.monotonic_time(:nanosecond)
        repeat(rounds, fun)
        (:erlang.monotonic_time(:nanosecond) - begun) / (rounds * events)
      end)
      |> Task.await(60_000)

    :erlang.trace_pattern(mfa, false, [:local])
    Process.exit(sink, :kill)
    time
  end

  defp sink do
    receive do
      _ -> sink()
    end
  end

  defp repeat(0, _), do: :ok

  defp repeat(n, fun) do
    fun.()
    repeat(n - 1, fun)
  end

  defp median([nil | _]), do: nil
  defp median(times), do: times |> Enum.sort() |> Enum.at(div(length(times), 2))

  defp cell(nil), do: String.pad_leading("–", 9)
  defp cell(ns), do: ns |> round() |> to_string() |> String.pad_leading(9)

  defp machine do
    load = with {:ok, text} <- File.read("/proc/loadavg"), do: text |> String.split() |> hd()

    model =
      with {:ok, text} <- File.read("/proc/cpuinfo"),
           [_, name] <- Regex.run(~r/model name\s*: (.*)/, text),
           do: name

    IO.puts(
      "OTP #{System.otp_release()}, Elixir #{System.version()}, #{System.schedulers_online()} schedulers, " <>
        "#{if is_binary(model), do: model, else: "unknown processor"}, load #{if is_binary(load), do: load, else: "unknown"}"
    )
  end
end

Bench.main()
