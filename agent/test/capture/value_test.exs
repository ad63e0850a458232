defmodule ElixirScope.Capture.ValueTest do
  use ExUnit.Case, async: true
  alias ElixirScope.Capture.Value

  defmodule Point do
    defstruct x: 1, y: 2
  end

  # Work is counted, not timed: reductions of this process.
  defp work(fun) do
    {:reductions, before} = Process.info(self(), :reductions)
    result = fun.()
    {:reductions, later} = Process.info(self(), :reductions)
    {result, later - before}
  end

  defp size(term), do: :erlang.external_size(term)

  describe "what fits" do
    test "is the very same term" do
      for term <- [1, "a", :a, 1.5, [], {}, %{}, [1 | 2], {1, [2], %{a: <<1::3>>}}, %Point{}, self(), 0..3] do
        assert {same, false} = Value.clip(term, 512)
        assert :erts_debug.same(same, term)
      end
    end

    test "whatever it is, if there is room (random terms)" do
      for seed <- 1..500 do
        term = random(seed)
        assert Value.clip(term, 1_000_000) === {term, false}
      end
    end
  end

  test "what does not fit is within a few times the budget (random terms)" do
    for seed <- 1..500, budget <- [0, 1, 24, 100, 512, 8192] do
      {cut, _} = Value.clip(random(seed), budget)
      assert size(cut) <= 5 * budget + 200, "seed #{seed}, budget #{budget}: #{size(cut)} bytes"
    end
  end

  test "a cut is marked wherever something is missing (random terms)" do
    for seed <- 1..500 do
      term = random(seed)

      case Value.clip(term, 64) do
        {same, false} -> assert same === term
        {cut, true} -> assert inspect(cut, limit: :infinity) =~ "$elixirscope"
      end
    end
  end

  describe "markers" do
    test "a binary keeps its beginning and tells its size" do
      big = String.duplicate("abcdefgh", 1_250_000)
      {{:"$elixirscope", :binary, prefix, 10_000_000}, true} = Value.clip(big, 512)
      assert byte_size(prefix) in 400..512
      assert String.starts_with?(big, prefix)
      # A part of the whole would keep the whole alive.
      assert :binary.referenced_byte_size(prefix) == byte_size(prefix)
    end

    test "a map keeps some pairs and counts the rest" do
      map = Map.new(1..100_000, &{&1, &1})
      {cut, true} = Value.clip(map, 512)
      {more, kept} = Map.pop(cut, :"$elixirscope_more")
      assert map_size(kept) > 5
      assert more == 100_000 - map_size(kept)
      for {k, v} <- kept, do: assert(k == v)
    end

    test "keys that are equal once cut count as missing" do
      map = Map.new(1..4, &{String.duplicate("k", 10_000) <> <<&1>>, &1})
      {cut, true} = Value.clip(map, 20_000)
      {more, kept} = Map.pop(cut, :"$elixirscope_more", 0)
      assert more + map_size(kept) == 4
    end

    test "a list keeps its beginning and counts the rest, as far as that is cheap" do
      {list, true} = Value.clip(Enum.to_list(1..1_000), 512)
      {kept, [{:"$elixirscope", :more, more}]} = Enum.split(list, -1)
      assert kept == Enum.to_list(1..length(kept))
      assert more == 1_000 - length(kept)

      {list, true} = Value.clip(Enum.to_list(1..1_000_000), 512)
      assert {:"$elixirscope", :more, :unknown} = List.last(list)
    end

    test "an improper list" do
      assert {[1 | 2], false} = Value.clip([1 | 2], 512)
      {cut, true} = Value.clip([1, 2 | String.duplicate("x", 1_000)], 100)
      assert [1, 2 | {:"$elixirscope", :binary, _, 1_000}] = cut
      improper = Enum.reduce(1..10_000, :tail, &[&1 | &2])
      assert {[10_000 | _], true} = Value.clip(improper, 100)
    end

    test "tuples, bignums, bitstrings" do
      {{:"$elixirscope", :tuple, first, 1_000}, true} = Value.clip(List.to_tuple(Enum.to_list(1..1_000)), 512)
      assert first == Enum.to_list(1..length(first))
      assert {{:"$elixirscope", :deep, :integer, size}, true} = Value.clip(Integer.pow(7, 100_000), 512)
      assert size > 30_000
      bits = <<0::80_003>>
      assert {{:"$elixirscope", :deep, :bitstring, 10_001}, true} = Value.clip(bits, 512)
    end

    test "a struct keeps its name, also when its fields do not fit" do
      {cut, true} = Value.clip(%Point{x: String.duplicate("x", 9_999), y: %Point{x: Enum.to_list(1..9_999)}}, 512)
      assert cut.__struct__ == Point
      assert {:"$elixirscope", :binary, _, 9_999} = cut.x
      assert cut.y.__struct__ == Point
    end

    test "what calls itself a struct may be anything" do
      {cut, true} = Value.clip(%{__struct__: Enum.to_list(1..100_000), a: 1}, 512)
      assert size(cut) < 2_000
    end

    test "functions never carry their environment" do
      secret = String.duplicate("s", 10_000)
      fun = fn -> secret end
      {[:a, {:"$elixirscope", :fun, __MODULE__, name, 0}], false} = Value.clip([:a, fun], 512)
      assert is_atom(name)
      assert {{:"$elixirscope", :fun, Enum, :map, 2}, false} = Value.clip(&Enum.map/2, 512)
      {cut, _} = Value.clip(%{a: %{b: [fun]}}, 512)
      assert size(cut) < 200
    end

    test "a large field does not hide the small ones" do
      {cut, true} = Value.clip(%{a: 1, b: Enum.to_list(1..5_000), c: "c", d: %{e: :f}}, 512)
      assert %{a: 1, c: "c", d: %{e: :f}} = cut
      assert length(cut.b) > 5
    end
  end

  describe "a struct that does not fit" do
    setup do
      on_exit(fn -> Value.first(%{}) end)
      Value.first(%{Point => [:y, :method, :params, :x, :absent]})
    end

    @long String.duplicate("l", 5_000)

    defp conn(fields),
      do: Map.merge(%{__struct__: Point, adapter: @long, before: @long, body: @long}, Map.new(fields))

    test "keeps the fields that the plan names, small ones whole and large ones in shares" do
      {cut, true} = Value.clip(conn(method: "POST", params: %{"item" => "tea", "n" => "1"}, x: @long, y: @long), 250)
      assert %{method: "POST", params: %{"item" => "tea", "n" => "1"}} = cut
      assert {:"$elixirscope", :binary, "l" <> _, 5_000} = cut.x
      assert {:"$elixirscope", :binary, "l" <> _, 5_000} = cut.y
      refute Map.has_key?(cut, :adapter)
      assert %{"$elixirscope_more": 3} = cut
    end

    test "then the others, those that hold nothing last" do
      empty = [a: nil, b: [], c: %{}, d: ""]
      {cut, true} = Value.clip(conn([method: "POST", e: 5, z: 26] ++ empty), 200)
      assert %{method: "POST", e: 5, z: 26, adapter: _, before: _, body: _} = cut
      assert map_size(Map.take(cut, [:a, :b, :c, :d])) < 4
      # Whole, there is nothing to choose.
      assert {%{a: nil, method: "POST"}, false} = Value.clip(conn([method: "POST"] ++ empty), 20_000)
    end

    test "is cut as any other when the plan names none of its fields, or it has too many to look through" do
      {plain, true} = Value.clip(%{conn(a: 1, z: nil) | __struct__: Other}, 250)
      assert Value.clip(conn(a: 1, z: nil), 250) == {%{plain | __struct__: Point}, true}
      many = Map.new(1..1_000, &{:"field_#{&1}", @long}) |> Map.merge(%{x: 1, y: 2})
      {cut, true} = Value.clip(conn(many), 250)
      {plain, true} = Value.clip(%{conn(many) | __struct__: Other}, 250)
      assert cut == %{plain | __struct__: Point}
    end

    test "is within a few times the budget, and counts what it left out (random terms)" do
      for seed <- 1..500, budget <- [0, 24, 60, 100, 512, 8192] do
        :rand.seed(:exsss, {seed, 5, 7})

        fields =
          for name <- Enum.take_random([:x, :y, :method, :params, :status, :a, :b, :c, :d], 6), do: {name, term(4)}

        struct = conn(fields)
        {cut, _} = Value.clip(struct, budget)
        assert size(cut) <= 5 * budget + 200, "seed #{seed}, budget #{budget}: #{size(cut)} bytes"

        with %{__struct__: Point} <- cut do
          {more, kept} = Map.pop(cut, :"$elixirscope_more", 0)
          assert map_size(kept) + more == map_size(struct)
          # Nothing else is there while one of these is missing.
          first = for name <- [:y, :method, :params, :x], Map.has_key?(struct, name), do: name
          unless Enum.all?(first, &Map.has_key?(cut, &1)), do: assert(Map.keys(kept) -- [:__struct__ | first] == [])
        end
      end
    end
  end

  describe "work follows the budget, not the term:" do
    setup do
      on_exit(fn -> Value.first(%{}) end)
      Value.first(%{Point => [:field_2, :y]})
    end

    for {name, make} <- [
          list: quote(do: fn n -> Enum.to_list(1..n) end),
          map: quote(do: fn n -> Map.new(1..n, &{&1, &1}) end),
          binary: quote(do: fn n -> :binary.copy("x", n * 10) end),
          "deep list": quote(do: fn n -> Enum.reduce(1..n, [], fn _, t -> [t] end) end),
          "deep tuple": quote(do: fn n -> Enum.reduce(1..n, {}, fn _, t -> {t} end) end),
          "deep map": quote(do: fn n -> Enum.reduce(1..n, %{}, fn _, t -> %{a: t} end) end),
          "deep pairs": quote(do: fn n -> Enum.reduce(1..n, nil, fn i, t -> {t, i} end) end),
          "list of lists": quote(do: fn n -> List.duplicate(Enum.to_list(1..n), 1_000) end),
          "tuple of lists": quote(do: fn n -> List.to_tuple(List.duplicate(Enum.to_list(1..n), 300)) end),
          "map of lists": quote(do: fn n -> Map.new(1..1_000, &{&1, Enum.to_list(1..n)}) end),
          "struct of fields that hold nothing":
            quote(do: fn n -> Map.new(1..n, &{:"field_#{&1}", nil}) |> Map.put(:__struct__, Point) end),
          "structs of many fields":
            quote(
              do: fn n ->
                blank = Map.new(1..120, &{:"field_#{&1}", nil}) |> Map.put(:__struct__, Point)
                Enum.reduce(1..n, [], fn _, t -> [%{blank | field_2: t, field_7: t} | t] end)
              end
            ),
          functions: quote(do: fn n -> List.duplicate(fn -> n end, n) end),
          tree: quote(do: fn n -> Enum.reduce(1..min(n, 60), 0, fn _, t -> {t, t, t} end) end)
        ] do
      test "#{name}" do
        make = unquote(make)

        for budget <- [512, 8_192] do
          {_, some} = work(fn -> Value.clip(make.(10), budget) end)
          term = make.(3_000)
          {{cut, _}, much} = work(fn -> Value.clip(term, budget) end)
          assert size(cut) <= 5 * budget + 200
          # 10 to 60 reductions for each byte of budget: nothing grows faster than it.
          assert much < 60 * budget, "#{much} reductions for a budget of #{budget} (a small one takes #{some})"
        end
      end
    end

    test "and grows with it no faster than it does" do
      term = Map.new(1..300, &{&1, List.duplicate({&1, "some text", [1, 2, 3]}, 300)})
      {_, once} = work(fn -> Value.clip(term, 4_096) end)
      {_, eightfold} = work(fn -> Value.clip(term, 32_768) end)
      assert eightfold < 16 * once
    end
  end

  # Terms of every kind but functions, from a few bytes to some ten thousand.
  defp random(seed) do
    :rand.seed(:exsss, {seed, 2, 3})
    term(:rand.uniform(5))
  end

  defp term(0), do: leaf()

  defp term(depth) do
    n = :rand.uniform(6)

    case :rand.uniform(7) do
      1 -> for _ <- 1..n, do: term(depth - 1)
      2 -> 1..n |> Enum.map(fn _ -> term(depth - 1) end) |> List.to_tuple()
      3 -> Map.new(1..n, fn _ -> {term(min(depth - 1, 1)), term(depth - 1)} end)
      4 -> %Point{x: term(depth - 1), y: term(depth - 1)}
      5 -> Enum.reduce(1..n, leaf(), fn _, tail -> [term(depth - 1) | tail] end)
      6 -> [key: term(depth - 1), other: term(depth - 1)]
      7 -> leaf()
    end
  end

  defp leaf do
    case :rand.uniform(12) do
      1 -> :rand.uniform(1_000)
      2 -> -Integer.pow(:rand.uniform(1_000) + 1, :rand.uniform(200))
      3 -> :rand.uniform()
      4 -> :rand.bytes(:rand.uniform(30))
      5 -> :rand.bytes(:rand.uniform(3_000))
      6 -> Enum.random([:ok, nil, true, Some.Module, :"a longer atom"])
      7 -> []
      8 -> {}
      9 -> %{}
      10 -> self()
      11 -> make_ref()
      12 -> <<:rand.uniform(100)::size(7)>>
    end
  end
end
