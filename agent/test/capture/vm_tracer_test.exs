defmodule ElixirScope.Capture.VMTracerTest do
  # In VMs of their own: what a recorded program does, and what the files tell of it.
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  alias ElixirScope.Test.{ChildVM, RawFiles}

  setup :own_folder
  @moduletag timeout: 120_000

  defp record(dir, code, plan \\ "") do
    {output, status} = ChildVM.run(dir, code, plan)
    raw = Path.join(dir, "raw")
    assert RawFiles.complete?(raw)
    %{output: output, status: status, raw: raw, events: RawFiles.events(raw)}
  end

  # The pid that a name was given to.
  defp named(events, name) do
    %{pid: pid} = Enum.find(events, &(&1.kind == :register and &1.value == {:ok, name}))
    pid
  end

  defp of(events, pid, kind), do: Enum.filter(events, &(&1.pid == pid and &1.kind == kind))

  test "lives, links, names and messages", %{tmp_dir: dir} do
    %{events: events, output: "done\n"} =
      record(dir, """
      defmodule Server do
        use GenServer
        def init(n), do: {:ok, n}
        def handle_call(:get, _, n), do: {:reply, n, n}
      end

      main = self()
      Process.register(main, :main)

      echo = spawn(fn ->
        Process.register(self(), :echo)
        send(:main, :ready)
        receive do {:ping, from} -> send(from, :pong) end
        receive do :stop -> exit(:because) end
      end)

      receive do :ready -> :ok end
      Process.link(echo)
      Process.unlink(echo)
      send(:echo, {:ping, main})
      receive do :pong -> :ok end
      ref = Process.monitor(echo)
      send(echo, :stop)
      receive do {:DOWN, ^ref, _, _, :because} -> :ok end
      send(echo, :into_the_void)
      send({:nobody, node()}, :far)
      try do send(:nobody_here, :x) rescue ArgumentError -> :ok end

      {:ok, server} = GenServer.start_link(Server, 1, name: :server)
      1 = GenServer.call(server, :get)
      GenServer.stop(server)
      IO.puts("done")
      """)

    main = named(events, :main)
    echo = named(events, :echo)
    server = named(events, :server)

    assert [%{peer: ^main, value: {:ok, %{mfa: {_, _, 0}}}}] = of(events, echo, :spawned)
    assert Enum.any?(of(events, main, :spawn), &(&1.peer == echo))
    assert [%{value: {:ok, :because}}] = of(events, echo, :exit)
    assert [%{peer: ^echo}] = of(events, main, :link) |> Enum.filter(&(&1.peer == echo))
    assert [%{peer: ^main}] = of(events, echo, :getting_linked)
    assert [%{peer: ^main}] = of(events, echo, :getting_unlinked)
    assert Enum.any?(of(events, main, :unlink), &(&1.peer == echo))
    assert [%{value: {:ok, :echo}}] = of(events, echo, :unregister)

    # A message to a name has its receiver, and both ends agree on what it was.
    [ping] = for e <- of(events, main, :send), match?({:ok, {:ping, _}}, e.value), do: e
    [received] = for e <- of(events, echo, :receive), match?({:ok, {:ping, _}}, e.value), do: e
    assert ping.peer == echo and received.peer == main
    assert ping.ref == received.ref and ping.ref != 0
    assert ping.ts <= received.ts
    assert [%{peer: ^echo}] = for(e <- of(events, main, :receive), e.value == {:ok, :pong}, do: e)

    # Nobody there.
    [void] = for e <- of(events, main, :send), e.value == {:ok, :into_the_void}, do: e
    assert void.flags == 16 and void.peer == echo

    assert Enum.any?(
             of(events, main, :send),
             &(&1.value == {:ok, {{:nobody, :nonode@nohost}, :far}} and &1.peer == nil)
           )

    # The server is known by its module and name; its reply, which goes to an alias, by its receiver's end.
    assert [%{value: {:ok, %{initial: {Server, :init, 1}, name: :server, ancestors: [:main | _]}}}] =
             of(events, server, :spawned)

    [call] = for e <- of(events, main, :send), match?({:ok, {:"$gen_call", _, :get}}, e.value), do: e
    {:ok, {_, {_, tag}, :get}} = call.value
    [reply] = for e <- of(events, server, :send), match?({:ok, {_, 1}}, e.value), do: e
    [answer] = for e <- of(events, main, :receive), match?({:ok, {_, 1}}, e.value), do: e
    assert reply.ref == answer.ref and answer.peer == server
    assert reply.value == {:ok, {tag, 1}}
    assert [%{value: {:ok, :normal}}] = of(events, server, :exit)
  end

  test "the states of supervisors", %{tmp_dir: dir} do
    %{events: events} =
      record(dir, """
      children = [%{id: :one, start: {Agent, :start_link, [fn -> 1 end]}}]
      {:ok, sup} = Supervisor.start_link(children, strategy: :one_for_one, name: :sup)
      {:ok, two} = Supervisor.start_child(sup, %{id: :two, start: {Agent, :start_link, [fn -> 2 end]}})
      :ok = Supervisor.terminate_child(sup, :two)
      """)

    states = of(events, named(events, :sup), :state)
    assert length(states) >= 3

    for state <- states,
        do: assert({:ok, {:state, {:local, :sup}, :one_for_one, {_, _}, _, _, _, _, _, _, _, _}} = state.value)

    assert Enum.all?(states, &(&1.frame == 0 and &1.aux == 1))
  end

  test "neither the compiler nor the agent is in it, and that is said", %{tmp_dir: dir} do
    %{events: events, raw: raw} =
      record(dir, """
      Process.register(self(), :main)
      defmodule A do
        def f(x), do: x + 1
      end
      Code.compile_string("defmodule B do\\n def g(x), do: A.f(x)\\nend")
      true = apply(B, :g, [1]) == 2
      {:ok, _} = Application.ensure_all_started(:inets)
      """)

    for %{value: {:ok, %{mfa: mfa} = origin}, kind: kind} = e <- events, kind in [:spawn, :spawned] do
      {module, _, _} = Map.get(origin, :initial, mfa)
      refute module in [Kernel.LexicalTracker, Module.ParallelChecker, :elixir_erl_compiler, :compile], inspect(e)
      refute inspect(module) =~ "ElixirScope"
    end

    # Compiling sends plenty of messages; of these only what the program did is left.
    main = named(events, :main)
    texts = for e <- events, e.kind in [:send, :receive], do: inspect(e.value, limit: :infinity)
    refute Enum.any?(texts, &(&1 =~ "elixir_scope" or &1 =~ "load_binary" or &1 =~ "code_call"))
    refute Enum.any?(texts, &(&1 =~ "LexicalTracker" or &1 =~ "$es"))
    refute Enum.any?(of(events, main, :send), &(&1.value |> inspect() =~ "Module"))

    assert [%{reason: reason}] =
             for(%{what: :coverage, subject: "Elixir's compiler"} = m <- RawFiles.metas(raw), do: m)

    assert reason =~ "no part of the program"
  end

  test "as little as the plan says", %{tmp_dir: dir} do
    code = "spawn(fn -> Process.register(self(), :child) end)\nsend(self(), :x)"
    %{events: events} = record(dir, code, "messages => false")
    kinds = events |> Enum.map(& &1.kind) |> Enum.uniq()
    assert :spawned in kinds and :send not in kinds and :receive not in kinds

    File.rm_rf!(Path.join(dir, "raw"))
    %{events: events} = record(dir, code, "lifecycle => false")
    kinds = events |> Enum.map(& &1.kind) |> Enum.uniq()
    assert :send in kinds and :spawned not in kinds

    File.rm_rf!(Path.join(dir, "raw"))
    %{events: events} = record(dir, code, "lifecycle => false, messages => false")
    assert Enum.reject(events, &(&1.kind in [:call, :return, :tail, :bind])) == []

    File.rm_rf!(Path.join(dir, "raw"))
    %{events: events} = record(dir, code, "scheduling => true")
    assert Enum.any?(events, &(&1.kind == :scheduled_in))
  end

  test "the tracer of another tool keeps its processes, and that is said", %{tmp_dir: dir} do
    # The first of all: it traces before the agent does, and looks whether it still does at the end.
    File.write!(Path.join(dir, "foreign.erl"), """
    -module(foreign).
    -export([start/0]).
    start() ->
        Tracer = spawn(fun() -> receive stop -> ok end end),
        register(foreign_tracer, Tracer),
        erlang:trace(new_processes, true, [call, {tracer, Tracer}]).
    """)

    {_, 0} = System.cmd("erlc", ["foreign.erl"], cd: dir)

    env =
      for {key, value} <- ChildVM.environment(dir, "") do
        {key, if(key == "ERL_AFLAGS", do: "-pa #{dir} -s foreign " <> value, else: value)}
      end

    File.write!(Path.join(dir, "script.exs"), """
    {:tracer, pid} = :erlang.trace_info(:new_processes, :tracer)
    IO.inspect(pid == Process.whereis(:foreign_tracer))
    """)

    assert {"true\n", 0} = System.cmd("elixir", [Path.join(dir, "script.exs")], env: env, stderr_to_stdout: true)
    metas = RawFiles.metas(Path.join(dir, "raw"))
    assert Enum.any?(metas, &match?(%{what: :coverage, subject: "VM events", reason: "another tool" <> _}, &1))
  end

  test "a killed tracer is replaced, and traces who lived on", %{tmp_dir: dir} do
    {_, 0} =
      ChildVM.run(dir, """
      echo = spawn(fn ->
        Process.register(self(), :echo)
        loop = fn loop -> receive do {:ping, from} -> send(from, :pong); loop.(loop) end end
        loop.(loop)
      end)
      ping = fn -> send(echo, {:ping, self()}); receive do :pong -> :ok end end
      ping.()
      collector = :persistent_term.get({ElixirScope.Capture.VMTracer, :collector})
      Process.exit(collector, :kill)
      wait = fn wait ->
        with {:tracer, pid} when is_pid(pid) <- :erlang.trace_info(echo, :tracer), true <- pid != collector do
          :ok
        else
          _ -> Process.info(self(), :status); :erlang.yield(); wait.(wait)
        end
      end
      wait.(wait)
      send(echo, {:ping, self()})
      receive do :pong -> :ok end
      spawn(fn -> Process.register(self(), :later) end)
      for pid <- [collector | Process.list()], {:ok, {ElixirScope.Capture.Collector, _, _}} <- [{:ok, :proc_lib.initial_call(pid)}] do
        true = :erlang.trace_info(pid, :flags) in [{:flags, []}, :undefined]
      end
      """)

    raw = Path.join(dir, "raw")
    events = RawFiles.events(raw)
    assert [later] = for(e <- events, e.kind == :register and e.value == {:ok, :later}, do: e.pid)
    assert [_] = of(events, later, :spawned)
    # What the first one had taken in but not written is gone; the pings are from after.
    assert Enum.any?(events, &(&1.kind == :receive and &1.value == {:ok, :pong}))
    assert Enum.any?(RawFiles.metas(raw), &match?(%{what: :coverage, reason: "the tracer was restarted" <> _}, &1))
    assert length(for %{shard: :vm} = file <- RawFiles.read(raw), do: file) == 2
  end
end
