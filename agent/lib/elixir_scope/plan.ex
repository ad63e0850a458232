defmodule ElixirScope.Plan do
  @moduledoc """
  The plan in force: what to record of which module (`docs/format.md`, "The plan as the agent reads it").

  Levels, each including those before it: `:off`, `:state` (OTP callbacks with their states), `:calls`,
  `:values`, `:full`.
  """

  @type level :: :off | :state | :calls | :values | :full
  @type kind :: :project | :dependency | :memory
  @type t :: map

  @key {__MODULE__, :current}
  @levels [:off, :state, :calls, :values, :full]

  @defaults %{
    version: 1,
    intent: :debug,
    modules: [],
    functions: [],
    default: :full,
    dependencies: :off,
    messages: true,
    lifecycle: true,
    scheduling: false,
    memory: false,
    watch: [],
    every_call: [],
    first: %{},
    budgets: %{argument: 512, binding: 512, state: 8192, message: 1024, reason: 4096},
    redact: %{keys: [], modules: []},
    limits: %{
      collector_events: 200_000,
      memory_bytes: 67_108_864,
      calls_per_second: 5_000,
      calls_percent: 8,
      overhead_percent: 50,
      step_after_ms: 2_000,
      step_back_ms: 10_000
    }
  }

  @doc "Reads the plan at `path`. The error is one sentence that names the file and, for a syntax error, the line."
  @spec load(charlist | binary) :: {:ok, t} | {:error, binary}
  def load(path) do
    case consult(path) do
      {:ok, [plan]} when is_map(plan) -> check(plan, path)
      {:ok, _} -> {:error, "the plan #{path} does not hold one map"}
      {:error, {line, _, _} = at} when is_integer(line) -> {:error, syntax(path, line, at)}
      {:error, {{line, _}, _, _} = at} -> {:error, syntax(path, line, at)}
      {:error, reason} -> {:error, "the plan #{path} cannot be read: #{:file.format_error(reason)}"}
    end
  end

  # As `:file.consult/1`, which takes long: it sends the file from process to process, a line at a time.
  defp consult(path) do
    with {:ok, bytes} <- :prim_file.read_file(path),
         text when is_list(text) <- :unicode.characters_to_list(bytes),
         {:ok, tokens, _} <- :erl_scan.string(text),
         [_ | _] = terms <- terms(tokens) do
      {:ok, terms}
    else
      {:error, reason, line} when is_integer(line) -> {:error, reason}
      {:error, reason} -> {:error, reason}
      [] -> {:ok, []}
      _ -> {:error, :invalid_unicode}
    end
  end

  defp terms([]), do: []

  defp terms(tokens) do
    {one, rest} = Enum.split_while(tokens, &(not match?({:dot, _}, &1)))
    {dot, rest} = Enum.split(rest, 1)

    with {:ok, term} <- :erl_parse.parse_term(one ++ dot),
         others when is_list(others) <- terms(rest),
         do: [term | others]
  end

  defp syntax(path, line, at), do: "the plan #{path} is wrong in line #{line}: #{:file.format_error(at)}"

  defp check(%{version: 1} = plan, path) do
    merged =
      Map.merge(@defaults, plan, fn
        key, %{} = default, %{} = given when key in [:budgets, :redact, :limits] -> Map.merge(default, given)
        _, _, given -> given
      end)

    case Enum.find_value(checks(), fn {key, valid?} -> unless valid?.(Map.get(merged, key)), do: key end) do
      nil -> {:ok, compile(merged)}
      key -> {:error, "the plan #{path} is wrong at #{key}: #{inspect(Map.get(merged, key), limit: 5)}"}
    end
  end

  defp check(plan, path) do
    {:error, "the plan #{path} has version #{inspect(Map.get(plan, :version))}, this agent reads version 1"}
  end

  defp checks do
    rules = fn rules ->
      is_list(rules) and Enum.all?(rules, &match?({p, l} when is_binary(p) and l in @levels, &1))
    end

    numbers = fn map -> is_map(map) and Enum.all?(map, fn {_, n} -> is_integer(n) and n >= 0 end) end

    [
      modules: rules,
      functions: rules,
      default: &(&1 in @levels),
      dependencies: &(&1 in @levels),
      messages: &is_boolean/1,
      lifecycle: &is_boolean/1,
      scheduling: &is_boolean/1,
      memory: &is_boolean/1,
      watch: fn watch -> is_list(watch) and Enum.all?(watch, &match?({m, f} when is_atom(m) and is_atom(f), &1)) end,
      every_call: &(is_list(&1) and Enum.all?(&1, fn name -> is_binary(name) end)),
      first: fn first ->
        is_map(first) and
          Enum.all?(first, fn {module, fields} ->
            is_atom(module) and is_list(fields) and Enum.all?(fields, &is_atom/1) and :__struct__ not in fields and
              Enum.uniq(fields) == fields
          end)
      end,
      budgets: numbers,
      limits: numbers,
      redact: fn redact ->
        is_map(redact) and is_list(redact[:keys]) and Enum.all?(redact[:keys], &is_binary/1) and
          is_list(redact[:modules]) and Enum.all?(redact[:modules], &is_binary/1)
      end
    ]
  end

  defp compile(plan) do
    %{
      plan
      | modules: Enum.map(plan.modules, &rule/1),
        functions: Enum.map(plan.functions, &rule/1),
        every_call: Enum.map(plan.every_call, &pattern/1),
        redact: %{plan.redact | modules: Enum.map(plan.redact.modules, &pattern/1)}
    }
  end

  defp rule({text, level}), do: {pattern(text), level}

  # `*` is any run of characters; everything else stands for itself.
  defp pattern(text) do
    source = text |> :binary.split("*", [:global]) |> Enum.map_join(".*", &Regex.escape/1)
    Regex.compile!("\\A" <> source <> "\\z")
  end

  @doc "The plan in force; nil when nothing is recorded."
  @spec current() :: t | nil
  def current, do: :persistent_term.get(@key, nil)

  @doc "Puts a plan into force."
  def put(plan), do: :persistent_term.put(@key, plan)

  @doc "How much to record of a module."
  @spec level(t, module, kind) :: level
  def level(plan, module, kind) do
    case first(plan.modules, name(module)) do
      nil when kind == :dependency -> plan.dependencies
      nil -> plan.default
      level -> level
    end
  end

  @doc "How much to record of a function."
  @spec level(t, module, atom, arity, kind) :: level
  def level(%{functions: []} = plan, module, _function, _arity, kind), do: level(plan, module, kind)

  def level(plan, module, function, arity, kind) do
    first(plan.functions, "#{name(module)}.#{function}/#{arity}") || level(plan, module, kind)
  end

  @doc "Whether any code may be recorded."
  @spec records_code?(t) :: boolean
  def records_code?(plan) do
    Enum.any?(
      [plan.default, plan.dependencies | Enum.map(plan.modules ++ plan.functions, &elem(&1, 1))],
      &(&1 != :off)
    )
  end

  @doc "Whether nothing is recorded but the lives of processes and the tests."
  @spec lives_only?(t) :: boolean
  def lives_only?(plan), do: not (records_code?(plan) or plan.messages or plan.scheduling)

  @doc "Whether calls of this module are recorded however many there are."
  @spec every_call?(t, module) :: boolean
  def every_call?(plan, module), do: Enum.any?(plan.every_call, &Regex.match?(&1, name(module)))

  @doc "Whether a rule for modules names this one: only then are dependencies and OTP looked at one by one."
  @spec named?(t, module) :: boolean
  def named?(plan, module), do: first(plan.modules, name(module)) != nil

  @doc "A module as `inspect/1` writes it; of most without loading all that this takes."
  @spec name(module) :: binary
  def name(module) do
    with "Elixir." <> name <- Atom.to_string(module),
         true <- alias?("." <> name) and not match?("Elixir" <> _, name) do
      name
    else
      _ -> inspect(module)
    end
  end

  defp alias?(<<".", first, rest::binary>>) when first in ?A..?Z, do: alias?(rest)

  defp alias?(<<next, rest::binary>>) when next in ?a..?z or next in ?A..?Z or next in ?0..?9 or next == ?_,
    do: alias?(rest)

  defp alias?(rest), do: rest == ""

  defp first(rules, name) do
    Enum.find_value(rules, fn {pattern, level} -> if Regex.match?(pattern, name), do: level end)
  end

  @doc "Whether calls of `module.function` are recorded where they are made."
  @spec watched?(t, module, atom) :: boolean
  def watched?(plan, module, function) do
    Enum.any?(plan.watch, fn {m, f} -> m == module and (f == :_ or f == function) end)
  end
end
