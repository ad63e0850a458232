defmodule ElixirScope.Native.EncoderTest do
  # The encoder's words of secrets are one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Eventually
  alias ElixirScope.Capture.{Native, NativeRuntime, Redaction, Value}
  alias ElixirScope.Test.{NativeLibrary, Terms}

  with {:error, reason} <- NativeLibrary.load(), do: @moduletag(skip: reason)

  @hard :"$elixirscope_hard"
  @rounds String.to_integer(System.get_env("FUZZ_ROUNDS", "4000"))

  setup do
    # The table of the test before goes with its process, which may take a moment.
    assert eventually(fn -> :ets.whereis(:elixir_scope_secret_sites) == :undefined end)
    Redaction.create()
    seed = :rand.uniform(1_000_000_000)
    :rand.seed(:exsss, seed)
    configure(["password", "token"])
    for module <- [URI, My.Secret, My.Plain], do: NativeRuntime.plain_struct(module)
    on_exit(fn -> Value.first(%{}) end)
    %{seed: seed}
  end

  @first %{
    URI => [:params, :other, :z, :absent, :token, :field_30, :field_4, :assigns, :secret_key_base],
    My.Secret => [:b],
    My.Plain => []
  }

  # Which forgets what C was told.
  defp configure(words) do
    :ok = NativeRuntime.configure({512, 512, 4096, 8192, 1024}, words, 1)
    for {module, fields} <- @first, do: :ok = NativeRuntime.first_fields(module, fields)
    Value.first(@first)
  end

  defp encoded(term, budget, redacting, room \\ 65_536), do: NativeRuntime.encoded(term, budget, redacting, room)

  # What the portable engine writes of a term, and its flags.
  defp portable(term, budget, rules) do
    {clipped, cut?} = Value.clip(term, budget)
    {clean, secret?} = Redaction.redact(clipped, 0, rules)
    {if(cut?, do: 1, else: 0) + if(secret?, do: 2, else: 0), :erlang.term_to_binary(clean, minor_version: 2)}
  end

  # As the runtime does: functions are told of when C asks for them.
  defp native(term, budget, redacting) do
    case encoded(term, budget, redacting) do
      function when is_function(function) ->
        if Native.learn(function), do: native(term, budget, redacting), else: @hard

      other ->
        other
    end
  end

  defp compare(term, budget, rules, seed) do
    expected = portable(term, budget, rules)
    found = native(term, budget, if(rules, do: 1, else: 0))

    unless if(found == @hard, do: left?(term, rules), else: same?(found, expected, term)) do
      flunk("seed #{seed}, budget #{budget}: #{inspect(term, limit: :infinity)}\n#{inspect({found, expected})}")
    end

    found != @hard
  end

  # Equal terms must be equal bytes, whichever engine wrote them: requests find their answers so. But maps that were cut,
  # large ones, those with functions as keys, and structs of which some fields come first may have their pairs in another order.
  defp same?(same, same, _term), do: true

  defp same?({flags, a}, {flags, b}, term) do
    (Bitwise.band(flags, 1) == 1 or reordered?(term)) and byte_size(a) == byte_size(b) and
      :erlang.binary_to_term(a) === :erlang.binary_to_term(b)
  end

  defp same?(_found, _expected, _term), do: false

  test "it writes what the portable engine writes, whole or cut", %{seed: seed} do
    results =
      for _ <- 1..@rounds do
        budget = Enum.random([0, 10, 24, 30, 64, 200, 512, 8192]) + :rand.uniform(50)
        compare(Terms.random(4), budget, nil, seed)
      end

    assert Enum.count(results, & &1) > 0.9 * @rounds
  end

  test "secrets are replaced as Elixir replaces them, whole or cut", %{seed: seed} do
    rules = %{words: ["password", "token"], modules: []}

    for _ <- 1..@rounds do
      budget = Enum.random([30, 100, 400, 2000, 60_000]) + :rand.uniform(50)
      compare(Terms.random(4), budget, rules, seed)
    end
  end

  test "of lists of characters, too, whole or cut, which are names in ASCII alone", %{seed: seed} do
    rules = %{words: ["password", "token"], modules: []}

    for name <- [~c"X-Token", ~c"Tok\u00E9n", ~c"\u008Btoken", String.to_charlist(String.duplicate("a token ", 30))],
        budget <- 24..700,
        term <- [
          {name, "hunter2"},
          [{name, "hunter2"}, :more],
          %{name => "hunter2"},
          {:ok, name, {name, %{a: "hunter2"}}}
        ] do
      assert compare(term, budget, rules, seed)
    end
  end

  test "a secret is one whose name was cut, too", %{seed: seed} do
    rules = %{words: ["password", "token"], modules: []}
    name = "the password of " <> String.duplicate("somebody ", 100)

    for budget <- 50..400 do
      for term <- [{name, "hunter2"}, [{name, "hunter2"}], %{name => "hunter2"}, {:ok, [{name, %{a: "hunter2"}}]}] do
        assert compare(term, budget, rules, seed)
        {_, binary} = native(term, budget, 1)
        assert :binary.match(binary, "hunter2") == :nomatch
      end
    end
  end

  test "values as applications have them", %{seed: seed} do
    conn = %{
      __struct__: URI,
      adapter:
        {Plug.Cowboy.Conn, %{bindings: %{}, pid: self(), ref: make_ref(), headers: Map.new(1..20, &{"h#{&1}", &1})}},
      assigns: %{current_user: %{id: 7, email: "a@b.c", password_hash: "hunter2"}, flash: %{}},
      before_send: [fn conn -> conn end, &Enum.map/2],
      body_params: Map.new(1..40, &{"param_#{&1}", String.duplicate("v", &1)}),
      req_headers: for(n <- 1..30, do: {"header-#{n}", String.duplicate("x", n * 3)}),
      params: %{"item" => "tea", "n" => "1", "password" => "hunter2"},
      halted: false,
      status: nil,
      private: Map.new(1..45, &{:"private_#{&1}", {&1, [&1]}}),
      secret_key_base: String.duplicate("s", 64)
    }

    rules = %{words: ["password", "secret"], modules: []}
    configure(rules.words)
    NativeRuntime.plain_struct(URI)
    for budget <- 0..6_000, do: assert(compare({:ok, conn}, budget, rules, seed))
    for budget <- 0..6_000, do: assert(compare([conn, conn | conn], budget, nil, seed))
  end

  test "functions are told of once, whatever they have bound" do
    [one, other] = for n <- [1, :binary.copy("x", 1_000_000)], do: fn -> n end
    assert encoded({1, one}, 512, 1) == one
    assert Native.learn(one)
    assert {0, binary} = encoded({1, other}, 512, 1)
    assert {1, {:"$elixirscope", :fun, __MODULE__, _, 0}} = :erlang.binary_to_term(binary)
    assert NativeRuntime.learn_function(fn -> 2 end, :binary.copy("x", 300)) == false
    configure([])
    assert encoded({1, one}, 512, 1) == one
  end

  test "it keeps to the room it has, and to the bytes it is given" do
    for _ <- 1..@rounds do
      term = Terms.random(3)
      room = :rand.uniform(400) - 1

      case encoded(term, 300, 1, room) do
        {_, binary} ->
          assert byte_size(binary) <= room
          assert {_, ^binary} = encoded(term, 300, 1)

        function when is_function(function) ->
          assert encoded(term, 300, 1) == function

        # Some things ask for more room than they take in the end.
        false ->
          assert room < 400

        @hard ->
          :ok
      end
    end
  end

  test "names that are not ASCII, structs that may be secrets and arguments in stack traces are left to Elixir" do
    assert encoded(%{"passwörd" => 1}, 512, 1) == @hard
    assert {2, _} = encoded(%{"my_PassWord" => 1}, 512, 1)
    assert encoded([{A, :f, [1, 2], [line: 1]}], 512, 1) == @hard
    assert {0, _} = encoded([{A, :f, 2, [line: 1]}], 512, 1)
    configure(["password"])
    assert encoded(%URI{}, 5000, 1) == @hard
    assert {0, _} = encoded(%URI{}, 5000, 0)
    NativeRuntime.plain_struct(URI)
    assert {0, _} = encoded(%URI{}, 5000, 1)
    assert encoded(%Version{major: 1, minor: 1, patch: 1}, 5000, 1) == @hard
    assert {0, _} = encoded(%{__struct__: "no module"}, 5000, 1)
  end

  test "words that it has no room for are refused" do
    assert NativeRuntime.configure({1, 1, 1, 1, 1}, [String.duplicate("w", 65)], 0) == false
    assert NativeRuntime.configure({1, 1, 1, 1, 1}, Enum.map(1..65, &"word#{&1}"), 0) == false
    assert NativeRuntime.configure({1, 1, 1, 1, 1}, Enum.map(1..64, &"word#{&1}"), 0) == :ok
  end

  test "the cost follows the budget, not the term" do
    # None of them fits the budget. Copying or walking a large one takes thirty times as long as a small one.
    [small, large] =
      for size <- [30_000, 1_000_000] do
        big = :binary.copy(<<7>>, 100 * size)
        <<_::3, askew::binary-size(90 * size), _::bitstring>> = big
        <<_, part::binary>> = big
        map = Map.new(1..div(size, 10), &{&1, &1})
        list = Enum.to_list(1..div(size, 10))
        number = Bitwise.bsl(1, 4 * size)
        terms = [big, askew, part, map, list, number, {:ok, big}, [a: askew], {map, list}]

        processor_ms(fn ->
          for _ <- 1..1_000, term <- terms do
            assert {1, binary} = encoded(term, 8192, 1)
            assert byte_size(binary) < 16_384
          end
        end)
      end

    assert large <= 10 * small + 50
  end

  test "a binary that is being appended to is not made to move" do
    spent =
      processor_ms(fn ->
        Enum.reduce(1..50_000, :binary.copy(<<0>>, 10_000_000), fn _, all ->
          all = <<all::binary, 1>>
          assert {1, _} = encoded(all, 512, 0)
          all
        end)
      end)

    # 50,000 copies of 10 MB would be 500 GB.
    assert spent < 20_000
  end

  # Of this VM: other work on the machine is not counted.
  defp processor_ms(fun) do
    {before, _} = :erlang.statistics(:runtime)
    fun.()
    {later, _} = :erlang.statistics(:runtime)
    later - before
  end

  # What C leaves to Elixir: names that are not ASCII, structs not known, arguments in stack traces; keys that may have
  # become equal when they were cut.
  defp left?(term, rules), do: not Terms.common?(term) or (rules != nil and unusual?(term)) or long_keys?(term)

  defp unusual?(map) when is_map(map), do: is_map_key(map, :__struct__) or Enum.any?(Map.to_list(map), &unusual?/1)
  defp unusual?([head | tail]), do: unusual?(head) or unusual?(tail)
  defp unusual?({a, b, [_ | _], c}) when is_atom(a) and is_atom(b) and is_list(c), do: true
  defp unusual?(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> Enum.any?(&unusual?/1)
  defp unusual?(atom) when is_atom(atom), do: Atom.to_charlist(atom) |> Enum.any?(&(&1 > 127))
  defp unusual?(binary) when is_binary(binary), do: for(<<byte <- binary>>, byte > 127, do: byte) != []
  defp unusual?(_), do: false

  defp reordered?(%{__struct__: name}) when is_map_key(@first, name), do: true
  defp reordered?(map) when is_map(map), do: map_size(map) > 32 or map |> Map.to_list() |> reordered?()
  defp reordered?([head | tail]), do: reordered?(head) or reordered?(tail)
  defp reordered?(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> reordered?()
  defp reordered?(term), do: is_function(term)

  defp long_keys?(map) when is_map(map) do
    pairs = Map.to_list(map)
    Enum.count(pairs, fn {key, _} -> :erlang.external_size(key) > 8 end) > 1 or long_keys?(pairs)
  end

  defp long_keys?([head | tail]), do: long_keys?(head) or long_keys?(tail)
  defp long_keys?(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> long_keys?()
  defp long_keys?(_), do: false
end
