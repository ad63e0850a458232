defmodule ElixirScope.Capture.OverloadTest do
  # What is sent is written or counted as lost, process by process, and the program never waits. The pipeline is one for
  # the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, TraceSession, VMTracer}
  alias ElixirScope.Test.{Pipeline, RawFiles}

  setup :own_folder
  @moduletag capture_log: true

  defp start(%{tmp_dir: dir}, changes) do
    pipeline = Pipeline.start(dir, changes)
    on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
    pipeline
  end

  # Processes that each record the numbers from 1, in turns; what they do between turns is `pause`.
  defp workers(count, events, pause \\ fn _ -> :ok end) do
    for _ <- 1..count do
      spawn_monitor(fn ->
        for n <- 1..events do
          InstrumentationRuntime.call(1, {n})
          if rem(n, 100) == 0, do: pause.(n)
        end
      end)
    end
  end

  defp await(workers), do: for({pid, ref} <- workers, do: assert_receive({:DOWN, ^ref, _, ^pid, :normal}, 120_000))

  defp numbers(dir) do
    for(%{site: 1, pid: pid, value: {:ok, {n}}} <- RawFiles.events(dir), do: {pid, n})
    |> Enum.group_by(&elem(&1, 0), &elem(&1, 1))
  end

  test "with collectors that stand still every process runs to its end, and its losses are its own", context do
    pipeline = start(context, "limits => \#{collector_events => 500}")
    collectors = Ingestor.collectors()
    Enum.each(collectors, &:erlang.suspend_process/1)
    workers = workers(12, 2_000)
    await(workers)

    for collector <- collectors do
      {:message_queue_len, waiting} = Process.info(collector, :message_queue_len)
      # Each worker may be between counting and looking.
      assert waiting <= 500 + 12
    end

    Enum.each(collectors, &:erlang.resume_process/1)
    Pipeline.stop(pipeline)

    written = numbers(context.tmp_dir)

    lost =
      for {pid, count, :overload} <- RawFiles.losses(context.tmp_dir),
          reduce: %{},
          do: (sums -> Map.update(sums, pid, count, &(&1 + count)))

    for {pid, _} <- workers do
      kept = Map.get(written, pid, [])
      assert kept == Enum.to_list(1..length(kept)//1)
      assert length(kept) + Map.get(lost, pid, 0) == 2_000
    end

    assert Enum.sum(Map.values(lost)) >= 12 * 2_000 - 500 * length(collectors) - 12
    assert RawFiles.complete?(context.tmp_dir)
  end

  test "lives that are more than the agent can take are no longer told", context do
    pipeline = start(context, "limits => \#{memory_bytes => 300000, step_after_ms => 0}")
    VMTracer.arm()
    collector = VMTracer.collector()
    # One that is slower than the program could be slower still.
    :erlang.suspend_process(collector)

    assert eventually(fn ->
             for _ <- 1..200, do: spawn(fn -> :ok end)
             not Enum.any?([:new_processes, self()], &TraceSession.traced?(&1, collector))
           end)

    waits = fn -> collector |> Process.info(:message_queue_len) |> elem(1) end
    ref = :erlang.trace_delivered(:all)
    assert_receive {:trace_delivered, :all, ^ref}, 60_000
    before = waits.()
    for _ <- 1..2_000, do: spawn(fn -> :ok end)
    ref = :erlang.trace_delivered(:all)
    assert_receive {:trace_delivered, :all, ^ref}, 60_000
    # The manager may tell it something; the VM nothing.
    assert waits.() - before < 100
    :erlang.resume_process(collector)
    Pipeline.stop(pipeline)
    assert Enum.any?(RawFiles.metas(context.tmp_dir), &match?(%{what: :coverage, subject: "VM events"}, &1))
  end

  test "collectors and the tracer killed again and again come back; what is missing is counted", context do
    pipeline = start(context, "")
    test = self()

    killer =
      spawn_link(fn ->
        for _ <- 1..12 do
          vm = :persistent_term.get({ElixirScope.Capture.VMTracer, :collector})
          victim = Enum.random([vm, Process.whereis(:elixir_scope_meta) | Ingestor.collectors()])
          if is_pid(victim), do: Process.exit(victim, :kill)

          true =
            eventually(fn ->
              victim not in [
                Process.whereis(:elixir_scope_meta),
                :persistent_term.get({ElixirScope.Capture.VMTracer, :collector}) | Ingestor.collectors()
              ]
            end)
        end

        send(test, {:killed, self()})
      end)

    # A pause at each hundredth event, so that the kills come while they work; nothing waits for it.
    workers = workers(6, 10_000, fn _ -> Process.sleep(1) end)
    await(workers)
    assert_receive {:killed, ^killer}, 120_000
    # It records on.
    [{last, _}] = again = workers(1, 10)
    await(again)
    Pipeline.stop(pipeline)

    written = numbers(context.tmp_dir)
    assert written[last] == Enum.to_list(1..10)
    lost = Enum.sum(for {_, count, _} <- RawFiles.losses(context.tmp_dir), do: count)

    missing =
      for {pid, _} <- workers do
        kept = Map.get(written, pid, [])
        assert kept == kept |> Enum.sort() |> Enum.dedup()
        10_000 - length(kept)
      end

    # A collector that was killed between writing and saying so counts what it wrote.
    assert Enum.sum(missing) <= lost
  end

  test "while the agent's memory is full everything is dropped, and the recording says from when to when", context do
    # More than collectors take that have nothing to do, and much less than those whose events wait.
    pipeline = start(context, "limits => \#{memory_bytes => 3000000, step_after_ms => 600000}")
    limits = fn -> for %{what: :limit, of: :code, on: on} <- RawFiles.metas(context.tmp_dir), do: on end
    collectors = Ingestor.collectors()
    Enum.each(collectors, &:erlang.suspend_process/1)
    # Each is given some.
    for _ <- 1..8, do: await(workers(8, 1_000))
    assert eventually(fn -> limits.() == [true] end)
    assert Ingestor.limit() == 0
    [{unlucky, _}] = dropped = workers(1, 10)
    await(dropped)
    Enum.each(collectors, &:erlang.resume_process/1)
    assert eventually(fn -> limits.() == [true, false] end)
    [{last, _}] = again = workers(1, 10)
    await(again)
    Pipeline.stop(pipeline)
    assert numbers(context.tmp_dir)[last] == Enum.to_list(1..10)
    assert {unlucky, 10, :overload} in RawFiles.losses(context.tmp_dir)
  end

  test "a manager that is killed comes back, and the channel stays open", context do
    pipeline = start(context, "")
    [{first, _}] = one = workers(1, 100)
    await(one)
    manager = Process.whereis(:elixir_scope_pipeline)
    Process.exit(manager, :kill)
    assert eventually(fn -> Process.whereis(:elixir_scope_pipeline) not in [manager, nil] end)
    [{second, _}] = two = workers(1, 100)
    await(two)
    Pipeline.stop(pipeline)
    written = numbers(context.tmp_dir)
    assert written[first] == Enum.to_list(1..100)
    assert written[second] == Enum.to_list(1..100)
  end
end
