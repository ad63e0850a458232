defmodule ElixirScope.AST.InjectorHelpers do
  @moduledoc """
  Small builders for the abstract code that the transformer adds, and the bookkeeping it needs.

  Everything added is annotated `generated`, so that neither the compiler nor Dialyzer has anything to say about it.

  `st` is the transformer's running state: `n` (fresh variables so far in this function), `sites` (newest first),
  `seen` (variables bound so far), `line` (the last one seen), `next_site` (the id allocator).
  """

  @type form :: tuple
  @type st :: %{
          n: non_neg_integer,
          sites: list,
          seen: MapSet.t(),
          line: non_neg_integer,
          next_site: (() -> pos_integer)
        }

  @doc "Marks a value that does not exist, such as the state before `init/1`."
  def none, do: :"$elixirscope_none"

  @doc "The annotation of added code on `line`."
  def anno(line), do: :erl_anno.set_generated(true, :erl_anno.new(line))

  @doc "The line of a form; 0 when it has none."
  def line(form) when is_tuple(form), do: anno_line(elem(form, 1))

  @doc "The line of an annotation in any of its shapes; 0 when it has none."
  def anno_line(anno) do
    case :erl_anno.line(anno) do
      line when is_integer(line) and line > 0 -> line
      _ -> 0
    end
  end

  @doc "The line of a form or else of the first of its parts that has one; 0 when none has."
  def first_line(form) when is_tuple(form) and tuple_size(form) > 1 do
    case elem(form, 1) |> :erl_anno.is_anno() && line(form) do
      line when line in [0, false] -> form |> Tuple.to_list() |> Enum.drop(2) |> first_line()
      line -> line
    end
  end

  def first_line(parts) when is_list(parts) do
    Enum.reduce_while(parts, 0, fn part, 0 ->
      case first_line(part) do
        0 -> {:cont, 0}
        line -> {:halt, line}
      end
    end)
  end

  def first_line(_), do: 0

  @doc "Whether the compiler, not the user, wrote this form."
  def generated?(form), do: :erl_anno.generated(elem(form, 1))

  @doc "A variable that nobody else uses in the function at hand. Names repeat between functions: atoms are never freed."
  @spec fresh(st, non_neg_integer) :: {form, st}
  def fresh(st, line) do
    {{:var, anno(line), :"_ElixirScope@#{st.n}"}, %{st | n: st.n + 1}}
  end

  @doc """
  Registers a site in the function of `env` and returns its id. Code that came from another file has no lines of its own
  in this one: all of it stands on the line that brought it in (`env.line`).
  """
  def site(st, kind, env, line, vars \\ [], detail \\ %{}) do
    id = st.next_site.()
    site = {id, kind, env.name, env.arity, env.line || line, vars, detail}
    {id, %{st | sites: [site | st.sites]}}
  end

  @doc "A call of the runtime."
  def runtime(env, line, function, args) do
    a = anno(line)
    {:call, a, {:remote, a, {:atom, a, env.runtime}, {:atom, a, function}}, args}
  end

  def integer(value, line), do: {:integer, anno(line), value}
  def atom(value, line), do: {:atom, anno(line), value}
  def tuple(elements, line), do: {:tuple, anno(line), elements}
  # `A = B = value` is one match with two patterns to the compiler, which then forgets to compare when `B` is bound.
  def match(pattern, {:match, _, _, _} = value, line), do: match(pattern, {:block, anno(line), [value]}, line)
  def match(pattern, value, line), do: {:match, anno(line), pattern, value}

  @doc "One expression out of several."
  def block([one], _line), do: one
  def block(many, line), do: {:block, anno(line), many}

  @doc """
  Whether evaluating the expression can neither fail, nor do anything, nor take time that belongs to somebody: it may
  then be moved, evaluated after an event, or written twice. A fun that is written twice would be two, of two names.
  """
  def simple?({tag, _, _}) when tag in [:var, :integer, :float, :atom, :string, :char], do: true
  def simple?({:fun, _, {:function, _module, _name, _arity}}), do: true
  def simple?({nil, _}), do: true
  def simple?({:tuple, _, elements}), do: Enum.all?(elements, &simple?/1)
  def simple?({:cons, _, head, tail}), do: simple?(head) and simple?(tail)

  def simple?({:map, _, fields}) do
    Enum.all?(fields, fn {_, _, key, value} -> simple?(key) and simple?(value) end)
  end

  def simple?({:bin, _, elements}), do: Enum.all?(elements, &match?({_, _, {:string, _, _}, :default, :default}, &1))
  def simple?(_), do: false
end
