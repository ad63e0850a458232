defmodule ElixirScope.Compiler.MemoryDoor do
  @moduledoc """
  The door for modules that exist in memory only: test files, scripts, `Code.compile_string/1`.

  A parse transform in `ERL_COMPILER_OPTIONS` would see them all, but Elixir puts those options into the compile info
  of *every* module, so a `_build` made while recording would differ from a plain one. A compile tracer
  (`on_module`) comes too late: ExUnit's asynchronous test modules run from an `after_compile` callback on. So
  `elixir_module` is made to load through here instead of `code:load_binary/3`: the compiler's result stays what it is,
  only what the VM runs differs. Modules that are on their way to a file (they have a location) pass untouched until the
  load-time door has gone through the folder, and gets them from there: those that come later were compiled while the
  program runs, by a code reloader or `recompile`. The project's `mix.exs` passes: it is not the program.

  Test files are compiled without debug info. Their abstract forms are caught when `elixir_erl_compiler` gets them,
  and kept until the module is loaded.
  """

  alias ElixirScope.Capture.{Hidden, Meta, Native}
  alias ElixirScope.Compiler.{Beam, Cache, Instrument, Loader, Selection}

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

    if match?({_, :none}, opts[:debug_info]) and wanted(module, :memory) != nil do
      # As bytes, which take part in the name of a file of the cache, and are not copied into the table and out of it.
      :ets.insert(@table, {{module, :erlang.md5(binary)}, :erlang.term_to_binary({forms, file}), file})
    end

    result
  end

  @doc "Stands for `code:load_binary/3` in `elixir_module`."
  def load_binary(module, location, binary) do
    {code, announced} = instrumented(module, location, binary)
    result = :code.load_binary(module, location, code)
    # Written while it was loaded: nobody has run it yet but an `@on_load` of its own.
    if announced, do: Meta.written(announced)
    result
  end

  defp instrumented(module, location, binary) do
    with true <- recording?(),
         # Elixir's code, which the agent itself will run.
         false <- Hidden.note(module, binary),
         kind when kind != nil <- kind(location),
         plan when plan != nil <- wanted(module, kind),
         {original, source, read} = original(module, binary),
         false <- Path.basename(source) == "mix.exs",
         {:ok, instrumented, {info, sites}} <- prepare(original, source, read, plan, kind) do
      {instrumented, info |> Instrument.dated() |> Instrument.announcement(sites) |> Meta.begin()}
    else
      {:skip, reason} when reason != :nothing_selected -> skipped(module, reason, binary)
      _ -> {binary, nil}
    end
  catch
    kind, reason -> skipped(module, {kind, reason}, binary)
  end

  defp kind(location) when location in ["", ~c""], do: :memory
  # Nil on the way to a file that the load-time door has yet to come to.
  defp kind(location), do: Loader.kind(location)

  defp recording?, do: :ets.whereis(@table) != :undefined

  # The plan, when a module may be recorded by it.
  defp wanted(module, kind) do
    with true <- recording?(),
         plan when plan != nil <- ElixirScope.Plan.current(),
         true <- Selection.wanted?(plan, module, kind) do
      plan
    else
      _ -> nil
    end
  end

  # What the result depends on, where the source is, and how to read the module.
  defp original(module, binary) do
    case :ets.take(@table, {module, :erlang.md5(binary)}) do
      [{_, encoded, file}] ->
        source = String.to_charlist(file)

        read = fn ->
          {forms, _file} = :erlang.binary_to_term(encoded)
          {:ok, %{module: module, forms: forms, options: [], source: source, told: Beam.told(binary)}}
        end

        {encoded, source, read}

      [] ->
        {binary, Beam.source(binary), fn -> Beam.read(binary) end}
    end
  end

  # Test files hardly change from one run to the next, and compiling them again is most of what recording them costs.
  defp prepare(original, source, read, plan, kind) do
    place = Cache.place(Cache.opened(plan), original, {kind, source, Native.runtime()})

    Cache.fetch(place, fn next_site ->
      case read.() do
        {:ok, read} ->
          Instrument.prepare(read, plan, [kind: kind] ++ if(next_site, do: [next_site: next_site], else: []))

        {:error, reason} ->
          {:skip, reason}
      end
    end)
  end

  defp skipped(module, reason, binary) do
    Meta.write(%{what: :module_skipped, module: module, reason: reason})
    {binary, nil}
  catch
    _, _ -> {binary, nil}
  end
end
