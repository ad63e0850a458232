defmodule ElixirScope.Capture.Origin do
  @moduledoc """
  Who a process is: what it was spawned with, seen through `proc_lib` and OTP's generic servers. Pure.
  """

  @type t :: %{
          required(:mfa) => term,
          optional(:initial) => mfa,
          optional(:ancestors) => list,
          optional(:name) => term
        }

  @doc "Out of the `{module, function, arguments}` that the VM tells of a spawn; the value of a SPAWNED event, not yet cut."
  @spec of(term) :: t
  def of({:proc_lib, :init_p, [parent, ancestors, module, function, args]}) when is_list(args) do
    {initial, name} = initial(module, function, args)
    %{mfa: {module, function, length(args)}, initial: initial, ancestors: [parent | ancestors], name: name}
  end

  def of({:proc_lib, :init_p, [parent, ancestors, fun]}) when is_function(fun) do
    %{mfa: of_fun(fun), initial: of_fun(fun), ancestors: [parent | ancestors]}
  end

  def of({:erlang, :apply, [fun, args]}) when is_function(fun) and is_list(args), do: %{mfa: of_fun(fun)}
  def of({module, function, args}) when is_list(args), do: %{mfa: {module, function, length(args)}}
  def of(other), do: %{mfa: other}

  @doc "The module whose code the process runs; nil when that cannot be told."
  @spec module(t) :: module | nil
  def module(%{initial: {module, _, _}}) when is_atom(module), do: module
  def module(%{mfa: {module, _, _}}) when is_atom(module), do: module
  def module(_), do: nil

  # gen:init_it(GenModule, Starter, Parent, [Name,] CallbackModule, Args, Options)
  defp initial(:gen, :init_it, [_gen, _starter, _parent, name, module, args, _options]),
    do: {server(module, args), name(name)}

  defp initial(:gen, :init_it, [_gen, _starter, _parent, module, args, _options]), do: {server(module, args), nil}

  defp initial(Task.Supervised, function, args) do
    case List.last(args) do
      {:erlang, :apply, [fun, []]} when is_function(fun) -> {of_fun(fun), nil}
      {module, name, list} when is_list(list) -> {{module, name, length(list)}, nil}
      _ -> {{Task.Supervised, function, length(args)}, nil}
    end
  end

  defp initial(module, function, args), do: {{module, function, length(args)}, nil}

  # proc_lib names the callback module of a supervisor in the function's place.
  defp server(:supervisor, {_name, module, _args}) when is_atom(module), do: {:supervisor, module, 1}
  defp server(module, _args), do: {module, :init, 1}

  defp name({:local, name}), do: name
  defp name({:global, name}), do: {:global, name}
  defp name({:via, module, name}), do: {:via, module, name}
  defp name(_), do: nil

  defp of_fun(fun) do
    {:module, module} = :erlang.fun_info(fun, :module)
    {:name, name} = :erlang.fun_info(fun, :name)
    {:arity, arity} = :erlang.fun_info(fun, :arity)
    {module, name, arity}
  end
end
