defmodule ElixirScope.Capture.CollectorTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  alias ElixirScope.Capture.PipelineManager
  alias ElixirScope.Test.{Pipeline, RawFiles}

  setup :own_folder

  setup %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir)
    on_exit(fn -> Pipeline.stop(pipeline) end)
    %{vm: :persistent_term.get({ElixirScope.Capture.VMTracer, :collector})}
  end

  test "a message to a name is told before who had it", %{vm: vm, tmp_dir: dir} do
    bearer = spawn(fn -> :ok end)
    at = :erlang.monotonic_time()
    # Nobody has the name any more.
    send(vm, {:trace_ts, self(), :send, :hello, :gone_by_now, at})
    send(vm, {:trace_ts, self(), :send, :hello, :never_there, at + 1})
    send(vm, {:trace_ts, bearer, :register, :gone_by_now, at - 1})
    PipelineManager.flush()

    assert [
             %{kind: :register, pid: ^bearer},
             %{kind: :send, peer: ^bearer, value: {:ok, :hello}},
             %{kind: :send, peer: nil, value: {:ok, {:never_there, :hello}}}
           ] = RawFiles.events(dir)
  end

  test "what is no event is no harm", %{vm: vm, tmp_dir: dir} do
    for message <- [:atom, {:tuple}, {:trace_ts, self(), :unknown, :x, 1}, {:trace, self(), :call}, "text"] do
      send(vm, message)
    end

    PipelineManager.flush()
    assert Process.alive?(vm)
    assert RawFiles.events(dir) == []
  end
end
