defmodule ElixirScope.Compiler.Packaged do
  @moduledoc """
  The modules of a program that was packed to run without its project: a release, an escript.

  What is packed has mostly lost its debug information. It still lies where the compiler wrote it, on the machine where
  the package was built: a file with the same code (`:beam_lib.md5/1` leaves everything else out) is the same module.
  """

  alias ElixirScope.Capture.Ingestor
  alias ElixirScope.Compiler.{Beam, Selection}

  @index {__MODULE__, :index}
  @late "it had started before the recorder could, and ends after it: record the release's own command, bin/NAME start"
  @stripped "its modules were packed without debug information, and no build of the same code is here: record where it " <>
              "was built, or pack it with `strip_beams: [keep: [\"Dbgi\"]]` (an escript with `strip_beams: false`)"
  @elixir [:elixir, :eex, :ex_unit, :iex, :logger, :mix]

  @doc "Whether this VM runs such a program."
  @spec running?() :: boolean
  def running?, do: applications() != []

  @doc "As `Selection.modules/1`, and writes down of which applications there is nothing to instrument."
  @spec modules(map) :: [{module, charlist, Selection.kind()}]
  def modules(plan) do
    found = for {app, needs, modules} <- applications(), do: {app, needs, kind(modules), modules}
    told(found)

    for {_, _, kind, modules} <- found,
        kind != nil,
        module <- modules,
        Selection.wanted?(plan, module, kind),
        path = path(module),
        do: {module, path, kind}
  end

  @doc "The module in the file at `path`, with debug information where there is any."
  @spec read(module, charlist) :: {:ok, binary} | {:error, term}
  def read(module, path) do
    with {:ok, packed} <- Beam.file(path) do
      {:ok, if(stripped?(packed), do: twin(module, packed) || packed, else: packed)}
    end
  end

  # What was compiled by Mix, with the applications it needs: all that depends on Elixir, and is no part of it.
  defp applications do
    loaded = loaded()
    known = for {app, _, _} <- loaded, do: app
    found = for file <- files(root()), app(file) not in known, do: specification(file)
    for {app, needs, _} = one <- loaded ++ found, app not in @elixir, :elixir in needs, do: one
  end

  defp loaded do
    for {app, _, _} <- :application.loaded_applications(), app != :elixir_scope do
      {:ok, needs} = :application.get_key(app, :applications)
      {:ok, modules} = :application.get_key(app, :modules)
      {app, needs, modules}
    end
  end

  # An escript loads them as its program goes on, and `bin/app eval` none: they are on the path.
  defp files(nil), do: []

  defp files(root) do
    for folder <- :code.get_path(),
        :lists.prefix(root, folder),
        {:ok, names} <- [:erl_prim_loader.list_dir(folder)],
        name <- names,
        :filename.extension(name) == ~c".app",
        do: :filename.join(folder, name)
  end

  # What all that was packed lies in: an archive, or a folder.
  defp root do
    with {:ok, [[~c"main", name]]} <- :init.get_argument(:escript),
         path when is_list(path) <- :code.which(List.to_atom(name)) do
      :filename.dirname(path)
    else
      _ -> with false <- :os.getenv(~c"RELEASE_ROOT"), do: nil
    end
  end

  defp app(file), do: file |> :filename.basename(~c".app") |> List.to_atom()

  defp specification(file) do
    {:ok, text} = Beam.file(file)
    {:ok, tokens, _} = text |> :unicode.characters_to_list() |> :erl_scan.string()
    {:ok, {:application, app, properties}} = :erl_parse.parse_term(tokens)
    {app, properties[:applications] || [], properties[:modules] || []}
  end

  # nil: nobody knows any more.
  defp kind(modules) do
    with module when module != nil <- Enum.find(modules, &path/1),
         {:ok, binary} <- read(module, path(module)),
         [_ | _] = source <- Beam.source(binary) do
      kind_of(List.to_string(source))
    else
      _ -> nil
    end
  end

  # Mix has dependencies in a folder of this name: within the project, where that is known.
  defp kind_of(source) do
    project = Enum.find(projects(), "", &String.starts_with?(source, &1 <> "/"))
    if "deps" in Path.split(String.replace_prefix(source, project, "")), do: :dependency, else: :project
  end

  defp projects do
    for build <- builds(), Path.basename(Path.dirname(build)) == "_build", do: Path.expand("../..", build)
  end

  defp told(found) do
    # What only others need is not spoken of.
    needed = Enum.flat_map(found, &elem(&1, 1))
    running = for {app, _, _} <- :application.which_applications(), do: app

    for {app, _, kind, [_ | _]} <- found, app not in needed do
      if app in running, do: missing("the start and the end of #{app}", @late)
      if kind == nil, do: missing("calls and values of #{app}", @stripped)
    end
  end

  defp missing(subject, reason), do: Ingestor.meta(%{what: :coverage, subject: subject, reason: reason})

  defp path(module) do
    with path when is_list(path) <- :code.which(module), do: path, else: (_ -> nil)
  end

  defp stripped?(binary) do
    match?({:ok, {_, [{_, :missing_chunk}]}}, :beam_lib.chunks(binary, [~c"Dbgi"], [:allow_missing_chunks]))
  end

  defp twin(module, packed) do
    {:ok, {_, digest}} = :beam_lib.md5(packed)

    Enum.find_value(Map.get(index(), ~c"#{module}.beam", []), fn path ->
      with {:ok, binary} <- :file.read_file(path),
           {:ok, {_, ^digest}} <- :beam_lib.md5(binary),
           false <- stripped?(binary) do
        binary
      else
        _ -> nil
      end
    end)
  end

  # Which files there are of a name, in the folders that the recorder knows.
  defp index do
    with nil <- :persistent_term.get(@index, nil) do
      files =
        for build <- builds(),
            folder <- [Path.join(build, "consolidated") | applications_in(Path.join(build, "lib"))],
            name <- ls(folder),
            do: {name, Path.join(folder, List.to_string(name))}

      tap(Enum.group_by(files, &elem(&1, 0), &elem(&1, 1)), &:persistent_term.put(@index, &1))
    end
  end

  defp builds, do: "ELIXIRSCOPE_BUILDS" |> System.get_env("") |> String.split("\n", trim: true)

  defp applications_in(lib) do
    for app <- ls(lib), sub <- ["consolidated", "ebin"], do: Path.join([lib, List.to_string(app), sub])
  end

  defp ls(folder) do
    case :file.list_dir(folder) do
      {:ok, names} -> names
      {:error, _} -> []
    end
  end
end
