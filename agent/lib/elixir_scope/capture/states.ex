defmodule ElixirScope.Capture.States do
  @moduledoc """
  Takes the new state out of what an OTP callback returned. The shapes are those of `ElixirScope.AST.Callbacks`.
  """

  @doc "`{:ok, state}`, or `:none` when the result carries no state (or is not what the behaviour allows)."
  @spec after_callback(atom, term, term) :: {:ok, term} | :none
  def after_callback(:gen_server_init, _, result) do
    case result do
      {:ok, state} -> {:ok, state}
      {:ok, state, _} -> {:ok, state}
      _ -> :none
    end
  end

  def after_callback(:gen_server, _, result) do
    case result do
      {:reply, _, state} -> {:ok, state}
      {:reply, _, state, _} -> {:ok, state}
      {:noreply, state} -> {:ok, state}
      {:noreply, state, _} -> {:ok, state}
      {:stop, _, state} -> {:ok, state}
      {:stop, _, _, state} -> {:ok, state}
      _ -> :none
    end
  end

  def after_callback(:code_change, _, {:ok, state}), do: {:ok, state}
  def after_callback(:gen_stage_init, _, {_type, state}), do: {:ok, state}
  def after_callback(:gen_stage_init, _, {type, state, _}) when type != :stop, do: {:ok, state}

  def after_callback(:gen_stage, _, result) do
    case result do
      {:noreply, _, state} -> {:ok, state}
      {:noreply, _, state, :hibernate} -> {:ok, state}
      {:reply, _, _, state} -> {:ok, state}
      {:reply, _, _, state, :hibernate} -> {:ok, state}
      {mode, state} when mode in [:automatic, :manual] -> {:ok, state}
      {:stop, _, state} -> {:ok, state}
      {:stop, _, _, state} -> {:ok, state}
      _ -> :none
    end
  end

  def after_callback(:gen_event, _, {:ok, state}), do: {:ok, state}
  def after_callback(:gen_event, _, {:ok, state, :hibernate}), do: {:ok, state}
  def after_callback(:gen_event_call, _, {:ok, _, state}), do: {:ok, state}
  def after_callback(:gen_event_call, _, {:ok, _, state, :hibernate}), do: {:ok, state}

  def after_callback(:gen_statem_init, _, {:ok, state, data}), do: {:ok, {state, data}}
  def after_callback(:gen_statem_init, _, {:ok, state, data, _}), do: {:ok, {state, data}}
  def after_callback(:gen_statem_code_change, _, {:ok, state, data}), do: {:ok, {state, data}}

  def after_callback(:gen_statem_state, before, result) do
    name = if is_tuple(before) and tuple_size(before) == 2, do: elem(before, 0)

    case result do
      {:next_state, state, data} -> {:ok, {state, data}}
      {:next_state, state, data, _} -> {:ok, {state, data}}
      {same, data} when same in [:keep_state, :repeat_state] -> {:ok, {name, data}}
      {same, data, _} when same in [:keep_state, :repeat_state] -> {:ok, {name, data}}
      {same, _} when same in [:keep_state_and_data, :repeat_state_and_data] -> {:ok, before}
      same when same in [:keep_state_and_data, :repeat_state_and_data] -> {:ok, before}
      _ -> :none
    end
  end

  def after_callback(_, _, _), do: :none
end
