defmodule ElixirScope.Capture.Value do
  @moduledoc """
  Cuts a term to a budget of bytes, at a cost that follows the budget and never the term.

  Runs in the process that has the term, before it is copied anywhere. A term that fits is returned as it is.
  What is left out is marked as `docs/format.md` says. Functions are always replaced: their environment may be
  as large, and as secret, as anything.
  """

  @marker :"$elixirscope"
  @item 24
  @count_limit 10_000
  # Never fits, whatever the budget.
  @over -1_000_000_000_000

  @doc "The term within `budget` bytes (roughly, of external format), and whether something was cut off."
  @spec clip(term, non_neg_integer) :: {term, boolean}
  def clip(term, budget) do
    if measure(term, budget) >= 0 do
      {term, false}
    else
      cut(term, budget)
    end
  end

  # What is left of the budget after the term; negative when it does not fit. Stops as soon as it is spent.
  defp measure(_, left) when left < 0, do: left
  defp measure(term, left) when is_atom(term), do: left - 12

  defp measure(term, left) when is_integer(term) and term < 0x7FFFFFFFFFFFFFF and term > -0x7FFFFFFFFFFFFFF,
    do: left - 5

  defp measure(term, left) when is_integer(term), do: left - :erlang.external_size(term)
  defp measure(term, left) when is_float(term), do: left - 9
  defp measure(term, left) when is_bitstring(term), do: left - 5 - byte_size(term)
  defp measure(term, left) when is_pid(term) or is_reference(term) or is_port(term), do: left - 27
  defp measure([], left), do: left - 1
  defp measure([head | tail], left), do: measure(tail, measure(head, left - 2))
  defp measure({}, left), do: left - 2

  defp measure(term, left) when is_tuple(term) do
    size = tuple_size(term)
    if size > left, do: @over, else: measure_elements(term, 1, size, left - 5)
  end

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

  defp cut(term, budget) when is_binary(term) do
    if measure(term, budget) >= 0 do
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
    if measure(term, budget) >= 0, do: {term, false}, else: {{@marker, :deep, type(term), size(term)}, true}
  end

  defp cut([], _budget), do: {[], false}
  defp cut(term, budget) when is_list(term), do: cut_list(term, budget, [], false)

  defp cut(term, budget) when is_tuple(term) do
    size = tuple_size(term)
    kept = min(size, max(div(budget, @item), 1))
    {elements, cut?} = cut_elements(term, 1, kept, budget, [], false)

    if kept == size do
      {List.to_tuple(elements), cut?}
    else
      {{@marker, :tuple, elements, size}, true}
    end
  end

  defp cut(%{__struct__: name} = term, budget) do
    # The name first: without it the rest means little.
    {map, cut?} =
      cut_pairs(
        :maps.next(:maps.iterator(:maps.remove(:__struct__, term))),
        map_size(term) - 1,
        budget - 12,
        %{},
        false
      )

    {Map.put(map, :__struct__, name), cut?}
  end

  defp cut(term, budget) when is_map(term) do
    cut_pairs(:maps.next(:maps.iterator(term)), map_size(term), budget, %{}, false)
  end

  defp cut(term, budget) when is_integer(term) do
    if measure(term, budget) >= 0,
      do: {term, false},
      else: {{@marker, :deep, :integer, :erlang.external_size(term)}, true}
  end

  defp cut(term, budget) when is_bitstring(term) do
    if measure(term, budget) >= 0, do: {term, false}, else: {{@marker, :deep, :bitstring, byte_size(term)}, true}
  end

  defp cut(term, _budget), do: {term, false}

  defp cut_list([head | tail], budget, kept, cut?) when budget >= @item do
    {item, left, item_cut?} = share(head, budget - 2, 2)
    cut_list(tail, left, [item | kept], cut? or item_cut?)
  end

  defp cut_list([], _budget, kept, cut?), do: {:lists.reverse(kept), cut?}

  defp cut_list([_ | _] = rest, _budget, kept, _cut?),
    do: {:lists.reverse([{@marker, :more, count(rest, 0)} | kept]), true}

  defp cut_list(tail, budget, kept, cut?) do
    {tail, tail_cut?} = cut(tail, max(budget, 0))
    {:lists.reverse(kept, tail), cut? or tail_cut?}
  end

  defp cut_elements(_, n, last, _budget, kept, cut?) when n > last, do: {:lists.reverse(kept), cut?}

  defp cut_elements(term, n, last, budget, kept, cut?) do
    {item, left, item_cut?} = share(:erlang.element(n, term), budget, last - n + 1)
    cut_elements(term, n + 1, last, left, [item | kept], cut? or item_cut?)
  end

  defp cut_pairs(:none, _left, _budget, kept, cut?), do: {kept, cut?}

  defp cut_pairs({key, value, rest}, left, budget, kept, cut?) when budget >= @item do
    {key, budget, key_cut?} = share(key, budget, 2)
    {value, budget, value_cut?} = share(value, max(budget, 0), min(left, 8))
    cut_pairs(:maps.next(rest), left - 1, budget, Map.put(kept, key, value), cut? or key_cut? or value_cut?)
  end

  defp cut_pairs(_, left, _budget, kept, _cut?), do: {Map.put(kept, :"$elixirscope_more", left), true}

  # One of `parts` items: whole when that leaves the others something, else its share.
  defp share(term, budget, parts) do
    case measure(term, budget - @item * (parts - 1)) do
      left when left >= 0 ->
        {term, left + @item * (parts - 1), false}

      _ ->
        allowed = max(div(budget, parts), 0)
        {cut, cut?} = cut(term, allowed)
        {cut, budget - max(allowed, @item), cut?}
    end
  end

  defp type(term) when is_list(term), do: :list
  defp type(term) when is_tuple(term), do: :tuple
  defp type(%{__struct__: _}), do: :struct
  defp type(_), do: :map

  defp size(term) when is_tuple(term), do: tuple_size(term)
  defp size(term) when is_map(term), do: map_size(term)
  defp size(term), do: count(term, 0)

  defp count(_, @count_limit), do: :unknown
  defp count([_ | tail], n), do: count(tail, n + 1)
  defp count(_, n), do: n
end
