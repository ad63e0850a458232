Code.require_file("support.exs", __DIR__)

defmodule ElixirScope.AST.ErlangTest do
  # Constructs that only Erlang has.
  use ExUnit.Case, async: false

  @compile {:no_warn_undefined, :subject}

  import ElixirScope.AST.Support

  setup :recording

  defp check(engines, source, calls) do
    exports = calls |> Enum.map(fn {f, args} -> "#{f}/#{length(args)}" end) |> Enum.uniq() |> Enum.join(",")
    subject = erlang("-module(subject).\n-export([#{exports}]).\n-record(r, {a = 1, b}).\n" <> source)
    assert_transparent(subject, for({f, args} <- calls, do: fn -> apply(:subject, f, args) end), engines: engines)
  end

  test "comprehensions, named funs, if, catch, records, macros of old", %{engines: engines} do
    check(
      engines,
      ~S"""
      lc(L) -> [g(X) || {ok, X} <- L, X > 1, g(X) < 9].
      bad(L) -> [X || X <- L, element(1, X) =:= ok].
      bc(B) -> << <<(g(X))>> || <<X>> <= B, X > 97 >>.
      named(N) -> F = fun Fac(0) -> 1; Fac(M) -> M * Fac(M - 1) end, F(N).
      ifs(X) -> if X > 1 -> g(X); X =:= 1, is_integer(X) -> one; true -> {X} end.
      cat(X) -> catch g(X) + 1.
      cat2(X) -> case catch g(hd(X)) of {'EXIT', {R, _}} -> R; V -> V end.
      rec(X) -> R = #r{b = X}, S = R#r{a = g(X)}, {S#r.a, S, is_record(S, r), #r.b}.
      rec2(#r{a = A} = R) -> {A, R}.
      same(X, X) -> same; same(X, Y) when X > Y; Y =:= z -> {X, Y}; same("pre" ++ T, _) -> T.
      export(X) -> case X of a -> Y = 1; b -> Y = 2 end, g(Y).
      twice(X) -> Y = X, Y = g(X), Y.
      unbound(X) -> X = g(1).
      fn(X) -> F = fun g/1, G = fun lists:reverse/1, {F(X), G([X])}.
      dyn(M, F) -> M:F([3]).
      tr(X) -> try g(X) of 1 -> one; Y -> g(Y) catch throw:T -> T; error:{E, _}:St -> {E, is_list(St)}; _:_ -> any
               after self() ! done end.
      of_only(X) -> try g(X) of 1 -> one; Y when Y > 1 -> g(Y) catch throw:T -> T; error:{E, _} -> E end.
      ao(X) -> (X > 1) andalso g(X) orelse g(none).
      blk(X) -> begin Y = g(X), Y end.
      rcv() -> self() ! a, receive a -> g(got); _ -> no after 10 -> late end.
      str() -> {"abc", $a, 16#ff, <<"x"/utf8, 1:4>>, #{a => 1, b => #{}}}.
      mp(M) -> M#{a := g(1), c => g(2)}.
      nested(X) -> F = fun(Y) -> G = fun(Z) -> X + Y + Z end, G(1) end, F(2).
      shadow(X) -> F = fun(X1) -> case X1 of X -> same; _ -> other end end, {F(1), F(X)}.
      g(X) -> X.
      """,
      lc: [[{:ok, 1}, {:ok, 2}, :no, {:ok, 10}]],
      bad: [[{:ok}, 1, {:no}]],
      bc: ["abc"],
      named: [5],
      ifs: [2],
      ifs: [1],
      ifs: [0],
      cat: [1],
      cat2: [[1]],
      cat2: [[]],
      rec: [1],
      rec2: [{:r, 1, 2}],
      rec2: [{:x}],
      same: [1, 1],
      same: [2, 1],
      same: [1, :z],
      same: [~c"pref", ~c"zz"],
      export: [:a],
      export: [:c],
      twice: [1],
      unbound: [1],
      unbound: [2],
      fn: [1],
      dyn: [:lists, :reverse],
      dyn: [:lists, :sum],
      dyn: [:lists, :nope],
      tr: [1],
      tr: [2],
      of_only: [1],
      of_only: [2],
      of_only: [0],
      ao: [2],
      ao: [0],
      blk: [1],
      rcv: [],
      str: [],
      mp: [%{a: 0}],
      mp: [%{}],
      nested: [1],
      shadow: [1]
    )
  end

  # OTP 26's. Before, there are none to be parsed.
  test "comprehensions of maps", %{engines: engines} do
    if maps?() do
      check(
        engines,
        ~S"""
        made(L) -> #{g(X) => {X, g(X)} || {ok, X} <- L, X > 1, g(X) < 9}.
        over(M) -> [{K, g(V)} || K := V <- M, V =/= 2, g(K) =/= c].
        both(M) -> #{g(V) => K || K := {ok, V} <- M}.
        bits(M) -> {<< <<(g(V))>> || _ := V <- M >>}.
        crossed(M, L) -> #{{K, X} => [g(Y) || Y <- lists:seq(1, X)] || K := _ <- M, X <- L}.
        g(X) -> X.
        """,
        made: [[{:ok, 1}, {:ok, 2}, :no, {:ok, 10}]],
        made: [:none],
        over: [%{a: 1, b: 2, c: 3}],
        over: [%{}],
        over: [[1]],
        both: [%{a: {:ok, 1}, b: :no}],
        bits: [%{a: 97, b: 98}],
        bits: [%{a: :x}],
        crossed: [%{a: 1, b: 2}, [1, 2]]
      )
    end
  end

  test "maybe", %{engines: engines} do
    if maybe?() do
      check(
        engines,
        ~S"""
        f(X) -> maybe {ok, Y} ?= X, g(Y) end.
        h(X) -> maybe {ok, Y} ?= X, Z = g(Y), {ok, _} ?= {ok, Z}, Z else error -> g(e); {no, E} -> {E, g(no)} end.
        last(X) -> maybe {ok, _} ?= X end.
        within(X) -> {case maybe {ok, Y} ?= X, Y end of 1 -> one; Other -> g(Other) end, self() ! done}.
        g(X) -> {X}.
        """,
        for(f <- [:f, :h, :last, :within], arg <- [{:ok, 1}, :error, {:no, 2}, :other], do: {f, [arg]})
      )

      loop = erlang("-module(subject). -export([loop/1]). loop(N) -> maybe true ?= N > 0, loop(N - 1) end.")
      {_, events} = record(loop, fn -> :subject.loop(2) end)
      assert [:call, :tail, :call, :tail, :call, :return] = Enum.map(events, &elem(&1, 0))
    end
  end
end
