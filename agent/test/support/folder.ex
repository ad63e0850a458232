defmodule ElixirScope.Test.Folder do
  @moduledoc "A folder of its own for each test of each run: also for two runs of the suite at the same time."

  @doc "To be used as `setup :own_folder`: gives `tmp_dir`."
  def own_folder(_context) do
    name = "film_test_#{System.pid()}_#{System.unique_integer([:positive])}"
    dir = Path.join(System.tmp_dir!(), name)
    File.mkdir_p!(dir)
    ExUnit.Callbacks.on_exit(fn -> File.rm_rf!(dir) end)
    %{tmp_dir: dir}
  end
end
