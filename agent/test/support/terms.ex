defmodule ElixirScope.Test.Terms do
  @moduledoc "Random terms of every kind, by `:rand`; the seed of the process makes them come again."

  import Bitwise

  @doc "A term of at most this depth."
  def random(depth), do: if(depth == 0 or :rand.uniform(3) == 1, do: leaf(), else: node_(depth - 1))

  defp leaf do
    case :rand.uniform(16) do
      1 -> integer()
      2 -> :rand.uniform(300) - 20
      3 -> :rand.normal() * 1.0e10
      4 -> Enum.random([:ok, nil, true, :password, :"an atom with spaces", :é, :日本, __MODULE__, :""])
      5 -> :rand.bytes(:rand.uniform(80))
      6 -> part(:rand.bytes(200))
      7 -> <<:rand.uniform(1000)::size(11)>>
      8 -> self()
      9 -> make_ref()
      10 -> Enum.random(Port.list())
      11 -> Enum.random([fn -> :rand.uniform() end, &Enum.map/2])
      12 -> Enum.random([[], {}, %{}, "", ~c"charlist", "text", "пароль", "Password"])
      13 -> remote()
      14 -> String.to_atom("atom_#{:rand.uniform(500)}")
      15 -> :binary.copy("x", :rand.uniform(3000))
      16 -> String.duplicate("n", 100) |> String.to_atom()
    end
  end

  defp integer do
    value = :rand.uniform(1 <<< Enum.random([8, 16, 31, 32, 33, 58, 59, 60, 62, 63, 64, 65, 200, 3000]))
    Enum.random([value, -value, value - 1, 1 - value])
  end

  # Aligned and not.
  defp part(binary) do
    sizes = <<:rand.uniform(16), :rand.uniform(100)>>
    <<skip, take, _::size(skip), part::binary-size(take), _::bitstring>> = <<sizes::binary, binary::binary>>
    part
  end

  # A pid and a reference of another node.
  defp remote do
    name = "other@host"

    Enum.random([
      :erlang.binary_to_term(<<131, 88, 119, byte_size(name), name::binary, 77::32, 1::32, 5::32>>),
      :erlang.binary_to_term(<<131, 90, 3::16, 119, byte_size(name), name::binary, 5::32, 1::32, 2::32, 3::32>>)
    ])
  end

  defp node_(depth) do
    several = fn -> for _ <- 1..:rand.uniform(6), do: random(depth) end

    case :rand.uniform(8) do
      1 -> several.()
      2 -> several.() ++ Enum.random([:tail, "tail", random(depth)])
      3 -> List.to_tuple(several.())
      4 -> Map.new(several.(), &{&1, random(depth)})
      5 -> {Enum.random([:password, "My_Token", :plain, "plain", "Ключ" | charlists()]), random(depth)}
      6 -> for i <- 1..(30 + :rand.uniform(10)), into: %{}, do: {{:key, i}, leaf()}
      7 -> structure(depth)
      8 -> Enum.reduce(1..:rand.uniform(600), leaf(), fn _, inner -> Enum.random([[inner], {inner}]) end)
    end
  end

  # Of characters that are bytes, or not.
  defp charlists,
    do: [~c"X-Token", ~c"plain", ~c"Tokén", ~c"токен", String.to_charlist(String.duplicate("a long ", 20))]

  # Some of whose fields hold nothing. Of more than 32 fields, maps are another thing; of more than 128, structs are maps.
  defp structure(depth) do
    fields = for name <- names(:rand.uniform(40)), do: {name, Enum.random([nil, [], "", %{}, :ok, 7, "text", leaf()])}
    large = for {name, _} <- Enum.take_random(fields, 2), do: {name, random(depth)}
    fields |> Map.new() |> Map.merge(Map.new(large)) |> Map.put(:__struct__, Enum.random([URI, My.Secret, My.Plain]))
  end

  defp names(1), do: numbered(140)
  defp names(2), do: numbered(33)
  defp names(3), do: numbered(28)
  defp names(n) when n < 10, do: [:token, :other, :a, :b, :c, :y, :z]
  defp names(_), do: [:token, :other]

  defp numbered(count), do: for(n <- 1..count, do: :"field_#{n}")

  @doc "Whether the encoder in C takes it on: not too deep."
  def common?(term, depth \\ 0)
  def common?(_, depth) when depth > 390, do: false
  def common?([], _), do: true
  def common?(list, depth) when is_list(list), do: common_list?(list, depth + 1)
  def common?(tuple, depth) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> Enum.all?(&common?(&1, depth + 1))

  def common?(map, depth) when is_map(map),
    do: Enum.all?(Map.to_list(map), fn {k, v} -> common?(k, depth + 1) and common?(v, depth + 1) end)

  def common?(_, _), do: true

  defp common_list?([head | tail], depth), do: common?(head, depth) and common_list?(tail, depth)
  defp common_list?(tail, depth), do: common?(tail, depth)
end
