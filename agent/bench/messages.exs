# What sending a message to itself and taking it costs a process whose messages are recorded: `RESULT messages.ENGINE NS`
# per pair, beside the VM's own process tracing and a tracer that does nothing. ENGINE, DIR, RUNS, FLOOR_LIBRARY.

Code.require_file("support.exs", __DIR__)
alias ElixirScope.Capture.{PipelineManager, VMTracer}

defmodule Bench.Messages do
  @pairs 5_000

  def main do
    runs = String.to_integer(System.get_env("RUNS", "9"))
    engine = Bench.start(System.fetch_env!("DIR"), String.to_atom(System.get_env("ENGINE", "portable")))
    VMTracer.arm()

    ways = [
      {"bare", fn -> measure(fn -> untraced() end) end},
      {to_string(engine), fn -> measure(fn -> :ok end) end},
      {"trace", fn -> Bench.with_sink(fn sink -> measure(fn -> traced(sink) end) end) end}
    ]

    ways =
      if Bench.Floor.load(), do: ways ++ [{"nothing", fn -> measure(fn -> traced(Bench.Floor) end) end}], else: ways

    for {way, ns} <- Bench.medians(ways, runs), do: Bench.result("messages_#{engine}.#{way}", ns)
  end

  defp measure(prepare),
    do: Bench.in_fresh_process(@pairs, 1, &pair/0, prepare) |> tap(fn _ -> PipelineManager.flush() end)

  defp pair do
    send(self(), {:message, 1, :b})

    receive do
      {:message, _, _} -> :ok
    end
  end

  # A process is born traced by the agent.
  defp untraced, do: :erlang.trace(self(), false, [:all])

  # With the pattern that the agent sets, which adds the sender. (Of a session of its own, where there are such.)
  defp traced(module) when is_atom(module) do
    untraced()
    :erlang.trace_pattern(:receive, [{[:_, :"$1", :_], [], [{:message, :"$1"}]}], [])
    :erlang.trace(self(), true, [:send, :receive, {:tracer, module, []}])
  end

  defp traced(sink) do
    untraced()
    :erlang.trace(self(), true, [:send, :receive, :monotonic_timestamp, {:tracer, sink}])
  end
end

Bench.Messages.main()
