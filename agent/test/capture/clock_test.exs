defmodule ElixirScope.Capture.ClockTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  alias ElixirScope.Capture.{Clock, PipelineManager}
  require Clock
  alias ElixirScope.Test.{Pipeline, RawFiles}

  setup :own_folder

  test "what the VM's clock is ahead stays as it was while that may be so" do
    assert Clock.skew(0, 100, 120, 140) == 0
    assert Clock.skew(50, 100, 170, 140) == 50
    assert Clock.skew(0, 100, 300, 140) == 0
    assert Clock.skew(0, 100, 1_120, 140) == 1_000
    assert Clock.skew(1_000, 100, -880, 140) == -1_000
    # Interrupted: the VM's clock may have been read at any moment.
    assert Clock.skew(7, 0, 900_000_000, 1_000_000_000) == 7
  end

  test "the two engines' clocks show the same time" do
    Clock.start(:portable)
    clock = Clock.current()
    before = :erlang.monotonic_time()
    now = Clock.now(clock)
    later = :erlang.monotonic_time()
    tolerance = :erlang.convert_time_unit(10, :millisecond, :native)
    assert now >= before - tolerance and now <= later + tolerance
    Clock.start(:native)
    assert Clock.current() == nil
    assert Clock.now(Clock.current()) >= later
  end

  test "events of the VM are moved to the clock of the recording", %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir)
    on_exit(fn -> Pipeline.stop(pipeline) end)
    clock = Clock.current()
    now = fn -> Clock.now(clock) end
    # As if the VM had been corrected by an hour since.
    hour = :erlang.convert_time_unit(3_600, :second, :native)
    {counter, vm} = clock
    :persistent_term.put(:elixir_scope_clock, {counter, vm - hour})
    collector = :persistent_term.get({ElixirScope.Capture.VMTracer, :collector})

    # Not with the first one, perhaps: what is read after an interruption says nothing.
    assert eventually(fn ->
             send(collector, {:trace_ts, self(), :exit, :normal, now.()})
             PipelineManager.flush()
             ts = dir |> RawFiles.events() |> List.last() |> Map.fetch!(:ts)
             abs(Clock.nanoseconds() - ts) < 1_800 * 1_000_000_000
           end)
  end
end
