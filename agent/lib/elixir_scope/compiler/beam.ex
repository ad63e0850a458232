defmodule ElixirScope.Compiler.Beam do
  @moduledoc """
  Compiled modules as data: abstract forms out of a `.beam`, and a `.beam` out of abstract forms.

  Works on binaries, knows nothing of plans.
  """

  @typedoc "What is needed to compile a module again as it was compiled before."
  @type t :: %{module: module, forms: [tuple], options: list, source: charlist, told: [{charlist, binary}]}

  # Options that say where to read or write, or that would do something twice.
  @dropped [:outdir, :i, :d, :debug_info, :parse_transform, :encrypt_debug_info, :debug_info_key]
  # Elixir compiles from Core Erlang.
  @dropped_flags [:report, :report_errors, :report_warnings, :warnings_as_errors, :P, :E, :S] ++
                   [:to_core, :to_core0, :from_core, :no_core_prepare, :return]

  @doc "The bytes of a file, which may lie in the archive of an escript."
  @spec file(charlist) :: {:ok, binary} | {:error, :not_found}
  def file(path) do
    # By who asks: the file server would do one after the other for all of the VM. A part of an archive's path is a file.
    with {:error, :enotdir} <- :prim_file.read_file(path),
         {:ok, binary, _} <- :erl_prim_loader.get_file(path) do
      {:ok, binary}
    else
      {:ok, binary} -> {:ok, binary}
      _ -> {:error, :not_found}
    end
  end

  @doc "The names of the files in a folder, which may lie in an archive."
  @spec files(charlist) :: [charlist]
  def files(folder) do
    with {:error, :enotdir} <- :prim_file.list_dir(folder), {:ok, names} <- :erl_prim_loader.list_dir(folder) do
      names
    else
      {:ok, names} -> names
      _ -> []
    end
  end

  @doc """
  Reads a module. `{:error, reason}`: `:no_debug_info`, `:encrypted`, `:not_a_beam`.
  """
  @spec read(binary | charlist) :: {:ok, t} | {:error, atom}
  def read(beam) do
    with {:ok, {module, [debug_info: info, compile_info: compile]}} <-
           :beam_lib.chunks(beam, [:debug_info, :compile_info]),
         {:ok, forms} <- forms(module, info) do
      options = Enum.reject(compile[:options] || [], &dropped?/1)
      {:ok, %{module: module, forms: forms, options: options, source: compile[:source] || ~c"", told: told(beam)}}
    else
      {:error, :beam_lib, {:key_missing_or_invalid, _, _}} -> {:error, :encrypted}
      {:error, :beam_lib, {:missing_chunk, _, _}} -> {:error, :no_debug_info}
      {:error, :beam_lib, _} -> {:error, :not_a_beam}
      {:error, reason} -> {:error, reason}
    end
  end

  @doc "What a module says of itself when it runs: its attributes, with its version, and how it was compiled."
  @spec told(binary | charlist) :: [{charlist, binary}]
  def told(beam) do
    for id <- [~c"Attr", ~c"CInf"], {:ok, {_, [told]}} <- [:beam_lib.chunks(beam, [id])], do: told
  end

  @doc "The path of the source that a module says it was compiled from; empty when it says none."
  @spec source(binary) :: charlist
  def source(beam) do
    case :beam_lib.chunks(beam, [:compile_info]) do
      {:ok, {_, [compile_info: compile]}} -> compile[:source] || ~c""
      {:error, :beam_lib, _} -> ~c""
    end
  end

  defp forms(module, {:debug_info_v1, backend, data}) do
    case backend.debug_info(:erlang_v1, module, data, []) do
      {:ok, forms} -> {:ok, forms}
      {:error, _} -> {:error, :no_debug_info}
    end
  end

  defp forms(_module, _), do: {:error, :no_debug_info}

  defp dropped?({key, _}), do: key in @dropped
  defp dropped?({key, _, _}), do: key in @dropped
  defp dropped?(flag), do: flag in @dropped or flag in @dropped_flags

  @doc """
  Compiles forms. The result says the same of itself as the original did: ExUnit's doctests, for one, ask for its source.
  """
  @spec compile([tuple], t | %{options: list, source: charlist, told: list}) :: {:ok, binary} | {:error, term}
  def compile(forms, %{options: options, source: source, told: told}) do
    all = [:binary, :return_errors, :no_spawn_compiler_process, {:source, source} | options]

    case :compile.noenv_forms(forms, all) do
      {:ok, _module, binary} when is_binary(binary) -> {:ok, telling(binary, told)}
      {:ok, _module, binary, _warnings} when is_binary(binary) -> {:ok, telling(binary, told)}
      {:error, errors, _warnings} -> {:error, errors}
      :error -> {:error, :compiler}
    end
  end

  defp telling(binary, told) do
    {:ok, _, chunks} = :beam_lib.all_chunks(binary)
    {:ok, binary} = :beam_lib.build_module(for {id, _} = chunk <- chunks, do: List.keyfind(told, id, 0, chunk))
    binary
  end

  @doc """
  Loads modules, at once and prepared beside each other where that can be. Returns those that could not be loaded, with
  the reasons; `:in_use` where a process still runs code older than the present one.
  """
  @spec load([{module, path :: charlist, binary}]) :: [{module, term}]
  def load([]), do: []

  def load(modules) do
    with true <- Enum.all?(modules, fn {module, _, _} -> purged?(module) end),
         {:ok, prepared} <- :code.prepare_loading(modules),
         :ok <- :code.finish_loading(prepared) do
      []
    else
      _ -> for {module, _, _} = one <- modules, {:error, reason} <- [load_one(one)], do: {module, reason}
    end
  end

  defp load_one({module, path, binary}) do
    with true <- purged?(module) || {:error, :in_use}, do: :code.load_binary(module, path, binary)
  end

  # Beside old code alone a module can be loaded, and the old code stays. The code server need not be asked for each: most
  # modules have none.
  defp purged?(module) do
    not (:erlang.module_loaded(module) and :erlang.check_old_code(module)) or :code.soft_purge(module)
  end

  @doc "As `:code.load_binary/3`, of a module that is a part of OTP."
  @spec unstuck(module, charlist, binary) :: {:module, module} | {:error, term}
  def unstuck(module, path, binary) do
    sticky? = :code.is_sticky(module)
    if sticky?, do: :code.unstick_mod(module)
    loaded = :code.load_binary(module, path, binary)
    if sticky?, do: :code.stick_mod(module)
    loaded
  end

  @sites ~c"EScS"
  # What makes up the code; everything else says something about it.
  @code [~c"AtU8", ~c"Atom", ~c"Code", ~c"StrT", ~c"ImpT", ~c"ExpT", ~c"FunT", ~c"LitT", ~c"LocT", ~c"Line", ~c"Type"]

  @doc """
  A file that runs `instrumented` and says the rest (docs, debug info, attributes, compile info) as `original` does.
  It carries `{info, sites}` in a chunk of its own.
  """
  @spec merge(binary, binary, {map, list}) :: binary
  def merge(original, instrumented, announcement) do
    {:ok, _, told} = :beam_lib.all_chunks(original)
    {:ok, _, code} = :beam_lib.all_chunks(instrumented)

    chunks =
      Enum.filter(code, fn {id, _} -> id in @code end) ++
        Enum.reject(told, fn {id, _} -> id in @code end) ++
        [{@sites, :erlang.term_to_binary(announcement, [:deterministic])}]

    {:ok, binary} = :beam_lib.build_module(chunks)
    binary
  end

  @doc "What `merge/3` left in a file; nil when it is a plain one."
  @spec announcement(binary | charlist) :: {map, list} | nil
  def announcement(beam) do
    case :beam_lib.chunks(beam, [@sites]) do
      {:ok, {_, [{_, data}]}} -> :erlang.binary_to_term(data)
      {:error, :beam_lib, _} -> nil
    end
  end
end
