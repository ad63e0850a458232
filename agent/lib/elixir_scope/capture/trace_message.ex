defmodule ElixirScope.Capture.TraceMessage do
  @moduledoc """
  What a trace message of the VM is as an event. Runs in the collector `:vm`, which the VM sends them to.
  """

  use ElixirScope.Capture.Event
  alias ElixirScope.Capture.{Names, Origin, States, Value}

  @doc "The event that a trace message stands for, given who has had which name; nil for what is not recorded."
  @spec event(tuple, map, Names.t()) :: tuple | nil
  def event({:trace_ts, pid, :send, message, to, ts}, budgets, names) do
    sent(pid, message, to, Names.receiver(names, to, ts), ts, budgets, 0)
  end

  def event({:trace_ts, pid, :send_to_non_existing_process, message, to, ts}, budgets, _names) do
    sent(pid, message, to, if(is_pid(to), do: to), ts, budgets, @no_receiver)
  end

  def event(trace, budgets, _names), do: event(trace, budgets)

  defp event({:trace_ts, pid, :receive, message, from, ts}, budgets) do
    {message, number} = numbered(message)
    {value, cut?} = Value.clip(message, budgets.message)
    {:"$es", @receive, cut(cut?), 0, ts, 0, 0, pid, from, number || hash(value), value}
  end

  defp event({:trace_ts, pid, :spawn, child, mfa, ts}, budgets), do: born(@spawn, pid, child, mfa, ts, budgets)
  defp event({:trace_ts, pid, :spawned, parent, mfa, ts}, budgets), do: born(@spawned, pid, parent, mfa, ts, budgets)

  defp event({:trace_ts, pid, :exit, reason, ts}, budgets) do
    {value, cut?} = Value.clip(reason, budgets.reason)
    {:"$es", @exit, cut(cut?), 0, ts, 0, 0, pid, nil, 0, value}
  end

  defp event({:trace_ts, pid, :link, other, ts}, _), do: linked(@link, pid, other, ts)
  defp event({:trace_ts, pid, :unlink, other, ts}, _), do: linked(@unlink, pid, other, ts)
  defp event({:trace_ts, pid, :getting_linked, other, ts}, _), do: linked(@getting_linked, pid, other, ts)
  defp event({:trace_ts, pid, :getting_unlinked, other, ts}, _), do: linked(@getting_unlinked, pid, other, ts)
  defp event({:trace_ts, pid, :register, name, ts}, _), do: plain(@register, pid, nil, name, ts)
  defp event({:trace_ts, pid, :unregister, name, ts}, _), do: plain(@unregister, pid, nil, name, ts)
  defp event({:trace_ts, pid, :in, _, ts}, _), do: plain(@scheduled_in, pid, nil, @none, ts)
  defp event({:trace_ts, pid, :out, _, ts}, _), do: plain(@scheduled_out, pid, nil, @none, ts)

  defp event({:trace_ts, pid, :return_from, {:supervisor, function, _}, result, ts}, budgets) do
    shape = if function == :init, do: :gen_server_init, else: :gen_server

    case States.after_callback(shape, @none, result) do
      {:ok, state} ->
        {value, cut?} = Value.clip(state, budgets.state)
        {:"$es", @state, cut(cut?), 1, ts, 0, 0, pid, nil, 0, value}

      :none ->
        nil
    end
  end

  defp event(_, _), do: nil

  defp sent(pid, message, to, peer, ts, budgets, flags) do
    {message, number} = numbered(message)
    {value, cut?} = Value.clip(message, budgets.message)
    # Without a receiver the name is what there is to tell.
    told = if peer == nil and (is_atom(to) or is_tuple(to)), do: {to, value}, else: value
    {:"$es", @send, flags ||| cut(cut?), 0, ts, 0, 0, pid, peer, number || hash(value), told}
  end

  defp born(kind, pid, other, mfa, ts, budgets) do
    {value, cut?} = mfa |> Origin.of() |> Value.clip(max(budgets.message, 512))
    {:"$es", kind, cut(cut?), 0, ts, 0, 0, pid, other, 0, value}
  end

  # A port at the other end has no life of its own in the film.
  defp linked(kind, pid, other, ts) when is_pid(other), do: plain(kind, pid, other, @none, ts)
  defp linked(_, _, _, _), do: nil

  defp plain(kind, pid, peer, value, ts), do: {:"$es", kind, 0, 0, ts, 0, 0, pid, peer, 0, value}

  defp cut(true), do: @truncated
  defp cut(false), do: 0

  # C has numbered a message that does not fit its budget, for its other end may be in a ring.
  defp numbered({:"$elixirscope_numbered", number, message}), do: {message, number}
  defp numbered(message), do: {message, nil}

  # Both ends of a message see the same term, cut by the same rule.
  # The range that C has too (enif_hash): both engines give a whole message the same number.
  defp hash(value), do: :erlang.phash2(value)
end
