defmodule ElixirScope.Native.EncoderTest do
  # The encoder's words of secrets are one for the VM.
  use ExUnit.Case, async: false
  alias ElixirScope.Capture.{NativeRuntime, Redaction, Value}
  alias ElixirScope.Test.{NativeLibrary, Terms}

  with {:error, reason} <- NativeLibrary.load(), do: @moduletag(skip: reason)

  @hard :"$elixirscope_hard"
  @rounds String.to_integer(System.get_env("FUZZ_ROUNDS", "4000"))

  setup do
    Redaction.create()
    seed = :rand.uniform(1_000_000_000)
    :rand.seed(:exsss, seed)
    :ok = NativeRuntime.configure({512, 512, 4096, 8192, 1024}, ["password", "token"], 1)
    for module <- [URI, My.Secret], do: NativeRuntime.plain_struct(module)
    %{seed: seed}
  end

  defp encoded(term, budget, redacting, room \\ 65_536), do: NativeRuntime.encoded(term, budget, redacting, room)

  test "what fits its budget comes back as it was, all else is left to Elixir", %{seed: seed} do
    for _ <- 1..@rounds do
      term = Terms.random(4)
      budget = Enum.random([16, 64, 512, 8192])
      {clipped, cut?} = Value.clip(term, budget)
      fits? = not cut? and clipped === term

      case encoded(term, budget, 0) do
        {0, binary} ->
          # Equal terms must be equal bytes, whichever engine wrote them: requests find their answers so.
          assert binary == :erlang.term_to_binary(term, minor_version: 2), "seed #{seed}: #{inspect(term)}"
          assert fits?, "seed #{seed}: #{inspect(term)} is within #{budget}"

        @hard ->
          small? = 12 * :erlang.external_size(term) < budget
          assert not small? or not Terms.common?(term) or askew?(term), "seed #{seed}: #{inspect(term)}, #{budget}"
      end
    end
  end

  test "secrets are replaced as Elixir replaces them", %{seed: seed} do
    rules = %{words: ["password", "token"], modules: []}

    for _ <- 1..@rounds do
      term = Terms.random(4)
      {clean, secret?} = Redaction.redact(term, 0, rules)

      case encoded(term, 60_000, 1) do
        {found, binary} ->
          assert :erlang.binary_to_term(binary) === clean, "seed #{seed}: #{inspect(term)}"
          assert found == if(secret?, do: 1, else: 0), "seed #{seed}: #{inspect(term)}"

        @hard ->
          :ok
      end
    end
  end

  test "it keeps to the room it has, and to the bytes it is given", %{seed: seed} do
    for _ <- 1..@rounds do
      term = Terms.random(3)
      room = :rand.uniform(400) - 1

      case encoded(term, 300, 1, room) do
        {_, binary} ->
          assert byte_size(binary) <= room
          assert {_, ^binary} = encoded(term, 300, 1)

        # Some things ask for more room than they take in the end.
        false ->
          assert encoded(term, 300, 1) == @hard or room < 60 + (encoded(term, 300, 1) |> elem(1) |> byte_size()),
                 "seed #{seed}: #{inspect(term)} in #{room}"

        @hard ->
          :ok
      end
    end
  end

  test "names that are not ASCII, structs that may be secrets and arguments in stack traces are left to Elixir" do
    assert encoded(%{"passwörd" => 1}, 512, 1) == @hard
    assert {1, _} = encoded(%{"my_PassWord" => 1}, 512, 1)
    assert encoded([{A, :f, [1, 2], [line: 1]}], 512, 1) == @hard
    assert {0, _} = encoded([{A, :f, 2, [line: 1]}], 512, 1)
    :ok = NativeRuntime.configure({512, 512, 4096, 8192, 1024}, ["password"], 1)
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
    big = :binary.copy(<<7>>, 100_000_000)
    <<_::3, askew::binary-size(90_000_000), _::bitstring>> = big
    <<_, part::binary>> = big
    map = Map.new(1..100_000, &{&1, &1})
    list = Enum.to_list(1..100_000)
    deep = Enum.reduce(1..100_000, [], fn _, inner -> [inner] end)
    number = Bitwise.bsl(1, 4_000_000)

    # Copying or walking one of them a thousand times would take minutes.
    {time, _} =
      :timer.tc(fn ->
        for _ <- 1..1_000, term <- [big, askew, part, map, list, deep, number, {:ok, big}, [a: askew]] do
          assert encoded(term, 8192, 1) == @hard
        end
      end)

    assert time < 10_000_000
  end

  test "a binary that is being appended to is not made to move" do
    {time, _} =
      :timer.tc(fn ->
        Enum.reduce(1..50_000, :binary.copy(<<0>>, 10_000_000), fn _, all ->
          all = <<all::binary, 1>>
          assert encoded(all, 512, 0) == @hard
          all
        end)
      end)

    # 50,000 copies of 10 MB would be 500 GB.
    assert time < 20_000_000
  end

  # Whether a binary in it starts in the middle of a byte, which the VM does not tell.
  defp askew?(term) when is_binary(term), do: match?({_, 0}, NativeRuntime.layout(term))
  defp askew?([head | tail]), do: askew?(head) or askew?(tail)
  defp askew?(term) when is_tuple(term), do: term |> Tuple.to_list() |> askew?()
  defp askew?(term) when is_map(term), do: term |> Map.to_list() |> askew?()
  defp askew?(term) when is_atom(term), do: term == :é
  defp askew?(_), do: false
end
