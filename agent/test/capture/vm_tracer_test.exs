defmodule ElixirScope.Capture.VMTracerTest do
  # In VMs of their own: what a recorded program does, and what the files tell of it.
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Traced
  alias ElixirScope.Test.{ChildVM, RawFiles}

  setup :own_folder

  @engines engines()

  for engine <- @engines do
    @engine engine

    test "#{engine}: what ExUnit tells its own formatters is left out, and said to be", %{tmp_dir: dir} do
      %{events: events, raw: raw, output: "done\n"} =
        record(
          dir,
          """
          defmodule Own do
            use GenServer
            def init(main), do: {:ok, main}
            def handle_cast(event, main), do: {:noreply, send(main, event) && main}
          end

          defmodule Until do
            def true?(fun), do: fun.() || true?(fun)
          end

          Process.register(self(), :main)
          {:ok, {supervisor, bus} = manager} = ExUnit.EventManager.start_link()
          {:ok, stats} = ExUnit.EventManager.add_handler(manager, ExUnit.RunnerStats, [])
          {:ok, own} = ExUnit.EventManager.add_handler(manager, Own, self())
          for {name, pid} <- [supervisor: supervisor, bus: bus, stats: stats, own: own], do: Process.register(pid, name)
          ElixirScope.Capture.TestEvents.notify({:suite_started, %{}}, manager)
          Until.true?(fn -> stats in ElixirScope.Capture.VMTracer.serving() end)
          send(self(), :told)
          ExUnit.EventManager.test_started(manager, %ExUnit.Test{name: :hello})
          receive do {:test_started, _} -> IO.puts("done") end
          """,
          "",
          @engine
        )

      [main, own | left] = for name <- [:main, :own, :supervisor, :bus, :stats], do: named(events, name)
      {_, [_ | later]} = Enum.split_while(events, &(&1.pid != main or &1.value != {:ok, :told}))
      assert [{:"$gen_cast", {:test_started, _}}] = for(%{peer: ^own, kind: :send, value: {:ok, v}} <- later, do: v)
      assert [_] = of(later, own, :receive)
      assert for(e <- later, e.kind in [:send, :receive], e.pid in left or e.peer in left, do: e) == []
      assert [_] = for(%{what: :coverage, subject: "ExUnit's reports"} = meta <- RawFiles.metas(raw), do: meta)
    end

    test "#{engine}: lives, links, names and messages", %{tmp_dir: dir} do
      %{events: events, output: "done\n"} =
        record(
          dir,
          """
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
          """,
          "",
          @engine
        )

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

    test "#{engine}: the states of supervisors", %{tmp_dir: dir} do
      %{events: events} =
        record(
          dir,
          """
          children = [%{id: :one, start: {Agent, :start_link, [fn -> 1 end]}}]
          {:ok, sup} = Supervisor.start_link(children, strategy: :one_for_one, name: :sup)
          {:ok, two} = Supervisor.start_child(sup, %{id: :two, start: {Agent, :start_link, [fn -> 2 end]}})
          :ok = Supervisor.terminate_child(sup, :two)
          """,
          "",
          @engine
        )

      states = of(events, named(events, :sup), :state)
      assert length(states) >= 3

      # A record, of which later releases have more fields.
      for %{value: {:ok, state}} <- states do
        assert [:state, {:local, :sup}, :one_for_one, {_, _} | _] = Tuple.to_list(state)
      end

      assert Enum.all?(states, &(&1.frame == 0 and &1.aux == 1))
    end

    test "#{engine}: neither the compiler nor the agent is in it, and that is said", %{tmp_dir: dir} do
      %{events: events, raw: raw} =
        record(
          dir,
          """
          Process.register(self(), :main)
          defmodule A do
            def f(x), do: x + 1
          end
          Code.compile_string("defmodule B do\\n def g(x), do: A.f(x)\\nend")
          true = apply(B, :g, [1]) == 2
          {:ok, _} = Application.ensure_all_started(:inets)
          """,
          "",
          @engine
        )

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

    test "#{engine}: as little as the plan says", %{tmp_dir: dir} do
      code = "spawn(fn -> Process.register(self(), :child) end)\nsend(self(), :x)"
      %{events: events} = record(dir, code, "messages => false", @engine)
      kinds = events |> Enum.map(& &1.kind) |> Enum.uniq()
      assert :spawned in kinds and :send not in kinds and :receive not in kinds

      File.rm_rf!(Path.join(dir, "raw"))
      %{events: events} = record(dir, code, "lifecycle => false", @engine)
      kinds = events |> Enum.map(& &1.kind) |> Enum.uniq()
      assert :send in kinds and :spawned not in kinds

      File.rm_rf!(Path.join(dir, "raw"))
      %{events: events} = record(dir, code, "lifecycle => false, messages => false", @engine)
      assert Enum.reject(events, &(&1.kind in [:call, :return, :tail, :bind])) == []

      File.rm_rf!(Path.join(dir, "raw"))
      %{events: events} = record(dir, code, "scheduling => true", @engine)
      assert Enum.any?(events, &(&1.kind == :scheduled_in))
    end
  end

  if :native in @engines do
    test "both engines tell the same of the same program, event by event", %{tmp_dir: dir} do
      code = """
      defmodule Server do
        use GenServer
        def init(n), do: {:ok, n}
        def handle_call({:run, fun}, _, n), do: {:reply, fun.(n), n}
        def handle_call(request, _, n), do: {:reply, request, n}
        def handle_cast(:crash, n), do: exit({:shutdown, %{n: n, password: String.reverse("2retnuh")}})
      end

      Process.register(self(), :main)
      {:ok, server} = GenServer.start(Server, 1, name: :server)
      big = Map.new(1..500, &{&1, "number \#{&1}"})

      for request <- [1, "text", 1.5, {:a, [1, 2 | 3]}, big, String.duplicate("x", 5_000), Enum.to_list(1..3_000), <<5::3>>,
                      Bitwise.bsl(1, 100), %{password: String.reverse("2retnuh")}, [token: {1, 2}], %URI{host: "h"}, 1..3, server, {}, []] do
        ^request = GenServer.call(server, request)
        ^request = GenServer.call(:server, request)
      end

      2 = GenServer.call(server, {:run, fn n -> n + 1 end})
      {:ok, agent} = Agent.start_link(fn -> big end, name: :agent)
      500 = Agent.get(agent, &map_size/1)
      Agent.update(:agent, &Map.put(&1, :secret, 1))
      task = Task.async(fn -> Process.register(self(), :task); {:ok, big} end)
      {:ok, ^big} = Task.await(task)
      child = spawn(fn -> Process.register(self(), :child); receive do {:stop, reason} -> exit(reason) end end)
      Process.link(child)
      Process.unlink(child)
      ref = Process.monitor(child)
      send(child, {:stop, {:because, big}})
      receive do {:DOWN, ^ref, _, _, _} -> :ok end
      send(child, :nobody)
      ref = Process.monitor(server)
      GenServer.cast(:server, :crash)
      receive do {:DOWN, ^ref, _, _, _} -> :ok end
      children = [{Task.Supervisor, name: :tasks}, {Registry, keys: :unique, name: :registry}, {Agent, fn -> 1 end}]
      {:ok, sup} = Supervisor.start_link(children, strategy: :one_for_one, name: :sup)
      {:ok, _} = Supervisor.start_child(sup, %{id: :more, start: {Agent, :start_link, [fn -> 2 end, [name: :more]]}})
      :ok = Supervisor.terminate_child(sup, :more)
      {:ok, _} = GenServer.start(Server, 1, name: {:global, {:far, 1}})
      {:ok, _} = GenServer.start(Server, 1, name: {:via, Registry, {:registry, "near"}})
      {:ok, _} = GenServer.start(Server, big)
      0 = Task.await(Task.async(Enum, :count, [[]]))
      1 = Task.await(Task.Supervisor.async(:tasks, fn -> 1 end))

      for born <- [fn -> spawn(:lists, :reverse, [[1]]) end, fn -> :proc_lib.spawn(fn -> :ok end) end,
                   fn -> :proc_lib.spawn(:lists, :reverse, [[1]]) end, fn -> spawn(fn -> big end) end] do
        ref = Process.monitor(born.())
        receive do {:DOWN, ^ref, _, _, _} -> :ok end
      end

      Process.unregister(:main)
      """

      # What ends a process may be seen before or after what another one does about it: each process by itself.
      [portable, native] =
        for engine <- [:portable, :native] do
          folder = Path.join(dir, "#{engine}")
          File.mkdir_p!(folder)
          secrets = "redact => \#{keys => [<<\"password\">>, <<\"token\">>, <<\"secret\">>], modules => []}"
          %{events: events, status: 0, raw: raw} = record(folder, code, secrets, engine)
          assert [%{engine: ^engine}] = for(%{what: :hello} = hello <- RawFiles.metas(raw), do: hello)

          for path <- Path.wildcard(Path.join(raw, "*")),
              do: assert(:binary.match(File.read!(path), "hunter2") == :nomatch)

          # Both ends of a message have the same number, also of one that was cut.
          main = named(events, :main)
          sent = for %{kind: :send, pid: ^main} = e <- events, into: %{}, do: {e.ref, e.value}
          heard = for %{kind: :receive, peer: ^main, flags: 1} = e <- events, do: e
          assert length(heard) > 5
          for e <- heard, do: assert(is_map_key(sent, e.ref), inspect({engine, e.value, e.flags}))

          lives = for name <- [:main, :server, :agent, :task, :child], do: {name, story(events, name)}
          # What a supervisor goes through at the end of the program is a race.
          supervised =
            for {name, kind} <- [sup: :state, more: :spawned], do: told(of(events, named(events, name), kind))

          Enum.zip([:sup, :more], supervised) ++ lives
        end

      for {{name, a}, {name, b}} <- Enum.zip(portable, native) do
        assert a != [], "nothing of #{name}"
        for {one, other} <- Enum.zip(a, b), do: assert(one == other, "#{name}:\n#{inspect({one, other})}")
        assert length(a) == length(b)
      end
    end
  end

  # Each node has a loopback address of its own, so that no daemon has to tell which is where.
  test "both ends of a message between nodes have the same number, whatever their engines", %{tmp_dir: dir} do
    {:ok, socket} = :gen_tcp.listen(0, ip: {127, 0, 0, 1})
    {:ok, port} = :inet.port(socket)
    :gen_tcp.close(socket)

    nodes =
      for {engine, n} <- Enum.with_index([List.last(@engines), :portable], 1) do
        folder = Path.join(dir, "#{n}")
        File.mkdir_p!(folder)

        script = """
        defmodule Server do
          use GenServer
          def init(n), do: {:ok, n}
          def handle_call(request, _, n), do: {:reply, {request, n}, n}
          def handle_cast(:done, n), do: {:stop, :normal, n}
        end

        Process.register(self(), :main)
        {:ok, here} = GenServer.start(Server, #{n}, name: :server)
        other = :"n#{3 - n}@127.0.0.#{3 - n}"
        # The other node starts when it likes: asked again and again until it is there.
        connect = fn connect -> Node.connect(other) || (Process.sleep(20); connect.(connect)) end
        true = connect.(connect)
        ref = Process.monitor(here)
        # Of a name at another node nobody tells: this asks until it is there, too.
        wait = fn wait ->
          pid = :rpc.call(other, :erlang, :whereis, [:server])
          if is_pid(pid), do: pid, else: (Process.sleep(20); wait.(wait))
        end
        pid = wait.(wait)
        {:hello, #{3 - n}} = GenServer.call({:server, other}, :hello)
        {{:text, "long"}, #{3 - n}} = GenServer.call(pid, {:text, "long"})
        # It may be gone before it hears that, and then so is the node.
        GenServer.cast(pid, :done)
        Node.monitor(other, true)
        receive do {:DOWN, ^ref, _, _, _} -> :ok; {:nodedown, _} -> :ok end
        """

        path = Path.join(folder, "node.exs")
        File.write!(path, script)
        names = "-name n#{n}@127.0.0.#{n} -setcookie #{port} -kernel inet_dist_use_interface {127,0,0,#{n}}"
        options = {"ELIXIR_ERL_OPTIONS", "#{names} -start_epmd false -erl_epmd_port #{port}"}
        env = [options | ChildVM.environment(folder, "", engine)]
        {folder, Task.async(fn -> System.cmd("elixir", [path], env: env, stderr_to_stdout: true) end)}
      end

    for {_, task} <- nodes, do: assert({"", 0} = Task.await(task, :infinity))
    [one, other] = for {folder, _} <- nodes, do: RawFiles.events(Path.join(folder, "raw"))

    for {here, there} <- [{one, other}, {other, one}] do
      main = named(here, :main)
      requests = for %{kind: :send, pid: ^main, value: {:ok, {:"$gen_call", _, {:text, _}}}} = e <- here, do: e
      answers = for %{kind: :receive, pid: ^main, value: {:ok, {_, {{:text, _}, _}}}} = e <- here, do: e
      assert [%{ref: request}] = requests
      assert [%{ref: answer}] = answers
      assert [%{}] = for(%{kind: :receive, ref: ^request, value: {:ok, {:"$gen_call", _, _}}} = e <- there, do: e)
      assert [%{}] = for(%{kind: :send, ref: ^answer} = e <- there, do: e)
    end
  end

  # What a process did, in order, then what others did to it, which may come between at any place. Without numbers that
  # differ from run to run; what it said and heard with the number that pairs them, which is of the message.
  defp story(events, name) do
    pid = named(events, name)
    # The main process has compiled the script before.
    since = if name == :main, do: Enum.find(events, &(&1.value == {:ok, :main})).ts

    mine =
      for %{pid: ^pid, kind: kind} = e <- events,
          since == nil or e.ts >= since,
          kind not in [:call, :return, :tail, :bind, :state] and not ends_well?(e),
          do: e

    {done, suffered} = Enum.split_with(mine, &(&1.kind not in [:receive, :getting_linked, :getting_unlinked]))
    told(done) ++ Enum.sort(told(suffered))
  end

  # An awaited task's end comes before or after its monitor is taken off, and then not at all.
  defp ends_well?(e), do: e.kind == :receive and match?({:ok, {:DOWN, _, :process, _, :normal}}, e.value)

  defp told(events) do
    for %{kind: kind} = e <- events do
      text = inspect({kind, e.value, e.flags, e.peer && :somebody}, limit: :infinity, printable_limit: :infinity)
      # What was cut is numbered by each engine in its way.
      ref = if Bitwise.band(e.flags, 1) == 1 or text =~ ~r/#(PID|Reference|Port)<|fun-/, do: :own, else: e.ref
      {String.replace(text, ~r/#(PID|Reference|Port)<[\d.]+>|-?\d+-fun-\d+/, "#"), ref}
    end
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
        new = :persistent_term.get({ElixirScope.Capture.VMTracer, :collector})
        if new == collector or not ElixirScope.Capture.TraceSession.traced?(echo, new) do
          :erlang.yield()
          wait.(wait)
        end
      end
      wait.(wait)
      send(echo, {:ping, self()})
      receive do :pong -> :ok end
      spawn(fn -> Process.register(self(), :later) end)
      for pid <- [collector | Process.list()], {:ok, {ElixirScope.Capture.Collector, _, _}} <- [{:ok, :proc_lib.initial_call(pid)}] do
        false = ElixirScope.Capture.TraceSession.traced?(pid, :persistent_term.get({ElixirScope.Capture.VMTracer, :collector}))
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
