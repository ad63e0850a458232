Code.require_file("support.exs", __DIR__)

defmodule ElixirScope.AST.RandomErlangTest do
  # As RandomTest, with what Erlang has and Elixir's compiler never writes.
  use ExUnit.Case, async: false

  import ElixirScope.AST.Support

  setup :recording

  @modules 8
  @functions 8

  test "random Erlang modules do the same plain and instrumented", %{engines: engines} do
    # `mix test --seed N` makes the same programs again.
    seed = ExUnit.configuration()[:seed]
    :rand.seed(:exsss, seed)

    for _ <- 1..@modules do
      source = module()

      try do
        calls =
          for f <- 1..@functions, arg <- [0, 3, :a, {:ok, 2}, [1, 2]] do
            fn -> apply(:subject, :"f#{f}", [arg, 2]) end
          end

        assert_transparent(erlang(source), calls, stacks: :loose, frames: :open, engines: engines)
      rescue
        e -> reraise "seed #{seed}: #{Exception.message(e)}\n#{source}", __STACKTRACE__
      end
    end
  end

  defp module do
    functions = for f <- 1..@functions, do: "f#{f}(A, N) ->\n#{body(f, ["A", "N"], 4)}.\n"
    exports = for(f <- 1..@functions, do: "f#{f}/2") |> Enum.join(", ")

    """
    -module(subject).
    -export([#{exports}, e/1, down/1]).
    -record(r, {a = 1, b}).
    #{functions}
    e(X) -> self() ! X, X.
    without_stack({'EXIT', {Reason, [_ | _]}}) -> {'EXIT', Reason};
    without_stack(X) -> X.
    list(X) when is_list(X) -> X;
    list(X) -> [X, 1].
    down(N) when N > 0 -> down(N - 1);
    down(N) -> N.
    """
  end

  # Erlang binds a name once: each has a number of its own.
  defp fresh, do: "V#{System.unique_integer([:positive])}"

  # Expressions, each of which may bind, and a last one.
  defp body(f, vars, depth) do
    {lines, vars} =
      Enum.map_reduce(1..pick([1, 1, 2, 3]), vars, fn _, vars ->
        name = fresh()

        case pick([:bind, :pattern, :plain]) do
          :bind -> {"#{name} = #{expr(f, vars, depth - 1)}", [name | vars]}
          :pattern -> {"{#{name}, _} = {#{expr(f, vars, depth - 1)}, #{literal()}}", [name | vars]}
          :plain -> {"e(#{expr(f, vars, depth - 1)})", vars}
        end
      end)

    Enum.join(lines ++ [expr(f, vars, depth)], ",\n")
  end

  defp expr(_f, vars, depth) when depth <= 0, do: pick([literal(), pick(vars), pick(vars)])

  defp expr(f, vars, depth) do
    sub = fn -> expr(f, vars, depth - 1) end
    inner = fn more -> body(f, more ++ vars, depth - 2) end
    compound(:rand.uniform(34), f, vars, sub, inner)
  end

  defp compound(kind, f, vars, sub, inner) do
    [v, w] = [fresh(), fresh()]

    case kind do
      1 ->
        "{#{sub.()}, #{sub.()}}"

      2 ->
        "[#{sub.()} | #{sub.()}]"

      3 ->
        "\#{k => #{sub.()}, #{literal()} => #{sub.()}}"

      4 ->
        "e(#{sub.()})"

      5 ->
        "(#{sub.()}) #{pick(~w(+ - * == =:= < ++ --))} (#{sub.()})"

      6 ->
        "((#{sub.()}) #{pick(~w(andalso orelse and xor))} (#{sub.()}))"

      7 ->
        "if #{guard(vars)} -> #{inner.([])}; #{guard(vars)} -> #{inner.([])}#{maybe("; true -> #{inner.([])}")} end"

      8 ->
        cases("case #{sub.()} of", vars, v, inner) <> "end"

      9 ->
        "begin #{inner.([])} end"

      10 ->
        "[#{body_of_one(inner.([v]))} || #{v} <- list(#{sub.()})#{maybe(", #{filter(v, sub)}")}]"

      11 ->
        "[{#{v}, #{w}} || #{v} <- list(#{sub.()}), {#{w}, _} <- [{#{v}, 1}, x, {#{pick(vars)}, 2}]]"

      12 ->
        "<< <<(e(#{v}) rem 7)>> || <<#{v}>> <= <<\"#{pick(["abc", "x", ""])}\">>#{maybe(", #{v} > $a")} >>"

      13 ->
        "[{#{v}, #{sub.()}} || <<#{v}:4>> <= <<\"#{pick(["ab", "z"])}\">>]"

      14 ->
        of_maps(v, w, sub)

      15 ->
        "(fun(#{v}) -> #{inner.([v])} end)(#{sub.()})"

      16 ->
        "(fun(0) -> #{inner.([])}; (#{v}) when is_integer(#{v}) -> #{inner.([v])}#{maybe("; (_) -> x")} end)(#{sub.()})"

      17 ->
        named(v, w, sub)

      18 ->
        "lists:map(fun #{pick(["e/1", "down/1", "subject:e/1"])}, list(#{sub.()}))"

      19 ->
        "without_stack(catch #{body_of_one(inner.([]))})"

      20 ->
        tried(v, w, vars, sub, inner)

      21 ->
        pick(["throw(#{sub.()})", "exit(#{sub.()})", "error(#{sub.()})", "error(#{sub.()}, [#{pick(vars)}])"])

      22 ->
        cases("begin self() ! #{sub.()}, receive", vars, v, inner) <> "after 0 -> none end end"

      23 ->
        "receive {no, #{v}} -> #{inner.([v])} after #{pick(["0", "1"])} -> #{inner.([])} end"

      24 ->
        if(f > 1, do: "f#{:rand.uniform(f - 1)}(#{sub.()}, #{sub.()})", else: literal())

      25 ->
        "apply(#{pick(["subject", "?MODULE_"])}, e, [#{sub.()}])" |> String.replace("?MODULE_", "subject")

      26 ->
        "(#r{a = #{sub.()}, b = #{pick(vars)}})##{pick(["r.a", "r.b", "r{b = #{sub.()}}"])}"

      27 ->
        "begin #{v} = #{sub.()}, #{w} = #r{a = #{v}}, {#{w}#r.a, is_record(#{w}, r), #{sub.()}} end"

      28 ->
        "begin <<#{v}:8, #{w}/binary>> = <<\"#{pick(["abc", "x", ""])}\">>, {#{v}, #{w}, #{sub.()}} end"

      29 ->
        "<<(#{sub.()}):8, \"x\", #{pick(~w(1 2))}:16/little>>"

      30 ->
        "(\#{k => #{sub.()}})\#{k := #{sub.()}, n => #{pick(vars)}}"

      31 ->
        "begin {ok, #{v}} = #{sub.()}, #{v} end"

      32 ->
        maybes(v, w, sub, inner)

      33 ->
        "begin put(last, #{sub.()}), get(last) end"

      34 ->
        "down(#{pick(["3", "N"])})"
    end
  end

  # Where only one expression may stand.
  defp body_of_one(body), do: "begin #{body} end"

  defp filter(v, sub),
    do: pick(["#{v} =/= #{literal()}", "e(#{sub.()}) =:= #{v}", "is_integer(#{v}) andalso e(#{v}) > 0"])

  defp cases(head, vars, v, inner) do
    "#{head}\n#{pick(vars)} when #{guard(vars)} -> #{inner.([])};\n" <>
      "{ok, #{v}} -> #{inner.([v])};\n[#{v} | _] -> #{inner.([v])}#{maybe(";\n_ -> #{inner.([])}")}\n"
  end

  defp tried(v, w, vars, sub, inner) do
    of =
      maybe("of #{v} when is_integer(#{v}) -> #{inner.([v])}; #{pick(vars)} -> #{inner.([])}; _ -> #{inner.([])}\n")

    caught =
      "catch throw:#{w} -> #{inner.([w])}; error:{badmatch, #{w}} -> {#{w}, #{sub.()}}; " <>
        "exit:#{w}:S#{w} -> {is_list(S#{w}), #{w}}#{maybe("; _:_ -> #{inner.([])}")}\n"

    "try #{inner.([])}\n#{of}#{pick([caught, caught, ""]) |> or_after(sub)}end"
  end

  defp or_after("", sub), do: "after e(#{sub.()})\n"
  defp or_after(caught, sub), do: caught <> maybe("after e(#{sub.()})\n")

  # It calls itself, never deep.
  defp named(v, w, sub) do
    fun = "F#{v}"

    "(fun #{fun}(0) -> #{literal()}; #{fun}(#{v}) when is_integer(#{v}), #{v} > 0, #{v} < 9 -> " <>
      "#{pick(["#{fun}(#{v} - 1)", "{#{v}, #{fun}(#{v} - 1)}"])}; #{fun}(#{w}) -> {#{w}, #{sub.()}} end)(#{sub.()})"
  end

  # Comprehensions of maps are OTP 26's.
  defp of_maps(v, w, sub) do
    if maps?(),
      do:
        pick([
          "\#{#{v} => #{sub.()} || #{v} <- list(#{sub.()})}",
          "[{#{v}, #{w}} || #{v} := #{w} <- \#{a => #{sub.()}, b => 2}, e(#{w}) =/= 2]"
        ]),
      else: "maps:to_list(\#{a => #{sub.()}})"
  end

  defp maybes(v, w, sub, inner) do
    otherwise = pick(["", "else {no, _} -> #{inner.([])}; _ -> #{inner.([])}"])

    if maybe?(),
      do: "maybe {ok, #{v}} ?= #{sub.()}, #{w} = e(#{v}), ok ?= ok, #{inner.([v, w])} #{otherwise} end",
      else: literal()
  end

  defp guard(vars) do
    var = pick(vars)

    pick([
      "is_integer(#{var})",
      "#{var} > #{literal()}",
      "is_list(#{var}), hd(#{var}) =:= 1",
      "is_atom(#{var}); #{var} == 2",
      "element(1, #{var}) =:= ok"
    ])
  end

  defp maybe(text), do: pick([text, text, ""])
  defp literal, do: pick(["0", "1", "2.5", "a", "ok", "true", "false", "\"s\"", "<<\"b\">>", "[]", "{ok, 1}", "$c"])
  defp pick(list), do: Enum.random(list)
end
