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
  def notify({:suite_started, _}) do
    # They are in most of the messages of a test run, 14 for each test.
    with pid when pid != nil <- VMTracer.collector(), do: Collector.structs(pid, [ExUnit.Test, ExUnit.TestModule])
  end

  def notify({:test_started, test}), do: emit(@test_start, describe(test))
  def notify({:test_finished, test}), do: emit(@test_end, Map.merge(describe(test), result(test)))
  def notify(_), do: :ok

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
