defmodule ElixirScope.Boot do
  @moduledoc """
  Starts recording in a VM that `elixirscope record` has started, before the program's own code runs.

  Whatever goes wrong here is one line on standard error; the program runs on, unrecorded.
  """

  alias ElixirScope.Capture.{Native, PipelineManager, VMTracer}
  alias ElixirScope.Compiler.{Beam, Counterparts, Hooks, Loader, Packaged, Rewrite}
  alias ElixirScope.{Escript, MixModules, Once, Plan}

  @version "0.1.0"
  # Options of `elixir` and `iex` that another argument belongs to.
  @with_value ~w(-r -pr -pa -pz -e --eval --rpc-eval --dot-iex --app)c

  # What nothing needs but a module that is not in the cache.
  @transforming ~w(Elixir.ElixirScope.AST. Elixir.ElixirScope.Compiler.Ahead Elixir.Mix.Tasks.)
  # What nothing needs where no code is recorded.
  @code ~w(Selection Cache Counterparts Peers Instrument MemoryDoor) |> Enum.map(&"Elixir.ElixirScope.Compiler.#{&1}")

  # What nothing needs where only lives of processes are recorded, portably.
  @events ~w(InstrumentationRuntime MemorySampler NativeDrainer NativeRuntime States)
          |> Enum.map(&"Elixir.ElixirScope.Capture.#{&1}")
  # What a VM without Elixir may come to need.
  @beside [Counterparts, Rewrite, Beam, Packaged, ElixirScope.Application]
  # What a release's command does by a VM of its own, which asks the one that runs.
  @messengers [~c"rpc", ~c"remote", ~c"stop", ~c"restart", ~c"pid"]
  @bundle "elixir_scope.bundle"
  @applications [:kernel, :stdlib, :elixir]

  # The process that starts the agent beside Mix.
  @starting {__MODULE__, :starting}

  @doc """
  Called by `erl -eval`, and by the boot script of a release before that. Does nothing in a VM without a recording to
  write to, or that only speaks to another one; and records nothing in one without Elixir.

  A script is the program, so recording has begun when this returns. Mix, when it has a project, takes a while until
  it runs any of the program's code, and tells us when: the agent starts beside it, and whoever needs it waits in
  `await/0`.
  """
  def start do
    cond do
      :os.getenv(~c"ELIXIRSCOPE_DIR") == false -> :ok
      :os.getenv(~c"RELEASE_COMMAND") in @messengers -> :ok
      match?({:ok, _}, :init.get_argument(:escript)) -> Escript.wait_for()
      true -> unbounded(&run/0)
    end
  after
    :persistent_term.put(done(), true)
  end

  # Where the program bounds the heaps of its processes (`+hmax`), this one, which goes on to be the program's, has to
  # take more meanwhile: the VM would end with it.
  defp unbounded(run) do
    case :erlang.process_flag(:max_heap_size, 0) do
      %{size: 0} ->
        run.()

      bound ->
        run.()
        :erlang.garbage_collect()
        :erlang.process_flag(:max_heap_size, bound)
    end
  end

  @doc "The persistent term that is true when `start/0` has returned."
  @spec done() :: term
  def done, do: {__MODULE__, :done}

  @doc "Starts recording, now that all is there of the program that can be."
  def run do
    dir = folder()

    cond do
      # Elixir would load this module next.
      not match?({:module, _}, :code.ensure_loaded(:elixir)) ->
        beside()

      # The boot script was here before.
      :erlang.whereis(:elixir_scope_pipeline) != :undefined ->
        :ok

      mix?() and ~c"--no-mix-exs" not in :init.get_plain_arguments() ->
        agent = agent()
        missing = early(agent)
        begin = fn -> begin(dir, agent, &Hooks.late/1) end
        :persistent_term.put(@starting, :erlang.spawn_opt(fn -> guarded(begin) end, max_heap_size: 0))
        guarded(fn -> told(missing) end)

      true ->
        guarded(fn ->
          with :ok <- begin(dir, agent(), &Hooks.install/1), false <- mix?() do
            Loader.arm()
            joined()
            VMTracer.arm()
          end
        end)
    end

    :ok
  end

  # A name that is a binary goes to the system as it is, whatever the VM takes names for (Latin-1 where LANG is not set).
  defp folder do
    :unicode.characters_to_binary(:os.getenv(~c"ELIXIRSCOPE_DIR"), :unicode, :file.native_name_encoding())
  end

  # What other VMs have instrumented, this one runs as they do.
  defp joined do
    if Plan.records_code?(Plan.current()) do
      Hooks.report(Counterparts.install())
      Counterparts.arm()
    end
  end

  # It may be there to be sent functions. Elixir is missing here, to write an error too.
  defp beside do
    load(agent(), &(&1 in @beside))
    Counterparts.install()
    :ok
  catch
    kind, reason -> :logger.debug(~c"elixirscope: ~p", [{kind, reason}])
  end

  @doc "Returns when the agent has started, or could not."
  @spec await() :: :ok
  def await do
    with pid when is_pid(pid) <- :persistent_term.get(@starting, nil), true <- Process.alive?(pid) do
      done({pid, Process.monitor(pid)})
    else
      _ -> :ok
    end
  end

  # What Mix may come to before the agent has started.
  defp early(agent) do
    load(agent, &(&1 == MixModules))
    load(agent, likely(), MixModules.read())
    Hooks.early()
  catch
    kind, reason -> [{Hooks, {kind, reason}}]
  end

  defp told([]), do: :ok

  defp told(missing) do
    await()
    Hooks.report(missing)
  end

  defp guarded(start) do
    start.()
    :ok
  catch
    kind, reason ->
      complain("it could not start (#{inspect(kind)} #{inspect(reason, limit: 20)}). Please report this")
  end

  defp begin(dir, agent, hooks) do
    raw = Path.join(dir, "raw")
    library = System.get_env("ELIXIRSCOPE_NATIVE", "")

    load(agent, likely())

    with :ok <- fitting(agent.build),
         {:ok, plan} <- Plan.load(Path.join(dir, "plan.terms")),
         :ok <- load(agent, &belongs?(&1, needed(plan))),
         :ok <- writable(raw),
         :ok <- start_application(raw, plan, agent, library) do
      hooks.(plan) |> Hooks.report()
    else
      {:error, reason} ->
        complain(reason)
        :error
    end
  end

  @doc "Loads what transforming a module takes, when that is needed: most recordings find all in the cache."
  @spec transforming() :: :ok
  def transforming do
    if :erlang.module_loaded(ElixirScope.AST.Transformer),
      do: :ok,
      else: Once.run(__MODULE__, fn -> load(agent(), &belongs?(&1, @transforming)) end)
  end

  # At once: each time code is loaded the VM makes a new table of all functions there are. With a library, most plans
  # need all.
  defp likely do
    later = @transforming ++ if :os.getenv(~c"ELIXIRSCOPE_NATIVE", ~c"") == ~c"", do: @code ++ @events, else: []
    &(not belongs?(&1, later))
  end

  defp needed(plan) do
    if(Plan.lives_only?(plan), do: [], else: @events) ++ if(Plan.records_code?(plan), do: @code, else: [])
  end

  @doc "Loads what instrumented code calls, where nothing is recorded."
  @spec runtime() :: :ok
  def runtime do
    unless :erlang.module_loaded(ElixirScope.Compiler.Instrument),
      do: load(agent(), &(not belongs?(&1, @transforming)))

    :ok
  end

  # By Erlang's own modules: there may be no others yet.
  defp belongs?(module, names) do
    name = :erlang.atom_to_binary(module)
    :lists.any(&(:binary.longest_common_prefix([&1, name]) == byte_size(&1)), names)
  end

  # The agent's modules, out of one file: for each that is read a thread of the VM is woken, and spins for a while
  # when it has done. `build` names the agent, nil where there is no such file (it was compiled by Mix).
  defp agent do
    ebin = :filename.dirname(:code.which(__MODULE__))

    # Read by this process: that of `:file` would have to be woken for it.
    case :prim_file.read_file(:filename.join(ebin, @bundle)) do
      {:ok, <<length::16, build::binary-size(length), modules::binary>>} ->
        read =
          for <<length::16, name::binary-size(length), bytes::32, binary::binary-size(bytes) <- modules>>,
            do: {String.to_atom(name), ebin, binary}

        %{build: build, modules: read}

      {:error, _} ->
        Application.load(:elixir_scope)

        %{
          build: nil,
          modules: for(module <- Application.spec(:elixir_scope, :modules) || [], do: {module, ebin, nil})
        }
    end
  end

  # Now, and not from the first recorded process that needs one: it would wait for the code server, and the path may
  # be pruned by then. Prepared here, since whoever else needs a module meanwhile, Mix first, would have to wait until
  # the code server has done it.
  defp load(agent, wanted?, others \\ []) do
    # `for` takes `Enum`, which is not there yet where Elixir is not.
    read =
      :lists.filtermap(
        fn {module, ebin, binary} ->
          file = :filename.join(ebin, :erlang.atom_to_list(module) ++ ~c".beam")

          with false <- :erlang.module_loaded(module),
               true <- wanted?.(module),
               {:ok, binary} <- if(binary, do: {:ok, binary}, else: :file.read_file(file)) do
            {true, {module, file, binary}}
          else
            _ -> false
          end
        end,
        agent.modules
      )

    # What another loads just now, or is not there, is found when it is called, or reported then.
    with {:error, _} when others != [] <- load_all(others ++ read), do: load_all(read)
    :ok
  end

  defp load_all(modules) do
    with {:ok, prepared} <- :code.prepare_loading(modules), do: :code.finish_loading(prepared)
  end

  # What is not loaded now, is when it is needed.
  defp done({pid, ref}) do
    receive do
      {:DOWN, ^ref, :process, ^pid, _} -> :ok
    end
  end

  # An escript brings the Elixir that it was built with; the agent was compiled by the one on PATH.
  defp fitting(nil), do: :ok

  defp fitting(build) do
    [major, minor | _] = :binary.split(System.version(), ".", [:global])

    if :binary.match(build, "-#{major}.#{minor}.") != :nomatch do
      :ok
    else
      [_, made_for | _] = :binary.split(build, "-", [:global])

      {:error,
       "it runs Elixir #{System.version()}, and the recorder found Elixir #{made_for}. Build it again, or put the Elixir " <>
         "that it was built with on PATH"}
    end
  end

  defp writable(raw) do
    case File.mkdir_p(raw) do
      :ok ->
        :ok

      {:error, reason} ->
        {:error, "#{raw} cannot be written: #{:file.format_error(reason)}. Choose another folder with -o"}
    end
  end

  defp start_application(raw, plan, agent, library) do
    if agent.build, do: :application.load(specification(agent))

    Application.put_env(:elixir_scope, :recording, %{
      dir: raw,
      plan: plan,
      hello: engine(hello(), library)
    })

    case Application.ensure_all_started(:elixir_scope) do
      {:ok, _} ->
        # The channel is open when the manager answers.
        PipelineManager.ready()

      {:error, reason} ->
        {:error,
         "the agent did not start: #{inspect(reason, limit: 20)}. Is the folder of the recording still there?"}
    end
  end

  # What the file of the application says, which the VM would read a line at a time.
  defp specification(agent) do
    modules = for {module, _, _} <- agent.modules, do: module
    mod = {ElixirScope.Application, []}
    env = [build: agent.build]
    vsn = String.to_charlist(@version)
    {:application, :elixir_scope, vsn: vsn, modules: modules, applications: @applications, env: env, mod: mod}
  end

  defp hello do
    %{
      what: :hello,
      node: node(),
      otp: List.to_string(:erlang.system_info(:otp_release)),
      elixir: System.version(),
      agent: @version,
      engine: :portable,
      schedulers: System.schedulers_online(),
      os_pid: List.to_integer(:os.getpid())
    }
  end

  # The recorder offers the native engine by naming its library.
  defp engine(hello, ""), do: hello

  defp engine(hello, library) do
    case Native.load(library) do
      :ok -> %{hello | engine: :native}
      {:error, reason} -> Map.put(hello, :engine_reason, reason)
    end
  end

  @doc "Whether this VM was started to run Mix."
  def mix?, do: mix?(:init.get_plain_arguments())

  # `mix test`, `elixir -S mix test`, `iex -S mix`; but not a script that has an argument of this name.
  defp mix?([~c"-S", script | _]), do: :filename.basename(script) == ~c"mix"
  defp mix?([option, _ | rest]) when option in @with_value, do: mix?(rest)
  defp mix?([[sign | _] | rest]) when sign in ~c"-+", do: mix?(rest)
  defp mix?([script | _]), do: :filename.basename(script) == ~c"mix"
  defp mix?([]), do: false

  defp complain(reason) do
    :io.put_chars(:standard_error, "elixirscope: not recording: #{reason}.\n")
    :ok
  end
end
