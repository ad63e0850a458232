defmodule ElixirScope.Test.ChildVM do
  @moduledoc "A VM of its own that is recorded as `elixirscope record` does it: through nothing but its environment."

  alias ElixirScope.Test.{NativeLibrary, Pipeline}

  @doc "The environment of a recorded VM, with its plan and its recording in `dir`."
  def environment(dir, changes, engine \\ :portable) do
    Pipeline.plan(dir, changes)
    ebin = Application.app_dir(:elixir_scope, "ebin")
    library = if engine == :native, do: elem(NativeLibrary.library(), 1), else: ""

    [
      {"ERL_AFLAGS", "-pa #{ebin} -s Elixir.ElixirScope.Boot"},
      {"ELIXIRSCOPE_DIR", dir},
      {"ELIXIRSCOPE_NATIVE", library}
    ]
  end

  @doc "Runs a script to its end: `{output, status}`; the raw files are in `raw/` of `dir`."
  def run(dir, code, changes \\ "", engine \\ :portable) do
    System.cmd("elixir", [script(dir, code)], env: environment(dir, changes, engine), stderr_to_stdout: true)
  end

  @doc "Starts a script, which goes on when it prints a line that is `ready`: the port and the VM's OS pid."
  def start(dir, code, changes \\ "", engine \\ :portable) do
    env = for {k, v} <- environment(dir, changes, engine), do: {to_charlist(k), to_charlist(v)}

    port =
      Port.open({:spawn_executable, System.find_executable("elixir")}, [
        :binary,
        :exit_status,
        :stderr_to_stdout,
        args: [script(dir, code)],
        env: env
      ])

    os_pid = os_pid(port, "")
    # Whatever becomes of the test.
    ExUnit.Callbacks.on_exit(fn -> System.cmd("kill", ["-KILL", os_pid], stderr_to_stdout: true) end)
    {port, os_pid}
  end

  # It prints its pid: the shell scripts that start it may be another.
  defp os_pid(port, seen) do
    case Regex.run(~r/ready (\d+)\n/, seen) do
      [_, pid] ->
        pid

      nil ->
        receive do
          {^port, {:data, data}} -> os_pid(port, seen <> data)
          {^port, {:exit_status, status}} -> raise "the child ended with #{status}: #{seen}"
        after
          120_000 -> raise "the child is not ready: #{seen}"
        end
    end
  end

  @doc "Sends a signal and waits for the end; the exit status."
  def kill(port, os_pid, signal) do
    {_, 0} = System.cmd("kill", ["-#{signal}", os_pid])
    wait(port)
  end

  @doc "Waits for the end; the exit status."
  def wait(port) do
    receive do
      {^port, {:exit_status, status}} -> status
      {^port, {:data, _}} -> wait(port)
    after
      120_000 -> raise "the child does not end"
    end
  end

  defp script(dir, code) do
    path = Path.join(dir, "script.exs")
    File.write!(path, code)
    path
  end
end
