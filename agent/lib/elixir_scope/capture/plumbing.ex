defmodule ElixirScope.Capture.Plumbing do
  @moduledoc """
  Tells the program's processes from those that only serve it: Elixir's compiler, the code server, the agent itself.

  Their lives and messages are no part of the film, whichever end of them is seen. A pure filter over the VM's trace
  messages: it learns a compiler process by how it was spawned, and forgets it some time after it has ended (what it
  sent may still be on its way).
  """

  alias ElixirScope.Capture.Origin

  # So many ended processes are remembered at least.
  @remembered 256

  @compilers [Kernel.LexicalTracker, Kernel.ParallelCompiler, Module.ParallelChecker, Module.LocalsTracker, :compile]

  @type t :: %{served: map, alive: map, ended: map, before: map, compiled: boolean}

  @doc "A filter that leaves out the traffic of these processes (the agent's and the VM's own, which live as long as it does)."
  @spec new([pid]) :: t
  def new(pids \\ []), do: %{served: set(pids), alive: %{}, ended: %{}, before: %{}, compiled: false}

  @doc "The same filter with other processes that live as long as the VM."
  @spec serving(t, [pid]) :: t
  def serving(filter, pids), do: %{filter | served: set(pids)}

  defp set(pids), do: Map.new(pids, &{&1, true})

  @doc "Whether a trace message belongs to the film, and the filter for the next one."
  @spec keep?(t, tuple) :: {boolean, t}
  def keep?(filter, trace) do
    case trace do
      {:trace_ts, _, :spawn, child, mfa, _} -> born(filter, elem(trace, 1), child, mfa)
      {:trace_ts, child, :spawned, _, mfa, _} -> born(filter, child, child, mfa)
      {:trace_ts, pid, :exit, _, _} -> {not plumbing?(filter, pid), forget(filter, pid)}
      {:trace_ts, pid, :send, _, to, _} -> {between?(filter, pid, receiver(to)), filter}
      {:trace_ts, pid, :send_to_non_existing_process, _, to, _} -> {between?(filter, pid, to), filter}
      {:trace_ts, pid, :receive, _, from, _} -> {between?(filter, pid, from), filter}
      {:trace_ts, pid, _, other, _} -> {between?(filter, pid, other), filter}
      _ -> {not plumbing?(filter, elem(trace, 1)), filter}
    end
  end

  # The parent stays in the film, and so does any other child.
  defp born(filter, pid, child, mfa) do
    if serves?(Origin.module(Origin.of(mfa))) do
      {false, %{filter | alive: Map.put(filter.alive, child, true), compiled: true}}
    else
      {not plumbing?(filter, pid), filter}
    end
  end

  defp serves?(module) when module in @compilers, do: true
  defp serves?(nil), do: false

  defp serves?(module) do
    case Atom.to_string(module) do
      # The code of a script, or of a file outside of modules, as Elixir names it.
      "elixir_compiler_" <> _ -> false
      "elixir_" <> _ -> true
      "Elixir.ElixirScope." <> _ -> true
      _ -> false
    end
  end

  defp forget(%{alive: alive} = filter, pid) when is_map_key(alive, pid) do
    filter = %{filter | alive: Map.delete(alive, pid), ended: Map.put(filter.ended, pid, true)}
    if map_size(filter.ended) < @remembered, do: filter, else: %{filter | ended: %{}, before: filter.ended}
  end

  defp forget(filter, _), do: filter

  defp between?(filter, one, other), do: not plumbing?(filter, one) and not plumbing?(filter, other)

  defp plumbing?(%{served: served, alive: alive, ended: ended, before: before}, pid) do
    is_map_key(served, pid) or is_map_key(alive, pid) or is_map_key(ended, pid) or is_map_key(before, pid)
  end

  defp receiver(name) when is_atom(name), do: Process.whereis(name)
  defp receiver({name, node}) when is_atom(name) and node == node(), do: Process.whereis(name)
  defp receiver(to), do: to
end
