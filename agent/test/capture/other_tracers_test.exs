defmodule ElixirScope.Capture.OtherTracersTest do
  # Other tools that trace the same VM, before us and later. In VMs of their own.
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Traced
  alias ElixirScope.Capture.TraceSession
  alias ElixirScope.Test.{ChildVM, RawFiles}

  setup :own_folder

  @engines engines()

  for engine <- @engines do
    @engine engine

    # The tool comes before the agent, as `-s foreign`, and counts what it is told.
    @foreign """
    -module(foreign).
    -export([start/0, loop/2]).
    start() ->
        register(foreign_tracer, spawn(?MODULE, loop, [0, 0])),
        erlang:trace(new_processes, true, [send, {tracer, whereis(foreign_tracer)}]),
        erlang:trace_pattern(send, [{['_', {'$1', '_'}], [{'=:=', '$1', theirs}], []}], []).
    loop(Theirs, Others) ->
        receive
            {trace, _, send, {theirs, _}, _} -> loop(Theirs + 1, Others);
            {trace, _, _, _, _} -> loop(Theirs, Others + 1);
            {told, From} -> From ! {told, Theirs, Others}, loop(Theirs, Others)
        end.
    """

    test "#{engine}: a tool that traced before goes on undisturbed; what that costs is said", %{tmp_dir: dir} do
      File.write!(Path.join(dir, "foreign.erl"), @foreign)
      {_, 0} = System.cmd("erlc", ["foreign.erl"], cd: dir)

      env =
        for {key, value} <- ChildVM.environment(dir, "", @engine) do
          {key, if(key == "ERL_AFLAGS", do: "-pa #{dir} -s foreign " <> value, else: value)}
        end

      File.write!(Path.join(dir, "script.exs"), """
      Process.register(self(), :main)
      pid = spawn(fn ->
        Process.register(self(), :child)
        for n <- 1..3, do: send(:main, {:theirs, n})
        send(:main, :another)
      end)
      for n <- 1..3, do: (receive do {:theirs, ^n} -> :ok end)
      receive do :another -> :ok end
      ref = :erlang.trace_delivered(pid)
      receive do {:trace_delivered, ^pid, ^ref} -> :ok end
      {:tracer, tracer} = :erlang.trace_info(:new_processes, :tracer)
      send(:foreign_tracer, {:told, self()})
      IO.inspect({tracer == Process.whereis(:foreign_tracer), receive do told -> told end})
      """)

      assert {"{true, {:told, 3, 0}}\n", 0} =
               System.cmd("elixir", [Path.join(dir, "script.exs")], env: env, stderr_to_stdout: true)

      raw = Path.join(dir, "raw")
      events = RawFiles.events(raw)
      reasons = for %{what: :coverage} = meta <- RawFiles.metas(raw), do: {meta.subject, meta.reason}

      if TraceSession.legacy?() do
        assert {"VM events", "another tool traces new processes"} in reasons
        assert {"messages", "another tool has set trace patterns of its own for them"} in reasons
        refute Enum.any?(events, &(&1.kind in [:send, :receive]))
      else
        refute Enum.any?(reasons, fn {_, reason} -> reason =~ "another tool" end)
        child = named(events, :child)
        assert [_, _, _, %{value: {:ok, :another}}] = of(events, child, :send)
      end
    end

    test "#{engine}: a tool that stops all tracing: a session goes on, of the legacy tracer it is said", %{
      tmp_dir: dir
    } do
      %{events: events, raw: raw, output: "done\n"} =
        record(
          dir,
          """
          Process.register(self(), :main)
          :erlang.trace(:all, false, [:all])
          :erlang.trace_pattern(:send, false, [])
          :erlang.trace_pattern(:receive, false, [])
          :erlang.trace_pattern({:_, :_, :_}, false, [:local])
          send(spawn(fn -> Process.register(self(), :later); receive do :go -> send(:main, :gone) end end), :go)
          receive do :gone -> :ok end

          # Until the agent has looked again.
          legacy? = ElixirScope.Capture.TraceSession.legacy?()
          wait = fn wait ->
            if legacy? and not :persistent_term.get({ElixirScope.Capture.VMTracer, :taken}), do: wait.(wait)
          end
          wait.(wait)
          IO.puts("done")
          """,
          "",
          @engine
        )

      if TraceSession.legacy?() do
        assert [%{reason: reason}] =
                 for(%{what: :coverage, subject: "VM events"} = meta <- RawFiles.metas(raw), do: meta)

        assert reason =~ "stopped or taken over"
      else
        later = named(events, :later)
        assert [%{value: {:ok, :gone}}] = of(events, later, :send)
        assert [%{value: {:ok, :go}}] = of(events, later, :receive)
        refute Enum.any?(RawFiles.metas(raw), &match?(%{what: :coverage, subject: "VM events"}, &1))
      end
    end

    test "#{engine}: a process that the program traces is left to it", %{tmp_dir: dir} do
      %{raw: raw, output: output} =
        record(
          dir,
          """
          defmodule Own do
            def run do
              pid = spawn(fn -> receive do :end -> :ok end end)
              count = :erlang.trace(pid, true, [:procs, :receive])
              send(pid, :end)
              told = for _ <- 1..2, do: (receive do told when elem(told, 1) == pid -> Tuple.delete_at(told, 1) end)
              {count, told}
            end
          end

          IO.inspect(Own.run())
          """,
          "",
          @engine
        )

      assert output == "{1, [{:trace, :receive, :end}, {:trace, :exit, :normal}]}\n"
      reasons = for %{what: :coverage, reason: reason} <- RawFiles.metas(raw), do: reason
      assert "the program traces this process itself" in reasons == TraceSession.legacy?()
    end
  end
end
