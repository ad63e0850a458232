defmodule ElixirScope.Compiler.Instrument do
  @moduledoc "One module: from what was read of its `.beam` to the binary to load, with its sites announced first."

  alias ElixirScope.AST.{Forms, Transformer}
  alias ElixirScope.Capture.Ingestor
  alias ElixirScope.Compiler.Beam

  @doc """
  Transforms, compiles, and writes the sites into the recording. `read` is what `Beam.read/1` returns.

  `{:skip, reason}` when the module is to stay as it is.
  """
  @spec run(Beam.t(), map, keyword) :: {:ok, binary, [ElixirScope.AST.Sites.site()]} | {:skip, term}
  def run(read, plan, opts) do
    file = source(read)

    with {:ok, forms, info, sites} <- Transformer.transform(read.forms, plan, [file: file] ++ opts),
         {:ok, binary} <- Beam.compile(forms, read) do
      Ingestor.put_sites(read.module, Map.merge(info, md5(file)), sites)

      Ingestor.meta(%{
        what: :module,
        module: read.module,
        functions: Enum.count(sites, &match?({_, :function, _, _, _, _, _}, &1)),
        sites: length(sites)
      })

      {:ok, binary, sites}
    else
      {:error, errors} -> {:skip, {:compile, errors}}
      {:skip, reason} -> {:skip, reason}
    end
  end

  # `source` is absolute; the path in the forms is relative to the project.
  defp source(%{source: [_ | _] = source}), do: source |> List.to_string() |> Path.expand()
  defp source(%{forms: forms}), do: forms |> Forms.file() |> Path.expand()

  defp md5(file) do
    case File.read(file) do
      {:ok, content} -> %{source_md5: :erlang.md5(content)}
      {:error, _} -> %{}
    end
  end
end
