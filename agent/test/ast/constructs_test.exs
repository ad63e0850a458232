Code.require_file("support.exs", __DIR__)

defmodule ElixirScope.AST.ConstructsTest do
  # Every construct of Elixir, plain and instrumented: same values, exceptions, stacks, effects.
  use ExUnit.Case, async: false

  import ElixirScope.AST.Support

  setup :recording

  defp check(engines, source, calls) do
    subject = elixir("defmodule Subject do\n#{source}\nend")
    assert_transparent(subject, for({f, args} <- calls, do: fn -> apply(Subject, f, args) end), engines: engines)
  end

  test "clauses, guards, defaults, pins", %{engines: engines} do
    check(
      engines,
      """
      def f(x, y \\\\ 3)
      def f(x, y) when x > y, do: {:gt, x}
      def f(x, x), do: {:eq, x}
      def f(%{a: a} = m, [h | _] = l), do: {a, m, h, l}
      def f("ab" <> rest, :atom), do: rest
      def f(<<n::8, s::binary-size(n), r::bits>> = all, 1.0), do: {n, s, r, all}
      def f(_, y) when is_tuple(y) and elem(y, 0) == :x, do: y
      def pin(a, b) do
        case b do
          ^a -> :same
          {^a, c} -> c
          _ -> :other
        end
      end
      """,
      f: [5],
      f: [3],
      f: [%{a: 1}, [1, 2]],
      f: ["abc", :atom],
      f: [<<2, 1, 2, 3>>, 1.0],
      f: [0, {:x}],
      f: [0, {}],
      f: [0, nil],
      pin: [1, 1],
      pin: [1, {1, 2}],
      pin: [1, 2]
    )
  end

  test "case, if, cond, with, unless, boolean operators", %{engines: engines} do
    check(
      engines,
      """
      def c(x), do: case x, do: ({:ok, v} -> g(v); v when v > 1 -> v)
      def i(x), do: if(x, do: g(x), else: unless(x == nil, do: g(0)))
      def k(x), do: (cond do x > 2 -> g(x); x > 1 -> 1 end)
      def w(x) do
        with {:ok, y} <- x, z = y + 1, true <- z > 1 do
          g(z)
        else
          {:error, e} -> g(e)
          false -> :small
        end
      end
      def a(x), do: x and g(x)
      def o(x), do: x or g(x)
      def t(x), do: x && g(x) || :none
      def n(x), do: is_integer(x) and x > 1 and g(x)
      defp g(x), do: x
      """,
      c: [{:ok, 1}],
      c: [2],
      c: [0],
      i: [1],
      i: [nil],
      i: [false],
      k: [3],
      k: [2],
      k: [1],
      w: [{:ok, 1}],
      w: [{:ok, 0}],
      w: [{:ok, -1}],
      w: [{:error, 3}],
      w: [7],
      w: [{:ok, :x}],
      a: [true],
      a: [false],
      a: [1],
      o: [true],
      o: [false],
      o: [nil],
      t: [1],
      t: [nil],
      n: [2],
      n: [1],
      n: [:a]
    )
  end

  test "comprehensions, closures, captures, streams", %{engines: engines} do
    check(
      engines,
      """
      def l(l), do: for(x <- l, rem(x, 2) == 0, y = x * 2, do: {x, y})
      def m(l), do: for({k, v} <- l, into: %{}, do: {k, g(v)})
      def r(l), do: for(x <- l, reduce: 0, do: (acc -> acc + x))
      def b(b), do: for(<<c <- b>>, c > 97, into: "", do: <<c + 1>>)
      def u(l), do: for(x <- l, y <- l, x < y, uniq: true, do: x)
      def k(l), do: Enum.map(l, &(&1 + 1)) |> Enum.reduce(&+/2)
      def n(l), do: Enum.map(l, fn x -> Enum.map(l, fn {:a, y} -> x; y -> x + y end) end)
      def s(n), do: n |> Stream.iterate(&g/1) |> Stream.map(&Subject.h(&1, 2)) |> Enum.take(3)
      def y(n), do: (f = fn f, n, acc -> if n == 0, do: acc, else: f.(f, n - 1, acc + n) end; f.(f, n, 0))
      def h(a, b), do: a * b
      def g(x), do: x + 1
      """,
      l: [[1, 2, 4]],
      m: [[a: 1, b: 2]],
      m: [[a: :x]],
      r: [[1, 2]],
      b: ["abc"],
      u: [[1, 2, 3]],
      k: [[1, 2]],
      n: [[1, 2]],
      n: [[:z]],
      s: [1],
      y: [10],
      l: [:no]
    )
  end

  test "try, rescue, catch, else, after, raise, reraise, throw, exit", %{engines: engines} do
    check(
      engines,
      """
      def r(f) do
        try do
          note(:body)
          f.()
        rescue
          e in ArgumentError -> {:arg, e.message}
          e in [KeyError, RuntimeError] -> reraise e, __STACKTRACE__
          ArithmeticError -> g(:arith)
        catch
          :throw, t -> {:thrown, t}
          :exit, {:shutdown, x} -> exit(x)
        else
          :ok -> g(:fine)
          x when is_integer(x) -> x
        after
          note(:after)
        end
      end
      def otherwise(f) do
        try do
          f.()
        rescue
          e in ArgumentError -> g({:arg, e.message})
        catch
          :throw, t -> g(t)
        else
          :ok -> g(:fine)
          x when is_integer(x) -> x
        end
      end
      def implicit(x) do
        g(hd(x))
      rescue
        _ -> g(:rescued)
      end
      def e(x), do: raise(ArgumentError, "no \#{x}")
      def t(x), do: throw(x + 1)
      def q(x), do: exit(x)
      def nested(f), do: (try do r(f) catch k, v -> {k, v} end)
      def boom(x), do: :erlang.error({:boom, note(x)}, [x])
      def old(x), do: :erlang.raise(:error, x, [])
      def bad(x), do: String.to_integer(x)
      def bad2(x), do: :erlang.binary_to_integer(x)
      def key(m), do: m.missing + 1
      def key2(m), do: Map.fetch!(m, :b)
      def app(f, a), do: apply(Subject, f, a)
      def fun(f), do: f.(1)
      def undef(x), do: Subject.Nowhere.at_all(x)
      def match(x), do: ({:ok, y} = x; y)
      def bang(x), do: %{x | a: note(3)}
      def bin(x), do: <<x::8>> <> "a"
      defp g(x), do: x
      defp note(x), do: (send(self(), x); Process.put(:last, x); x)
      """,
      Enum.flat_map(
        [
          fn -> :ok end,
          fn -> 4 end,
          fn -> nil end,
          fn -> raise ArgumentError, "a" end,
          fn -> raise "b" end,
          fn -> throw(1) end,
          fn -> exit({:shutdown, 2}) end,
          fn -> exit(:other) end,
          fn -> :erlang.error(:badarith) end
        ],
        &[r: [&1], otherwise: [&1]]
      ) ++
        [
          implicit: [[1]],
          implicit: [[]],
          e: [1],
          t: [1],
          t: [:a],
          q: [1],
          nested: [fn -> raise "x" end],
          nested: [fn -> :ok end],
          boom: [1],
          old: [:x],
          bad: ["x"],
          bad2: ["x"],
          key: [%{}],
          key2: [%{}],
          app: [:t, [1]],
          app: [:nope, []],
          fun: [fn 2 -> 1 end],
          fun: [3],
          undef: [1],
          match: [{:ok, 1}],
          match: [:error],
          bang: [%{a: 1}],
          bang: [%{}],
          bin: [1],
          bin: [:x]
        ]
    )
  end

  test "receive and after, messages, order of effects", %{engines: engines} do
    check(
      engines,
      """
      def f(x) do
        send(self(), {:a, x})
        send(self(), :b)
        receive do
          :b -> g(:got)
        after
          0 -> :none
        end
      end
      def z(), do: (receive do x -> x after 0 -> g(:nothing) end)
      def order(x), do: g4(e(1), x, {e(2), e(3)}, fn -> e(4) end)
      def pipe(x), do: x |> e() |> List.wrap() |> Enum.map(&e/1) |> g()
      def upd(m), do: %{m | a: e(1), b: e(2)}
      def str(x), do: "a\#{e(x)}b\#{e(2)}"
      def kw(x), do: [a: e(x), b: e(2)]
      def op(x), do: e(x) + e(2) * e(3)
      def dyn(m, f), do: emod(m).f(e(f))
      def f_tail(x), do: (y = x; y = {y, e(5)}; y)
      def emod(m), do: (e(:mod); m)
      defp g4(a, b, c, d), do: {a, b, c, d.()}
      defp g(x), do: x
      defp e(x), do: (send(self(), {:e, x}); x)
      """,
      f: [1],
      z: [],
      order: [1],
      pipe: [1],
      upd: [%{a: 0, b: 0}],
      upd: [%{a: 1}],
      str: [1],
      kw: [1],
      op: [1],
      dyn: [Subject, 1],
      f_tail: [1]
    )
  end

  test "structs, protocols' callers, sigils, delegates, macros, module attributes, binaries, ranges", %{
    engines: engines
  } do
    check(
      engines,
      """
      defstruct a: 1, b: nil
      @list [1, 2, 3]
      defguard big(x) when x > 100
      defmacro twice(x), do: quote(do: unquote(x) * 2)
      defdelegate up(x), to: String, as: :upcase
      def s(a), do: %__MODULE__{a: a}
      def m(%__MODULE__{a: a} = s), do: %{s | b: a}
      def p(x), do: to_string(x) <> inspect(Enum.to_list(1..3)) <> Enum.join(@list)
      def sig(x), do: {~w(a b)a, ~s(x\#{x}), ~r/a/.source, ~D[2020-01-01]}
      def q(x) when big(x), do: :big
      def q(_), do: :small
      def acc(m), do: m[:a][:b] || get_in(m, [:c, :d])
      def bits(<<a::3, b::size(a), rest::bitstring>>), do: {a, b, rest}
      def utf(<<c::utf8, _::binary>>), do: c
      def big_lit(), do: {1.5, ?a, ~c"chars", "bin", nil, 1_000_000_000_000_000_000_000, %{1 => [2 | 3]}}
      def mac(x), do: {__MODULE__, __ENV__.function, x}
      """,
      s: [2],
      m: [%{__struct__: Subject, a: 1, b: 2}],
      m: [%{}],
      up: ["a"],
      up: [1],
      p: [1],
      p: [{}],
      sig: [1],
      q: [101],
      q: [1],
      acc: [%{a: %{b: 1}}],
      acc: [%{c: %{d: 2}}],
      bits: [<<0b01011000>>],
      bits: [<<>>],
      utf: ["é"],
      big_lit: [],
      mac: [1]
    )
  end

  test "a huge function does the same, and takes work in proportion to its size", %{engines: engines} do
    source = fn n ->
      body = Enum.map_join(1..n, "\n", fn i -> "x#{i} = case x#{i - 1}, do: (:a -> g(#{i}); v -> v + #{i})" end)
      "defmodule Subject do\ndef f(x0) do\n#{body}\nx#{n}\nend\ndef g(x), do: x\nend"
    end

    work = fn n ->
      {_, read, _} = elixir(source.(n))
      opts = [runtime: Nobody, level: fn _, _ -> :full end, watched: fn _, _ -> false end]
      {:reductions, before} = Process.info(self(), :reductions)
      {:ok, _, _, _} = ElixirScope.AST.Transformer.transform(read.forms, nil, opts)
      {:reductions, afterwards} = Process.info(self(), :reductions)
      afterwards - before
    end

    calls = for x <- [0, :a, "x"], do: fn -> apply(Subject, :f, [x]) end
    assert_transparent(elixir(source.(200)), calls, engines: engines)
    work.(10)
    assert work.(1_600) < 16 * work.(200)
  end
end
