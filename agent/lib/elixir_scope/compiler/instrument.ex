defmodule ElixirScope.Compiler.Instrument do
  @moduledoc "One module: from what was read of its `.beam` to the binary to load and its sites, and what announces these."

  alias ElixirScope.AST.{Forms, Transformer}
  alias ElixirScope.Boot
  alias ElixirScope.Capture.{Ingestor, Meta}
  alias ElixirScope.Compiler.Beam

  @doc "What is to be written into the recording before a module runs: see `Ingestor.sites/4`."
  @spec announcement(map, list) :: Meta.frames()
  def announcement(%{module: module} = info, sites) do
    functions = Enum.count(sites, &match?({_, :function, _, _, _, _, _}, &1))

    Ingestor.sites(module, info, sites, [%{what: :module, module: module, functions: functions, sites: length(sites)}])
  end

  @doc "Only transforms and compiles: the binary and what to announce."
  @spec prepare(Beam.t(), map, keyword) :: {:ok, binary, {map, list}} | {:skip, term}
  def prepare(read, plan, opts) do
    Boot.transforming()
    file = source(read)

    with {:ok, forms, info, sites} <- Transformer.transform(read.forms, plan, [file: file] ++ opts),
         {:ok, binary} <- Beam.compile(forms, read) do
      {:ok, binary, {dated(info), sites}}
    else
      {:error, errors} -> {:skip, {:compile, errors}}
      {:skip, reason} -> {:skip, reason}
    end
  end

  # `source` is absolute; the path in the forms is relative to the project.
  defp source(%{source: [_ | _] = source}), do: source |> List.to_string() |> Path.expand()
  defp source(%{forms: forms}), do: forms |> Forms.file() |> Path.expand()

  @doc "What is said of a module, with the present content of its source."
  @spec dated(map) :: map
  def dated(%{file: file} = info) do
    # Of each module: the file server would do one after the other.
    case :prim_file.read_file(file) do
      {:ok, content} -> Map.put(info, :source_md5, :erlang.md5(content))
      {:error, _} -> Map.delete(info, :source_md5)
    end
  end
end
