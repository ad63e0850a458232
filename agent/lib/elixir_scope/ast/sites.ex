defmodule ElixirScope.AST.Sites do
  @moduledoc """
  Hands out site ids: integers above zero, unique in this VM.

  A site is a place in instrumented code that can make an event (`docs/format.md`, "Site"). Modules are
  instrumented by many processes at once, hence one atomic counter for all of them.
  """

  @type kind :: :function | :fn | :return | :external | :tail | :bind | :catch | :raise
  @type site ::
          {id :: pos_integer, kind, function :: atom, arity, line :: non_neg_integer, vars :: [binary], map}

  @key {__MODULE__, :counter}

  @doc "The next free site id."
  @spec next() :: pos_integer
  def next, do: :atomics.add_get(counter(), 1, 1)

  # Two processes may both find no counter; the lock lets one of them make it.
  defp counter do
    case :persistent_term.get(@key, nil) do
      nil ->
        :global.trans({@key, self()}, &create/0, [node()])

      counter ->
        counter
    end
  end

  defp create do
    case :persistent_term.get(@key, nil) do
      nil ->
        counter = :atomics.new(1, signed: false)
        :persistent_term.put(@key, counter)
        counter

      counter ->
        counter
    end
  end
end
