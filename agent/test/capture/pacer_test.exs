defmodule ElixirScope.Capture.PacerTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  alias ElixirScope.Capture.{InstrumentationRuntime, Pacer, PipelineManager}
  alias ElixirScope.Test.{Pipeline, RawFiles}

  setup :own_folder

  defp echo do
    receive do
      {from, what} ->
        send(from, what)
        echo()
    end
  end

  defp suspended?(pid), do: eventually(fn -> Process.info(pid, :status) == {:status, :suspended} end)

  test "who rests is not woken by messages, and has them all when it goes on" do
    pid = spawn_link(&echo/0)
    assert {:noreply, [^pid] = resting} = Pacer.handle_cast({:rest, pid}, [])
    assert {:noreply, ^resting} = Pacer.handle_cast({:rest, pid}, resting)
    assert suspended?(pid)
    for n <- 1..3, do: send(pid, {self(), n})
    assert Process.info(pid, :status) == {:status, :suspended}
    assert Process.info(pid, :message_queue_len) == {:message_queue_len, 3}
    refute_received 1
    assert {:noreply, []} = Pacer.handle_info({:wake, pid}, resting)
    for n <- 1..3, do: assert_receive(^n, 60_000)
  end

  test "who has ended is nobody's concern, neither before its rest nor in it" do
    pid = spawn(fn -> :ok end)
    assert eventually(fn -> not Process.alive?(pid) end)
    assert {:noreply, resting} = Pacer.handle_cast({:rest, pid}, [])
    assert {:noreply, []} = Pacer.handle_cast(:wake, resting)
    pid = spawn(&echo/0)
    assert {:noreply, [^pid] = resting} = Pacer.handle_cast({:rest, pid}, [])
    Process.exit(pid, :kill)
    assert eventually(fn -> not Process.alive?(pid) end)
    assert {:noreply, []} = Pacer.handle_cast(:wake, resting)
  end

  test "a collector that was woken asks for a rest before it takes anything, and after", %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir)
    # In its place, and nobody rests.
    :ok = Supervisor.terminate_child(pipeline.top, Pacer)
    Process.register(self(), :elixir_scope_pacer)
    collector = Pipeline.collector_of(self())

    for n <- 1..3 do
      PipelineManager.flush()
      InstrumentationRuntime.call(1, {n})
      for _ <- 1..2, do: assert_receive({:"$gen_cast", {:rest, ^collector}}, 60_000)
    end

    Pipeline.stop(pipeline)
    assert [{1}, {2}, {3}] = for(%{site: 1, value: {:ok, value}} <- RawFiles.events(dir), do: value)
  end

  test "collectors rest and miss nothing, whatever becomes of who lets them rest", %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir)
    on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)

    workers =
      for _ <- 1..4 do
        spawn_monitor(fn ->
          for n <- 1..3_000 do
            InstrumentationRuntime.call(1, {n})
            # Collectors rest only between events: this makes room for that, and waits for nothing.
            if rem(n, 100) == 0, do: Process.sleep(1)
          end
        end)
      end

    for _ <- 1..10 do
      pacer = Process.whereis(:elixir_scope_pacer)
      Process.exit(pacer, :kill)
      assert eventually(fn -> Process.whereis(:elixir_scope_pacer) not in [pacer, nil] end)
    end

    for {pid, ref} <- workers, do: assert_receive({:DOWN, ^ref, _, ^pid, :normal}, 120_000)
    Pipeline.stop(pipeline)
    assert RawFiles.complete?(dir)
    assert RawFiles.losses(dir) == []
    written = for %{site: 1, pid: pid, value: {:ok, {n}}} <- RawFiles.events(dir), do: {pid, n}
    by_pid = Enum.group_by(written, &elem(&1, 0), &elem(&1, 1))
    for {pid, _} <- workers, do: assert(by_pid[pid] == Enum.to_list(1..3_000))
  end
end
