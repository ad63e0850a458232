defmodule ElixirScope.Capture.Hidden do
  @moduledoc """
  The fields of a struct that its author hides from `inspect/2` with `@derive {Inspect, only: …}` or `except: …`.

  They are nowhere to be read but in the derived implementation: it is asked to show a blank struct. Only a derived
  one is asked, known by what it calls, which is Elixir's own and pure: no code of the program runs in the agent. Of
  a struct that is in memory only (of a script, of a test file) it is known when `note/2` saw it on its way there.
  """

  alias ElixirScope.Capture.Redaction
  alias ElixirScope.Compiler.Beam

  # All that the implementations derived by Elixir 1.14 and later call, besides the struct's own `__info__/1`.
  @pure [
    {Inspect.Any, :inspect, 4},
    {Inspect.Map, :inspect, 4},
    {Inspect.Map, :inspect_as_map, 2},
    {Inspect.Map, :inspect_as_struct, 4},
    {Inspect.Any, :inspect_as_struct, 4},
    {Macro, :inspect_atom, 2},
    {Map, :get, 2},
    {:maps, :get, 2},
    {:maps, :get, 3},
    {:lists, :member, 2},
    {:lists, :reverse, 1},
    {Enum, :reduce, 3},
    {:erlang, :"=:=", 2},
    {:erlang, :==, 2},
    {:erlang, :error, 1},
    {:erlang, :error, 2},
    {:erlang, :get_module_info, 1},
    {:erlang, :get_module_info, 2}
  ]

  @doc """
  The hidden fields of struct module `module`; none when that cannot be told.

  `:all` where it hides some and is not loaded yet: a struct can be made without its module, and loading it is the
  program's business.
  """
  @spec fields(module) :: [atom] | :all
  def fields(module) do
    impl = Module.concat(Inspect, module)

    cond do
      not (on_disk?(impl, module) or Redaction.noted?({:derived, impl})) -> []
      :code.is_loaded(module) == false -> :all
      true -> hidden(impl, module)
    end
  end

  defp hidden(impl, module) do
    names = for %{field: field} <- module.__info__(:struct) || [], do: field
    names -- shown(impl, module, names)
  rescue
    # Of another version of Elixir than those that are known.
    _ -> []
  end

  @doc "Remembers a module that is loaded from memory when it is a derived implementation; whether it is one."
  @spec note(module, binary) :: boolean
  def note(impl, binary) do
    case Atom.to_string(impl) do
      "Elixir.Inspect." <> name -> derived?(binary, Module.concat([name])) and Redaction.note({:derived, impl})
      _ -> false
    end
  end

  # Most structs have none. Their own folder is looked into each time: it may have been compiled just now. What others
  # hold is known: to look for a file in each of them takes longer than all else that is done for a struct.
  defp on_disk?(impl, module) do
    file = ~c"#{impl}.beam"
    own = own(module)
    folders = own ++ Enum.filter(others() -- own, &holds?(&1, file))
    Enum.any?(folders, &derived_in?(:filename.join(&1, file), module))
  end

  # Of a module that is not loaded, the code server would look for it.
  defp own(module) do
    with true <- :erlang.module_loaded(module), path when is_list(path) <- :code.which(module) do
      [:filename.dirname(path)]
    else
      _ -> []
    end
  end

  defp derived_in?(path, module) do
    with {:ok, binary} <- Beam.file(path), do: derived?(binary, module), else: (_ -> false)
  end

  # What Erlang brings has none, unless all is packed together.
  defp others do
    erlang = if :os.getenv(~c"RELEASE_ROOT") == false, do: erlang(), else: []
    Enum.reject(:code.get_path(), fn folder -> Enum.any?(erlang, &:lists.prefix(&1, folder)) end)
  end

  defp holds?(folder, file) do
    cond do
      # Another one, when the program goes elsewhere.
      :filename.pathtype(folder) != :absolute -> true
      Redaction.noted?({:listed, folder}) -> Redaction.noted?({:file, folder, file})
      true -> file in list(folder)
    end
  end

  defp list(folder) do
    files = Enum.filter(Beam.files(folder), &:lists.prefix(~c"Elixir.Inspect.", &1))
    Enum.each(files, &Redaction.note({:file, folder, &1}))
    Redaction.note({:listed, folder})
    files
  end

  defp erlang do
    with folder when is_list(folder) <- :code.lib_dir(:kernel),
         do: [:filename.dirname(folder) ++ ~c"/"],
         else: (_ -> [])
  end

  defp derived?(binary, module) do
    with {:ok, {_, [imports: imports]}} <- :beam_lib.chunks(binary, [:imports]) do
      Enum.all?(imports, &(&1 in @pure or &1 == {module, :__info__, 1})) and
        Enum.any?(imports, &match?({Inspect.Any, _, 4}, &1))
    else
      _ -> false
    end
  end

  defp shown(impl, module, names) do
    blank = Map.new([{:__struct__, module} | Enum.with_index(names, 1_000_000_007)])
    texts = impl.inspect(blank, %Inspect.Opts{limit: :infinity}) |> texts()
    for name <- names, Macro.inspect_atom(:key, name) in texts, do: name
  end

  # The strings in a document of Inspect.Algebra, whatever nodes it has.
  defp texts(text) when is_binary(text), do: [text]
  defp texts(node) when is_tuple(node), do: node |> Tuple.to_list() |> Enum.flat_map(&texts/1)
  defp texts([head | tail]), do: texts(head) ++ texts(tail)
  defp texts(_), do: []
end
