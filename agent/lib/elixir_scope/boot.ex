defmodule ElixirScope.Boot do
  @moduledoc """
  Starts recording in a VM that `elixirscope record` has started, before the program's own code runs.

  Whatever goes wrong here is one line on standard error; the program runs on, unrecorded.
  """

  alias ElixirScope.Capture.{PipelineManager, VMTracer}
  alias ElixirScope.{Compiler, Plan}

  @version "0.1.0"

  @doc "Called by `erl -eval`. Does nothing in a VM without Elixir, or without a recording to write to."
  def start do
    dir = :os.getenv(~c"ELIXIRSCOPE_DIR")

    if dir != false and :code.which(Kernel) != :non_existing do
      begin(to_string(dir))
    end

    :ok
  catch
    kind, reason ->
      complain("it could not start (#{inspect(kind)} #{inspect(reason, limit: 20)}). Please report this")
  end

  defp begin(dir) do
    raw = Path.join(dir, "raw")

    with {:ok, plan} <- Plan.load(Path.join(dir, "plan.terms")),
         :ok <- writable(raw),
         :ok <- start_application(raw, plan) do
      Compiler.Hooks.install()
      # A script is the program; Mix is only what starts it, and tells us when.
      unless mix?() do
        Compiler.Loader.arm()
        VMTracer.arm()
      end

      :ok
    else
      {:error, reason} -> complain(reason)
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
    Application.load(:elixir_scope)
    Application.put_env(:elixir_scope, :recording, %{dir: raw, plan: plan, hello: hello()})

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

  @doc "Whether this VM was started to run Mix."
  def mix? do
    Enum.any?(:init.get_plain_arguments(), &(Path.basename(to_string(&1)) == "mix"))
  end

  defp complain(reason) do
    :io.put_chars(:standard_error, "elixirscope: not recording: #{reason}.\n")
    :ok
  end
end
