defmodule ResultsFormatter do
  @moduledoc """
  Tells `compatibility.py` how each test ended: a line `MODULE TAB NAME TAB RESULT` in the file that COMPATIBILITY_RESULTS names.
  """

  use GenServer

  @impl true
  def init(_), do: File.open(System.fetch_env!("COMPATIBILITY_RESULTS"), [:append, :utf8])

  @impl true
  def handle_cast({:test_finished, %{module: module, name: name, state: state}}, file) do
    IO.write(file, "#{inspect(module)}\t#{line(name)}\t#{result(state)}\n")
    {:noreply, file}
  end

  def handle_cast(_, file), do: {:noreply, file}

  defp result(nil), do: :passed
  defp result({result, _}), do: result
  defp line(name), do: name |> Atom.to_string() |> String.replace(~r/\s+/, " ")
end
