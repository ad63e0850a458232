defmodule ElixirScope.AST.Frames do
  @moduledoc """
  The code that is added around a frame: on entry, on each way out, where something is caught, bound or raised.

  `env` describes the frame: `frame` is the abstract code of the variable that holds its id (nil outside of any).
  """

  import ElixirScope.AST.InjectorHelpers
  alias ElixirScope.AST.Patterns

  @doc """
  Entry of a clause: `F = call(Site, {Args…})` and, at level `full`, the bindings its patterns make.

  Returns the changed patterns, the code to put first, the env for the body and the state.
  """
  def enter(patterns, site, line, env, st) do
    bindings = if env.level == :full, do: Patterns.bindings(nontrivial(patterns), st.seen), else: []
    st = Patterns.see(st, patterns)
    {patterns, arguments, env, st} = arguments(patterns, env, st)
    {frame, st} = fresh(st, line)
    env = %{env | frame: frame}

    call =
      if arguments == nil,
        do: runtime(env, line, :call0, [integer(site, line)]),
        else: runtime(env, line, :call, [integer(site, line), tuple(arguments, line)])

    {binds, st} = bind(bindings, line, env, st)
    {patterns, [match(frame, call, line) | binds], env, st}
  end

  defp arguments(patterns, %{level: :calls} = env, st), do: {patterns, nil, env, st}
  defp arguments(patterns, %{callback: nil} = env, st), do: with_values(patterns, env, st)

  defp arguments(patterns, %{callback: callback} = env, st) do
    {patterns, arguments, env, st} = with_values(patterns, env, st)

    case callback do
      %{state_arg: nil} ->
        {patterns, arguments, %{env | before: atom(none(), 0)}, st}

      %{shape: :gen_statem_state, callback: :handle_event} ->
        [type, content, state, data] = arguments
        {patterns, [type, content], %{env | before: tuple([state, data], 0)}, st}

      %{shape: :gen_statem_state, state_arg: 3} ->
        [type, content, data] = arguments
        {patterns, [type, content], %{env | before: tuple([atom(env.name, 0), data], 0)}, st}

      %{state_arg: position} ->
        {before, arguments} = List.pop_at(arguments, position - 1)
        {patterns, arguments, %{env | before: before}, st}
    end
  end

  defp with_values(patterns, env, st) do
    {patterns, arguments, st} = Patterns.alias_values(patterns, st)
    {patterns, arguments, env, st}
  end

  defp nontrivial(patterns), do: Enum.reject(patterns, &match?({:var, _, _}, &1))

  @doc "The bind event for these bindings, as a list of zero or one expressions."
  def bind([], _line, _env, st), do: {[], st}
  def bind(_bindings, _line, %{frame: nil}, st), do: {[], st}

  def bind(bindings, line, env, st) do
    {names, vars} = Enum.unzip(bindings)
    {site, st} = site(st, :bind, env, line, names)
    {[runtime(env, line, :bind, [env.frame, integer(site, line), tuple(vars, line)])], st}
  end

  @doc "The frame ends here with the value of `expression`."
  def leave(expression, line, %{callback: %{}} = env, st) do
    {site, st} = site(st, :return, env, line)
    site = integer(site, line)
    shape = atom(env.callback.shape, line)
    state = runtime(env, line, :state, [env.frame, site, shape, env.before, expression])
    {runtime(env, line, :return, [env.frame, site, state]), st}
  end

  def leave(expression, line, %{level: :calls} = env, st) do
    {site, st} = site(st, :return, env, line)
    return = runtime(env, line, :return0, [env.frame, integer(site, line)])

    if simple?(expression) do
      {block([return, expression], line), st}
    else
      {value, st} = fresh(st, line)
      {block([match(value, expression, line), return, value], line), st}
    end
  end

  def leave(expression, line, env, st) do
    {site, st} = site(st, :return, env, line)
    {runtime(env, line, :return, [env.frame, integer(site, line), expression]), st}
  end

  @doc "The frame ends here by a call in tail position to `callee`: `{M, F, A}` or `:fun`."
  def tail(callee, line, env, st) do
    {site, st} = site(st, :tail, env, line, [], %{callee: callee})
    {runtime(env, line, :tail, [env.frame, integer(site, line)]), st}
  end

  @doc "The frame raises: `class` and `reason` are abstract code."
  def raising(callee, class, reason, line, env, st) do
    {site, st} = site(st, :raise, env, line, [], %{callee: callee})
    {runtime(env, line, :raising, [env.frame, integer(site, line), class, reason]), st}
  end

  @doc "A watched call of `callee` whose arguments are simple: `F2 = call(…), return(F2, …, Call)`."
  def external(call, callee, arguments, line, env, st) do
    secret? = secret?(callee, arguments, env)
    {site, frame, enter, st} = enter_external(callee, arguments, secret?, line, env, st)
    leave = runtime(env, line, if(secret?, do: :return0, else: :return), [frame, integer(site, line), call])
    {block([enter, leave], line), st}
  end

  @doc "A watched call in tail position: entered, and left by the call itself. A list of expressions."
  def external_tail(callee, arguments, line, env, st) do
    {_site, frame, enter, st} = enter_external(callee, arguments, secret?(callee, arguments, env), line, env, st)
    {tail, st} = tail(callee, line, %{env | frame: frame}, st)
    {[enter, tail], st}
  end

  defp enter_external(callee, arguments, secret?, line, env, st) do
    {site, st} = site(st, :external, env, line, [], %{callee: callee})
    {frame, st} = fresh(st, line)
    id = integer(site, line)

    call =
      if secret?,
        do: runtime(env, line, :call0, [id]),
        else: runtime(env, line, :call, [id, tuple(arguments, line)])

    {site, frame, match(frame, call, line), st}
  end

  # What is kept under a name, as `Application.fetch_env!(:shop, :secret_key_base)` has it, is known by that name alone:
  # neither arguments nor result are recorded. (The first argument says where it is kept; timers keep nothing.)
  defp secret?({:erlang, _, _}, _arguments, _env), do: false
  defp secret?(_callee, [], _env), do: false
  defp secret?(_callee, [_ | keys], env), do: Enum.any?(keys, &(literal(&1) != nil and env.secret.(literal(&1))))

  defp literal({:atom, _, name}), do: Atom.to_string(name)

  defp literal({:bin, _, [{:bin_element, _, {:string, _, text}, :default, _}]}),
    do: :unicode.characters_to_binary(text)

  defp literal(_), do: nil

  @doc """
  Entry of a catch clause, whose only pattern is `{Class, Reason, Stack}`: the changed pattern and the caught event.
  """
  def caught({:tuple, anno, [class, reason, stack]}, line, env, st) do
    {class, class_value, st} = Patterns.alias_value(class, st)
    {reason, reason_value, st} = Patterns.alias_value(reason, st)
    {stack, stack_value, st} = Patterns.alias_value(stack, st)
    {site, st} = site(st, :catch, env, line)
    arguments = [env.frame, integer(site, line), class_value, reason_value, stack_value]
    {{:tuple, anno, [class, reason, stack]}, runtime(env, line, :caught, arguments), st}
  end
end
