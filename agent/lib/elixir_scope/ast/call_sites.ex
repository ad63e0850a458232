defmodule ElixirScope.AST.CallSites do
  @moduledoc """
  What is put around a call, by what it can do to the frame it stands in (`ElixirScope.AST.Calls`).

  The arguments of a call that ends the frame are evaluated before its event: what they do still belongs to the frame.
  """

  import ElixirScope.AST.InjectorHelpers
  alias ElixirScope.AST.{Calls, Frames, Walker}

  @doc "A call expression in its position."
  def call({:call, _, callee, args} = e, position, env, st) do
    case Calls.classify(callee, args, env) do
      {:raise, class} when env.frame != nil -> raise_call(e, class, env, st)
      {:watched, mfa} when env.level == :full and env.frame != nil -> watched(e, mfa, position, env, st)
      {:watched, mfa} -> plain_call(e, mfa, position, env, st)
      {:call, mfa} -> plain_call(e, mfa, position, env, st)
      _ -> Walker.generic(e, position, env, st)
    end
  end

  # The new state is only seen when the callback's frame is still there; a callback that calls another one of its
  # module is a loop, and loops stay flat.
  defp plain_call(e, mfa, :tail, env, st) do
    if env.callback == nil or own_callback?(mfa, env),
      do: tail_call(e, mfa, env, st),
      else: Walker.generic(e, :ret, env, st)
  end

  defp plain_call(e, _mfa, position, env, st), do: Walker.generic(e, position, env, st)

  defp own_callback?({module, name, arity}, env) do
    module == env.module and is_map_key(env.callbacks, {name, arity})
  end

  defp own_callback?(:fun, _env), do: false

  defp tail_call({:call, anno, callee, args} = e, mfa, env, st) do
    {line, st} = Walker.at(e, st)
    {callee, before, st} = lift_callee(callee, env, st)
    {args, lifted, st} = lift(args, env, st)
    {tail, st} = Frames.tail(mfa, line, env, st)
    {block(before ++ lifted ++ [tail, {:call, anno, callee, args}], line), st}
  end

  # What the VM does itself can neither recurse nor leave a trace in the stack: it may be waited for even in tail
  # position. Other calls there stay bare, and end the frame that stands for them just as they end the one around it.
  defp watched({:call, anno, callee, args} = e, {module, name, arity} = mfa, position, env, st) do
    {line, st} = Walker.at(e, st)
    {args, lifted, st} = lift(args, env, st)
    call = {:call, anno, callee, args}

    if position == :tail and env.callback == nil and not :erlang.is_builtin(module, name, arity) do
      {enter, st} = Frames.external_tail(mfa, args, line, env, st)
      {tail, st} = Frames.tail(mfa, line, env, st)
      {block(lifted ++ enter ++ [tail, call], line), st}
    else
      {external, st} = Frames.external(call, mfa, args, line, env, st)
      {value, st} = Walker.result(external, e, position, env, st)
      {block(lifted ++ [value], line), st}
    end
  end

  defp raise_call({:call, anno, callee, args} = e, class, env, st) do
    {line, st} = Walker.at(e, st)
    {args, lifted, st} = lift(args, env, st)

    {class, reason} =
      case {class, args} do
        {class, [reason | _]} when is_atom(class) -> {atom(class, line), reason}
        {_, [class, reason, _]} -> {class, reason}
      end

    {raising, st} = Frames.raising({:erlang, raiser(callee), length(args)}, class, reason, line, env, st)
    {block(lifted ++ [raising, {:call, anno, callee, args}], line), st}
  end

  defp raiser({:remote, _, _, {:atom, _, name}}), do: name
  defp raiser({:atom, _, name}), do: name

  defp lift_callee({:remote, anno, module, function}, env, st) do
    {[module, function], lifted, st} = lift([module, function], env, st)
    {{:remote, anno, module, function}, lifted, st}
  end

  defp lift_callee({:atom, _, _} = local, _env, st), do: {local, [], st}

  defp lift_callee(fun, env, st) do
    {[fun], lifted, st} = lift([fun], env, st)
    {fun, lifted, st}
  end

  # Evaluates arguments, left to right, into variables, but for those whose evaluation cannot be noticed.
  defp lift(args, env, st) do
    {args, {lifted, st}} =
      Enum.map_reduce(args, {[], st}, fn arg, {lifted, st} ->
        {arg, st} = Walker.expr(arg, nil, env, st)

        if simple?(arg) do
          {arg, {lifted, st}}
        else
          line = line(arg)
          {var, st} = fresh(st, line)
          {var, {[match(var, arg, line) | lifted], st}}
        end
      end)

    {args, Enum.reverse(lifted), st}
  end
end
