defmodule ElixirScope.AST.Sites do
  @moduledoc """
  Hands out site ids: integers above zero, unique in this VM.

  A site is a place in instrumented code that can make an event (`docs/format.md`, "Site"). Modules are
  instrumented by many processes at once, hence one atomic counter for all of them.
  """

  alias ElixirScope.Once

  @type kind :: :function | :fn | :return | :external | :tail | :bind | :catch | :raise
  @type site ::
          {id :: pos_integer, kind, function :: atom, arity, line :: non_neg_integer, vars :: [binary], map}

  @key {__MODULE__, :counter}

  @doc "The next free site id."
  @spec next() :: pos_integer
  def next, do: :atomics.add_get(counter(), 1, 1)

  defp counter do
    with nil <- :persistent_term.get(@key, nil) do
      Once.run(__MODULE__, &create/0)
      :persistent_term.get(@key)
    end
  end

  defp create do
    with nil <- :persistent_term.get(@key, nil), do: :persistent_term.put(@key, :atomics.new(1, signed: false))
  end
end
