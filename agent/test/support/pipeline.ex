defmodule ElixirScope.Test.Pipeline do
  @moduledoc "The agent's pipeline within the test's own VM, recording into a folder."

  alias ElixirScope.Capture.{Ingestor, PipelineManager}
  alias ElixirScope.{Application, Plan}

  @doc "Starts it with a plan given as changes to the default one; returns the supervisor."
  def start(dir, changes \\ "", engine \\ :portable) do
    File.mkdir_p!(dir)
    {:ok, plan} = Plan.load(plan(dir, changes))
    test = self()
    hello = %{what: :hello, engine: engine, node: node(), os_pid: String.to_integer(System.pid())}

    # Of its own, as in an application: its tables live as long as it does, whatever becomes of the test.
    owner =
      spawn(fn ->
        {:ok, top} = Application.start_link(%{dir: dir, plan: plan, hello: hello})
        send(test, {:pipeline, self(), top})

        receive do
          {:stop, from} ->
            Application.prep_stop(nil)
            Supervisor.stop(top)
            send(from, {:stopped, self()})
        end
      end)

    receive do
      {:pipeline, ^owner, top} ->
        PipelineManager.ready()
        %{owner: owner, top: top, dir: dir}
    end
  end

  @doc "Ends it in order."
  def stop(%{owner: owner}) do
    monitor = Process.monitor(owner)
    send(owner, {:stop, self()})

    receive do
      {:DOWN, ^monitor, :process, _, _} -> :ok
    end

    Ingestor.close()
    :persistent_term.erase({ElixirScope.Plan, :current})
    for key <- [:armed, :collector], do: :persistent_term.erase({ElixirScope.Capture.VMTracer, key})
    :ok
  end

  @doc "Writes a plan into `dir`; its path."
  def plan(dir, changes) do
    path = Path.join(dir, "plan.terms")
    File.write!(path, "\#{version => 1#{if changes != "", do: ", " <> changes}}.\n")
    path
  end

  @doc "The collector of instrumented code with this number, from 1."
  def collector(n), do: Ingestor.collectors() |> Enum.at(n - 1)

  @doc "The collector that serves a process."
  def collector_of(pid) do
    collectors = Ingestor.collectors()
    Enum.at(collectors, :erlang.phash2(pid, length(collectors)))
  end
end
