defmodule ElixirScope.AST.Calls do
  @moduledoc """
  Tells what a call expression can do to the frame it stands in.

  - `{:raise, class}`: it never returns; class is `:error`, `:exit`, `:throw` or an expression
  - `:builtin`: it cannot call back into user code, so it may be evaluated inside the frame without breaking a loop
  - `{:watched, {module, function, arity}}`: the plan wants it seen at the call site
  - `{:call, {module, function, arity} | :fun}`: anything else. In tail position it must stay there
  """

  @recursing [apply: 2, apply: 3, hibernate: 3]

  def classify({:remote, _, {:atom, _, module}, {:atom, _, function}}, args, env) do
    arity = length(args)

    cond do
      module == :erlang -> erlang(function, args, arity) |> watched(function, arity, env)
      module == env.runtime -> :builtin
      env.watched.(module, function) -> {:watched, {module, function, arity}}
      true -> {:call, {module, function, arity}}
    end
  end

  def classify({:remote, _, _, _}, _args, _env), do: {:call, :fun}

  def classify({:atom, _, function}, args, env) do
    arity = length(args)

    if not MapSet.member?(env.locals, {function, arity}) and :erl_internal.bif(function, arity),
      do: erlang(function, args, arity),
      else: {:call, {env.module, function, arity}}
  end

  def classify(_fun, _args, _env), do: {:call, :fun}

  # Elixir's own functions are often the VM's by another name: `Process.send_after/3` is compiled as `:erlang.send_after/3`.
  defp watched(:builtin, function, arity, env),
    do: if(env.watched.(:erlang, function), do: {:watched, {:erlang, function, arity}}, else: :builtin)

  defp watched(other, _function, _arity, _env), do: other

  defp erlang(:error, _, arity) when arity in 1..3, do: {:raise, :error}
  defp erlang(:exit, _, 1), do: {:raise, :exit}
  defp erlang(:throw, _, 1), do: {:raise, :throw}
  defp erlang(:raise, [class, _, _], 3), do: {:raise, class}
  defp erlang(function, _, arity) when {function, arity} in @recursing, do: {:call, {:erlang, function, arity}}

  # What the VM has written in Erlang, a matter of its release, is called as anything else: when it fails in tail position
  # its caller is not in the stack trace. (Of spawns the value is worth more: they fail only for a wrong type.)
  defp erlang(function, _, arity) do
    if conversion?(function) and not :erlang.is_builtin(:erlang, function, arity),
      do: {:call, {:erlang, function, arity}},
      else: :builtin
  end

  defp conversion?(function), do: function |> Atom.to_string() |> String.contains?("_to_")
end
