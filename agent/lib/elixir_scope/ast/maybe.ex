defmodule ElixirScope.AST.Maybe do
  @moduledoc """
  Erlang's `maybe` as the `case` expressions it stands for: what is in tail position in the one is so in the other.

  The clauses of `else` are repeated for each `?=`, as only one of the copies can be reached by a value.
  """

  import ElixirScope.AST.InjectorHelpers

  @doc "The expression without `maybe`, and the state (fresh variables)."
  def to_case({:maybe, anno, body}, st) do
    {body, st} = sequence(body, nil, st)
    {{:block, anno, body}, st}
  end

  def to_case({:maybe, anno, body, {:else, _, clauses}}, st) do
    {body, st} = sequence(body, {anno, clauses}, st)
    {{:block, anno, body}, st}
  end

  defp sequence([{:maybe_match, anno, pattern, value} | rest], otherwise, st) do
    line = anno_line(anno)
    {failed, st} = fresh(st, line)
    {rest, st} = if rest == [], do: result(pattern, st), else: sequence(rest, otherwise, st)
    {unmatched, st} = unmatched(failed, otherwise, line, st)
    {pattern, rest} = rest_of(pattern, rest)
    clauses = [{:clause, anno, [pattern], [], rest}, {:clause, anno(line), [failed], [], [unmatched]}]
    {[{:case, anno, value, clauses}], st}
  end

  defp sequence([last], _otherwise, st), do: {[last], st}

  defp sequence([expression | rest], otherwise, st) do
    {rest, st} = sequence(rest, otherwise, st)
    {[expression | rest], st}
  end

  # A match at the end has the value that was matched.
  defp result(pattern, st) do
    {pattern, value, st} = ElixirScope.AST.Patterns.alias_value(pattern, st)
    {{:aliased, pattern, [value]}, st}
  end

  defp rest_of(_pattern, {:aliased, pattern, rest}), do: {pattern, rest}
  defp rest_of(pattern, rest), do: {pattern, rest}

  defp unmatched(value, nil, _line, st), do: {value, st}

  defp unmatched(value, {anno, clauses}, line, st) do
    {other, st} = fresh(st, line)
    reason = tuple([atom(:else_clause, line), other], line)
    error = {:call, anno, {:remote, anno, {:atom, anno, :erlang}, {:atom, anno, :error}}, [reason]}
    {{:case, anno, value, clauses ++ [{:clause, anno(line), [other], [], [error]}]}, st}
  end
end
