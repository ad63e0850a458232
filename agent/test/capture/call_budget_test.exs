Code.require_file("../ast/support.exs", __DIR__)

defmodule ElixirScope.Capture.CallBudgetTest do
  # What is called too often is counted, exactly; the pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  alias ElixirScope.AST.Support
  alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, NativeRuntime}
  alias ElixirScope.Test.{NativeLibrary, Pipeline, RawFiles}

  setup :own_folder

  @site 700_001
  @callback_site 700_002
  @own_block 0x2000_0000 + 77 * 4096

  @native NativeLibrary.load()

  defp start(%{tmp_dir: dir}, changes, engine \\ :portable) do
    pipeline = Pipeline.start(dir, changes, engine)
    on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
    pipeline
  end

  defp announce(module, sites), do: Ingestor.put_sites(module, %{file: "x.ex"}, sites)
  defp function(id, name, detail \\ %{}), do: {id, :function, name, 1, 3, ["x"], detail}

  defp calls(site, count, runtime \\ InstrumentationRuntime) do
    for n <- 1..count do
      frame = runtime.call(site, {n})
      runtime.bind(frame, site, {n})
      runtime.return(frame, site, n)
    end
  end

  defp counted(dir) do
    for meta <- RawFiles.metas(dir), meta.what == :counted, {subject, calls, since} <- meta.calls do
      assert since <= meta.until_unix_ns
      {subject, calls}
    end
    |> Enum.reduce(%{}, fn {subject, calls}, sums -> Map.update(sums, subject, calls, &(&1 + calls)) end)
  end

  defp recorded(dir, site),
    do: for(%{site: ^site} = event <- RawFiles.events(dir), do: event.kind) |> Enum.frequencies()

  for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
    with {:native, {:error, reason}} <- {engine, @native}, do: @tag(skip: reason)

    test "calls beyond the budget of their function are counted, whole frames at a time: #{engine}", context do
      left_out(context, unquote(engine), unquote(runtime))
    end
  end

  defp left_out(context, engine, runtime) do
    pipeline = start(context, "limits => \#{calls_per_second => 100, calls_percent => 1000000}", engine)
    announce(Hot, [function(@site, :hot), function(@callback_site, :handle_info, %{callback: :handle_info})])
    announce(Cold, [function(@own_block, :cold)])

    for _ <- 1..4 do
      Task.async(fn ->
        calls(@site, 3_000, runtime)
        calls(@callback_site, 500, runtime)
        calls(@own_block, 20, runtime)
      end)
    end
    |> Task.await_many(60_000)

    Pipeline.stop(pipeline)
    dir = context.tmp_dir
    left_out = counted(dir)
    # Some seconds may have passed: each records a hundred.
    assert %{call: kept, return: kept, bind: kept} = recorded(dir, @site)
    assert kept >= 100
    assert left_out[{Hot, :function, :hot, 1, 3}] == 12_000 - kept
    assert recorded(dir, @callback_site) == %{call: 2_000, return: 2_000, bind: 2_000}
    assert recorded(dir, @own_block) == %{call: 80, return: 80, bind: 80}
    assert map_size(left_out) == 1
    assert RawFiles.losses(dir) == []
  end

  for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
    with {:native, {:error, reason}} <- {engine, @native}, do: @tag(skip: reason)

    test "a call whose arguments are cut costs as much as many small ones: #{engine}", context do
      cut_arguments(context, unquote(engine), unquote(runtime))
    end

    test "what a call costs follows its bytes, not how long the machine let it wait: #{engine}", context do
      limits = "limits => \#{calls_per_second => 1000, calls_percent => 1000000}"
      pipeline = start(context, "budgets => \#{argument => 4096}, " <> limits, unquote(engine))
      announce(Hot, [function(@site, :page)])
      page = String.duplicate("x", 600)
      for _ <- 1..300, do: unquote(runtime).return(unquote(runtime).call(@site, {page}), @site, :ok)
      Pipeline.stop(pipeline)
      assert recorded(context.tmp_dir, @site) == %{call: 300, return: 300}
      assert counted(context.tmp_dir) == %{}
    end
  end

  defp cut_arguments(context, engine, runtime) do
    limits = "limits => \#{calls_per_second => 1000, calls_percent => 1000000}"
    pipeline = start(context, "budgets => \#{argument => 4096}, " <> limits, engine)
    announce(Hot, [function(@site, :long)])
    announce(Cold, [function(@own_block, :short)])
    long = Enum.map(1..2_000, &{&1, [&1]})

    for _ <- 1..900 do
      runtime.return(runtime.call(@site, {long}), @site, :ok)
      runtime.return(runtime.call(@own_block, {1}), @own_block, :ok)
    end

    spent = ElixirScope.Capture.Native.spent_ns()
    Pipeline.stop(pipeline)
    assert recorded(context.tmp_dir, @own_block).call == 900
    assert %{{Hot, :function, :long, 1, 3} => left_out} = counted(context.tmp_dir)
    assert left_out > 0
    # The portable engine charges for them in `CallBudget`.
    assert if(engine == :native, do: spent > 0, else: spent == 0)
  end

  test "what the plan lists, or was never announced, is recorded however often it is called", context do
    pipeline =
      start(context, "limits => \#{calls_per_second => 10, calls_percent => 1000000}, every_call => [<<\"Every*\">>]")

    announce(Everything, [function(@site, :hot)])
    calls(@site, 1_000)
    calls(@site + 1, 1_000)
    Pipeline.stop(pipeline)
    assert counted(context.tmp_dir) == %{}
    assert recorded(context.tmp_dir, @site) == %{call: 1_000, return: 1_000, bind: 1_000}
    assert recorded(context.tmp_dir, @site + 1) == %{call: 1_000, return: 1_000, bind: 1_000}
  end

  test "a second later calls are recorded again", context do
    pipeline = start(context, "limits => \#{calls_per_second => 10, calls_percent => 1000000}")
    announce(Hot, [function(@site, :hot)])
    left_out = &(&1 == 0)
    made = calls_until(left_out) + calls_until(&(not left_out.(&1)))
    Pipeline.stop(pipeline)
    kept = recorded(context.tmp_dir, @site).call
    assert kept > 10
    assert counted(context.tmp_dir) == %{{Hot, :function, :hot, 1, 3} => made - kept}
  end

  # How many calls it takes until the frame of one is as wanted.
  defp calls_until(wanted?, made \\ 1) do
    frame = InstrumentationRuntime.call(@site, {made})
    InstrumentationRuntime.return(frame, @site, made)
    if wanted?.(frame), do: made, else: calls_until(wanted?, made + 1)
  end

  test "instrumented code runs on unchanged in calls that are only counted", context do
    pipeline = start(context, "limits => \#{calls_per_second => 5}")

    {module, read, _binary} =
      Support.elixir("""
      defmodule Counted do
        def sum(0, total), do: total
        def sum(n, total), do: sum(n - 1, total + n)
        def deep(0), do: 0
        def deep(n), do: 1 + deep(n - 1)
        def rescued(n) do
          raise "odd"
        rescue
          e in RuntimeError -> {n, e.message}
        end
        def mapped(n), do: Enum.map(1..n, fn x -> x * 2 end)
      end
      """)

    plan = ElixirScope.Plan.current()
    runtime = [runtime: InstrumentationRuntime]
    {:ok, instrumented, {info, sites}} = ElixirScope.Compiler.Instrument.prepare(read, plan, runtime)
    Ingestor.put_sites(module, info, sites)
    Support.load(module, instrumented)

    assert module.sum(1_000, 0) == 500_500
    assert module.deep(1_000) == 1_000
    assert for(n <- 1..100, do: module.rescued(n)) == for(n <- 1..100, do: {n, "odd"})
    assert module.mapped(100) == for(n <- 1..100, do: n * 2)
    Pipeline.stop(pipeline)

    left_out = for {{_, kind, name, arity, _}, calls} <- counted(context.tmp_dir), do: {kind, name, arity, calls > 50}
    wanted = [{:function, :sum, 2, true}, {:function, :deep, 1, true}, {:function, :rescued, 1, true}]
    assert Enum.sort(left_out) == Enum.sort([{:fn, :mapped, 1, true} | wanted])
  end
end
