defmodule ElixirScope.Boot do
  @moduledoc """
  Starts recording in a VM that `elixirscope record` has started, before the program's own code runs.

  Whatever goes wrong here is one line on standard error; the program runs on, unrecorded.
  """

  alias ElixirScope.Capture.{Native, PipelineManager, VMTracer}
  alias ElixirScope.Compiler.{Hooks, Loader}
  alias ElixirScope.Plan

  @version "0.1.0"
  # Options of `elixir` and `iex` that another argument belongs to.
  @with_value ~w(-r -pr -pa -pz -e --eval --rpc-eval --dot-iex --app)

  # What nothing needs but a module that is not in the cache.
  @transforming ~w(Elixir.ElixirScope.AST. Elixir.ElixirScope.Compiler.Ahead Elixir.Mix.Tasks.)
  # What nothing needs where no code is recorded.
  @code ~w(Selection Cache Instrument MemoryDoor) |> Enum.map(&"Elixir.ElixirScope.Compiler.#{&1}")

  # The process that starts the agent beside Mix.
  @starting {__MODULE__, :starting}

  @doc """
  Called by `erl -eval`. Does nothing in a VM without Elixir, or without a recording to write to.

  A script is the program, so recording has begun when this returns. Mix, when it has a project, takes a while until
  it runs any of the program's code, and tells us when: the agent starts beside it, and whoever needs it waits in
  `await/0`.
  """
  def start do
    dir = :os.getenv(~c"ELIXIRSCOPE_DIR")

    cond do
      dir == false or :code.which(Kernel) == :non_existing ->
        :ok

      mix?() and "--no-mix-exs" not in arguments() ->
        # Before the rest is loaded: Mix waits for these two.
        missing = early()
        :persistent_term.put(@starting, spawn(fn -> guarded(fn -> begin(List.to_string(dir), &Hooks.late/1) end) end))
        guarded(fn -> told(missing) end)

      true ->
        guarded(fn ->
          with :ok <- begin(List.to_string(dir), &Hooks.install/1), false <- mix?() do
            Loader.arm()
            VMTracer.arm()
          end
        end)
    end

    :ok
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
  defp early do
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

  defp begin(dir, hooks) do
    raw = Path.join(dir, "raw")
    Code.ensure_loaded(Plan)
    # Reading code takes most of the time until the program may start, so it is read while all else is prepared.
    loading = spawn_monitor(fn -> load(&(not belongs?(&1, @transforming ++ @code))) end)

    with {:ok, plan} <- Plan.load(Path.join(dir, "plan.terms")),
         :ok <- writable(raw),
         :ok <- done(loading),
         :ok <- start_application(raw, plan) do
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
    unless :erlang.module_loaded(ElixirScope.AST.Transformer) do
      # Whoever comes second waits.
      :global.trans({{__MODULE__, :transforming}, self()}, fn -> load(&belongs?(&1, @transforming)) end, [node()])
    end

    :ok
  end

  @doc "Loads what recording code takes."
  @spec code() :: :ok
  def code, do: load(&belongs?(&1, @code))

  defp belongs?(module, names), do: String.starts_with?(Atom.to_string(module), names)

  # Now, and not from the first recorded process that needs one: it would wait for the code server, and the path may
  # be pruned by then. Read and prepared here, since whoever else needs a module meanwhile, Mix first, would have to
  # wait until the code server has done it.
  defp load(wanted?) do
    Application.load(:elixir_scope)
    ebin = Path.dirname(:code.which(__MODULE__))

    read =
      for module <- Application.spec(:elixir_scope, :modules) || [],
          not :erlang.module_loaded(module) and wanted?.(module),
          file = Path.join(ebin, "#{module}.beam"),
          {:ok, binary} <- [File.read(file)],
          do: {module, String.to_charlist(file), binary}

    # What another loads just now, or is not there, is found when it is called, or reported then.
    with {:ok, prepared} <- :code.prepare_loading(read), do: :code.finish_loading(prepared)
    :ok
  end

  # What is not loaded now, is when it is needed.
  defp done({pid, ref}) do
    receive do
      {:DOWN, ^ref, :process, ^pid, _} -> :ok
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

  defp start_application(raw, plan) do
    Application.put_env(:elixir_scope, :recording, %{
      dir: raw,
      plan: plan,
      hello: engine(hello(), System.get_env("ELIXIRSCOPE_NATIVE"))
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
  defp engine(hello, library) when library in [nil, ""], do: hello

  defp engine(hello, library) do
    case Native.load(library) do
      :ok -> %{hello | engine: :native}
      {:error, reason} -> Map.put(hello, :engine_reason, reason)
    end
  end

  @doc "Whether this VM was started to run Mix."
  def mix?, do: mix?(arguments())

  defp arguments, do: for(argument <- :init.get_plain_arguments(), do: List.to_string(argument))

  # `mix test`, `elixir -S mix test`, `iex -S mix`; but not a script that has an argument of this name.
  defp mix?(["-S", script | _]), do: Path.basename(script) == "mix"
  defp mix?([option, _ | rest]) when option in @with_value, do: mix?(rest)
  defp mix?(["-" <> _ | rest]), do: mix?(rest)
  defp mix?(["+" <> _ | rest]), do: mix?(rest)
  defp mix?([script | _]), do: Path.basename(script) == "mix"
  defp mix?([]), do: false

  defp complain(reason) do
    :io.put_chars(:standard_error, "elixirscope: not recording: #{reason}.\n")
    :ok
  end
end
