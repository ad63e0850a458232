defmodule ElixirScope.Compiler.Ahead do
  @moduledoc """
  The compile-time door: instruments the `.beam` files of a folder in place.

  The files keep their docs, debug info and attributes, so that they can be instrumented again, by another plan, and
  every tool reads them as before. Files that carry sites already are left alone. Site ids come from a range of their
  own, above those given out at run time.
  """

  alias ElixirScope.Compiler.{Beam, Instrument}

  @range 0x4000_0000
  # On disk is only what runs in every VM.
  @options [kind: :project, runtime: ElixirScope.Capture.InstrumentationRuntime]

  @doc """
  Instruments all modules of `ebin` that the plan selects. `app` keeps the ids of different applications apart.

  Returns the modules that were rewritten and those that were not, with the reason.
  """
  @spec run(binary, atom, map) :: %{instrumented: [module], skipped: [{module, term}]}
  def run(ebin, app, plan) do
    paths = ebin |> Path.join("*.beam") |> Path.wildcard() |> Enum.sort()
    counter = :atomics.new(1, [])
    :atomics.put(counter, 1, first_free(paths, app))
    next = fn -> :atomics.add_get(counter, 1, 1) end

    Enum.reduce(paths, %{instrumented: [], skipped: []}, fn path, done ->
      module = path |> Path.basename(".beam") |> String.to_atom()

      case rewrite(path, plan, next) do
        :ok -> %{done | instrumented: [module | done.instrumented]}
        {:skip, reason} -> %{done | skipped: [{module, reason} | done.skipped]}
      end
    end)
  end

  # 1,023 applications with a million sites each; two applications of one hash share a range, which is checked nowhere.
  defp first_free(paths, app) do
    base = @range + Bitwise.bsl(:erlang.phash2(app, 1023), 20)

    paths
    |> Enum.flat_map(fn path ->
      case Beam.announcement(String.to_charlist(path)) do
        {_info, sites} -> Enum.map(sites, &elem(&1, 0))
        nil -> []
      end
    end)
    |> Enum.max(fn -> base end)
  end

  defp rewrite(path, plan, next) do
    original = File.read!(path)

    with nil <- Beam.announcement(original),
         {:ok, read} <- Beam.read(original),
         {:ok, binary, announcement} <- Instrument.prepare(read, plan, @options ++ [next_site: next]) do
      # A file that is half written must never be loaded.
      File.write!(path <> ".tmp", Beam.merge(original, binary, announcement))
      File.rename!(path <> ".tmp", path)
    else
      {%{}, _sites} -> {:skip, :already_instrumented}
      {:error, reason} -> {:skip, reason}
      {:skip, reason} -> {:skip, reason}
    end
  end
end
