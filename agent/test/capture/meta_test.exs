defmodule ElixirScope.Capture.MetaTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, Meta, NativeRuntime}
  alias ElixirScope.Test.{NativeLibrary, Pipeline, RawFiles}

  setup :own_folder
  @moduletag capture_log: true

  @site 41
  @secret "hunter2-hunter2"
  @native NativeLibrary.load()

  for {engine, runtime} <- [portable: InstrumentationRuntime, native: NativeRuntime] do
    with {:native, {:error, reason}} <- {engine, @native}, do: @tag(skip: reason)

    test "while nothing is written modules load, and what is secret of them is known: #{engine}", %{tmp_dir: dir} do
      pipeline = Pipeline.start(dir, ~s(redact => \#{keys => [<<"password">>], modules => []}), unquote(engine))
      on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
      # As if somebody had waited in vain already.
      :persistent_term.put({Meta, :patience}, 1)
      :sys.suspend(:elixir_scope_meta)
      Ingestor.put_sites(Held, %{}, [{@site, :function, :login, 1, 1, ["password"], %{}}])
      unquote(runtime).call(@site, {@secret})
      assert RawFiles.metas(dir) |> Enum.all?(&(&1.what == :hello or &1.what == :coverage))
      :sys.resume(:elixir_scope_meta)
      assert eventually(fn -> sites(dir) != [] end)
      Pipeline.stop(pipeline)

      assert RawFiles.complete?(dir)
      assert [{Held, _, [{@site, :function, :login, 1, 1, ["password"], _}]}] = sites(dir)

      assert [%{value: {:ok, {{:"$elixirscope", :redacted}}}}] =
               for(%{site: @site} = e <- RawFiles.events(dir), do: e)

      for path <- Path.wildcard(Path.join(dir, "*")), do: assert(:binary.match(File.read!(path), @secret) == :nomatch)
    end
  end

  defp sites(dir) do
    for file <- RawFiles.read(dir),
        %{type: :sites, payload: payload} <- file.frames,
        do: :erlang.binary_to_term(payload)
  end
end
