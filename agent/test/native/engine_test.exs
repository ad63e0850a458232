defmodule ElixirScope.Native.EngineTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Eventually
  import ExUnit.CaptureIO, only: [with_io: 2]
  alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, Native, NativeRuntime, PipelineManager, TestEvents}
  alias ElixirScope.Compiler.Loader
  alias ElixirScope.Plan
  alias ElixirScope.Test.{NativeLibrary, Pipeline, RawFiles, Terms}

  with {:error, reason} <- NativeLibrary.load(), do: @moduletag(skip: reason)
  @moduletag :tmp_dir
  @moduletag capture_log: true

  defp start(dir, changes \\ "", engine \\ :native) do
    pipeline = Pipeline.start(dir, changes, engine)
    on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
    pipeline
  end

  defp mine(dir, pid \\ self()),
    do: for(event <- RawFiles.events(dir), event.pid == pid, event.kind in kinds(), do: event)

  defp kinds, do: [:call, :return, :tail, :bind, :caught, :raise, :state]

  # In several processes at a time, which wait for each other's turns and so move between schedulers.
  defp in_processes(count, fun) do
    parent = self()
    pids = for n <- 1..count, do: spawn_link(fn -> send(parent, {:done, self(), fun.(n)}) end)

    for pid <- pids do
      assert_receive {:done, ^pid, result}, 60_000
      {pid, result}
    end
  end

  # Numbers from 1, each in an event of its own.
  defp numbered(events) do
    for frame <- 1..events do
      NativeRuntime.call(1, {frame})
      if rem(frame, 100) == 0, do: :erlang.yield()
    end
  end

  defp numbers(dir, pid), do: for(%{value: {:ok, {n}}} <- mine(dir, pid), do: n)
  defp drainers, do: for(n <- 0..:erlang.system_info(:schedulers), do: Process.whereis(:"elixir_scope_drainer_#{n}"))

  test "without a pipeline nothing is recorded, and nothing breaks" do
    assert NativeRuntime.call(1, {1}) == 0
    assert NativeRuntime.call0(1) == 0
    assert NativeRuntime.return(0, 2, :value) == :value
    assert NativeRuntime.return0(0, 2) == :ok
    assert NativeRuntime.return0(0, 2, :value) == :value
    assert NativeRuntime.bind(0, 3, {1}) == :ok
    assert NativeRuntime.tail(0, 4) == :ok
    assert NativeRuntime.raising(0, 5, :error, :x) == :ok
    assert NativeRuntime.caught(0, 5, :error, :x, []) == :ok
    assert NativeRuntime.state(0, 6, :gen_server, 1, {:noreply, 2}) == {:noreply, 2}
    assert Native.runtime() == InstrumentationRuntime
  end

  test "both keep the fields that the plan wants first, also of structs that C does not know yet", %{tmp_dir: dir} do
    large = for n <- 1..20, into: %{}, do: {:"a_#{n}", String.duplicate("l", 2_000)}
    uri = Map.merge(%URI{host: "here", query: "a=1", userinfo: "my:password"}, large)

    for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
      folder = Path.join(dir, "#{engine}")
      changes = "first => \#{'Elixir.URI' => [query, userinfo, host]}, redact => \#{keys => [<<\"userinfo\">>]}"
      pipeline = start(folder, changes, engine)
      runtime.call(1, {uri, 1})
      PipelineManager.flush()
      runtime.call(1, {uri, 2})
      Pipeline.stop(pipeline)

      assert [1, 2] =
               for(
                 %{value: {:ok, {%{query: "a=1", host: "here", userinfo: {:"$elixirscope", :redacted}} = cut, n}}} <-
                   mine(folder),
                 map_size(cut) < map_size(uri),
                 do: n
               )
    end
  end

  # Others are marked as secret by tests here, and stay so.
  @own_site 4_711

  test "what a test run is told with is known to C before the first test", %{tmp_dir: dir} do
    start(dir, "redact => \#{keys => [<<\"password\">>]}")
    by_c? = fn module -> is_integer(NativeRuntime.enter(@own_site, {struct(module)})) end
    refute by_c?.(ExUnit.Test) or by_c?.(ExUnit.TestModule)
    TestEvents.notify({:suite_started, %{}})
    assert eventually(fn -> by_c?.(ExUnit.Test) and by_c?.(ExUnit.TestModule) end)
    refute by_c?.(URI)
  end

  test "structs of instrumented modules are known before they come, others soon after", %{tmp_dir: dir} do
    start(dir, "redact => \#{keys => [<<\"password\">>], modules => [<<\"Known.Secret\">>]}")
    by_c? = fn module -> is_integer(NativeRuntime.enter(@own_site, {%{__struct__: module}})) end

    source = """
    defmodule Known.Plain do
      defstruct [:name]
      def f(x), do: x
    end

    defmodule Known.Hiding do
      @derive {Inspect, only: [:name]}
      defstruct [:name, :token]
      def f(x), do: x
    end

    defmodule Known.Secret do
      defstruct [:name]
      def f(x), do: x
    end
    """

    # Not every Mix compiles tests with it.
    previous = Code.compiler_options(debug_info: true)
    {compiled, _} = with_io(:stderr, fn -> Code.compile_string(source) end)
    Code.compiler_options(previous)

    for {module, binary} <- compiled, do: File.write!(Path.join(dir, "#{module}.beam"), binary)

    modules =
      for module <- [Known.Plain, Known.Hiding, Known.Secret],
          do: {module, String.to_charlist(Path.join(dir, "#{module}.beam")), :project}

    refute Enum.any?(modules, fn {module, _, _} -> by_c?.(module) end)
    assert Loader.arm(Plan.current(), modules) == 3
    on_exit(&Loader.detach/0)
    assert by_c?.(Known.Plain)
    refute by_c?.(Known.Hiding) or by_c?.(Known.Secret)

    refute by_c?.(Version.Requirement)
    NativeRuntime.call(@own_site, {%{__struct__: Version.Requirement}})
    assert eventually(fn -> by_c?.(Version.Requirement) end)
  end

  test "it records what the portable engine records", %{tmp_dir: dir} do
    seed = :rand.uniform(1_000_000_000)

    secrets =
      "first => \#{'Elixir.URI' => [z, other]}, redact => \#{keys => [<<\"password\">>, <<\"token\">>], modules => [<<\"My.*\">>]}"

    [portable, native] =
      for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
        :rand.seed(:exsss, seed)
        folder = Path.join(dir, "#{engine}")
        pipeline = start(folder, secrets, engine)
        Ingestor.put_sites(M, %{}, [{7, :bind, :f, 0, 1, ["plain", "my_password"], %{}}])
        Enum.each(1..2_000, fn _ -> one_of_each(runtime) end)
        Pipeline.stop(pipeline)
        assert RawFiles.complete?(folder)
        assert RawFiles.losses(folder) == []
        for event <- mine(folder), do: Map.take(event, [:kind, :site, :value, :flags, :aux])
      end

    assert length(portable) == 24_000

    # References and functions are made anew each time; all else must be the same. Where a reference is a key, which
    # pairs come first and are kept is up to it.
    for {a, b} <- Enum.zip(portable, native), a != b do
      key? = shown(a) =~ "#Reference =>"
      [a, b] = for event <- [a, b], do: if(key?, do: Map.take(event, [:kind, :site, :aux]), else: event)
      assert shown(a) == shown(b), "seed #{seed}:\n#{shown(a)}\n#{shown(b)}"
    end

    assert length(native) == length(portable)
  end

  defp one_of_each(runtime) do
    term = fn -> Terms.random(3) end
    frame = runtime.call(1, {term.(), term.()})
    runtime.call0(2)
    runtime.bind(frame, 3, {term.()})
    runtime.bind(frame, 7, {1, term.()})
    state = Map.new(n: :rand.uniform())
    runtime.state(frame, 4, :gen_server, state, {:noreply, state})
    runtime.state(frame, 4, :gen_server, state, {:reply, :ok, term.()})
    runtime.state(frame, 4, :gen_server, state, :nonsense)
    runtime.caught(frame, 5, :throw, term.(), [{M, :f, [1, 2], [line: 1]}])
    runtime.raising(frame, 6, :error, term.())
    runtime.return(frame, 8, term.())
    runtime.return0(frame, 8)
    runtime.tail(frame, 9)
    runtime.return0(frame, 8, :value)
  end

  defp shown(event) do
    event
    |> inspect(limit: :infinity, printable_limit: :infinity)
    |> String.replace(~r/#Reference<[\d.]+>/, "#Reference")
    |> String.replace(~r/unknown|-?\d+-fun-\d+/, "")
  end

  test "pairs stay pairs: frames carry the time of their call, and times only grow", %{tmp_dir: dir} do
    start(dir)
    before = :erlang.monotonic_time(:nanosecond)

    frames =
      for n <- 1..5_000 do
        frame = NativeRuntime.call(1, {n})
        NativeRuntime.return(frame, 2, n)
        frame
      end

    later = :erlang.monotonic_time(:nanosecond)
    PipelineManager.flush()
    events = mine(dir)
    times = Enum.map(events, & &1.ts)
    assert times == times |> Enum.sort() |> Enum.dedup()
    # The clock is the VM's, to within what it drifts in a millisecond.
    assert hd(times) > before - 1_000 and List.last(times) < later + 1_000
    assert frames == for(%{kind: :call} = e <- events, do: e.ts)
    assert frames == for(%{kind: :return} = e <- events, do: e.frame)
  end

  test "what short values cost is known of some of them, and counted for all", %{tmp_dir: dir} do
    pipeline = start(dir)
    before = NativeRuntime.written_ns()
    in_processes(1, fn _ -> for n <- 1..20_000, do: NativeRuntime.call(1, {n, "a text of some length", [:a, :b]}) end)
    PipelineManager.flush()
    # Each takes some tens of ns at the least.
    assert NativeRuntime.written_ns() - before > 10 * 20_000
    Pipeline.stop(pipeline)
  end

  test "nothing is missing, whatever scheduler a process ran on", %{tmp_dir: dir} do
    pipeline = start(dir)
    done = in_processes(12, fn _ -> numbered(10_000) end)
    Pipeline.stop(pipeline)
    assert RawFiles.losses(dir) == []
    for {pid, _} <- done, do: assert(numbers(dir, pid) == Enum.to_list(1..10_000))
  end

  test "a ring that is full drops and counts, and the program does not wait", %{tmp_dir: dir} do
    pipeline = start(dir, "limits => \#{memory_bytes => 1}")
    Enum.each(drainers(), &:sys.suspend/1)
    [{pid, _}] = in_processes(1, fn _ -> for n <- 1..60_000, do: NativeRuntime.call(1, {n}) end)
    Enum.each(drainers(), &:sys.resume/1)
    PipelineManager.flush()
    # What is dropped has cost the program as well: the kill switch and the limit of calls are to know.
    assert Native.paid() == 60_000
    Pipeline.stop(pipeline)
    lost = Enum.sum(for {^pid, count, :overload} <- RawFiles.losses(dir), do: count)
    assert Enum.all?(RawFiles.losses(dir), &match?({^pid, _, :overload}, &1))
    kept = numbers(dir, pid)
    assert lost > 0
    assert length(kept) + lost == 60_000
    assert kept == Enum.sort(kept)

    assert lost ==
             Enum.sum(for file <- RawFiles.read(dir), frame <- file.frames, frame.type == :events, do: frame.loss)
  end

  test "a drainer that dies is followed by one that misses nothing and repeats nothing", %{tmp_dir: dir} do
    pipeline = start(dir)
    test = self()

    killer =
      spawn_link(fn ->
        for _ <- 1..20 do
          for pid <- drainers(), is_pid(pid), do: Process.exit(pid, :kill)
          eventually(fn -> Enum.all?(drainers(), &is_pid/1) end)
        end

        send(test, :killed)
      end)

    done = in_processes(4, fn _ -> numbered(20_000) end)
    assert_receive :killed, 30_000
    refute Process.alive?(killer) and eventually(fn -> Process.alive?(killer) end)
    Pipeline.stop(pipeline)
    assert RawFiles.losses(dir) == []
    for {pid, _} <- done, do: assert(numbers(dir, pid) == Enum.to_list(1..20_000))
  end

  test "secrets are nowhere, neither on disk nor in memory, and nothing is left in the program's processes", %{
    tmp_dir: dir
  } do
    start(dir, ~s(redact => \#{keys => [<<"password">>], modules => [<<"My.*">>]}))
    Ingestor.put_sites(M, %{}, [{1, :function, :f, 1, 1, ["password"], %{}}])
    Enum.each(drainers(), &:sys.suspend/1)
    secret = "hunter2-" <> "hunter2"
    before = Process.get()
    NativeRuntime.call(1, {secret})
    NativeRuntime.call(2, {%{"password" => secret}, %{password: secret}, [password: secret]})
    NativeRuntime.call(3, {fn -> secret end, %{password: secret}})
    NativeRuntime.call(4, {%{__struct__: My.User, name: secret}})
    NativeRuntime.call(5, {%{"пароль password" => secret}})
    # Of what is cut, a secret takes its share before it is left out.
    long = String.duplicate("long", 300)
    NativeRuntime.call(6, {%{password: [long, secret], other: long}})
    NativeRuntime.call(7, {[1, {:password, {long, secret, long}}], {"password", [long, secret]}})
    assert Process.get() == before
    rings = Path.wildcard(Path.join(dir, "*.ring"))
    assert length(rings) == :erlang.system_info(:schedulers) + 1
    for ring <- rings, do: assert(:binary.match(File.read!(ring), secret) == :nomatch)
    for ring <- rings, do: assert(Bitwise.band(File.stat!(ring).mode, 0o777) == 0o600)
    Enum.each(drainers(), &:sys.resume/1)
    PipelineManager.flush()
    for path <- Path.wildcard(Path.join(dir, "*")), do: assert(:binary.match(File.read!(path), secret) == :nomatch)
    assert [_, _, _, _, _, _, _] = events = mine(dir)
    for %{flags: flags} <- events, do: assert(Bitwise.band(flags, 2) == 2)
  end

  test "closing ends the files in order and removes the rings", %{tmp_dir: dir} do
    pipeline = start(dir)
    assert Native.runtime() == NativeRuntime
    targets = for link <- Path.wildcard(Path.join(dir, "*.ring")), do: elem(File.read_link(link), 1)
    NativeRuntime.call(1, {1})
    PipelineManager.close()
    assert NativeRuntime.call(1, {2}) == 0
    assert Path.wildcard(Path.join(dir, "*.ring")) == []
    for target <- targets, is_binary(target), do: refute(File.exists?(target))
    assert [%{value: {:ok, {1}}}] = mine(dir)
    Pipeline.stop(pipeline)
    assert RawFiles.complete?(dir)
  end

  test "rings that cannot be made are a reason in the recording, and the portable engine records", %{tmp_dir: dir} do
    folder = Path.join(dir, "raw")
    File.mkdir_p!(folder)
    # Names of links that are taken, as when an OS pid comes again.
    for n <- 256..260, do: File.write!(Path.join(folder, "#{node()}.#{System.pid()}-#{n}.ring"), "")
    start(folder)
    assert Native.runtime() == InstrumentationRuntime
    InstrumentationRuntime.call(1, {1})
    PipelineManager.flush()
    assert [%{value: {:ok, {1}}}] = mine(folder)
    assert [%{engine: :portable}] = for(%{what: :hello} = hello <- RawFiles.metas(folder), do: hello)

    assert [%{reason: reason}] =
             for(%{what: :coverage, subject: "native engine"} = row <- RawFiles.metas(folder), do: row)

    assert reason =~ "no room for its rings"
  end
end
