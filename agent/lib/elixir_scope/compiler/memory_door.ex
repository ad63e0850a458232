defmodule ElixirScope.Compiler.MemoryDoor do
  @moduledoc """
  The door for modules that exist in memory only: test files, scripts, `Code.compile_string/1`.

  A parse transform in `ERL_COMPILER_OPTIONS` would see them all, but Elixir puts those options into the compile info
  of *every* module, so a `_build` made while recording would differ from a plain one. A compile tracer
  (`on_module`) comes too late: ExUnit's asynchronous test modules run from an `after_compile` callback on. So
  `elixir_module` is made to load through here instead of `code:load_binary/3`: the compiler's result stays what it is,
  only what the VM runs differs. Modules that are on their way to a file (they have a location) pass untouched; the
  load-time door gets them from there. So does the project's `mix.exs`, which is not the program.

  Test files are compiled without debug info. Their abstract forms are caught when `elixir_erl_compiler` gets them,
  and kept until the module is loaded.
  """

  alias ElixirScope.Capture.Hidden
  alias ElixirScope.Compiler.{Beam, Instrument}

  @table __MODULE__

  @doc "Makes the table for forms under way; it lives as long as the VM."
  def open do
    parent = self()
    ref = make_ref()

    spawn(fn ->
      if :ets.whereis(@table) == :undefined do
        :ets.new(@table, [:named_table, :public, :set])
      end

      send(parent, ref)
      Process.sleep(:infinity)
    end)

    receive do
      ^ref -> :ok
    end
  end

  @doc "Wraps `elixir_erl_compiler:forms/3` and `noenv_forms/3`: remembers forms that the result will not hold."
  def compiled([forms, file, opts] = args, original) do
    {module, binary} = result = original.(args)

    if match?({_, :none}, opts[:debug_info]) and recording?() do
      :ets.insert(@table, {{module, :erlang.md5(binary)}, forms, file})
    end

    result
  end

  @doc "Stands for `code:load_binary/3` in `elixir_module`."
  def load_binary(module, location, binary) do
    :code.load_binary(module, location, instrumented(module, location, binary))
  end

  defp instrumented(module, location, binary) when location in ["", ~c""] do
    with true <- recording?(),
         plan when plan != nil <- ElixirScope.Plan.current(),
         # Elixir's code, which the agent itself will run.
         false <- Hidden.note(module, binary),
         {:ok, read} <- read(module, binary),
         false <- Path.basename(read.source) == "mix.exs",
         {:ok, instrumented, _sites} <- Instrument.run(read, plan, kind: :memory) do
      instrumented
    else
      {:skip, reason} -> skipped(module, reason, binary)
      {:error, reason} -> skipped(module, reason, binary)
      _ -> binary
    end
  catch
    kind, reason -> skipped(module, {kind, reason}, binary)
  end

  defp instrumented(_module, _location, binary), do: binary

  defp read(module, binary) do
    case :ets.take(@table, {module, :erlang.md5(binary)}) do
      [{_, forms, file}] -> {:ok, %{module: module, forms: forms, options: [], source: String.to_charlist(file)}}
      [] -> Beam.read(binary)
    end
  end

  defp skipped(module, reason, binary) do
    ElixirScope.Capture.Ingestor.meta(%{what: :module_skipped, module: module, reason: reason})
    binary
  catch
    _, _ -> binary
  end

  defp recording?, do: :ets.whereis(@table) != :undefined
end
