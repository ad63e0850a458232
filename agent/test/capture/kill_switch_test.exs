defmodule ElixirScope.Capture.KillSwitchTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, KillSwitch, Native, NativeRuntime, PipelineManager}
  alias ElixirScope.Test.{NativeLibrary, Pipeline, RawFiles}

  @limits %{memory_bytes: 1_000_000, overhead_percent: 20, step_after_ms: 1_000, step_back_ms: 5_000}
  @quiet %{memory_bytes: 0, overhead_percent: 0}

  # The steps that pressures at given times lead to: `[{time, step}]`.
  defp steps(looks, limits \\ @limits) do
    {steps, _} =
      Enum.flat_map_reduce(looks, KillSwitch.new(limits), fn {now, pressure}, switch ->
        case KillSwitch.look(switch, now, Map.merge(@quiet, pressure)) do
          {switch, :stay} -> {[], switch}
          {switch, {step, reason}} when is_binary(reason) -> {[{now, step}], switch}
        end
      end)

    steps
  end

  defp every(range, pressure), do: for(now <- range, do: {now, pressure})

  describe "with a clock and pressures made up:" do
    test "pressure that lasts leads down step by step, and no further than to lives" do
      for pressure <- [%{memory_bytes: 1_000_001}, %{overhead_percent: 21}] do
        assert steps(every(0..9_000//250, pressure)) == [{1_000, :calls}, {2_000, :messages}, {3_000, :lifecycle}]
      end
    end

    test "what events have cost is a share of all processors' time" do
      # Events of 1.8 µs each, a look every 250 ms: 250,000 a second are 22.5% of two processors, 200,000 are 18%.
      spent = fn rate -> KillSwitch.overhead_percent(rate * 1_800 / 4, 250, 2) end
      assert steps(every(0..1_500//250, %{overhead_percent: spent.(250_000)})) == [{1_000, :calls}]
      assert steps(every(0..9_000//250, %{overhead_percent: spent.(200_000)})) == []
      # Two looks within a millisecond.
      assert KillSwitch.overhead_percent(0, 0, 2) == 0
    end

    test "a moment of pressure is none, however often" do
      looks = for now <- 0..60_000//250, do: {now, %{overhead_percent: if(rem(now, 1_000) == 0, do: 10, else: 50)}}
      assert steps(looks) == []
    end

    test "where there is no time for steps lives alone are left, and calm leads up again" do
      {switch, {:lifecycle, "too many"}} = KillSwitch.fall(KillSwitch.new(@limits), 0, "too many")
      assert {switch, :stay} = KillSwitch.fall(switch, 100, "too many")

      up =
        for now <- 200..20_000//100, reduce: {switch, []} do
          {switch, steps} ->
            case KillSwitch.look(switch, now, @quiet) do
              {switch, :stay} -> {switch, steps}
              {switch, {step, _}} -> {switch, [{now, step} | steps]}
            end
        end

      assert {%{step: :values}, [{15_200, :values}, {10_200, :calls}, {5_200, :messages}]} = up
    end

    test "calm leads up again; what is neither leads nowhere" do
      down = every(0..2_000//250, %{overhead_percent: 100})
      between = every(2_250..60_000//250, %{overhead_percent: 15})
      calm = every(60_250..80_000//250, %{overhead_percent: 10})

      assert steps(down ++ between ++ calm) == [
               {1_000, :calls},
               {2_000, :messages},
               {65_250, :calls},
               {70_250, :values}
             ]
    end

    test "a step up that was too early is not taken as early again" do
      down = every(0..1_000//250, %{memory_bytes: 2_000_000})
      up = every(1_250..6_250//250, %{})
      down_again = every(6_500..7_500//250, %{memory_bytes: 2_000_000})
      up_again = every(7_750..20_000//250, %{})

      assert steps(down ++ up ++ down_again ++ up_again) ==
               [{1_000, :calls}, {6_250, :values}, {7_500, :calls}, {17_750, :values}]
    end
  end

  # Any event is too much: steps follow each other as the manager looks.
  @plan "limits => \#{overhead_percent => 0, step_after_ms => 0, step_back_ms => 0}"

  for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
    if engine == :native, do: with({:error, reason} <- NativeLibrary.load(), do: @tag(skip: reason))

    test "#{engine}: less and less is recorded, then all again, and the recording says when" do
      %{tmp_dir: dir} = own_folder(%{})
      pipeline = Pipeline.start(dir, @plan, unquote(engine))
      on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
      told = fn -> for %{what: :step, to: to} <- RawFiles.metas(dir), do: to end

      # Round and round: down with each event, up without.
      assert eventually(fn ->
               frame = unquote(runtime).call(1, {"value"})
               unquote(runtime).return(frame, 2, "value")
               PipelineManager.flush()
               calls = for %{site: 1, value: value} <- RawFiles.events(dir), do: value
               {:ok, {"value"}} in calls and :none in calls
             end)

      assert eventually(fn -> :calls in told.() end)

      # Nothing comes any more, which is calm.
      assert eventually(fn -> List.last(told.()) == :values end)
      # A step is told before it is taken: the manager has taken it when it answers.
      PipelineManager.flush()
      frame = unquote(runtime).call(5, {"again"})
      assert frame != 0
      unquote(runtime).return(frame, 6, "again")
      PipelineManager.flush()
      events = RawFiles.events(dir)
      assert %{value: {:ok, {"again"}}} = Enum.find(events, &(&1.site == 5))
      Pipeline.stop(pipeline)
    end

    if engine == :native, do: with({:error, reason} <- NativeLibrary.load(), do: @tag(skip: reason))

    test "#{engine}: whoever takes over from a manager that was killed begins anew, and says so" do
      %{tmp_dir: dir} = own_folder(%{})
      # Down at the first look, and never up again.
      pipeline = Pipeline.start(dir, "limits => \#{overhead_percent => 0, step_after_ms => 0}", unquote(engine))
      on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
      told = fn -> for %{what: :step, to: to} <- RawFiles.metas(dir), do: to end

      assert eventually(fn ->
               unquote(runtime).tail(unquote(runtime).call(1, {"value"}), 2)
               PipelineManager.flush()
               Ingestor.code_channel() == nil
             end)

      manager = Process.whereis(:elixir_scope_pipeline)
      Process.exit(manager, :kill)
      assert eventually(fn -> List.last(told.()) == :values end)
      assert eventually(fn -> unquote(runtime).call(3, {"again"}) != 0 end)
      Pipeline.stop(pipeline)
      assert Enum.find(RawFiles.events(dir), &(&1.site == 3)).value == {:ok, {"again"}}
    end

    if engine == :native, do: with({:error, reason} <- NativeLibrary.load(), do: @tag(skip: reason))

    test "#{engine}: a frame that began when nothing was recorded has no end either" do
      %{tmp_dir: dir} = own_folder(%{})
      pipeline = Pipeline.start(dir, "", unquote(engine))
      on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
      Ingestor.code(:nothing)
      Native.code(:nothing)
      assert unquote(runtime).call(1, {1}) == 0
      Ingestor.code(:everything)
      Native.code(:everything)
      assert unquote(runtime).return(0, 2, :value) == :value
      unquote(runtime).bind(0, 3, {1})
      unquote(runtime).tail(0, 4)
      unquote(runtime).raising(0, 5, :error, :x)
      frame = unquote(runtime).call(6, {2})
      assert frame != 0
      Pipeline.stop(pipeline)
      assert [%{site: 6, value: {:ok, {2}}}] = RawFiles.events(dir)
    end
  end
end
