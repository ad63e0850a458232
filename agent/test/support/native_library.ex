defmodule ElixirScope.Test.NativeLibrary do
  @moduledoc "The library of the native engine, compiled as the recorder does it."

  @flags ~w(-std=gnu11 -D_GNU_SOURCE -O2 -fno-plt -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror)

  @doc "Builds and loads it: `:ok`, or `{:error, reason}` where there is no compiler to do so."
  def load do
    case library() do
      {:ok, path} -> ElixirScope.Capture.Native.load(path)
      error -> error
    end
  end

  @doc "The path of the library, built once in a run; `NATIVE_LIBRARY` names one that was built otherwise."
  def library do
    case System.get_env("NATIVE_LIBRARY") do
      nil ->
        with nil <- :persistent_term.get(__MODULE__, nil), do: tap(build(), &:persistent_term.put(__MODULE__, &1))

      path ->
        {:ok, path}
    end
  end

  defp build do
    compiler = System.find_executable("cc") || System.find_executable("gcc") || System.find_executable("clang")
    headers = Path.join([:code.root_dir(), "usr", "include"])
    sources = Path.expand("../../c_src", __DIR__)
    library = Path.join(Mix.Project.build_path(), "elixir_scope_native.so")

    cond do
      compiler == nil ->
        {:error, "there is no C compiler on this machine"}

      not File.exists?(Path.join(headers, "erl_nif.h")) ->
        {:error, "Erlang's C headers are not installed (erlang-dev)"}

      true ->
        files = Path.wildcard(Path.join(sources, "*.c"))

        # Under a name of its own first: other test files load it at the same time.
        fresh = "#{library}.#{System.unique_integer([:positive])}"
        {said, status} = System.cmd(compiler, @flags ++ ["-I#{headers}", "-o", fresh | files], stderr_to_stdout: true)
        if status != 0, do: raise("the native engine does not compile:\n#{said}")
        File.rename!(fresh, library)
        {:ok, library}
    end
  end
end
