defmodule ElixirScope.Capture.PipelineTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, NativeRuntime, PipelineManager, TestEvents}
  alias ElixirScope.Test.{NativeLibrary, Pipeline, RawFiles}

  setup :own_folder
  @moduletag capture_log: true

  defp start(%{tmp_dir: dir}, changes \\ "") do
    pipeline = Pipeline.start(dir, changes)
    on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
    pipeline
  end

  defp total(dir, type), do: Enum.sum(for f <- RawFiles.read(dir), %{type: ^type, count: n} <- f.frames, do: n)

  # A process that does as it is told.
  defp worker do
    spawn_link(fn -> work() end)
  end

  defp work do
    receive do
      {:do, fun, from} ->
        fun.()
        send(from, {:done, self()})
        work()
    end
  end

  defp run(worker, fun) do
    send(worker, {:do, fun, self()})
    assert_receive {:done, ^worker}, 60_000
  end

  test "nothing is recorded, and nothing breaks, without a pipeline" do
    assert Ingestor.open() == nil
    assert InstrumentationRuntime.call(1, {1}) == 0
    assert InstrumentationRuntime.return(0, 2, :value) == :value
    assert InstrumentationRuntime.return0(0, 2) == :ok
    assert InstrumentationRuntime.return0(0, 2, :value) == :value
    assert InstrumentationRuntime.bind(0, 3, {1}) == :ok
    assert InstrumentationRuntime.tail(0, 4) == :ok
    assert InstrumentationRuntime.raising(0, 5, :error, :x) == :ok
    assert InstrumentationRuntime.caught(0, 5, :error, :x, []) == :ok
    assert InstrumentationRuntime.state(0, 6, :gen_server, 1, {:noreply, 2}) == {:noreply, 2}
    assert Ingestor.put_sites(M, %{}, []) == :ok
    assert PipelineManager.flush() == :ok
    assert PipelineManager.close() == :ok
    assert Ingestor.lose(1, self(), 1, :overload) == :ok
  end

  test "every kind of event comes back from the file as it was", context do
    start(context)
    before = :erlang.monotonic_time(:nanosecond)
    frame = InstrumentationRuntime.call(1, {1, "two"})
    assert InstrumentationRuntime.call0(2) > frame
    InstrumentationRuntime.bind(frame, 3, {%{a: 1}})
    # Not a literal, of which the compiler may make two.
    state = Map.new(n: 1)
    assert InstrumentationRuntime.state(frame, 4, :gen_server, state, {:noreply, state}) == {:noreply, state}
    InstrumentationRuntime.state(frame, 4, :gen_server, state, {:reply, :ok, %{n: 2}})
    InstrumentationRuntime.state(frame, 4, :gen_server, state, :nonsense)
    InstrumentationRuntime.caught(frame, 5, :throw, :ball, [])
    InstrumentationRuntime.raising(frame, 6, :error, %ArgumentError{message: "no"})
    InstrumentationRuntime.return(frame, 7, {:ok, <<0, 1>>})
    InstrumentationRuntime.return0(frame, 7)
    InstrumentationRuntime.tail(frame, 8)
    later = :erlang.monotonic_time(:nanosecond)
    PipelineManager.flush()

    frame = :erlang.convert_time_unit(frame, :native, :nanosecond)
    events = RawFiles.events(context.tmp_dir)

    assert [
             {:call, 1, {:ok, {1, "two"}}, 0, 0},
             {:call, 2, :none, 0, 0},
             {:bind, 3, {:ok, {%{a: 1}}}, 0, 0},
             {:state, 4, :none, 8, 1},
             {:state, 4, {:ok, %{n: 2}}, 0, 1},
             {:caught, 5, {:ok, {:throw, :ball, []}}, 0, 0},
             {:raise, 6, {:ok, {:error, %ArgumentError{message: "no"}}}, 0, 0},
             {:return, 7, {:ok, {:ok, <<0, 1>>}}, 0, 0},
             {:return, 7, :none, 0, 0},
             {:tail, 8, :none, 0, 0}
           ] = for(e <- events, do: {e.kind, e.site, e.value, e.flags, e.aux})

    assert hd(events).ts == frame
    for e <- events, e.site != 2, do: assert(e.frame == frame)
    for e <- events, do: assert(e.pid == self() and e.peer == nil and e.ts in before..later)
  end

  test "tests of ExUnit", context do
    start(context)
    test = %ExUnit.Test{name: :"test a", module: __MODULE__, tags: %{file: "f.exs", line: 3}, time: 17}
    failed = %{test | state: {:failed, [{:error, %RuntimeError{message: "why"}, []}]}}
    TestEvents.notify({:test_started, test})
    TestEvents.notify({:test_finished, failed})
    TestEvents.notify({:suite_finished, %{}})
    PipelineManager.flush()
    assert [%{kind: :test_start}, %{kind: :test_end, value: {:ok, told}}] = RawFiles.events(context.tmp_dir)
    assert %{name: "test a", line: 3, result: :failed, time_us: 17, message: "** (RuntimeError) why"} = told
  end

  test "the order of a process is the order in its file", context do
    start(context)

    workers =
      for w <- 1..20 do
        spawn_monitor(fn -> for n <- 1..500, do: InstrumentationRuntime.call(w, {n}) end)
      end

    for {pid, ref} <- workers, do: assert_receive({:DOWN, ^ref, _, ^pid, :normal}, 60_000)
    PipelineManager.flush()
    files = Enum.map(RawFiles.read(context.tmp_dir), &RawFiles.file_events/1)

    for {pid, _} <- workers do
      # All in one file.
      assert [own] = for(events <- files, own = Enum.filter(events, &(&1.pid == pid)), own != [], do: own)
      assert Enum.map(own, & &1.value) == for(n <- 1..500, do: {:ok, {n}})
      assert own == Enum.sort_by(own, & &1.ts)
    end
  end

  for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
    if engine == :native, do: with({:error, reason} <- NativeLibrary.load(), do: @tag(skip: reason))

    @tag capture_log: true
    test "#{engine}: what a process did is whole, however it ends", context do
      pipeline = Pipeline.start(context.tmp_dir, "", unquote(engine))
      on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
      count = fn -> for n <- 1..2_000, do: unquote(runtime).call(1, {n}) end

      ends = [
        fn -> raise "crash" end,
        fn -> exit(:because) end,
        fn -> Process.exit(self(), :kill) end,
        fn ->
          Process.flag(:max_heap_size, %{size: 1_000, kill: true, error_logger: false}) && Enum.to_list(1..100_000)
        end
      ]

      ended =
        for how <- ends,
            do:
              spawn_monitor(fn ->
                count.()
                how.()
              end)

      for {pid, ref} <- ended, do: assert_receive({:DOWN, ^ref, _, ^pid, reason} when reason != :normal, 60_000)
      # By another one, whenever that comes.
      {endless, ref} =
        spawn_monitor(fn ->
          for n <- Stream.iterate(1, &(&1 + 1)) do
            unquote(runtime).call(1, {n})
            # So that it moves between schedulers; nothing waits for it.
            if rem(n, 100) == 0, do: Process.sleep(1)
          end
        end)

      assert eventually(fn ->
               PipelineManager.flush()
               Enum.any?(RawFiles.events(context.tmp_dir), &(&1.pid == endless))
             end)

      Process.exit(endless, :kill)
      assert_receive {:DOWN, ^ref, _, ^endless, :killed}, 60_000
      Pipeline.stop(pipeline)
      numbers = for %{pid: pid, value: {:ok, {n}}} <- RawFiles.events(context.tmp_dir), do: {pid, n}
      numbers = Enum.group_by(numbers, &elem(&1, 0), &elem(&1, 1))
      for {pid, _} <- ended, do: assert(numbers[pid] == Enum.to_list(1..2_000))
      assert numbers[endless] == Enum.to_list(1..length(numbers[endless]))
      assert RawFiles.losses(context.tmp_dir) == []
    end
  end

  test "a collector that does not keep up makes losses, counted by process, not waiting", context do
    pipeline = start(context, "limits => \#{collector_events => 100}")
    worker = worker()
    collector = Pipeline.collector_of(worker)
    :erlang.suspend_process(collector)
    run(worker, fn -> for n <- 1..1_000, do: InstrumentationRuntime.call(1, {n}) end)
    assert {:message_queue_len, waiting} = Process.info(collector, :message_queue_len)
    assert waiting in 90..110
    :erlang.resume_process(collector)

    # It takes up again where there is room.
    PipelineManager.flush()
    run(worker, fn -> InstrumentationRuntime.call(1, {:again}) end)
    Pipeline.stop(pipeline)

    written = RawFiles.events(context.tmp_dir)
    assert [{^worker, lost, :overload}] = RawFiles.losses(context.tmp_dir)
    assert length(written) + lost == 1_001
    assert List.last(written).value == {:ok, {:again}}
    assert Enum.sum(for f <- RawFiles.read(context.tmp_dir), frame <- f.frames, do: frame.loss) == lost

    ends =
      for f <- RawFiles.read(context.tmp_dir), %{type: :end, payload: p} <- f.frames, do: :erlang.binary_to_term(p)

    assert Enum.sum(Enum.map(ends, & &1.lost)) == lost
    assert Enum.sum(Enum.map(ends, & &1.events)) == length(written)
    assert RawFiles.complete?(context.tmp_dir)
  end

  test "memory has a limit as well", context do
    start(context, "limits => \#{memory_bytes => 3000000}")
    worker = worker()
    collector = Pipeline.collector_of(worker)
    :erlang.suspend_process(collector)
    list = Enum.to_list(1..60)

    assert eventually(fn ->
             run(worker, fn -> for _ <- 1..100, do: InstrumentationRuntime.call(1, {list}) end)
             Ingestor.limit() == 0
           end)

    # From the pipeline's default limit of events it is far.
    assert {:message_queue_len, waiting} = Process.info(collector, :message_queue_len)
    assert waiting < 100_000
    :erlang.resume_process(collector)
    assert eventually(fn -> Ingestor.limit() > 0 end)
    PipelineManager.flush()
    run(worker, fn -> InstrumentationRuntime.call(1, {:again}) end)
    PipelineManager.flush()
    assert [{_, lost, :overload}] = RawFiles.losses(context.tmp_dir)
    assert lost > 0
    assert List.last(RawFiles.events(context.tmp_dir)).value == {:ok, {:again}}
  end

  test "a killed collector is replaced: a new file, and what waited is counted", context do
    pipeline = start(context)
    worker = worker()
    collector = Pipeline.collector_of(worker)
    run(worker, fn -> for n <- 1..10, do: InstrumentationRuntime.call(1, {n}) end)
    PipelineManager.flush()

    :erlang.suspend_process(collector)
    run(worker, fn -> for n <- 1..5, do: InstrumentationRuntime.call(1, {-n}) end)
    Process.exit(collector, :kill)
    assert eventually(fn -> Pipeline.collector_of(worker) != collector end)
    run(worker, fn -> for n <- 11..20, do: InstrumentationRuntime.call(1, {n}) end)
    Pipeline.stop(pipeline)

    assert for(e <- RawFiles.events(context.tmp_dir), do: e.value) == for(n <- 1..20, do: {:ok, {n}})
    assert RawFiles.losses(context.tmp_dir) == [{nil, 5, :collector_restarted}]
    # The first file has no end, and that is how it is known.
    refute RawFiles.complete?(context.tmp_dir)
    assert [_, _] = for(f <- RawFiles.read(context.tmp_dir), RawFiles.file_events(f) != [], do: f)
  end

  test "the channel keeps its places while a collector is away", context do
    start(context)
    workers = for _ <- 1..20, do: worker()
    before = Ingestor.collectors()
    victim = hd(before)
    Process.exit(victim, :kill)
    assert eventually(fn -> hd(Ingestor.collectors()) not in [victim, nil] end)
    assert length(Ingestor.collectors()) == length(before)
    assert tl(Ingestor.collectors()) == tl(before)
    for w <- workers, do: run(w, fn -> InstrumentationRuntime.call(1, {}) end)
    PipelineManager.flush()
    assert total(context.tmp_dir, :events) == 20
  end

  test "the meta file tells sites before the module is used, also after its writer was killed", context do
    start(context)
    Ingestor.put_sites(One, %{file: "one.ex"}, [{1, :function, :f, 0, 1, [], %{}}])
    Ingestor.meta(%{what: :mark})
    meta = Process.whereis(:elixir_scope_meta)
    Process.exit(meta, :kill)
    assert eventually(fn -> Process.whereis(:elixir_scope_meta) not in [meta, nil] end)
    Ingestor.put_sites(Two, %{file: "two.ex"}, [{2, :function, :f, 0, 1, [], %{}}])

    sites =
      for f <- RawFiles.read(context.tmp_dir), %{type: :sites, payload: p} <- f.frames, do: :erlang.binary_to_term(p)

    assert [{One, _, [{1, _, _, _, _, _, _}]}, {Two, _, _}] = Enum.sort(sites)
    assert %{what: :mark} in RawFiles.metas(context.tmp_dir)
  end

  test "an event after the files were closed is still whole", context do
    pipeline = start(context)
    InstrumentationRuntime.call(1, {1})
    PipelineManager.close()
    InstrumentationRuntime.call(1, {2})
    Pipeline.stop(pipeline)
    assert for(e <- RawFiles.events(context.tmp_dir), do: e.value) == [{:ok, {1}}, {:ok, {2}}]
    assert RawFiles.complete?(context.tmp_dir)
  end

  test "user processes are left alone: no link, monitor, flag or dictionary entry", context do
    start(context)
    worker = worker()
    keys = [:links, :monitors, :monitored_by, :dictionary, :trap_exit, :priority, :message_queue_len, :group_leader]
    before = Process.info(worker, keys)
    run(worker, fn -> InstrumentationRuntime.call(1, {Enum.to_list(1..10_000)}) end)
    assert Process.info(worker, keys) == before
  end
end
