defmodule ElixirScope.Capture.MemorySamplerTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  alias ElixirScope.Test.{Pipeline, RawFiles}

  setup :own_folder
  @moduletag capture_log: true

  # What the meta files say of a process, in order.
  defp samples(dir, pid) do
    for file <- RawFiles.read(dir), file.shard == :meta, {^pid, bytes} <- file_samples(file), do: bytes
  end

  defp file_samples(file) do
    names =
      for %{type: :processes, payload: payload} <- file.frames,
          {index, pid} <- :erlang.binary_to_term(payload),
          into: %{},
          do: {index, pid}

    for %{type: :samples, count: count, payload: payload} <- file.frames,
        count == div(byte_size(payload), 12),
        <<index::little-32, bytes::little-64 <- payload>>,
        do: {Map.fetch!(names, index), bytes}
  end

  defp hoarder do
    spawn_link(fn -> hoard([]) end)
  end

  defp hoard(all) do
    receive do
      {:take, n} -> hoard([Enum.to_list(1..n) | all])
    end
  end

  test "memory that grew is written, memory that did not is not written again", %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir, "memory => true")
    on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
    growing = hoarder()
    idle = hoarder()
    assert eventually(fn -> samples(dir, growing) != [] and samples(dir, idle) != [] end)
    [before] = Enum.take(samples(dir, growing), -1)
    send(growing, {:take, 100_000})
    # Two words for each element of a list.
    assert eventually(fn -> List.last(samples(dir, growing)) >= before + 16 * 100_000 end)
    known = samples(dir, idle)
    assert known == Enum.dedup(known)

    # Another meta file names them again.
    Process.exit(Process.whereis(:elixir_scope_meta), :kill)
    assert eventually(fn -> length(samples(dir, idle)) > length(known) end)
    Pipeline.stop(pipeline)
    ended = for %{shard: :meta, frames: frames} <- RawFiles.read(dir), do: List.last(frames).type
    assert :end in ended
  end

  test "it looks when tracing begins, however quick the program is", %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir, "memory => true")
    idle = hoarder()
    :sys.replace_state(:elixir_scope_memory, &%{&1 | waiting: [idle]})
    :ok = ElixirScope.Capture.MemorySampler.begin()
    assert %{waiting: [], known: %{^idle => _}} = :sys.get_state(:elixir_scope_memory)
    Pipeline.stop(pipeline)
    assert [_ | _] = samples(dir, idle)
  end

  test "a process that ended while the others were looked at is passed over" do
    {dead, ref} = spawn_monitor(fn -> :ok end)
    assert_receive {:DOWN, ^ref, :process, ^dead, _}, 30_000
    {:ok, state} = ElixirScope.Capture.MemorySampler.init(nil)
    state = %{state | meta: Process.whereis(:elixir_scope_meta), waiting: [dead]}
    assert {:noreply, %{waiting: [], known: known}} = ElixirScope.Capture.MemorySampler.handle_info(:look, state)
    assert known == %{}
  end

  test "there is none where the plan does not ask for it", %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir, "memory => false")

    children =
      for {_, pid, _, _} <- Supervisor.which_children(pipeline.top), do: :proc_lib.translate_initial_call(pid)

    Pipeline.stop(pipeline)
    refute {ElixirScope.Capture.MemorySampler, :init, 1} in children
  end
end
