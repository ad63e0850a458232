defmodule ElixirScope.Capture.TestEvents do
  @moduledoc """
  Turns what ExUnit tells its formatters into TEST_START and TEST_END events of the runner's process.
  """

  use ElixirScope.Capture.Event
  import ElixirScope.Capture.Ingestor, only: [channel: 1]
  alias ElixirScope.Capture.{Collector, Ingestor, Redaction, Value, VMTracer}
  alias ElixirScope.Plan

  @unknown "a failure whose message cannot be formatted"

  @doc "What `ExUnit.EventManager` was told. Anything but tests is ignored."
  def notify(event, manager \\ nil)

  def notify({:suite_started, _}, manager) do
    # They are in most of the messages of a test run.
    with pid when pid != nil <- VMTracer.collector(), do: Collector.structs(pid, [ExUnit.Test, ExUnit.TestModule])
    with {supervisor, bus} when is_pid(supervisor) and is_pid(bus) <- manager, do: reporting(supervisor, bus)
  end

  def notify({:test_started, test}, _), do: emit(@test_start, describe(test))
  def notify({:test_finished, test}, _), do: emit(@test_end, Map.merge(describe(test), result(test)))
  def notify(_, _), do: :ok

  # Of every test ExUnit tells each of its formatters twice, asking who they are before: 20 messages, most of those that a
  # suite has, of what is an event of its own here. Asked by a process of ours: the runner's mailbox is the program's.
  defp reporting(supervisor, bus) do
    if Plan.current().messages do
      spawn(fn ->
        formatters = for pid <- formatters(supervisor), own?(pid), do: pid
        VMTracer.reporting([supervisor, bus | formatters])
      end)
    end
  end

  defp formatters(supervisor) do
    for {_, pid, _, _} when is_pid(pid) <- DynamicSupervisor.which_children(supervisor), do: pid
  catch
    # The suite is over by now.
    :exit, _ -> []
  end

  # A formatter that the program brings along is of the program.
  defp own?(pid) do
    with {:dictionary, dictionary} <- Process.info(pid, :dictionary),
         {module, _, _} <- dictionary[:"$initial_call"] do
      module in [ExUnit.CLIFormatter, ExUnit.RunnerStats]
    else
      _ -> false
    end
  end

  defp emit(kind, value) do
    case Ingestor.open() do
      nil ->
        :ok

      channel(reason: budget) = channel ->
        {value, cut?} = Value.clip(value, budget)
        flags = if cut?, do: @truncated, else: 0
        Ingestor.put(channel, head(kind, flags, 0, 0), 0, value)
    end
  end

  # `module` was called `case` before Elixir 1.11's structs settled; tags carry file and line.
  defp describe(%{name: name, tags: tags} = test) do
    %{module: Map.get(test, :module), name: Atom.to_string(name), file: tags[:file], line: tags[:line]}
  end

  defp result(%{state: state, time: time}) do
    {result, message} = outcome(state)
    %{result: result, time_us: time, message: message}
  end

  defp outcome(nil), do: {:passed, nil}
  defp outcome({:failed, failures}), do: {:failed, failures |> Enum.map(&banner/1) |> Enum.join("\n")}
  defp outcome({kind, reason}) when kind in [:skipped, :excluded] and is_binary(reason), do: {kind, reason}
  defp outcome({kind, _}) when kind in [:skipped, :excluded, :invalid], do: {kind, nil}

  # Its text would tell the secrets among the values that it is about. To find them takes a dictionary and messages, of
  # which the runner of tests is to have none.
  defp banner(failure) do
    {pid, monitor} = spawn_monitor(fn -> exit({:banner, format(failure)}) end)

    receive do
      {:DOWN, ^monitor, :process, ^pid, {:banner, text}} -> text
      {:DOWN, ^monitor, :process, ^pid, _} -> @unknown
    end
  end

  # The message of an exception is the user's code: it may raise.
  defp format({kind, reason, stack}) do
    {reason, _} = Redaction.redact(reason, 0, Redaction.rules(Plan.current()))
    kind |> Exception.format_banner(reason, stack) |> String.replace(inspect(Redaction.mark()), "[redacted]")
  rescue
    _ -> @unknown
  end
end
