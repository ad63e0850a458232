defmodule ElixirScope.Test.Eventually do
  @moduledoc "Waiting for what other processes do: on the thing itself, never for a time."

  @doc "Evaluates `fun` until it is true, for a minute at most; its last answer."
  def eventually(fun, deadline \\ nil) do
    deadline = deadline || System.monotonic_time(:millisecond) + 60_000

    case fun.() do
      answer when answer not in [nil, false] ->
        answer

      answer ->
        if System.monotonic_time(:millisecond) > deadline do
          answer
        else
          receive do
          after
            2 -> eventually(fun, deadline)
          end
        end
    end
  end
end
