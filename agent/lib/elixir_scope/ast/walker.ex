defmodule ElixirScope.AST.Walker do
  @moduledoc """
  Walks the body of a function and puts events where they belong, without changing what it means.

  Every expression is visited with the position it stands in:

  - `nil`: its value is used by the code around it, or by nobody
  - `:tail`: its value is the frame's result, and a call standing here must stay a tail call
  - `:ret`: its value is the frame's result, but the Erlang compiler can make no tail call here (body of a `try`)

  In `nil` position the result of a walk has the value of the original; in the others too, and it has told the
  runtime that the frame ended. Guards are never touched.
  """

  import ElixirScope.AST.InjectorHelpers
  alias ElixirScope.AST.{Calls, CallSites, Forms, Frames, Maybe, Patterns}

  @leaves [:atom, :integer, :float, :string, :char, :var, nil, :executable_line, :debug_line]

  @doc "The clauses of a function or fun whose calls are frames of `site`."
  def framed_clauses(clauses, site, env, st) do
    Enum.map_reduce(clauses, st, fn {:clause, anno, patterns, guards, body} = clause, st ->
      seen = st.seen
      {line, st} = at(clause, st)
      {patterns, entry, env, st} = Frames.enter(patterns, site, line, env, st)
      {body, st} = body(body, :tail, env, st)
      {{:clause, anno, patterns, guards, entry ++ body}, %{st | seen: seen}}
    end)
  end

  @doc "A sequence of expressions: the last one has position `position`."
  def body([last], position, env, st) when position != nil do
    {last, st} = expr(last, position, env, st)
    {[last], st}
  end

  def body(expressions, position, env, st) do
    body(expressions, position, env, st, [])
  end

  defp body([last], position, env, st, done) do
    {last, st} = expr(last, position, env, st)
    {Enum.reverse(done, [last]), st}
  end

  # The statement form of a match needs no variable to hold its value.
  defp body([{:match, anno, pattern, value} | rest], position, env, st, done) do
    {value, binds, st} = match_parts(pattern, value, env, st)
    body(rest, position, env, st, Enum.reverse(binds, [{:match, anno, pattern, value} | done]))
  end

  defp body([expression | rest], position, env, st, done) do
    {expression, st} = expr(expression, nil, env, st)
    body(rest, position, env, st, [expression | done])
  end

  defp body([], _position, _env, st, done), do: {Enum.reverse(done), st}

  @doc "One expression."
  def expr({tag, _} = e, position, env, st) when tag in @leaves, do: result(e, e, position, env, st)
  def expr({tag, _, _} = e, position, env, st) when tag in @leaves, do: result(e, e, position, env, st)

  def expr({:block, anno, body}, position, env, st) do
    {body, st} = body(body, position, env, st)
    {{:block, anno, body}, st}
  end

  def expr({:case, anno, subject, clauses}, position, env, st) do
    {subject, st} = expr(subject, nil, env, st)
    {clauses, st} = clauses(clauses, position, env, st)
    {{:case, anno, subject, clauses}, st}
  end

  def expr({:if, anno, clauses}, position, env, st) do
    {clauses, st} = clauses(clauses, position, env, st)
    {{:if, anno, clauses}, st}
  end

  def expr({:receive, anno, clauses}, position, env, st) do
    {clauses, st} = clauses(clauses, position, env, st)
    {{:receive, anno, clauses}, st}
  end

  def expr({:receive, anno, clauses, timeout, after_body}, position, env, st) do
    {clauses, st} = clauses(clauses, position, env, st)
    {timeout, st} = expr(timeout, nil, env, st)
    {after_body, st} = body(after_body, position, env, st)
    {{:receive, anno, clauses, timeout, after_body}, st}
  end

  # Without `after`, clauses are in tail position; the protected body is not, but its value may be the result.
  def expr({:try, anno, body, of_clauses, catch_clauses, []}, position, env, st) do
    body_position = if position != nil and of_clauses == [], do: :ret
    {body, st} = body(body, body_position, env, st)
    {of_clauses, st} = clauses(of_clauses, position, env, st)
    {catch_clauses, st} = catch_clauses(catch_clauses, position, env, st)
    {{:try, anno, body, of_clauses, catch_clauses, []}, st}
  end

  # With `after`, the frame ends behind it.
  def expr({:try, anno, body, of_clauses, catch_clauses, after_body} = e, position, env, st) do
    {body, st} = body(body, nil, env, st)
    {of_clauses, st} = clauses(of_clauses, nil, env, st)
    {catch_clauses, st} = catch_clauses(catch_clauses, nil, env, st)
    {after_body, st} = body(after_body, nil, env, st)
    result({:try, anno, body, of_clauses, catch_clauses, after_body}, e, position, env, st)
  end

  def expr({:catch, anno, body} = e, position, env, st) do
    {body, st} = expr(body, nil, env, st)
    result({:catch, anno, body}, e, position, env, st)
  end

  def expr(e, position, env, st) when elem(e, 0) == :maybe and position != nil do
    {e, st} = Maybe.to_case(e, st)
    expr(e, position, env, st)
  end

  def expr({:maybe, anno, body}, nil, env, st) do
    {body, st} = body(body, nil, env, st)
    {{:maybe, anno, body}, st}
  end

  def expr({:maybe, anno, body, {:else, else_anno, clauses}}, nil, env, st) do
    {body, st} = body(body, nil, env, st)
    {clauses, st} = clauses(clauses, nil, env, st)
    {{:maybe, anno, body, {:else, else_anno, clauses}}, st}
  end

  def expr({:maybe_match, anno, pattern, value}, _position, env, st) do
    {value, st} = expr(value, nil, env, st)
    {{:maybe_match, anno, pattern, value}, st}
  end

  def expr({:match, anno, pattern, value} = e, position, env, st) do
    {value, binds, st} = match_parts(pattern, value, env, st)

    if position == nil and binds == [] do
      {{:match, anno, pattern, value}, st}
    else
      {line, st} = at(e, st)
      {var, st} = fresh(st, line)
      {last, st} = result(var, e, position, env, st)
      {block([match(var, value, line), {:match, anno, pattern, var} | binds] ++ [last], line), st}
    end
  end

  # The right side is in tail position in Erlang, as the compiler's own translation of these operators shows.
  def expr({:op, anno, op, left, right} = e, :tail, env, st) when op in [:andalso, :orelse] do
    if tail_call?(right, env), do: boolean(anno, op, left, right, env, st), else: generic(e, :tail, env, st)
  end

  def expr({:fun, anno, {:clauses, clauses}} = e, position, env, st) do
    {clauses, st} = fun_clauses(e, clauses, env, st)
    result({:fun, anno, {:clauses, clauses}}, e, position, env, st)
  end

  def expr({:fun, _, _} = e, position, env, st), do: result(e, e, position, env, st)

  def expr({:named_fun, anno, name, clauses} = e, position, env, st) do
    {clauses, st} = fun_clauses(e, clauses, env, st)
    result({:named_fun, anno, name, clauses}, e, position, env, st)
  end

  def expr({tag, anno, template, qualifiers} = e, position, env, st) when tag in [:lc, :bc, :mc] do
    {qualifiers, st} = Enum.map_reduce(qualifiers, st, &qualifier(&1, env, &2))
    # Since OTP 29 there may be several.
    {template, st} = part(template, env, st)
    result({tag, anno, template, qualifiers}, e, position, env, st)
  end

  def expr({:bin, anno, elements} = e, position, env, st) do
    {elements, st} =
      Enum.map_reduce(elements, st, fn {:bin_element, anno, value, size, types}, st ->
        {value, st} = expr(value, nil, env, st)
        {{:bin_element, anno, value, size, types}, st}
      end)

    result({:bin, anno, elements}, e, position, env, st)
  end

  def expr({:call, _, _, _} = e, position, env, st), do: CallSites.call(e, position, env, st)
  def expr({:record_index, _, _, _} = e, position, env, st), do: result(e, e, position, env, st)
  def expr(e, position, env, st), do: generic(e, position, env, st)

  @doc "Anything that only computes a value out of the values of its parts: tuples, lists, maps, operators, calls."
  def generic(e, position, env, st) do
    [tag, anno | parts] = Tuple.to_list(e)
    {parts, st} = Enum.map_reduce(parts, st, &part(&1, env, &2))
    result(List.to_tuple([tag, anno | parts]), e, position, env, st)
  end

  defp part(parts, env, st) when is_list(parts), do: Enum.map_reduce(parts, st, &part(&1, env, &2))
  defp part(e, env, st) when is_tuple(e) and tuple_size(e) >= 2, do: expr(e, nil, env, st)
  defp part(other, _env, st), do: {other, st}

  @doc "What to do with a value in its position. `original` gives the line."
  def result(e, original, position, env, st)
  def result(e, _original, nil, _env, st), do: {e, st}

  def result(e, original, _position, env, st) do
    {line, st} = at(original, st)
    Frames.leave(e, line, env, st)
  end

  @doc """
  The line of a form. Literals, pairs and lists have none of their own in Elixir, or since 1.20 that of something around
  them: then the first one inside, or the last one seen.
  """
  def at(e, st) do
    line = if lineless?(e), do: inner_line(e, st), else: first_line(e)
    line = if line == 0, do: st.line, else: line
    {line, %{st | line: line}}
  end

  defp lineless?({tag, _, _}) when tag in [:atom, :integer, :float, :bin, :string], do: true
  defp lineless?({:tuple, _, [_, _]}), do: true
  defp lineless?(e), do: elem(e, 0) in [nil, :cons]

  defp inner_line(e, st) do
    case e |> Tuple.to_list() |> Enum.drop(2) |> first_line() do
      0 -> max(line(e), st.line)
      line -> line
    end
  end

  ## Clauses

  defp clauses(clauses, position, env, st) do
    seen = st.seen

    {clauses, st} =
      Enum.map_reduce(clauses, st, fn {:clause, anno, patterns, guards, body} = clause, st ->
        {line, st} = at(clause, st)
        {binds, st} = pattern_binds(patterns, line, env, %{st | seen: seen})
        {body, st} = body(body, position, env, st)
        {{:clause, anno, patterns, guards, binds ++ body}, st}
      end)

    {clauses, %{st | seen: seen}}
  end

  defp catch_clauses(clauses, position, %{frame: nil} = env, st), do: clauses(clauses, position, env, st)

  defp catch_clauses(clauses, position, env, st) do
    seen = st.seen

    {clauses, st} =
      Enum.map_reduce(clauses, st, fn {:clause, anno, [pattern], guards, body} = clause, st ->
        {line, st} = at(clause, st)
        {binds, st} = pattern_binds([pattern], line, env, %{st | seen: seen})
        {pattern, caught, st} = Frames.caught(pattern, line, env, st)
        {body, st} = body(body, position, env, st)
        {{:clause, anno, [pattern], guards, [caught | binds] ++ body}, st}
      end)

    {clauses, %{st | seen: seen}}
  end

  # A fun is a frame of its own, unless the compiler made it: then it is part of the frame around it.
  defp fun_clauses(_fun, clauses, %{funs: false}, st), do: {clauses, st}

  defp fun_clauses(fun, clauses, env, st) do
    if compiler_made?(fun, clauses) do
      clauses(clauses, nil, env, st)
    else
      [{:clause, _, patterns, _, _} = first | _] = clauses
      env = %{env | callback: nil}

      {site, st} =
        site(
          st,
          :fn,
          %{env | arity: length(patterns)},
          line(first),
          Enum.map(patterns, &Patterns.parameter_name/1),
          %{clauses: length(clauses), end_line: Forms.last_line(clauses)}
        )

      framed_clauses(clauses, site, env, st)
    end
  end

  # `for` becomes a reduction by a fun whose accumulator, and a recursion by a fun whose name, no user has written.
  # Captures (`&1`) have such variables too, but on no line, or for all of their parameters.
  defp compiler_made?({:named_fun, _, name, _} = fun, _), do: generated?(fun) or Patterns.user_name(name) == nil

  defp compiler_made?(fun, [{:clause, _, [item, {:var, _, name} = accumulator], _, _} | _] = clauses)
       when name != :_ do
    marked?(fun, clauses) or (line(accumulator) > 0 and Patterns.user_name(name) == nil and not capture?(item))
  end

  defp compiler_made?(fun, clauses), do: marked?(fun, clauses)

  defp capture?({:var, _, name}), do: name != :_ and Patterns.user_name(name) == nil
  defp capture?(_), do: false

  defp marked?(fun, clauses), do: generated?(fun) or Enum.any?(clauses, &generated?/1)

  defp qualifier({tag, anno, pattern, value}, env, st)
       when tag in [
              :generate,
              :b_generate,
              :m_generate,
              :generate_strict,
              :b_generate_strict,
              :m_generate_strict
            ] do
    {value, st} = expr(value, nil, env, st)
    {{tag, anno, pattern, value}, st}
  end

  defp qualifier({:zip, anno, qualifiers}, env, st) do
    {qualifiers, st} = Enum.map_reduce(qualifiers, st, &qualifier(&1, env, &2))
    {{:zip, anno, qualifiers}, st}
  end

  # A filter that could be a guard fails silently: it must stay one.
  defp qualifier(filter, env, st) do
    if :erl_lint.is_guard_test(filter), do: {filter, st}, else: expr(filter, nil, env, st)
  end

  ## Matches

  defp match_parts(pattern, value, env, st) do
    {value, st} = expr(value, nil, env, st)
    {line, st} = at(pattern, st)
    {binds, st} = pattern_binds([pattern], line, env, st)
    {value, binds, st}
  end

  defp pattern_binds(patterns, line, %{level: :full} = env, st) do
    bindings = Patterns.bindings(patterns, st.seen)
    Frames.bind(bindings, line, env, Patterns.see(st, patterns))
  end

  defp pattern_binds(_patterns, _line, _env, st), do: {[], st}

  ## Booleans

  defp tail_call?({:call, _, callee, args}, env), do: match?({:call, _}, Calls.classify(callee, args, env))
  defp tail_call?({:op, _, op, _, right}, env) when op in [:andalso, :orelse], do: tail_call?(right, env)
  defp tail_call?({:block, _, body}, env), do: tail_call?(List.last(body), env)
  defp tail_call?({tag, _, _, _}, _env) when tag in [:case], do: true
  defp tail_call?(_, _env), do: false

  defp boolean(anno, op, left, right, env, st) do
    line = anno_line(anno)
    ga = anno(line)
    {left, st} = expr(left, nil, env, st)
    {right, st} = expr(right, :tail, env, st)
    go_on = op == :andalso
    {stop, st} = Frames.leave(atom(not go_on, line), line, env, st)
    {other, st} = fresh(st, line)
    badarg = tuple([atom(:badarg, line), other], line)
    error = {:call, anno, {:remote, anno, {:atom, anno, :erlang}, {:atom, anno, :error}}, [badarg]}

    clauses = [
      {:clause, ga, [atom(go_on, line)], [], [right]},
      {:clause, ga, [atom(not go_on, line)], [], [stop]},
      {:clause, ga, [other], [], [error]}
    ]

    {{:case, ga, left, clauses}, st}
  end
end
