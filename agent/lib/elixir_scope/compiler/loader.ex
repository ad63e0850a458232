defmodule ElixirScope.Compiler.Loader do
  @moduledoc """
  The load-time door: modules are read from their `.beam` files, instrumented in memory and loaded over the originals,
  as OTP's `cover` does. Nothing on disk changes.
  """

  alias ElixirScope.Capture.{Ingestor, Meta, Native, Redaction}
  alias ElixirScope.Compiler.{Beam, Cache, Counterparts, Instrument, Packaged, Selection}
  alias ElixirScope.Plan

  @armed {__MODULE__, :armed}
  @folders {__MODULE__, :folders}
  # 600 KB: with more, the compiler's garbage does not fit into the caches of a processor.
  @heap_words 75_000
  # Their source is not the user's, but their states are: of an Agent, of dynamic supervisors.
  @stdlib [Agent.Server, DynamicSupervisor]
  # Structs of Elixir that most programs have in their values.
  @common [MapSet, Regex, Range, Date, Time, DateTime, NaiveDateTime, URI, Version, Stream, Task, Macro.Env] ++
            [Inspect.Opts, File.Stat, ArgumentError, RuntimeError, KeyError, MatchError, FunctionClauseError] ++
            [UndefinedFunctionError, ExUnit.AssertionError]

  @doc """
  Instruments every module that the plan selects and that is not yet. Returns how many were, this time.
  """
  @spec arm() :: non_neg_integer
  def arm do
    case Plan.current() do
      nil -> 0
      plan -> if Plan.records_code?(plan), do: arm(plan, Selection.modules(plan) ++ stdlib(plan)), else: armed(0)
    end
  end

  @doc "The same for given modules: `{module, beam path, kind}`."
  @spec arm(map, [{module, charlist, Selection.kind()}]) :: non_neg_integer
  def arm(plan, modules) do
    done = armed()
    todo = Enum.reject(modules, fn {module, _, _} -> is_map_key(done, module) end)
    cache = if todo != [], do: Cache.opened(plan)

    results = apart(fn -> todo |> instrumented(plan, cache) |> loaded(plan) end)
    Cache.trim(cache)
    new = for {module, beam, :ok} <- results, into: %{}, do: {module, beam}
    :persistent_term.put(@armed, Map.merge(done, new))
    :persistent_term.put(@folders, Map.merge(folders(), folders(todo)))

    for {module, _, {:skip, reason}} <- results, reason != :nothing_selected do
      Ingestor.meta(%{what: :module_skipped, module: module, reason: reason})
    end

    armed(map_size(new))
  end

  defp armed(count) do
    Ingestor.meta(%{what: :armed, count: count})
    count
  end

  @doc "The modules that run instrumented, with the files they came from."
  @spec armed() :: %{module => charlist}
  def armed, do: :persistent_term.get(@armed, %{})

  @doc "Once modules have been armed: those too that were compiled since, and wait to be loaded when they are called."
  @spec arm_again() :: non_neg_integer
  def arm_again do
    if folders() == %{} do
      0
    else
      :persistent_term.put(@armed, Map.filter(armed(), fn {module, _} -> :erlang.module_loaded(module) end))
      arm()
    end
  end

  @doc "Whose the modules in the folder of this file are; nil before any of them was instrumented, or of other folders."
  @spec kind(charlist) :: Plan.kind() | nil
  def kind(beam), do: Map.get(folders(), beam |> :filename.dirname() |> :filename.absname())

  defp folders, do: :persistent_term.get(@folders, %{})

  defp folders(modules) do
    for {_, beam, kind} <- modules, kind != :stdlib, into: %{}, do: {:filename.dirname(beam), kind}
  end

  @doc "Loads the originals again."
  @spec detach() :: :ok
  def detach do
    for {module, beam} <- armed(), {:ok, binary} <- [File.read(beam)], :code.soft_purge(module) do
      :code.load_binary(module, beam, binary)
    end

    :persistent_term.put(@armed, %{})
    :persistent_term.put(@folders, %{})
    :ok
  end

  # By processes that last, of which each takes the next module: their memory is at hand for the processor, and is not
  # begun anew, and grown, for each. It may be more than the program's processes are allowed (`+hmax`). They keep no results, which would be collected as garbage again and again.
  defp instrumented(modules, plan, cache) do
    modules = List.to_tuple(modules)
    taken = :atomics.new(1, [])
    caller = self()

    instrument = fn n ->
      {module, beam, kind} = elem(modules, n)
      send(caller, {taken, {module, beam, instrument(module, beam, kind, plan, cache)}})
    end

    work = fn -> each_taken(taken, tuple_size(modules), instrument) end

    workers =
      for _ <- 1..min(System.schedulers_online(), tuple_size(modules))//1,
          do: :erlang.spawn_opt(work, [:monitor, min_heap_size: @heap_words, max_heap_size: 0])

    # A worker's messages come before what tells of its end.
    Enum.each(workers, &ended/1)
    received(taken)
  end

  defp each_taken(taken, count, fun) do
    n = :atomics.add_get(taken, 1, 1) - 1

    if n < count do
      fun.(n)
      each_taken(taken, count, fun)
    end
  end

  defp ended({pid, ref}) do
    receive do
      {:DOWN, ^ref, :process, ^pid, :normal} -> :ok
      {:DOWN, ^ref, :process, ^pid, reason} -> exit(reason)
    end
  end

  defp received(taken) do
    receive do
      {^taken, result} -> [result | received(taken)]
    after
      0 -> []
    end
  end

  # All at once: each time code is loaded, the VM makes a new table of all functions there are; each time somebody
  # writes, a thread of the VM is woken.
  defp loaded(results, plan) do
    Meta.put(for {_, _, {:load, _, announcement, _}} <- results, frame <- announcement, do: frame)
    Counterparts.register(for {_, _, {:load, _, _, registered}} <- results, registered != nil, do: registered)

    failed =
      Map.new(Beam.load(for {module, beam, {:load, code, _, _}} <- results, code != nil, do: {module, beam, code}))

    # An event with a struct not met before goes by a collector, which costs the program many times as much.
    structs = for {module, _, _} <- results, may_be_struct?(module), do: module
    Redaction.learn(structs ++ @common, Redaction.rules(plan))

    for {module, beam, result} <- results do
      case {result, failed} do
        {{:load, _, _, _}, %{^module => :in_use}} -> {module, beam, {:skip, :old_code_in_use}}
        {{:load, _, _, _}, %{^module => reason}} -> {module, beam, {:skip, reason}}
        {{:load, _, _, _}, _} -> {module, beam, :ok}
        _ -> {module, beam, result}
      end
    end
  end

  # A module without functions of its own is not loaded yet.
  defp may_be_struct?(module), do: function_exported?(module, :__struct__, 0) or not :erlang.module_loaded(module)

  defp instrument(module, beam, kind, plan, cache) do
    with {:ok, original} <- read(module, beam),
         nil <- Beam.announcement(original),
         :ok <- replaceable(module),
         place = Cache.place(cache, original, {kind, Native.runtime()}),
         {:ok, binary, {info, sites}} = entry <- prepare(module, original, kind, plan, place) do
      kept = Cache.kept(place)
      made = if kept, do: {:kept, kept}, else: {:entry, entry}
      registered = {module, beam, :code.module_md5(original), kind, made}
      {:load, binary, Instrument.announcement(info, sites), registered}
    else
      # The compile-time door was here before.
      {%{} = info, sites} -> {:load, nil, Instrument.announcement(info, sites), nil}
      {:error, reason} -> {:skip, reason}
      {:skip, reason} -> {:skip, reason}
    end
  catch
    kind, reason -> {:skip, {kind, reason}}
  end

  defp read(module, beam) do
    with {:error, _} <- Packaged.read(module, beam), do: {:error, :not_a_beam}
  end

  defp prepare(module, original, kind, plan, place) do
    made =
      Cache.fetch(place, fn next_site ->
        with {:ok, read} <- Beam.read(original) do
          Instrument.prepare(read, plan, opts(module, kind) ++ if(next_site, do: [next_site: next_site], else: []))
        else
          {:error, reason} -> {:skip, reason}
        end
      end)

    # The source may be another by now, or in another place.
    with {:ok, binary, {info, sites}} <- made, do: {:ok, binary, {Instrument.dated(info), sites}}
  end

  defp opts(module, :stdlib) when module in @stdlib, do: [kind: :dependency, level: fn _, _ -> :state end]
  defp opts(_module, kind), do: [kind: kind]

  # Asked of a module that is not loaded, the code server would look through its whole path.
  defp replaceable(module) do
    if :erlang.module_loaded(module), do: replaceable(module, :code.which(module)), else: :ok
  end

  defp replaceable(_module, :cover_compiled), do: {:skip, :cover}
  defp replaceable(_module, :preloaded), do: {:skip, :preloaded}
  defp replaceable(module, _file), do: if(:code.is_sticky(module), do: {:skip, :sticky}, else: :ok)

  defp stdlib(plan) do
    for module <- @stdlib, Plan.level(plan, module, :project) != :off, do: {module, :code.which(module), :stdlib}
  end

  # In a process of its own: the caller is the user's, and must find neither messages nor links afterwards.
  defp apart(fun) do
    {pid, ref} = :erlang.spawn_opt(fn -> exit({:results, fun.()}) end, [:monitor, max_heap_size: 0])

    receive do
      {:DOWN, ^ref, :process, ^pid, {:results, results}} -> results
      {:DOWN, ^ref, :process, ^pid, reason} -> exit(reason)
    end
  end
end
