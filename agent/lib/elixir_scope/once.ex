defmodule ElixirScope.Once do
  @moduledoc """
  Has what many processes need made by one of them, while the others wait.

  `:global.trans/3` would do so too, but whoever comes second there sleeps for up to a quarter of a second before it
  looks again, and modules are instrumented by several processes that begin at the same moment.
  """

  @doc """
  Returns when `make` has run, here or for another process that asked under the same name. It may run once more for one
  that comes just then, so it looks first whether anything is left to do.
  """
  @spec run(atom, (() -> term)) :: :ok
  def run(name, make) do
    # A process of ours has the name: the caller may be the program's, and have one of its own.
    {_, ref} = spawn_monitor(fn -> if first?(name), do: make.(), else: ended(Process.monitor(name)) end)
    ended(ref)
  end

  defp first?(name) do
    Process.register(self(), name)
  rescue
    ArgumentError -> false
  end

  defp ended(ref) do
    receive do
      {:DOWN, ^ref, :process, _, _} -> :ok
    end
  end
end
