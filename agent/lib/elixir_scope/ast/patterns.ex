defmodule ElixirScope.AST.Patterns do
  @moduledoc "Reads patterns: the variables they bind, the names users gave them, and how to get at the whole value."

  import ElixirScope.AST.InjectorHelpers

  @doc """
  Gives the value matched by a pattern a name, and changes the pattern as little as possible.

  Returns the pattern, an expression for the value, and the state. Literals and variables need no change; `_` becomes
  a fresh variable; anything else an alias.
  """
  def alias_value({:var, _, :_} = pattern, st) do
    {var, st} = fresh(st, line(pattern))
    {var, var, st}
  end

  def alias_value({:var, _, _} = var, st), do: {var, var, st}
  def alias_value({tag, _, _} = literal, st) when tag in [:atom, :integer, :char], do: {literal, literal, st}
  def alias_value({nil, _} = literal, st), do: {literal, literal, st}
  def alias_value({:match, _, {:var, _, name} = var, _} = p, st) when name != :_, do: {p, var, st}
  def alias_value({:match, _, _, {:var, _, name} = var} = p, st) when name != :_, do: {p, var, st}

  def alias_value(pattern, st) do
    line = line(pattern)
    {var, st} = fresh(st, line)
    {{:match, elem(pattern, 1), pattern, var}, var, st}
  end

  @doc "As `alias_value/2`, over a list of patterns."
  def alias_values(patterns, st) do
    {pairs, st} =
      Enum.map_reduce(patterns, st, fn pattern, st ->
        {pattern, value, st} = alias_value(pattern, st)
        {{pattern, value}, st}
      end)

    {patterns, values} = Enum.unzip(pairs)
    {patterns, values, st}
  end

  @doc "All variables of a pattern, first occurrence first, as `{name, form}`; without `_`."
  def variables(patterns) when is_list(patterns) do
    patterns |> Enum.reduce([], &collect/2) |> Enum.reverse() |> Enum.uniq_by(&elem(&1, 0))
  end

  defp collect({:var, _, :_}, acc), do: acc
  defp collect({:var, _, name} = var, acc), do: [{name, var} | acc]
  # Sizes and types of segments use variables, they do not bind any.
  defp collect({:bin_element, _, value, _size, _types}, acc), do: collect(value, acc)
  # So do keys of maps.
  defp collect({:map_field_exact, _, _key, value}, acc), do: collect(value, acc)
  defp collect({tag, _, _}, acc) when tag in [:atom, :integer, :float, :string, :char], do: acc
  defp collect(list, acc) when is_list(list), do: Enum.reduce(list, acc, &collect/2)

  defp collect(tuple, acc) when is_tuple(tuple) and tuple_size(tuple) > 2 do
    tuple |> Tuple.to_list() |> Enum.drop(2) |> Enum.reduce(acc, &collect/2)
  end

  defp collect(_, acc), do: acc

  @doc """
  The name as the user wrote it, or nil for what the compiler made.

  Elixir numbers its variables (`_name@2` is the second `name`); Erlang's are as written.
  """
  def user_name(name) do
    case Atom.to_string(name) do
      "_ElixirScope@" <> _ -> nil
      "_@" <> _ -> nil
      "___STACKTRACE__@" <> _ -> nil
      "_" <> rest -> elixir_name(rest)
      name -> if String.contains?(name, "@"), do: nil, else: name
    end
  end

  # Since 1.20 a variable of the compiler's is `_1`. Else the part after the last `@` is the version; the name itself may hold one.
  defp elixir_name(text) do
    case :binary.matches(text, "@") do
      [] -> if Regex.match?(~r/^\d+$/, text), do: nil, else: "_" <> text
      matches -> binary_part(text, 0, matches |> List.last() |> elem(0))
    end
  end

  @doc "The variables worth a binding event among those that `patterns` bind for the first time."
  def bindings(patterns, seen) do
    for {name, var} <- variables(patterns),
        not MapSet.member?(seen, name),
        not generated?(var),
        text = user_name(name),
        not String.starts_with?(text, "_"),
        do: {text, var}
  end

  @doc "Adds all variables of the patterns to those seen."
  def see(st, patterns) do
    %{st | seen: Enum.reduce(variables(patterns), st.seen, fn {name, _}, seen -> MapSet.put(seen, name) end)}
  end

  @doc "A parameter's name for the site of a function: `\"\"` when it is not a plain variable."
  def parameter_name({:var, _, :_}), do: ""
  def parameter_name({:var, _, name}), do: user_name(name) || ""
  def parameter_name({:match, _, _, {:var, _, name}}), do: user_name(name) || ""
  def parameter_name({:match, _, {:var, _, name}, _}), do: user_name(name) || ""
  def parameter_name(_), do: ""
end
