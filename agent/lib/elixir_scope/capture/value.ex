defmodule ElixirScope.Capture.Value do
  @moduledoc """
  Cuts a term to a budget of bytes, at a cost that follows the budget and never the term.

  Runs in the process that has the term, before it is copied anywhere. A term that fits is returned as it is.
  What is left out is marked as `docs/format.md` says. Functions are always replaced: their environment may be
  as large, and as secret, as anything. Which fields of a struct come first is the plan's to say (`first/1`).
  """

  @marker :"$elixirscope"
  @item 24
  # A struct of more fields is cut as any map is: all of them are looked through.
  @fields 128
  @first {__MODULE__, :first}
  # Never fits, whatever the budget.
  @over -1_000_000_000_000

  @doc "Names the fields of structs that are kept first when a struct does not fit its budget, for the whole VM."
  @spec first(%{module => [atom]}) :: :ok
  def first(fields), do: :persistent_term.put(@first, fields)

  @doc "The term within `budget` bytes (roughly, of external format), and whether something was cut off."
  @spec clip(term, non_neg_integer | :none) :: {term, boolean}
  # Not a byte: there is no value at all.
  def clip(_term, :none), do: {:"$elixirscope_none", false}

  def clip(term, budget) do
    if measure(term, budget) >= 0 do
      {term, false}
    else
      cut(term, budget)
    end
  end

  @doc "Whether `clip/2` returns the term as it is."
  @spec fits?(term, non_neg_integer) :: boolean
  def fits?(term, budget), do: measure(term, budget) >= 0

  # What is left of the budget after the term; negative when it does not fit. Stops as soon as it is spent.
  defp measure(_, left) when left < 0, do: left
  defp measure(term, left) when is_atom(term), do: left - 12

  defp measure(term, left) when is_integer(term) and term < 0x7FFFFFFFFFFFFFF and term > -0x7FFFFFFFFFFFFFF,
    do: left - 5

  # Arguments and variables come in tuples, mostly small ones: without a loop they cost half.
  defp measure({a}, left), do: measure(a, left - 5)
  defp measure({a, b}, left), do: measure(b, measure(a, left - 5))
  defp measure({a, b, c}, left), do: measure(c, measure(b, measure(a, left - 5)))
  defp measure({}, left), do: left - 2

  defp measure(term, left) when is_tuple(term) do
    size = tuple_size(term)
    if size > left, do: @over, else: measure_elements(term, 1, size, left - 5)
  end

  defp measure([head | tail], left), do: measure(tail, measure(head, left - 2))
  defp measure([], left), do: left - 1
  defp measure(term, left) when is_integer(term), do: left - :erlang.external_size(term)
  defp measure(term, left) when is_float(term), do: left - 9
  defp measure(term, left) when is_bitstring(term), do: left - 5 - byte_size(term)
  defp measure(term, left) when is_pid(term) or is_reference(term) or is_port(term), do: left - 27

  defp measure(term, left) when is_map(term) do
    if map_size(term) * 4 > left, do: @over, else: measure_pairs(:maps.next(:maps.iterator(term)), left - 5)
  end

  defp measure(_function, _left), do: @over

  defp measure_elements(_, _, _, left) when left < 0, do: left
  defp measure_elements(_, n, size, left) when n > size, do: left

  defp measure_elements(term, n, size, left),
    do: measure_elements(term, n + 1, size, measure(:erlang.element(n, term), left))

  defp measure_pairs(_, left) when left < 0, do: left
  defp measure_pairs(:none, left), do: left

  defp measure_pairs({key, value, rest}, left),
    do: measure_pairs(:maps.next(rest), measure(value, measure(key, left)))

  # A marker is no smaller than a small thing.
  defp cut(term, budget) when is_binary(term) do
    if measure(term, max(budget, @item)) >= 0 do
      {term, false}
    else
      # Copied: a part would keep the whole alive.
      {{@marker, :binary, :binary.copy(binary_part(term, 0, max(budget - 16, 0))), byte_size(term)}, true}
    end
  end

  defp cut(term, _budget) when is_function(term) do
    {:module, module} = :erlang.fun_info(term, :module)
    {:name, name} = :erlang.fun_info(term, :name)
    {:arity, arity} = :erlang.fun_info(term, :arity)
    {{@marker, :fun, module, name, arity}, false}
  end

  defp cut(term, budget) when budget < @item and (is_list(term) or is_map(term) or is_tuple(term)) do
    if measure(term, budget) >= 0, do: {term, false}, else: {{@marker, :deep, type(term), size(term, budget)}, true}
  end

  defp cut([], _budget), do: {[], false}
  defp cut(term, budget) when is_list(term), do: cut_list(term, budget, budget, 0, [], false)

  defp cut(term, budget) when is_tuple(term) do
    size = tuple_size(term)
    kept = min(size, max(div(budget, @item), 1))
    {elements, cut?} = cut_elements(term, 1, kept, budget, 0, [], false)

    if kept == size do
      {List.to_tuple(elements), cut?}
    else
      {{@marker, :tuple, elements, size}, true}
    end
  end

  # The name first: without it the rest means little.
  defp cut(%{__struct__: name} = term, budget) when is_atom(name) do
    {map, cut?} = cut_struct(term, first(name, term), budget - 12)
    {Map.put(map, :__struct__, name), cut?}
  end

  defp cut(term, budget) when is_map(term), do: cut_map(term, budget)

  defp cut(term, budget) when is_integer(term) do
    if measure(term, max(budget, @item)) >= 0,
      do: {term, false},
      else: {{@marker, :deep, :integer, :erlang.external_size(term)}, true}
  end

  defp cut(term, budget) when is_bitstring(term) do
    if measure(term, max(budget, @item)) >= 0,
      do: {term, false},
      else: {{@marker, :deep, :bitstring, byte_size(term)}, true}
  end

  defp cut(term, _budget), do: {term, false}

  defp cut_list([head | tail], left, whole, failed, kept, cut?) when left >= @item do
    {item, left, failed, item_cut?} = share(head, left - 2, 2, failed)
    cut_list(tail, left, whole, failed, [item | kept], cut? or item_cut?)
  end

  defp cut_list([], _left, _whole, _failed, kept, cut?), do: {:lists.reverse(kept), cut?}

  defp cut_list([_ | _] = rest, _left, whole, _failed, kept, _cut?),
    do: {:lists.reverse([{@marker, :more, size(rest, whole)} | kept]), true}

  # An improper tail.
  defp cut_list(tail, left, _whole, _failed, kept, cut?) do
    {tail, tail_cut?} = cut(tail, max(left, 0))
    {:lists.reverse(kept, tail), cut? or tail_cut?}
  end

  defp cut_elements(_, n, last, _left, _failed, kept, cut?) when n > last, do: {:lists.reverse(kept), cut?}

  defp cut_elements(term, n, last, left, failed, kept, cut?) do
    {item, left, failed, item_cut?} = share(:erlang.element(n, term), left, last - n + 1, failed)
    cut_elements(term, n + 1, last, left, failed, [item | kept], cut? or item_cut?)
  end

  defp cut_map(map, budget) do
    map |> pairs() |> cut_pairs(map_size(map), {budget, 0, %{}, false}) |> counted(map_size(map))
  end

  defp cut_struct(struct, [], budget), do: cut_map(:maps.remove(:__struct__, struct), budget)

  # The fields that matter most share the budget as if they were all; what is left of it is for the others, of which
  # those that hold nothing come last.
  defp cut_struct(struct, first, budget) do
    size = map_size(struct) - 1
    skip = [:__struct__ | first]
    purse = first |> chosen(struct) |> cut_pairs(length(first), {budget, 0, %{}, false})
    {pairs, purse} = struct |> pairs() |> cut_others(skip, false, size - length(first), purse)
    {_pairs, purse} = struct |> pairs() |> cut_others(skip, true, pairs, purse)
    counted(purse, size)
  end

  defp first(name, struct) do
    case :persistent_term.get(@first, %{}) do
      %{^name => first} when map_size(struct) <= @fields -> for key <- first, is_map_key(struct, key), do: key
      _ -> []
    end
  end

  # Pairs as `:maps.next/1` gives them.
  defp pairs(map), do: :maps.next(:maps.iterator(map))

  defp chosen([key | keys], struct), do: {key, :erlang.map_get(key, struct), chosen(keys, struct)}
  defp chosen([], _struct), do: :none

  defp cut_others({key, value, rest}, skip, empty?, pairs, {left, _, _, _} = purse) when left >= @item do
    if empty?(value) == empty? and not :lists.member(key, skip),
      do: cut_others(:maps.next(rest), skip, empty?, pairs - 1, cut_pair(key, value, pairs, purse)),
      else: cut_others(:maps.next(rest), skip, empty?, pairs, purse)
  end

  defp cut_others(_, _skip, _empty?, pairs, purse), do: {pairs, purse}

  defp empty?(value), do: value === nil or value === [] or value === "" or value === %{}

  # Keys that became equal when they were cut are one pair.
  defp counted({_left, _failed, kept, cut?}, size) do
    case size - map_size(kept) do
      0 -> {kept, cut?}
      more -> {Map.put(kept, :"$elixirscope_more", more), true}
    end
  end

  defp cut_pairs({key, value, rest}, pairs, {left, _, _, _} = purse) when left >= @item,
    do: cut_pairs(:maps.next(rest), pairs - 1, cut_pair(key, value, pairs, purse))

  defp cut_pairs(_, _pairs, purse), do: purse

  # What is left, how many did not fit, what is kept, and whether something was cut.
  defp cut_pair(key, value, pairs, {left, failed, kept, cut?}) do
    {key, left, failed, key_cut?} = share(key, left, 2, failed)
    {value, left, failed, value_cut?} = share(value, max(left, 0), min(pairs, 8), failed)
    {left, failed, Map.put(kept, key, value), cut? or key_cut? or value_cut?}
  end

  # One of `parts` items: whole when that leaves the others something, else its share. Looking whether it fits costs
  # as much as what is looked at: after each item that did not, only half as far. So all looking costs no more than a
  # few times the budget. And a share is never all there is, or deep terms would be looked through again at each depth.
  defp share(term, left, parts, failed) do
    allowed = max(div(left, max(parts, 2)), 0)
    reserved = @item * (parts - 1)
    looked = max(Bitwise.bsr(max(left - reserved, 0), failed), allowed)

    case measure(term, looked) do
      unused when unused >= 0 ->
        {term, left - looked + unused, failed, false}

      _ ->
        allowed = if parts == 1, do: div(left * 3, 4), else: allowed
        {cut, cut?} = cut(term, allowed)
        {cut, left - max(allowed, @item), failed + 1, cut?}
    end
  end

  defp type(term) when is_list(term), do: :list
  defp type(term) when is_tuple(term), do: :tuple
  defp type(%{__struct__: name}) when is_atom(name), do: :struct
  defp type(_), do: :map

  # Counting a list is a walk as well: it goes as far as the budget of the list, some times over.
  defp size(term, _budget) when is_tuple(term), do: tuple_size(term)
  defp size(term, _budget) when is_map(term), do: map_size(term)
  defp size(term, budget), do: count(term, 0, 8 * max(budget, @item))

  defp count(_, n, n), do: :unknown
  defp count([_ | tail], n, limit), do: count(tail, n + 1, limit)
  defp count(_, n, _), do: n
end
