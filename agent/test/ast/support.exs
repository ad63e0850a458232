# What the transformer's tests share: a runtime that only remembers, and modules that are run plain and instrumented.
unless Code.ensure_loaded?(ElixirScope.AST.Support) do
  defmodule ElixirScope.AST.Support.Observer do
    @moduledoc "Stands for the runtime and keeps what it is told, in order."

    def open, do: :ets.new(__MODULE__, [:named_table, :public, :ordered_set])
    def close, do: :ets.delete(__MODULE__)
    def events, do: for({_, event} <- :ets.tab2list(__MODULE__), do: event)

    def call(site, arguments), do: put({:call, site, arguments})
    def call0(site), do: put({:call, site, nil})

    def return(frame, site, value) do
      put({:return, frame, site, value})
      value
    end

    def return0(frame, site), do: put({:return, frame, site, nil})

    def return0(frame, site, value) do
      return0(frame, site)
      value
    end

    def tail(frame, site), do: put({:tail, frame, site})
    def bind(frame, site, values), do: put({:bind, frame, site, values})
    def caught(frame, site, class, reason, stack), do: put({:caught, frame, site, class, reason, stack})
    def raising(frame, site, class, reason), do: put({:raising, frame, site, class, reason})

    def state(frame, site, shape, before, result) do
      put({:state, frame, site, shape, before, result})
      result
    end

    # With a table that is gone (memory tests make millions of events) nothing is kept.
    defp put(event) do
      frame = :erlang.unique_integer([:monotonic, :positive])
      if :ets.whereis(__MODULE__) != :undefined, do: :ets.insert(__MODULE__, {frame, put_elem_frame(event, frame)})
      frame
    end

    defp put_elem_frame({:call, site, arguments}, frame), do: {:call, frame, site, arguments}
    defp put_elem_frame(event, _frame), do: event
  end

  defmodule ElixirScope.AST.Support do
    @moduledoc "Runs a module plain, then instrumented, under the same name."

    import ExUnit.Assertions
    alias ElixirScope.AST.Support.Observer
    alias ElixirScope.AST.Transformer
    alias ElixirScope.Capture.{InstrumentationRuntime, NativeRuntime}
    alias ElixirScope.Compiler.Beam
    alias ElixirScope.Test.{Folder, NativeLibrary, Pipeline}

    @levels [:calls, :values, :full]

    @doc "Elixir source of one module → `{module, what Beam.read/1 returns, binary}`."
    def elixir(source, file \\ "subject.ex") do
      previous = Code.compiler_options(ignore_module_conflict: true, debug_info: true, docs: true)

      # What the compiler thinks of such programs is of no interest.
      {compiled, _warnings} =
        ExUnit.CaptureIO.with_io(:stderr, fn ->
          try do
            Code.compile_string(source, file)
          after
            Code.compiler_options(previous)
          end
        end)

      [{module, binary} | _] = compiled
      {:ok, read} = Beam.read(binary)
      {module, read, binary}
    end

    @doc "Erlang source of one module, likewise."
    def erlang(source) do
      {:ok, tokens, _} = scan(source)

      forms =
        tokens
        |> Enum.chunk_while([], &chunk/2, fn [] -> {:cont, []} end)
        |> Enum.map(fn tokens ->
          {:ok, form} = :erl_parse.parse_form(tokens)
          form
        end)

      {:ok, module, binary, _} = :compile.forms(forms, [:return, :debug_info, :binary, source: ~c"subject.erl"])
      {:ok, read} = Beam.read(binary)
      {module, read, binary}
    end

    @doc "Its tokens, with `maybe` where OTP has it: a word of the language since OTP 27, two releases before when asked for."
    def scan(source) do
      words = fn word -> (word in [:maybe, :else] and maybe?()) or :erl_scan.reserved_word(word) end
      :erl_scan.string(String.to_charlist(source), {1, 1}, reserved_word_fun: words)
    end

    @doc "Whether this OTP has `maybe`."
    def maybe?, do: Code.ensure_loaded?(:erl_features) and :maybe_expr in :erl_features.all()

    @doc "Whether this OTP has comprehensions of maps."
    def maps? do
      {:ok, tokens, _} = :erl_scan.string(~c"\#{K => V || K := V <- M}.")
      match?({:ok, _}, :erl_parse.parse_exprs(tokens))
    end

    defp chunk({:dot, _} = dot, acc), do: {:cont, Enum.reverse([dot | acc]), []}
    defp chunk(token, acc), do: {:cont, [token | acc]}

    @doc "Instruments; fails the test when that is not possible. Returns the binary and the sites by id."
    def instrument({_module, read, _binary}, opts \\ []) do
      level = opts[:level] || :full
      opts = Keyword.merge([runtime: Observer, watched: fn _, _ -> false end], Keyword.delete(opts, :level))
      opts = Keyword.put_new(opts, :next_site, allocator())

      case Transformer.transform(read.forms, nil, [level: fn _, _ -> level end] ++ opts) do
        {:ok, forms, _info, sites} ->
          case Beam.compile(forms, read) do
            {:ok, binary} -> {binary, Map.new(sites, &{elem(&1, 0), &1})}
            {:error, errors} -> flunk("instrumented code does not compile: #{inspect(errors)}\n#{pretty(forms)}")
          end

        {:skip, reason} ->
          flunk("skipped: #{inspect(reason)}")
      end
    end

    defp allocator do
      counter = :counters.new(1, [])

      fn ->
        :counters.add(counter, 1, 1)
        :counters.get(counter, 1)
      end
    end

    defp pretty(forms), do: Enum.map_join(forms, "\n", &:erl_pp.form/1)

    def load(module, binary) do
      :code.purge(module)
      {:module, ^module} = :code.load_binary(module, ~c"subject", binary)
    end

    @doc "Runs instrumented at `full`; returns the outcome and the events, sites in place of their ids."
    def record({module, _, _} = subject, fun, opts \\ []) do
      {binary, sites} = instrument(subject, opts)
      load(module, binary)
      Observer.open()

      try do
        outcome = outcome(fun)
        {outcome, for(event <- Observer.events(), do: named(event, sites))}
      after
        Observer.close()
      end
    end

    defp named({:call, frame, site, arguments}, sites), do: {:call, frame, sites[site], arguments}
    defp named(event, sites), do: put_elem(event, 2, Map.fetch!(sites, elem(event, 2)))

    @doc "To be used as `setup :recording`: both engines record in this VM, the native one where there is a compiler."
    def recording(context) do
      native? = NativeLibrary.load() == :ok
      %{tmp_dir: dir} = Folder.own_folder(context)
      pipeline = Pipeline.start(dir, "", if(native?, do: :native, else: :portable))
      ExUnit.Callbacks.on_exit(fn -> Pipeline.stop(pipeline) end)
      %{engines: [InstrumentationRuntime | if(native?, do: [NativeRuntime], else: [])]}
    end

    @doc """
    Fails unless each fun has the same outcome plain, at every level, and recorded by each of `engines:` (the runtimes
    that `recording/1` gives), which also must cost its process no more than so many reductions for an event, and leave
    nothing in it.

    `stacks: :loose`: the instrumented stack may hold more functions of the module and other lines. The Erlang compiler
    merges equal code (the line of one place stands for both), makes a tail call out of a call that it proves will
    never return, inlines funs, and raises by itself what it proves to fail; around an event it may decide otherwise.

    `frames: :open`: frames may stay without an end. Nothing is told when Erlang's old `catch` ends them.
    """
    def assert_transparent({module, _, plain} = subject, funs, opts \\ []) do
      watched = fn m, _ -> m in [:ets, GenServer] end
      load(module, plain)
      expected = Enum.map(funs, &measured/1)

      counts =
        for level <- @levels do
          {binary, _sites} = instrument(subject, level: level, watched: watched)
          load(module, binary)

          for {fun, {expected, _}} <- Enum.zip(funs, expected) do
            Observer.open()
            outcome = outcome(fun)
            events = Observer.events()
            Observer.close()
            assert_same(outcome, expected, opts, level)
            assert_frames_end(events, outcome, opts[:frames])
            length(events)
          end
        end

      for runtime <- opts[:engines] || [] do
        {binary, _sites} = instrument(subject, level: :full, watched: watched, runtime: runtime)
        load(module, binary)

        for {fun, {expected, plain}, events} <- Enum.zip([funs, expected, List.last(counts)]) do
          {outcome, cost} = measured(fun)
          assert_same(outcome, expected, opts, runtime)
          assert_cheap(cost, fun, plain, events, runtime)
        end
      end
    end

    defp assert_same(outcome, expected, opts, how),
      do:
        assert(same?(outcome, expected, opts[:stacks]), "#{how}: #{inspect(outcome)} instead of #{inspect(expected)}")

    # Reductions that the VM gives a process for a turn.
    @slice 4_000

    # Of a process that died nothing is known. A process that waited, for code or for its turn, has used up its slice.
    defp assert_cheap(cost, fun, plain, events, how, tries \\ 5)
    defp assert_cheap(nil, _fun, nil, _events, _how, _tries), do: :ok

    defp assert_cheap(cost, fun, plain, events, how, tries) do
      # An event takes some twenty with the portable engine, one with the native one; looking through a value takes more.
      # Once, a function of the VM may have taken what was left of the slice.
      most = 2 * plain.reductions + 1_000 * (events + 1) + @slice

      if cost.reductions > most and tries > 1 do
        assert_cheap(elem(measured(fun), 1), fun, plain, events, how, tries - 1)
      else
        told = "#{how}, #{events} events: #{inspect(cost)}, plain #{inspect(plain)}"
        assert cost.reductions <= most, told
        # What the outcome holds may be shared in another way, and closures hold the frame around them.
        assert cost.words <= plain.words + cost.outcome, told
      end
    end

    defp same?(outcome, expected, :loose), do: same_but_stack?(outcome, expected) and frames_kept?(outcome, expected)
    defp same?(outcome, expected, _), do: outcome == expected

    defp same_but_stack?(outcome, expected), do: without_stack(outcome) == without_stack(expected)
    defp without_stack(%{result: {class, reason, _}} = outcome), do: %{outcome | result: {class, reason}}
    defp without_stack(outcome), do: outcome

    defp frames_kept?(%{result: {_, _, stack}}, %{result: {_, _, expected}}),
      do: subsequence?(names(expected), names(stack))

    defp frames_kept?(_, _), do: true

    defp names(stack) do
      Enum.dedup(
        for {module, function, _, _} <- stack, module != :erlang, do: {module, String.trim_leading(function, "-")}
      )
    end

    defp subsequence?([], _), do: true
    defp subsequence?([same | rest], [same | more]), do: subsequence?(rest, more)
    defp subsequence?(some, [_ | more]), do: subsequence?(some, more)
    defp subsequence?(_, []), do: false

    @doc "Every frame ends once and in order; only an exception leaves frames without an end."
    def assert_frames_end(events, outcome, frames \\ nil) do
      ends = Enum.frequencies(for event <- events, elem(event, 0) in [:return, :tail], do: elem(event, 1))
      calls = for {:call, frame, _, _} <- events, do: frame
      assert Enum.all?(Map.values(ends), &(&1 == 1)), "a frame ended twice"
      assert Map.keys(ends) -- calls == []

      raised? = Enum.any?(events, &(elem(&1, 0) in [:caught, :raising]))

      if frames != :open and elem(outcome.result, 0) == :value and not raised? do
        assert calls -- Map.keys(ends) == [], "a frame did not end"
      end
    end

    @doc "Runs in a process of its own: result or exception with its stack, messages sent to itself, dictionary."
    def outcome(fun), do: fun |> measured() |> elem(0)

    # And what it cost: reductions, and words that the process holds when it is done, those of the outcome among them.
    defp measured(fun) do
      parent = self()

      {pid, ref} =
        spawn_monitor(fn ->
          {:reductions, before} = Process.info(self(), :reductions)

          result =
            try do
              {:value, fun.()}
            catch
              class, reason -> {class, reason, stack(__STACKTRACE__)}
            end

          {:reductions, afterwards} = Process.info(self(), :reductions)
          send(parent, {:done, self(), afterwards - before})

          receive do
            {:measured, ^parent} -> :ok
          end

          exit({:outcome, %{result: result, messages: messages(), dictionary: Enum.sort(Process.get())}})
        end)

      receive do
        {:done, ^pid, reductions} ->
          words = words(pid)
          send(pid, {:measured, parent})

          receive do
            {:DOWN, ^ref, :process, ^pid, {:outcome, outcome}} ->
              {outcome, %{reductions: reductions, words: words, outcome: :erts_debug.flat_size(outcome)}}
          end

        {:DOWN, ^ref, :process, ^pid, reason} ->
          {%{result: {:died, reason}}, nil}
      after
        120_000 -> flunk("no end in sight")
      end
    end

    defp words(pid) do
      :erlang.garbage_collect(pid)
      {:garbage_collection_info, held} = Process.info(pid, :garbage_collection_info)
      held[:heap_size] + held[:old_heap_size] + held[:mbuf_size]
    end

    defp stack(stack) do
      for {module, function, arity, location} <- stack, not test_code?(module) do
        {module, fun_name(function), arity(function, arity), location[:line]}
      end
    end

    defp test_code?(module), do: String.contains?(inspect(module), ["ElixirScope.AST", "Test"])

    # The arity of a closure's function counts what it closes over: the id of the frame around it, too.
    defp arity(function, arity) do
      cond do
        Atom.to_string(function) =~ ~r"^-.+/" -> :fun
        is_list(arity) -> length(arity)
        true -> arity
      end
    end

    # Names of funs are numbered by the compiler in the order of its own passes.
    defp fun_name(name) do
      case String.split(Atom.to_string(name), "/") do
        ["-" <> _ = first | _] -> first
        [name | _] -> name
      end
    end

    defp messages do
      {:messages, messages} = Process.info(self(), :messages)
      messages
    end
  end
end
