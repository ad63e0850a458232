# What the native engine costs the recorded process, beside the portable one and the VM's own tracing, in ns of wall
# time per event: medians of interleaved runs in one VM.
#
#     cd agent && MIX_ENV=test mix run --no-start bench/native.exs          (SECONDS=60 for the long bars)
#
# Bare is the same code, nothing recorded; it is subtracted from the others where ratios are given.

alias ElixirScope.Capture.{InstrumentationRuntime, NativeRuntime, PipelineManager}
alias ElixirScope.Test.{NativeLibrary, RawFiles}

defmodule Bench.Subject do
  # Kept out of line, as instrumented functions are.
  def small(a, b), do: {a, b}
  def big(term), do: term
end

defmodule Bench do
  # A run stays below what collectors and rings hold: they are drained between runs.
  @events 20_000
  @runs 9

  def main do
    :ok = NativeLibrary.load()
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_#{System.pid()}")
    start(dir)
    machine()
    header = for name <- ["bare", "portable", "native", "VM trace", "send"], do: String.pad_leading(name, 10)
    IO.puts(String.pad_trailing("ns per event, median of #{@runs}", 38) <> Enum.join(header))

    results =
      for {name, events, run, recorded, traced, term} <- scenarios(), into: %{} do
        ways = [
          fn -> measure(events, run) end,
          fn -> measure(events, fn -> recorded.(InstrumentationRuntime) end) end,
          fn -> measure(events, fn -> recorded.(NativeRuntime) end) end,
          fn -> traced && measure_traced(events, run, traced) end,
          fn -> measure_sent(term) end
        ]

        times = for _ <- 1..@runs, do: for(way <- ways, do: way.())
        medians = for n <- 0..4, do: times |> Enum.map(&Enum.at(&1, n)) |> median()
        IO.puts(String.pad_trailing(name, 38) <> Enum.map_join(medians, &cell/1))
        {name, medians}
      end

    bars(results)
    PipelineManager.flush()
    lost = for {_, count, _} <- RawFiles.losses(dir), do: count
    IO.puts("lost so far: #{Enum.sum(lost)} events")
    File.rm_rf!(dir)
  end

  defp start(dir) do
    File.mkdir_p!(dir)
    plan = Path.join(dir, "plan.terms")
    File.write!(plan, "\#{version => 1, redact => \#{keys => [<<\"password\">>, <<\"token\">>]}}.")
    {:ok, plan} = ElixirScope.Plan.load(plan)
    hello = %{what: :hello, engine: :native}
    {:ok, _} = ElixirScope.Application.start_link(%{dir: dir, plan: plan, hello: hello})
    PipelineManager.ready()
  end

  # {name, events per round, bare, recorded by a runtime, function to trace, term to send}
  defp scenarios do
    # Made at run time: a literal would be sent without being copied.
    big = Map.new(1..100, &{&1, "text #{&1}, and some more of it to make five kilobytes"})
    state = Map.new(1..50, &{&1, {:row, &1}})
    changed = Map.put(state, 1, :changed)
    fun = fn -> big end
    small = {1, String.to_atom("b")}

    [
      {"call and return, small arguments", 2, fn -> Bench.Subject.small(1, :b) end,
       fn runtime ->
         frame = runtime.call(1, {1, :b})
         runtime.return(frame, 2, Bench.Subject.small(1, :b))
       end, {Bench.Subject, :small, 2}, small},
      {"call and return, no values", 2, fn -> Bench.Subject.small(1, :b) end,
       fn runtime ->
         frame = runtime.call0(1)
         runtime.return0(frame, 2, Bench.Subject.small(1, :b))
       end, nil, {}},
      {"binding", 1, fn -> {1, "two"} end, fn runtime -> runtime.bind(1, 3, {1, "two"}) end, nil, {1, "two"}},
      {"state, unchanged", 1, fn -> {:noreply, state} end,
       fn runtime -> runtime.state(1, 4, :gen_server, state, {:noreply, state}) end, nil, {}},
      {"state, changed (50 keys)", 1, fn -> {:noreply, changed} end,
       fn runtime -> runtime.state(1, 4, :gen_server, state, {:noreply, changed}) end, nil, changed},
      {"call and return, with a function", 2, fn -> Bench.Subject.big(fun) end,
       fn runtime ->
         frame = runtime.call(1, {fun})
         runtime.return(frame, 2, Bench.Subject.big(fun))
       end, {Bench.Subject, :big, 1}, fun},
      {"call and return, 5 KB term, cut", 2, fn -> Bench.Subject.big(big) end,
       fn runtime ->
         frame = runtime.call(1, {big})
         runtime.return(frame, 2, Bench.Subject.big(big))
       end, {Bench.Subject, :big, 1}, big}
    ]
  end

  defp bars(results) do
    [bare, _, native, trace, send] = results["call and return, small arguments"]
    [bare0, _, native0, _, send0] = results["call and return, no values"]
    [bare_state, _, same, _, _] = results["state, unchanged"]
    IO.puts("")
    bar("call+return, small: native ÷ VM call trace", (native - bare) / (trace - bare), 0.15)
    bar("per event, empty: native ÷ one send", (native0 - bare0) / send0, 0.10)
    bar("per event, small: native ÷ one send", (native - bare) / send, 0.20)
    bar("state unchanged, ns over bare", same - bare_state, 50)
    seconds = String.to_integer(System.get_env("SECONDS", "10"))
    sustained("burst of 1 M events in a second", 1_000, 1)
    sustained("1 M events a second for #{seconds} s", 1_000, seconds)
  end

  defp bar(what, measured, bar) do
    verdict = if measured <= bar, do: "holds", else: "short"

    IO.puts(
      "#{String.pad_trailing(what, 46)} #{:erlang.float_to_binary(measured / 1, decimals: 3)}  bar #{bar}  #{verdict}"
    )
  end

  # So many events each millisecond, by as many processes as there are schedulers.
  defp sustained(what, per_ms, seconds) do
    lost = fn -> for n <- 0..:erlang.system_info(:schedulers), do: elem(NativeRuntime.drain(n, 1), 1) end
    before = Enum.sum(lost.())
    parts = System.schedulers_online()
    begun = :erlang.monotonic_time(:millisecond)

    1..parts
    |> Enum.map(fn _ -> Task.async(fn -> paced(begun, 0, seconds * 1000, div(per_ms, parts)) end) end)
    |> Task.await_many(:infinity)

    took = :erlang.monotonic_time(:millisecond) - begun
    PipelineManager.flush()
    lost = Enum.sum(lost.()) - before
    events = seconds * 1000 * div(per_ms, parts) * parts
    verdict = if lost == 0 and took <= seconds * 1050, do: "holds", else: "short"
    IO.puts("#{String.pad_trailing(what, 46)} #{events} events in #{took} ms, #{lost} lost  #{verdict}")
  end

  defp paced(_begun, slot, slots, _per_slot) when slot == slots, do: :ok

  defp paced(begun, slot, slots, per_slot) do
    for _ <- 1..div(per_slot, 2) do
      frame = NativeRuntime.call(1, {slot, :b})
      NativeRuntime.return(frame, 2, {:ok, slot})
    end

    wait(begun + slot + 1)
    paced(begun, slot + 1, slots, per_slot)
  end

  defp wait(until), do: if(:erlang.monotonic_time(:millisecond) < until, do: wait(until))

  # In a fresh process, as calls are made in life.
  defp measure(events, fun) do
    PipelineManager.flush()
    in_fresh_process(fn -> timed(div(@events, events), events, fun) end)
  end

  defp measure_traced(events, fun, mfa) do
    sink = spawn(&sink/0)
    :erlang.trace_pattern(mfa, [{:_, [], [{:return_trace}]}], [:local])

    time =
      in_fresh_process(fn ->
        :erlang.trace(self(), true, [:call, :monotonic_timestamp, {:tracer, sink}])
        timed(div(@events, events), events, fun)
      end)

    :erlang.trace_pattern(mfa, false, [:local])
    Process.exit(sink, :kill)
    time
  end

  # One message of the term, to a process that only takes it.
  defp measure_sent(term) do
    sink = :erlang.spawn_opt(&sink/0, [{:message_queue_data, :off_heap}])
    time = in_fresh_process(fn -> timed(@events, 1, fn -> send(sink, term) end) end)
    Process.exit(sink, :kill)
    time
  end

  defp in_fresh_process(fun), do: fun |> Task.async() |> Task.await(60_000)

  defp timed(rounds, events, fun) do
    repeat(100, fun)
    begun = :erlang.monotonic_time(:nanosecond)
    repeat(rounds, fun)
    (:erlang.monotonic_time(:nanosecond) - begun) / (rounds * events)
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

  defp cell(nil), do: String.pad_leading("–", 10)
  defp cell(ns), do: ns |> round() |> to_string() |> String.pad_leading(10)

  defp machine do
    [load | _] = File.read!("/proc/loadavg") |> String.split()
    model = Regex.run(~r/model name\s*: (.*)/, File.read!("/proc/cpuinfo"), capture: :all_but_first)

    IO.puts(
      "OTP #{System.otp_release()}, Elixir #{System.version()}, #{System.schedulers_online()} schedulers, " <>
        "#{model || "unknown processor"}, load #{load}"
    )
  end
end

Bench.main()
