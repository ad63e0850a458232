defmodule ElixirScope.Test.Shy do
  @moduledoc "A struct that hides a field from `inspect/2`."
  @derive {Inspect, except: [:pin]}
  defstruct [:name, :pin]
end
