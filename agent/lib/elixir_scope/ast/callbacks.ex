defmodule ElixirScope.AST.Callbacks do
  @moduledoc """
  Knows which functions of a module are OTP callbacks with a state, where the state comes in, and how it goes out.

  `shape` names the form of the result for the runtime, which takes the new state out of it:

  | shape | results |
  |---|---|
  | `:gen_server_init` | `{:ok, state, …}`, `:ignore`, `{:stop, _}` |
  | `:gen_server` | `{:reply, _, state, …}`, `{:noreply, state, …}`, `{:stop, _, state}`, `{:stop, _, _, state}` |
  | `:gen_server_terminate` | no state |
  | `:code_change` | `{:ok, state}` |
  | `:gen_stage_init` | `{type, state, …}` |
  | `:gen_stage` | `{:noreply, events, state, …}`, `{:reply, _, events, state, …}`, `{:automatic \\| :manual, state}` |
  | `:gen_event` | `{:ok, state, …}`, `{:ok, reply, state, …}` for `:gen_event_call` |
  | `:gen_statem_init` | `{:ok, state, data, …}` |
  | `:gen_statem_state` | `{:next_state, state, data, …}`, `{:keep_state, data, …}`, `:keep_state_and_data`, …; the state before and after is `{state, data}` |
  | `:gen_statem_code_change` | `{:ok, state, data}` |
  """

  @server [
    {:init, 1, nil, :gen_server_init},
    {:handle_call, 3, 3, :gen_server},
    {:handle_cast, 2, 2, :gen_server},
    {:handle_info, 2, 2, :gen_server},
    {:handle_continue, 2, 2, :gen_server},
    {:terminate, 2, 2, :gen_server_terminate},
    {:code_change, 3, 2, :code_change}
  ]

  @stage [
    {:init, 1, nil, :gen_stage_init},
    {:handle_call, 3, 3, :gen_stage},
    {:handle_cast, 2, 2, :gen_stage},
    {:handle_info, 2, 2, :gen_stage},
    {:handle_demand, 2, 2, :gen_stage},
    {:handle_events, 3, 3, :gen_stage},
    {:handle_subscribe, 4, 4, :gen_stage},
    {:handle_cancel, 3, 3, :gen_stage},
    {:terminate, 2, 2, :gen_server_terminate},
    {:code_change, 3, 2, :code_change}
  ]

  @event [
    {:init, 1, nil, :gen_server_init},
    {:handle_event, 2, 2, :gen_event},
    {:handle_info, 2, 2, :gen_event},
    {:handle_call, 2, 2, :gen_event_call},
    {:terminate, 2, 2, :gen_server_terminate},
    {:code_change, 3, 2, :code_change}
  ]

  @statem [
    {:init, 1, nil, :gen_statem_init},
    {:terminate, 3, 3, :gen_server_terminate},
    {:code_change, 4, 3, :gen_statem_code_change}
  ]

  @tables %{
    :gen_server => @server,
    GenServer => @server,
    GenStage => @stage,
    :gen_event => @event,
    :gen_statem => @statem,
    GenStateMachine => @statem
  }

  @type callback :: %{behaviour: module, callback: atom, state_arg: pos_integer | nil, shape: atom}

  @doc """
  The callbacks of a module: `%{{name, arity} => callback}`.

  `exports` are its exported functions, `state_functions?` whether a gen_statem names its states by functions.
  """
  @spec of([module], [{atom, arity}], boolean) :: %{{atom, arity} => callback}
  def of(behaviours, exports, state_functions?) do
    for behaviour <- Enum.reverse(behaviours),
        table = Map.get(@tables, behaviour),
        {name, arity, state_arg, shape} <- table ++ statem(table, exports, state_functions?),
        {name, arity} in exports,
        into: %{} do
      {{name, arity}, %{behaviour: behaviour, callback: name, state_arg: state_arg, shape: shape}}
    end
  end

  defp statem(@statem, exports, true) do
    for {name, 3} <- exports, name != :terminate, do: {name, 3, 3, :gen_statem_state}
  end

  defp statem(@statem, _exports, false), do: [{:handle_event, 4, 4, :gen_statem_state}]
  defp statem(_, _, _), do: []
end
