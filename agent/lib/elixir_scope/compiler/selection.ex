defmodule ElixirScope.Compiler.Selection do
  @moduledoc """
  Which compiled modules there are and whose: the project's own (all applications of an umbrella) or a dependency's.
  """

  alias ElixirScope.Compiler.Packaged
  alias ElixirScope.Plan

  @type kind :: :project | :dependency | :stdlib

  @doc """
  `{module, path of its beam, kind}` of all modules that the plan may select in the current Mix project or, without one,
  in what was packed of it; none in a script.
  """
  @spec modules(map) :: [{module, charlist, kind}]
  def modules(plan), do: if(project?(), do: selected(plan), else: Packaged.modules(plan))

  # Mix may be loaded and not running: then asking it would exit.
  defp project?, do: Process.whereis(Mix.ProjectStack) != nil and Mix.Project.get() != nil

  defp selected(plan) do
    consolidated = consolidated()
    own = own_applications()

    for ebin <- ebins(),
        kind = if(application(ebin) in own, do: :project, else: :dependency),
        beam <- beams(ebin),
        module = module(beam),
        wanted?(plan, module, kind) do
      {module, String.to_charlist(Map.get(consolidated, module, beam)), kind}
    end
  end

  @doc "Whether the plan may select anything in a module: a rule for one function may, where the module is off as a whole."
  @spec wanted?(map, module, Plan.kind()) :: boolean
  def wanted?(plan, module, kind) do
    Plan.level(plan, module, kind) != :off or Enum.any?(plan.functions, &may_select?(&1, Plan.name(module)))
  end

  # The patterns of rules are anchored regular expressions; `.*` in them may stand for anything.
  defp may_select?({pattern, _level}, module) do
    source = Regex.source(pattern)
    String.contains?(source, ".*") or String.starts_with?(source, "\\A" <> Regex.escape(module <> "."))
  end

  # Applications are found on the code path, which is how the program itself will find them.
  defp ebins do
    build = Path.expand(Mix.Project.build_path()) <> "/"

    paths =
      for path <- :code.get_path(),
          path = Path.expand(List.to_string(path)),
          String.starts_with?(path, build),
          do: path

    Enum.uniq(compile_path() ++ paths) -- [Path.expand(Mix.Project.consolidation_path())]
  end

  # The root of an umbrella has none; its applications are on the code path.
  defp compile_path do
    if Mix.Project.umbrella?(), do: [], else: [Path.expand(Mix.Project.compile_path())]
  end

  defp application(ebin), do: ebin |> Path.dirname() |> Path.basename()

  defp own_applications do
    config = Mix.Project.config()
    umbrella = Map.keys(Mix.Project.apps_paths() || %{})
    siblings = for {app, _req, opts} <- deps(config), opts[:in_umbrella], do: app
    Enum.map([config[:app] | umbrella ++ siblings], &to_string/1)
  end

  defp deps(config) do
    Enum.map(config[:deps] || [], fn
      {app, opts} when is_list(opts) -> {app, nil, opts}
      {app, requirement} -> {app, requirement, []}
      {app, requirement, opts} -> {app, requirement, opts}
    end)
  end

  defp consolidated do
    for beam <- beams(Mix.Project.consolidation_path()), into: %{}, do: {module(beam), Path.expand(beam)}
  end

  defp beams(dir) do
    case File.ls(dir) do
      {:ok, files} -> for file <- Enum.sort(files), Path.extname(file) == ".beam", do: Path.join(dir, file)
      {:error, _} -> []
    end
  end

  # The atoms exist as soon as the modules are loaded; most of these will be.
  defp module(beam), do: beam |> Path.basename(".beam") |> String.to_atom()
end
