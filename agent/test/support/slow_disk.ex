defmodule ElixirScope.Test.SlowDisk do
  @moduledoc "A disk that takes few bytes a second, for a VM that is preloaded with `slow_disk.c`."

  @doc "Builds the library into `dir`: the environment of such a VM, or nil where there is no compiler."
  @spec environment(Path.t()) :: [{binary, binary}] | nil
  def environment(dir) do
    library = Path.join(dir, "slow_disk.so")

    with cc when cc != nil <- System.find_executable("cc") do
      arguments = ~w(-D_GNU_SOURCE -O2 -shared -fPIC -o) ++ [library, Path.join(__DIR__, "slow_disk.c"), "-ldl"]
      {_, 0} = System.cmd(cc, arguments)
      [{"LD_PRELOAD", library}, {"SLOW_DISK", Path.join(dir, "bytes_a_second")}]
    end
  end

  @doc "From now on the disk of `dir` takes so many bytes a second."
  def set(dir, bytes), do: File.write!(Path.join(dir, "bytes_a_second"), "#{bytes}")
end
