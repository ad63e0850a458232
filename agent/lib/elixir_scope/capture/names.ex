defmodule ElixirScope.Capture.Names do
  @moduledoc """
  Who had a registered name when. The VM tells of a message with the name it was sent to; when the trace message is
  looked at, the name may already be another process's, or nobody's. Pure, but for names older than tracing.
  """

  # So many bearers of one name are remembered; a message is not looked at that late.
  @bearers 8

  @type t :: %{optional(atom) => [{ts :: integer, pid}]}

  @doc "Learns from a trace message."
  @spec learn(t, tuple) :: t
  def learn(names, {:trace_ts, pid, :register, name, ts}) do
    Map.update(names, name, [{ts, pid}], &Enum.take([{ts, pid} | &1], @bearers))
  end

  def learn(names, _), do: names

  @doc "The process that a message sent at `ts` to `to` (a pid, a name, an alias) went to; nil when that is not known."
  @spec receiver(t, term, integer) :: pid | nil
  def receiver(_names, to, _ts) when is_pid(to), do: to
  def receiver(names, to, ts) when is_atom(to), do: bearer(names, to, ts)
  def receiver(names, {to, node}, ts) when is_atom(to) and node == node(), do: bearer(names, to, ts)
  def receiver(_names, _to, _ts), do: nil

  @doc """
  Whether somebody had the name that a message was sent to, but nobody is known to: what the VM tells of one process
  may come before what another did earlier.
  """
  @spec missing?(t, tuple) :: boolean
  def missing?(names, {:trace_ts, _, :send, _, to, ts}) when is_atom(to), do: receiver(names, to, ts) == nil

  def missing?(names, {:trace_ts, _, :send, _, {to, node}, ts}) when is_atom(to) and node == node(),
    do: receiver(names, to, ts) == nil

  def missing?(_names, _trace), do: false

  defp bearer(names, name, ts) do
    case names do
      # Its registration may carry a time a moment after the name was usable.
      %{^name => bearers} -> bearers |> Enum.find(List.last(bearers), fn {since, _} -> since <= ts end) |> elem(1)
      _ -> with port when not is_pid(port) <- Process.whereis(name), do: nil
    end
  end
end
