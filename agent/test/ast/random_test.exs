Code.require_file("support.exs", __DIR__)

defmodule ElixirScope.AST.RandomTest do
  # Modules nobody would write: random expressions, plain and instrumented, must do the same, at the same price.
  use ExUnit.Case, async: false

  import ElixirScope.AST.Support

  setup :recording

  @modules 8
  @functions 8

  test "random modules do the same plain and instrumented", %{engines: engines} do
    # `mix test --seed N` makes the same programs again.
    seed = ExUnit.configuration()[:seed]
    :rand.seed(:exsss, seed)

    for _ <- 1..@modules do
      source = module()

      try do
        calls =
          for f <- 1..@functions, arg <- [0, 3, :a, {:ok, 2}, [1, 2]] do
            fn -> apply(Subject, :"f#{f}", [arg, 2]) end
          end

        assert_transparent(elixir(source), calls, stacks: :loose, engines: engines)
      rescue
        e -> reraise "seed #{seed}: #{Exception.message(e)}\n#{source}", __STACKTRACE__
      end
    end
  end

  defmodule Partner do
    @moduledoc false
    # A recursion through two modules, of which one is instrumented.
    def pong(n, x), do: apply(Subject, :ping, [n, x])
  end

  defp module do
    functions = for f <- 1..@functions, do: "def f#{f}(a, n) do\n#{body(f, ["a", "n"], 4)}\nend\n"

    """
    defmodule Subject do
    defstruct [:a, b: 1]
    defmacrop twice(x), do: quote(do: {unquote(x), unquote(x)})
    defguardp small(x) when is_integer(x) and x < 3
    defdelegate size(x), to: Kernel, as: :map_size
    #{functions}
    def many(x, y) when small(x) and y > x, do: {:small, e(y)}
    def many(%__MODULE__{a: a, b: b}, _), do: {a, b}
    def many([x | rest], y), do: {many(x, y), rest}
    def many(_, x), do: e(x)
    def ping(n, x), do: if(n > 0, do: ElixirScope.AST.RandomTest.Partner.pong(n - 1, x), else: e(x))
    def e(x), do: (send(self(), x); x)
    def with_default(x \\\\ :default, y \\\\ 2), do: {x, y}
    def down(n), do: if(n > 0, do: down(n - 1), else: n)
    end
    """
  end

  # A body: some statements, each of which may bind, and a last expression.
  defp body(f, vars, depth) do
    {lines, vars} =
      Enum.map_reduce(1..pick([1, 1, 2, 3]), vars, fn _, vars ->
        case pick([:bind, :pattern, :plain]) do
          :bind ->
            name = pick(["x", "y", "z"])
            {"#{name} = #{expr(f, vars, depth - 1)}", Enum.uniq([name | vars])}

          :pattern ->
            name = pick(["p", "q"])
            {"{#{name}, _} = {#{expr(f, vars, depth - 1)}, #{literal()}}", Enum.uniq([name | vars])}

          :plain ->
            {"e(#{expr(f, vars, depth - 1)})", vars}
        end
      end)

    Enum.join(lines ++ [expr(f, vars, depth)], "\n")
  end

  defp expr(_f, vars, depth) when depth <= 0, do: pick([literal(), pick(vars), pick(vars)])

  defp expr(f, vars, depth) do
    sub = fn -> expr(f, vars, depth - 1) end
    inner = fn more -> body(f, more ++ vars, depth - 2) end

    "(" <> compound(:rand.uniform(46), f, vars, sub, inner) <> ")"
  end

  defp compound(kind, f, vars, sub, inner) do
    case kind do
      1 ->
        "{#{sub.()}, #{sub.()}}"

      2 ->
        "[#{sub.()} | #{sub.()}]"

      3 ->
        "%{:k => #{sub.()}, #{literal()} => #{sub.()}}"

      4 ->
        "e(#{sub.()})"

      5 ->
        "(#{sub.()}) #{pick(~w(+ - * == < ++))} (#{sub.()})"

      6 ->
        "(#{sub.()}) #{pick(~w(and or && ||))} (#{sub.()})"

      7 ->
        "if (#{sub.()}) do\n#{inner.([])}\nelse\n#{inner.([])}\nend"

      8 ->
        "case (#{sub.()}) do\n#{pick(vars)} when is_integer(#{pick(vars)}) -> #{inner.([])}\n{:ok, v} -> #{inner.(["v"])}\n[h | _] -> #{inner.(["h"])}\n#{maybe("_ -> #{inner.([])}")}\nend"

      9 ->
        "cond do\n#{sub.()} -> #{inner.([])}\n#{maybe("true -> #{inner.([])}")}\nend"

      10 ->
        "with {:ok, w} <- #{sub.()}, u = e(w) do\n#{inner.(["w", "u"])}\nelse\n:a -> #{inner.([])}\n#{maybe("o -> #{inner.(["o"])}")}\nend"

      11 ->
        "try do\n#{inner.([])}\nrescue\ne in ArithmeticError -> e(e.message)\nKeyError -> #{inner.([])}\ncatch\n:throw, t -> #{inner.(["t"])}\n#{pick(["", "else\ni when is_integer(i) -> #{inner.(["i"])}\no -> o"])}\n#{pick(["", "after\n#{inner.([])}"])}\nend"

      12 ->
        "(fn c -> #{inner.(["c"])} end).(#{sub.()})"

      13 ->
        "Enum.map(List.wrap(#{sub.()}), fn m -> #{inner.(["m"])} end)"

      14 ->
        "for(i <- List.wrap(#{sub.()}), i != #{literal()}, do: (#{inner.(["i"])}))"

      15 ->
        "for(i <- List.wrap(#{sub.()}), reduce: 0, do: (r -> #{inner.(["i", "r"])}))"

      16 ->
        pick(["throw", "raise_it", "exit"]) |> raising(sub.())

      17 ->
        "Enum.map(List.wrap(#{sub.()}), &{&1, #{pick(vars)}})"

      18 ->
        "down(#{pick(["3", "n"])})"

      19 ->
        if(f > 1, do: "f#{:rand.uniform(f - 1)}(#{sub.()}, #{sub.()})", else: literal())

      20 ->
        "apply(__MODULE__, :e, [#{sub.()}])"

      21 ->
        "to_string(#{sub.()})"

      22 ->
        "(send(self(), #{sub.()}); receive do\n#{pick(vars)} -> #{inner.([])}\nafter 0 -> #{literal()}\nend)"

      23 ->
        "\"s\#{inspect(#{sub.()})}\""

      24 ->
        "(s = #{sub.()})"

      25 ->
        "case #{sub.()} do\n^#{pick(vars)} -> #{inner.([])}\n#{maybe("_ -> #{literal()}")}\nend"

      26 ->
        "(<<b, rest::binary>> = \"#{pick(["abc", "é", "x"])}\" <> to_string(#{literal()}); {b, rest, #{sub.()}})"

      27 ->
        "for(<<b <- inspect(#{sub.()})>>, into: \"\", do: <<rem(b, 7) + ?a>>)"

      28 ->
        "for(i <- List.wrap(#{sub.()}), into: %{}, uniq: true, do: {i, e(#{pick(vars)})})"

      29 ->
        "Enum.map(List.wrap(#{sub.()}), &e/1)"

      30 ->
        "%{%{k: 1, l: #{literal()}} | k: #{sub.()}}"

      31 ->
        "%URI{path: #{sub.()}, port: #{pick(vars)}}.path"

      32 ->
        "(fn\n0, _ -> #{inner.([])}\nc, d when c == d -> #{inner.(["c"])}\n#{maybe("_, d -> fn o -> {o, d, #{pick(vars)}} end.(#{sub.()})")}\nend).(#{sub.()}, #{pick(vars)})"

      33 ->
        "with_default(#{pick(["", sub.()])})"

      34 ->
        "(try do\n#{inner.([])}\nafter\nProcess.put(:last, #{sub.()})\nend)"

      35 ->
        "(~w(a b) ++ [~s(\#{inspect(#{sub.()})}), ~c(x), #{pick(["~D[2024-02-29].day", "?a", "__MODULE__"])}])"

      36 ->
        "(case {#{sub.()}, #{sub.()}} do\n{x, x} -> x\n{%{k: k}, _} -> #{inner.(["k"])}\n{<<c, _::bits>>, _} -> c\n#{maybe("{o, _} when is_tuple(o) or is_list(o) -> o\n_ -> #{literal()}")}\nend)"

      37 ->
        "twice(#{sub.()})"

      38 ->
        "many(%__MODULE__{a: #{sub.()}, b: #{pick(vars)}}, #{sub.()})"

      39 ->
        "many(#{sub.()}, #{sub.()})"

      40 ->
        "ping(#{pick(["3", "0"])}, #{sub.()})"

      41 ->
        "size(#{sub.()})"

      42 ->
        "#{sub.()} |> e() |> then(fn t -> #{inner.(["t"])} end) |> tap(&e/1)"

      43 ->
        "(try do\n#{inner.([])}\nrescue\ne in [ArithmeticError, ErlangError] -> #{pick(["reraise e, __STACKTRACE__", "reraise ArgumentError, [message: inspect(e)], __STACKTRACE__"])}\nend)"

      44 ->
        "raise(#{pick(["ArgumentError", "KeyError, key: " <> sub.(), "\"s\""])})"

      45 ->
        "for(i <- List.wrap(#{sub.()}), {:ok, j} <- [{:ok, i}, #{literal()}], <<k <- \"ab\">>, k != j, do: {i, j, e(k)})"

      46 ->
        "with({:ok, w} when w != #{literal()} <- #{sub.()}, [h | _] <- List.wrap(w), do: (#{inner.(["w", "h"])}))"
    end
  end

  defp raising("throw", reason), do: "throw(#{reason})"
  defp raising("exit", reason), do: "exit(#{reason})"
  defp raising("raise_it", reason), do: ":erlang.error(#{reason})"

  defp maybe(text), do: pick([text, text, ""])
  defp literal, do: pick(["0", "1", "2.5", ":a", ":ok", "nil", "true", "false", "\"s\"", "[]", "{:ok, 1}"])
  defp pick(list), do: Enum.random(list)
end
