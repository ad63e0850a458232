Code.require_file("support.exs", __DIR__)

defmodule ElixirScope.AST.TransformerTest do
  # Which events there are, and that loops stay flat.
  use ExUnit.Case, async: false

  @compile {:no_warn_undefined, [Subject, :machine]}

  import ElixirScope.AST.Support
  import ElixirScope.Test.Eventually
  alias ElixirScope.AST.Transformer

  defp subject(source), do: elixir("defmodule Subject do\n#{source}\nend")
  defp kinds(events), do: Enum.map(events, &elem(&1, 0))

  test "a call, its arguments, its bindings and its result, with names and lines" do
    subject =
      subject("""
      def f(x, {a, _} = y) do
        z = x + a
        {z, y}
      end
      """)

    {outcome, events} = record(subject, fn -> Subject.f(1, {2, 3}) end)
    assert {:value, {3, {2, 3}}} = outcome.result

    assert [
             {:call, frame, {_, :function, :f, 2, 2, ["x", "y"], %{clauses: 1, end_line: 4}}, {1, {2, 3}}},
             {:bind, frame, {_, :bind, :f, 2, 2, ["a", "y"], _}, {2, {2, 3}}},
             {:bind, frame, {_, :bind, :f, 2, 3, ["z"], _}, {3}},
             {:return, frame, {_, :return, :f, 2, 4, [], _}, {3, {2, 3}}}
           ] = events
  end

  test "a call in tail position ends the frame, after its arguments were evaluated" do
    subject = subject("def f(x), do: g(h(x), 1)\ndef g(x, y), do: x + y\ndef h(x), do: x")
    {_, events} = record(subject, fn -> Subject.f(1) end)

    assert [
             {:call, f, {_, :function, :f, 1, _, _, _}, {1}},
             {:call, h, {_, :function, :h, 1, _, _, _}, {1}},
             {:return, h, _, 1},
             {:tail, f, {_, :tail, :f, 1, 2, [], %{callee: {Subject, :g, 2}}}},
             {:call, g, {_, :function, :g, 2, _, _, _}, {1, 1}},
             {:return, g, _, 2}
           ] = events
  end

  test "exceptions are seen where they are raised and where they are caught" do
    subject =
      subject("""
      def f(x) do
        g(x)
      rescue
        e in ArgumentError -> {:rescued, e.message}
      end
      def g(x), do: raise(ArgumentError, x)
      """)

    {outcome, events} = record(subject, fn -> Subject.f("no") end)
    assert outcome.result == {:value, {:rescued, "no"}}

    assert [
             {:call, f, _, {"no"}},
             {:call, g, _, {"no"}},
             {:raising, g, {_, :raise, :g, 1, 7, _, %{callee: {:erlang, :error, _}}}, :error, %ArgumentError{}},
             {:caught, f, {_, :catch, :f, 1, _, _, _}, :error, %ArgumentError{message: "no"},
              [{Subject, :g, _, _} | _]},
             {:bind, f, {_, :bind, _, _, _, ["e"], _}, {%ArgumentError{}}},
             {:return, f, _, {:rescued, "no"}}
           ] = events
  end

  test "closures are frames named after the function around them; comprehensions are none" do
    subject = subject("def f(l), do: {Enum.map(l, fn x -> x end), for(x <- l, x > 0, do: x + 1)}")
    {_, events} = record(subject, fn -> Subject.f([1]) end)

    assert [{_, :function, :f, 1, _, _, _}, {_, :fn, :f, 1, _, ["x"], _}] =
             for({:call, _, site, _} <- events, do: site)
  end

  test "callbacks show the state before and the result it is in, and loops through callbacks stay bare" do
    subject =
      subject("""
      use GenServer
      def init(x), do: start(x)
      def handle_call(m, _from, s), do: {:reply, m, s + 1}
      def handle_cast(m, s), do: handle_info(m, s)
      def handle_info(_m, s), do: keep(s)
      defp start(x), do: {:ok, x}
      defp keep(s), do: {:noreply, s}
      """)

    {_, events} = record(subject, fn -> Subject.init(5) end)
    assert [:call, :call, :return, :state, :return] = kinds(events)

    assert {:state, _, {_, :return, :init, 1, _, _, _}, :gen_server_init, :"$elixirscope_none", {:ok, 5}} =
             Enum.at(events, 3)

    {_, events} = record(subject, fn -> Subject.handle_call(:m, :from, 1) end)

    assert [
             {:call, c, {_, :function, :handle_call, 3, _, _, detail}, {:m, :from}},
             {:state, c, _, :gen_server, 1, {:reply, :m, 2}},
             {:return, c, _, {:reply, :m, 2}}
           ] = Enum.reject(events, &(elem(&1, 0) == :bind))

    assert %{behaviour: GenServer, callback: :handle_call, state_arg: 3} = detail

    {_, events} = record(subject, fn -> Subject.handle_cast(:m, 1) end, level: :state)
    assert [:call, :tail, :call, :state, :return] = kinds(events)
  end

  test "gen_statem's state is the pair of state and data" do
    {_, read, _} =
      subject =
      erlang("""
      -module(machine).
      -behaviour(gen_statem).
      -export([callback_mode/0, init/1, open/3, other/3]).
      callback_mode() -> [state_functions, state_enter].
      init(X) -> {ok, open, X}.
      open(cast, close, D) -> {next_state, closed, D + 1}.
      other(_, _, D) -> {keep_state, D}.
      """)

    assert read.module == :machine
    {_, events} = record(subject, fn -> :machine.open(:cast, :close, 1) end)

    assert [{:call, f, _, {:cast, :close}}, {:state, f, _, :gen_statem_state, state, _} | _] =
             Enum.reject(events, &(elem(&1, 0) == :bind))

    assert state == {:open, 1}
  end

  test "watched calls are frames at the call site; a bare tail call stays bare" do
    subject =
      subject("""
      def put(t, x), do: :ets.insert(t, {x})
      def get(p), do: GenServer.call(p, :get)
      """)

    watched = fn m, _ -> m in [:ets, GenServer] end
    table = :ets.new(:t, [:public])
    {outcome, events} = record(subject, fn -> Subject.put(table, 1) end, watched: watched)
    assert outcome.result == {:value, true}
    assert [:call, :call, :return, :return] = kinds(events)

    assert {:call, _, {_, :external, :put, 2, _, _, %{callee: {:ets, :insert, 2}}}, {^table, {1}}} =
             Enum.at(events, 1)

    {_, events} = record(subject, fn -> Subject.get(:nobody) end, watched: watched)
    assert [:call, :call, :tail, :tail] = kinds(events)
  end

  test "a fun that is handed to a watched call, or thrown, is made once, and has the name it had" do
    source = """
    def nested(t), do: :ets.foldl(fn {_, a}, x -> :ets.foldl(fn {_, b}, y -> a + b + y end, x, t) end, 0, t)
    def thrown(), do: throw({:one, fn -> :a end, &inner/0})
    def named(t), do: :ets.foldl(fn _, _ -> :erlang.fun_info(fn -> :b end, :name) end, 0, t)
    defp inner(), do: :c
    """

    table = :ets.new(:t, [:public])
    :ets.insert(table, [{1, 2}, {2, 3}])

    names = fn ->
      {:one, a, b} = catch_throw(Subject.thrown())
      {Subject.nested(table), Subject.named(table), :erlang.fun_info(a, :name), :erlang.fun_info(b, :name)}
    end

    subject = subject(source)
    assert_transparent(subject, [names])

    {_, events} = record(subject, fn -> Subject.nested(table) end, watched: fn m, _ -> m == :ets end)
    assert length(for {:call, _, {_, :fn, _, _, _, _, _}, _} <- events, do: :fn) == 6
  end

  # Since 1.20 it is Elixir's own function.
  test "what Elixir compiles as a call of the VM is watched by the VM's name" do
    subject = subject("def later(x), do: {Process.send_after(self(), x, 60_000), self()}")
    watched = &(&1 in [:erlang, Process] and &2 == :send_after)
    {_, events} = record(subject, fn -> Subject.later(:tick) end, watched: watched)
    assert [:call, :call, :return, :return] = kinds(events)
    assert {:call, _, {_, :external, :later, 1, _, _, %{callee: {module, :send_after, 3}}}, _} = Enum.at(events, 1)
    assert module == if(Version.match?(System.version(), ">= 1.20.0-dev"), do: Process, else: :erlang)
  end

  test "of a watched call that names a secret no values are told, of its neighbours all" do
    subject =
      subject("""
      def put(x), do: Application.put_env(:elixir_scope_test, :api_token, x)
      def get(), do: {Application.get_env(:elixir_scope_test, :api_token), Application.get_env(:elixir_scope_test, :other, 1)}
      """)

    options = [watched: fn m, _ -> m == Application end, secret: &(&1 =~ "token")]
    {outcome, events} = record(subject, fn -> {Subject.put("hunter2"), Subject.get()} end, options)
    assert outcome.result == {:value, {:ok, {"hunter2", 1}}}
    Application.delete_env(:elixir_scope_test, :api_token)
    watched = for {:call, frame, {_, :external, _, _, _, _, _}, arguments} <- events, do: {frame, arguments}
    assert [{_, nil}, {secret, nil}, {other, {:elixir_scope_test, :other, 1}}] = watched
    assert [nil] = for({:return, ^secret, _, value} <- events, do: value)
    assert [1] = for({:return, ^other, _, value} <- events, do: value)
  end

  test "levels: what each of them says" do
    subject = subject("use GenServer\ndef init(x), do: (y = x; {:ok, y})\ndef f(x), do: (y = x; {y})")
    run = fn level -> record(subject, fn -> {Subject.init(1), Subject.f(2)} end, level: level) |> elem(1) end

    assert [{:call, _, _, nil}, {:return, _, _, nil}, {:call, _, _, nil}, {:return, _, _, nil}] = run.(:calls)
    assert [:call, :state, :return, :call, :return] = kinds(run.(:values))
    assert [:call, :bind, :state, :return, :call, :bind, :return] = kinds(run.(:full))
    assert [:call, :state, :return] = kinds(run.(:state))
  end

  test "code that `use` brings is marked, and stands on the line of `use`" do
    {_, read, _} = subject("def f(x), do: x\nuse GenServer\ndef init(x), do: {:ok, x}")
    opts = [level: fn _, _ -> :full end, watched: fn _, _ -> false end]
    {:ok, _, _, sites} = Transformer.transform(read.forms, nil, opts)

    for {_, kind, name, _, line, _, detail} <- sites do
      if name in [:handle_info, :terminate, :child_spec] do
        assert line == 3
        assert kind != :function or detail.generated
      else
        refute name in [:f, :init] and Map.has_key?(detail, :generated)
      end
    end
  end

  test "modules that must stay as they are" do
    opts = [level: fn _, _ -> :full end]
    {_, read, _} = subject("def f(), do: 1")
    assert {:skip, :nothing_selected} = Transformer.transform(read.forms, nil, level: fn _, _ -> :off end)
    {_, read, _} = subject("@on_load :f\ndef f(), do: :ok")
    assert {:skip, :on_load} = Transformer.transform(read.forms, nil, opts)
    {_, read, _} = subject("def f(), do: :erlang.load_nif('x', 0)")
    assert {:skip, :nif} = Transformer.transform(read.forms, nil, opts)
  end

  test "site ids are unique, also when many modules are instrumented at once" do
    {_, read, _} = subject("def f(x), do: (y = x; g(y))\ndef g(x), do: x")
    opts = [level: fn _, _ -> :full end, watched: fn _, _ -> false end]

    ids =
      1..20
      |> Enum.map(fn _ -> Task.async(fn -> Transformer.transform(read.forms, nil, opts) end) end)
      |> Enum.flat_map(fn task ->
        {:ok, _, _, sites} = Task.await(task, :infinity)
        Enum.map(sites, &elem(&1, 0))
      end)

    assert ids == Enum.uniq(ids)
    assert Enum.min(ids) > 0
  end

  @loops """
  def loop(0, acc), do: acc
  def loop(n, acc), do: loop(n - 1, acc + 1)
  def even(0), do: true
  def even(n), do: if(n > 0, do: odd(n - 1), else: false)
  def odd(0), do: false
  def odd(n), do: n > 0 and even(n - 1)
  def serve(n) do
    send(self(), n)
    receive do
      0 -> :done
      m when rem(m, 2) == 0 -> serve(m - 1)
      m -> (case m do _ -> Subject.serve(m - 1) end)
    end
  end
  def cast(_, 0), do: :done
  def cast(m, n) do
    with {:ok, x} <- step(m), y when y != 0 <- n, do: apply(__MODULE__, :cast, [x, y - 1])
  end
  defp step(x), do: {:ok, x}
  """

  # A frame kept per round would need at least two words in each of them.
  @flat [:monitor, max_heap_size: %{size: 100_000, kill: true, error_logger: false}]

  defp assert_flat(fun) do
    {pid, ref} = :erlang.spawn_opt(fun, @flat)
    assert_receive {:DOWN, ^ref, :process, ^pid, :normal}, 240_000
  end

  defp assert_loops_flat(calls, messages) do
    assert_flat(fn -> Subject.loop(calls, 0) end)
    assert_flat(fn -> Subject.even(calls) end)
    assert_flat(fn -> Subject.serve(messages) end)
    assert_flat(fn -> Subject.cast(:x, messages) end)
  end

  for level <- [:calls, :values, :full] do
    test "a million rounds need no memory: self recursion, mutual recursion, a server loop (#{level})" do
      {module, _, _} = subject = subject(@loops)
      {binary, _} = instrument(subject, level: unquote(level))
      load(module, binary)
      assert_loops_flat(1_000_000, 300_000)
    end
  end

  test "nor do the same loops while an engine records them" do
    %{engines: engines} = recording(%{})
    {module, _, _} = subject = subject(@loops)

    for runtime <- engines do
      {binary, _} = instrument(subject, level: :full, runtime: runtime)
      load(module, binary)
      assert_loops_flat(80_000, 80_000)
    end
  end

  test "ten million rounds, alone and through two modules, and a server's loop: flat" do
    one =
      subject("""
      def loop(0), do: :done
      def loop(n), do: loop(n - 1)
      def to(0), do: :done
      def to(n), do: Across.back(n - 1)
      def serve() do
        receive do
          {:stop, from} -> send(from, {:stopped, self()})
          {:add, n} when n > 0 -> serve()
        end
      end
      """)

    two = elixir("defmodule Across do\n def back(0), do: :done\n def back(n), do: Subject.to(n - 1)\nend")

    for {module, _, _} = each <- [one, two] do
      {binary, _} = instrument(each, level: :full)
      load(module, binary)
    end

    assert_flat(fn -> Subject.loop(10_000_000) end)
    assert_flat(fn -> Subject.to(10_000_000) end)
    {server, ref} = :erlang.spawn_opt(fn -> Subject.serve() end, @flat)
    rounds = fn -> Enum.each(1..50_000, fn _ -> send(server, {:add, 1}) end) end

    # When everything was taken and nothing is left but the loop itself.
    settled = fn ->
      assert eventually(fn ->
               Process.info(server, [:message_queue_len, :status]) == [message_queue_len: 0, status: :waiting]
             end)

      :erlang.garbage_collect(server)
      Process.info(server, :memory)
    end

    rounds.()
    once = settled.()
    rounds.()
    assert settled.() == once
    send(server, {:stop, self()})
    assert_receive {:DOWN, ^ref, :process, ^server, :normal}, 60_000
  end
end
