defmodule ElixirScope.Compiler.Peers do
  @moduledoc """
  Has `:peer.start/1` and `:peer.start_link/1` return when the agent is ready in the new VM, too.

  OTP says that a peer has started before it evaluates what the command line asks for, the agent's start among it. Without
  this, what the program then does there would come before the agent, or into the middle of its start. (`:slave` waits
  by itself.)
  """

  alias ElixirScope.Boot
  alias ElixirScope.Compiler.{Beam, Rewrite}

  @edits [{:wrap, :start, 1, {__MODULE__, :started}}, {:wrap, :start_link, 1, {__MODULE__, :started}}]
  # A peer that takes longer than this has other worries.
  @patience_ms 5_000
  @again_ms 2

  @doc "Sets the hook. Returns what could not be edited."
  @spec install() :: [{module, term}]
  def install do
    with path when is_list(path) <- :code.which(:peer),
         {:ok, binary} <- Rewrite.edited(:peer, path, @edits),
         {:module, _} <- Beam.unstuck(:peer, path, binary) do
      []
    else
      # Before OTP 25.
      :non_existing -> []
      # A release is stripped of it.
      {:error, :no_debug_info} -> []
      {:error, reason} -> [{:peer, reason}]
    end
  end

  @doc false
  def started([options], original) do
    result = original.([options])
    ready(ask(options, result))
    result
  end

  # What calls a function there, by the connection that the program has made.
  defp ask(%{connection: _}, result) when elem(result, 0) == :ok,
    do: &:peer.call(elem(result, 1), :persistent_term, :get, [&1, &2])

  defp ask(_options, {:ok, _pid, node}), do: &:erpc.call(node, :persistent_term, :get, [&1, &2])
  # It is not waited for, or did not start.
  defp ask(_options, _result), do: nil

  defp ready(nil), do: :ok

  # By a process of its own: whatever becomes of it, the caller finds neither messages nor links.
  defp ready(ask) do
    until = now() + @patience_ms
    {pid, ref} = spawn_monitor(fn -> wait(ask, until) end)

    receive do
      {:DOWN, ^ref, :process, ^pid, _} -> :ok
    end
  end

  defp wait(ask, until) do
    unless ask.(Boot.done(), false) or now() > until do
      receive do
      after
        @again_ms -> wait(ask, until)
      end
    end
  catch
    # It has gone, or cannot be asked.
    _, _ -> :ok
  end

  defp now, do: System.monotonic_time(:millisecond)
end
