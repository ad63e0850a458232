defmodule ElixirScope.AST.Forms do
  @moduledoc "Reads facts about a module out of its abstract forms."

  @doc "The module's name, or nil when there is none."
  def module(forms) do
    Enum.find_value(forms, fn
      {:attribute, _, :module, {module, _params}} -> module
      {:attribute, _, :module, module} -> module
      _ -> nil
    end)
  end

  @doc "All values of an attribute, flat, in order."
  def attribute(forms, name) do
    Enum.flat_map(forms, fn
      {:attribute, _, ^name, value} -> List.wrap(value)
      _ -> []
    end)
  end

  @doc "The behaviours a module declares."
  def behaviours(forms), do: Enum.uniq(attribute(forms, :behaviour) ++ attribute(forms, :behavior))

  @doc "Whether the module says that this function or attribute is there."
  def attribute?(forms, name), do: Enum.any?(forms, &match?({:attribute, _, ^name, _}, &1))

  @doc "`{name, arity}` of the functions that are defined here."
  def functions(forms), do: for({:function, _, name, arity, _} <- forms, do: {name, arity})

  @doc "The exported ones; all of them under `export_all`."
  def exports(forms) do
    if :export_all in attribute(forms, :compile),
      do: functions(forms),
      else: attribute(forms, :export)
  end

  @doc "The file that the module was compiled from, as its first `-file` attribute says."
  def file(forms) do
    Enum.find_value(forms, "", fn
      {:attribute, _, :file, {file, _}} -> List.to_string(file)
      _ -> nil
    end)
  end

  @doc "Whether a gen_statem of these forms names its states by functions."
  def state_functions?(forms) do
    Enum.any?(forms, fn
      {:function, _, :callback_mode, 0, clauses} -> mentions?(clauses, :state_functions)
      _ -> false
    end)
  end

  @doc "The last line that occurs in the forms; 0 when there is none."
  def last_line(forms), do: last_line(forms, 0)

  defp last_line(list, max) when is_list(list), do: Enum.reduce(list, max, &last_line/2)

  defp last_line(form, max) when is_tuple(form) and tuple_size(form) >= 2 do
    [_tag, anno | parts] = Tuple.to_list(form)
    Enum.reduce(parts, max(max, maybe_line(anno)), &last_line/2)
  end

  defp last_line(_, max), do: max

  # Not every tuple inside a form is one: the second element may be anything.
  defp maybe_line(line) when is_integer(line), do: line
  defp maybe_line({line, column}) when is_integer(line) and is_integer(column), do: line
  defp maybe_line([{_, _} | _] = anno), do: if(:erl_anno.is_anno(anno), do: location_line(anno), else: 0)
  defp maybe_line(_), do: 0

  defp location_line(anno) do
    case :erl_anno.line(anno) do
      line when is_integer(line) -> line
      _ -> 0
    end
  end

  defp mentions?(list, atom) when is_list(list), do: Enum.any?(list, &mentions?(&1, atom))
  defp mentions?({:atom, _, atom}, atom), do: true
  defp mentions?(tuple, atom) when is_tuple(tuple), do: mentions?(Tuple.to_list(tuple), atom)
  defp mentions?(_, _), do: false

  @doc "The same with each call of the function `from` going to `to`, which takes as many arguments."
  @spec redirect([tuple], {module, atom, arity}, {module, atom}) :: [tuple]
  def redirect(forms, from, to) do
    Enum.map(forms, fn
      {:function, _, _, _, _} = function -> calls(function, from, to)
      form -> form
    end)
  end

  defp calls({:call, anno, {:remote, _, {:atom, _, module}, {:atom, _, function}} = callee, args}, from, to) do
    args = calls(args, from, to)
    {to_module, to_function} = to

    if {module, function, length(args)} == from,
      do: {:call, anno, {:remote, anno, {:atom, anno, to_module}, {:atom, anno, to_function}}, args},
      else: {:call, anno, callee, args}
  end

  defp calls([head | tail], from, to), do: [calls(head, from, to) | calls(tail, from, to)]

  defp calls(tuple, from, to) when is_tuple(tuple) do
    tuple |> Tuple.to_list() |> calls(from, to) |> List.to_tuple()
  end

  defp calls(other, _from, _to), do: other
end
