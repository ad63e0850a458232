defmodule ElixirScope.Compiler.Rewrite do
  @moduledoc """
  Puts hooks into a module that is part of Elixir itself, in memory only.

  The project that is recorded must not be changed and Elixir has no events for what we need to know (applications
  are compiled and about to start; a test ends; the VM halts). So the few functions concerned are wrapped.
  """

  alias ElixirScope.AST.Forms
  alias ElixirScope.Boot
  alias ElixirScope.Compiler.{Beam, Packaged}

  @type edit ::
          {:wrap, name :: atom, arity, {module, atom}}
          | {:before, name :: atom, arity, {module, atom}}
          | {:redirect, from :: {module, atom, arity}, to :: {module, atom}}

  @doc """
  Loads modules with these edits:

  - `{:wrap, name, arity, {m, f}}`: calls of the function become `m.f(arguments, original)`, where `original` is a
    fun that takes the list of arguments
  - `{:before, name, arity, {m, f}}`: `m.f(arguments)` is called before each call of the function
  - `{:redirect, {m1, f1, arity}, {m2, f2}}`: calls of the one function by the module go to the other

  A path is that of the module's file. Functions that this version of a module does not have are ignored when at least
  one edit applies. Returns the modules that could not be edited or loaded, with the reasons.
  """
  @spec load([{module, path :: charlist, [edit]}]) :: [{module, term}]
  def load(modules) do
    made = for {module, beam, edits} <- modules, do: {module, beam, edited(module, beam, edits)}
    failed = for {module, _, {:error, reason}} <- made, do: {module, reason}
    failed ++ Beam.load(for {module, beam, {:ok, binary}} <- made, do: {module, beam, binary})
  end

  @doc "What `load/1` loads. Kept: compiling takes a good part of the start of a small test run, for always the same."
  @spec edited(module, charlist, [edit]) :: {:ok, binary} | {:error, term}
  def edited(module, beam, edits) do
    with {:ok, original} <- Packaged.read(module, beam),
         cached = cached(module, original, edits),
         :none <- kept(cached),
         {:ok, read} <- Beam.read(original),
         # A release loads nothing by itself.
         :ok <- Boot.transforming(),
         {:ok, forms} <- edit(read.forms, edits),
         {:ok, binary} <- Beam.compile(forms, read) do
      keep(cached, binary)
      {:ok, binary}
    end
  catch
    kind, reason -> {:error, {kind, reason}}
  end

  # Beside the agent's own code: whoever may write there can change the agent anyway.
  defp cached(module, original, edits) do
    key = :erlang.md5([original, :erlang.term_to_binary(edits), __MODULE__.module_info(:md5)])
    # Without `Base`: it takes 3 ms to load.
    name = [Atom.to_string(module), ?-, :binary.encode_hex(key), ".hook"]
    :filename.join(:filename.dirname(:code.which(__MODULE__)), :erlang.iolist_to_binary(name))
  end

  # Other VMs may start at the same time: the file is there as a whole or not at all. Without it, all works as well.
  defp keep(path, binary) do
    temporary = "#{path}.#{:os.getpid()}"
    with :ok <- :file.write_file(temporary, [:erlang.md5(binary), binary]), do: :file.rename(temporary, path)
  end

  # The disk may have been full then.
  defp kept(path) do
    with {:ok, <<sum::binary-size(16), binary::binary>>} <- :prim_file.read_file(path), ^sum <- :erlang.md5(binary) do
      {:ok, binary}
    else
      _ -> :none
    end
  end

  @doc "Applies edits to forms. `{:error, :no_such_function}` when none of them applies."
  @spec edit([tuple], [edit]) :: {:ok, [tuple]} | {:error, :no_such_function}
  def edit(forms, edits) do
    case Enum.reduce(edits, forms, &apply_edit/2) do
      ^forms -> {:error, :no_such_function}
      edited -> {:ok, edited}
    end
  end

  defp apply_edit({:wrap, name, arity, wrapper}, forms) do
    Enum.flat_map(forms, fn
      {:function, anno, ^name, ^arity, clauses} ->
        original = :"#{name} without elixirscope"
        [wrapping(name, arity, original, wrapper), {:function, anno, original, arity, clauses}]

      form ->
        [form]
    end)
  end

  defp apply_edit({:before, name, arity, before}, forms) do
    for form <- forms do
      with {:function, anno, ^name, ^arity, clauses} <- form,
           do: {:function, anno, name, arity, for(clause <- clauses, do: preceded(clause, before))}
    end
  end

  defp apply_edit({:redirect, from, to}, forms), do: Forms.redirect(forms, from, to)

  # Each argument gets a name besides its pattern.
  defp preceded({:clause, anno, patterns, guards, body}, {module, function}) do
    variables = for i <- 1..length(patterns)//1, do: {:var, 0, :"Argument#{i}"}
    patterns = for {pattern, variable} <- Enum.zip(patterns, variables), do: {:match, 0, pattern, variable}
    list = List.foldr(variables, {nil, 0}, &{:cons, 0, &1, &2})
    call = {:call, 0, {:remote, 0, {:atom, 0, module}, {:atom, 0, function}}, [list]}
    {:clause, anno, patterns, guards, [call | body]}
  end

  defp wrapping(name, arity, original, {module, function}) do
    variables = for i <- 1..arity//1, do: {:var, 0, :"Argument#{i}"}
    list = List.foldr(variables, {nil, 0}, &{:cons, 0, &1, &2})
    inner = {:clause, 0, [list], [], [{:call, 0, {:atom, 0, original}, variables}]}
    call = {:call, 0, {:remote, 0, {:atom, 0, module}, {:atom, 0, function}}, [list, {:fun, 0, {:clauses, [inner]}}]}
    {:function, 0, name, arity, [{:clause, 0, variables, [], [call]}]}
  end
end
