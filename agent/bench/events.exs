# What an event costs the recorded process: bare, with one engine, with the VM's own tracing, with functions of C that do
# next to nothing, and one send of the same term. `RESULT case.way NS`, per event. ENGINE, DIR: where to record. RUNS: how
# often (odd). FLOOR_LIBRARY: floor.c, compiled.

Code.require_file("support.exs", __DIR__)
alias ElixirScope.Capture.{InstrumentationRuntime, NativeRuntime, PipelineManager}

defmodule Bench.Subject do
  # Kept out of line, as instrumented functions are.
  def small(a, b), do: {a, b}
  def big(term), do: term
end

# As instrumented code calls its runtime: by name.
for {engine, runtime} <- [{Bench.Portable, InstrumentationRuntime}, {Bench.Native, NativeRuntime}] do
  defmodule engine do
    @runtime runtime

    def small do
      frame = @runtime.call(1, {1, :b})
      @runtime.return(frame, 2, Bench.Subject.small(1, :b))
    end

    def empty do
      frame = @runtime.call0(1)
      @runtime.return0(frame, 2, Bench.Subject.small(1, :b))
    end

    def bind, do: @runtime.bind(1, 3, {1, "two"})
    def state(before, state), do: @runtime.state(1, 4, :gen_server, before, {:noreply, state})

    def big(term) do
      frame = @runtime.call(1, {term})
      @runtime.return(frame, 2, Bench.Subject.big(term))
    end
  end
end

# The same around functions that do nothing.
defmodule Bench.Least do
  def nothing do
    frame = Bench.Floor.nothing(1, {1, :b})
    Bench.Floor.nothing(frame, 2, Bench.Subject.small(1, :b))
  end

  def noted do
    frame = Bench.Floor.noted(1, {1, :b})
    Bench.Floor.noted(frame, 2, Bench.Subject.small(1, :b))
  end
end

defmodule Bench.Events do
  # A run stays below what collectors and rings hold: they are drained between runs. Of dear events fewer do.
  @events 20_000
  @few 4_000
  # And a run in which collectors are at work, too.
  @many 200_000

  def main do
    dir = System.fetch_env!("DIR")
    runs = String.to_integer(System.get_env("RUNS", "9"))
    wanted = String.to_atom(System.fetch_env!("ENGINE"))
    if Bench.start(dir, wanted) == wanted, do: measure_all(dir, runs, wanted)
  end

  defp measure_all(dir, runs, engine) do
    recorder = if engine == :native, do: Bench.Native, else: Bench.Portable

    floors =
      if engine == :native and Bench.Floor.load(),
        do: [nothing: &Bench.Least.nothing/0, noted: &Bench.Least.noted/0],
        else: []

    for {name, count, events, bare, recorded, traced, term} <- cases(recorder) do
      rounds = div(count, events)

      ways =
        [{:bare, fn -> measure(rounds, events, bare) end}, {engine, fn -> measure(rounds, events, recorded) end}] ++
          if(traced, do: [trace: fn -> traced(rounds, events, bare, traced) end], else: []) ++
          if(traced && term, do: [dbg: fn -> dbg(rounds, events, bare, traced) end], else: []) ++
          if(name == "call_empty",
            do: for({way, fun} <- floors, do: {way, fn -> measure(rounds, events, fun) end}),
            else: []
          ) ++
          if(term,
            do: [
              send: fn -> sent(count, term, &Bench.with_sink/1) end,
              collector: fn -> sent(count, term, &Bench.with_collector(dir, &1)) end
            ],
            else: []
          )

      for {way, ns} <- Bench.medians(ways, runs), do: Bench.result("#{name}.#{way}", ns)
    end

    PipelineManager.flush()
    {_, lost} = Bench.written(dir)
    Bench.result("events.lost", lost)
  end

  # {name, events, how many per round, bare, recorded, function to trace, term to send}
  defp cases(recorder) do
    # Made at run time: a literal would be sent without being copied.
    big = Map.new(1..100, &{&1, "text #{&1}, and some more of it to make five kilobytes"})
    state = Map.new(1..50, &{&1, {:row, &1}})
    changed = Map.put(state, 1, :changed)
    fun = fn -> big end
    small = {1, String.to_atom("b")}
    record_state = Function.capture(recorder, :state, 2)
    record_big = Function.capture(recorder, :big, 1)
    bare_small = fn -> Bench.Subject.small(1, :b) end
    record_small = Function.capture(recorder, :small, 0)

    [
      {"call_small", @events, 2, bare_small, record_small, {Bench.Subject, :small, 2}, small},
      {"call_long", @many, 2, bare_small, record_small, {Bench.Subject, :small, 2}, nil},
      {"call_empty", @events, 2, bare_small, Function.capture(recorder, :empty, 0), nil, {}},
      {"bind", @events, 1, fn -> {1, "two"} end, Function.capture(recorder, :bind, 0), nil, {1, "two"}},
      {"state_same", @events, 1, fn -> {:noreply, state} end, fn -> record_state.(state, state) end, nil, {}},
      {"state_changed", @few, 1, fn -> {:noreply, changed} end, fn -> record_state.(state, changed) end, nil,
       changed},
      {"call_fun", @few, 2, fn -> Bench.Subject.big(fun) end, fn -> record_big.(fun) end, {Bench.Subject, :big, 1},
       fun},
      {"call_cut", @few, 2, fn -> Bench.Subject.big(big) end, fn -> record_big.(big) end, {Bench.Subject, :big, 1},
       big}
    ]
  end

  defp measure(rounds, events, fun) do
    PipelineManager.flush()
    Bench.in_fresh_process(rounds, events, fun)
  end

  # The plain call trace: `erlang:trace/3` with `return_trace`, to a process that only takes what comes.
  defp traced(rounds, events, fun, mfa) do
    PipelineManager.flush()
    :erlang.trace_pattern(mfa, [{:_, [], [{:return_trace}]}], [:local])

    time =
      Bench.with_sink(fn sink ->
        Bench.in_fresh_process(rounds, events, fun, fn ->
          :erlang.trace(self(), true, [:call, :monotonic_timestamp, {:tracer, sink}])
        end)
      end)

    :erlang.trace_pattern(mfa, false, [:local])
    time
  end

  # The same by `dbg`, with a handler that does nothing.
  defp dbg(rounds, events, fun, {module, function, arity}) do
    PipelineManager.flush()
    {:ok, _} = :dbg.tracer(:process, {fn _, n -> n end, 0})
    {:ok, _} = :dbg.tpl(module, function, arity, [{:_, [], [{:return_trace}]}])
    time = Bench.in_fresh_process(rounds, events, fun, fn -> {:ok, _} = :dbg.p(self(), [:c, :timestamp]) end)
    :dbg.stop_clear()
    time
  end

  # One message of the term, to a process that takes it.
  defp sent(count, term, with_taker) do
    PipelineManager.flush()
    with_taker.(fn taker -> Bench.in_fresh_process(count, 1, fn -> send(taker, term) end) end)
  end
end

Bench.Events.main()
