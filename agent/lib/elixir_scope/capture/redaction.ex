defmodule ElixirScope.Capture.Redaction do
  @moduledoc """
  Replaces secrets before they are written: values under keys, struct fields, keywords and variables whose name
  contains one of the plan's words. Runs in the collector, inside the VM, on terms already cut to their budget.
  """

  @redacted {:"$elixirscope", :redacted}
  @table :elixir_scope_secret_sites

  @doc "Makes the table of sites whose variables are secret; owned by the caller."
  def create, do: :ets.new(@table, [:named_table, :public, read_concurrency: true])

  @doc "Remembers which positions of a site's value tuple are secret, by the names of its variables."
  def note_sites(sites, words) do
    for {id, kind, _, _, _, vars, detail} <- sites, kind in [:function, :fn, :bind] do
      vars = if kind == :bind, do: vars, else: without_state(vars, detail)
      secret = for {name, n} <- Enum.with_index(vars), secret?(String.downcase(name), words), do: n
      if secret != [], do: :ets.insert(@table, {id, secret})
    end

    :ok
  end

  # The arguments of a callback are recorded without its state.
  defp without_state(vars, %{state_arg: n}) when is_integer(n), do: List.delete_at(vars, n - 1)
  defp without_state(vars, _), do: vars

  @doc "The term without secrets, and whether there were any."
  @spec redact(term, non_neg_integer, [binary]) :: {term, boolean}
  def redact(term, _site, []), do: {term, false}

  def redact(term, site, words) do
    term = if is_tuple(term) and site > 0, do: positions(term, site), else: term
    clean = walk(term, words)
    {clean, clean !== term or has_marker?(clean)}
  end

  defp positions(term, site) do
    case :ets.lookup(@table, site) do
      [{_, secret}] ->
        Enum.reduce(secret, term, fn n, t -> if n < tuple_size(t), do: put_elem(t, n, @redacted), else: t end)

      [] ->
        term
    end
  end

  defp has_marker?(term) when is_tuple(term), do: Enum.any?(Tuple.to_list(term), &(&1 == @redacted))
  defp has_marker?(_), do: false

  defp walk(term, words) when is_map(term) do
    :maps.map(fn key, value -> if named?(key, words), do: @redacted, else: walk(value, words) end, term)
  end

  defp walk([head | tail], words), do: [walk(head, words) | walk(tail, words)]

  defp walk({key, value}, words) when is_atom(key) or is_binary(key) do
    if named?(key, words), do: {key, @redacted}, else: {key, walk(value, words)}
  end

  defp walk({}, _words), do: {}

  defp walk(term, words) when is_tuple(term),
    do: term |> Tuple.to_list() |> Enum.map(&walk(&1, words)) |> List.to_tuple()

  defp walk(term, _words), do: term

  # Atoms are few and come again: their answer is kept in the collector's own dictionary.
  defp named?(key, words) when is_atom(key) do
    case Process.get({__MODULE__, key}) do
      nil ->
        answer = key |> Atom.to_string() |> String.downcase() |> secret?(words)
        Process.put({__MODULE__, key}, answer)
        answer

      answer ->
        answer
    end
  end

  defp named?(key, words) when is_binary(key) and byte_size(key) < 200, do: secret?(String.downcase(key), words)
  defp named?(_, _), do: false

  defp secret?(name, words), do: Enum.any?(words, &String.contains?(name, &1))
end
