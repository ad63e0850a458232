defmodule ElixirScope.AST.Transformer do
  @moduledoc """
  Abstract forms of a module + a plan → the same module, telling the runtime what it does.

  Pure, but for the ids of its sites. What the program computes, the order of its effects, its exceptions and its
  tail calls stay as they are; see `ElixirScope.AST.Walker` for how. Works on Erlang's abstract format, which is
  what both Erlang and Elixir modules come down to.
  """

  alias ElixirScope.AST.{Callbacks, Forms, Patterns, Sites, Walker}
  alias ElixirScope.Capture.Redaction
  import ElixirScope.AST.InjectorHelpers, only: [generated?: 1, line: 1, site: 6]

  # Made by the compilers, called by tools, of no interest to anybody who debugs a program.
  @compiler_made [
    __info__: 1,
    __struct__: 0,
    __struct__: 1,
    __impl__: 1,
    __protocol__: 1,
    __deriving__: 3,
    __ex_unit__: 0,
    __ex_unit__: 1,
    __ex_unit__: 2,
    behaviour_info: 1,
    impl_for: 1,
    impl_for!: 1,
    struct_impl_for: 1,
    module_info: 0,
    module_info: 1
  ]

  # Before OTP 27 a process has one tracer: a program that traces gets it.
  @first_served {ElixirScope.Capture.VMTracer, :traced_by_program}

  @type level :: :off | :state | :calls | :values | :full
  @type info :: %{required(:module) => module, required(:file) => binary, optional(atom) => term}

  @doc """
  Instruments a module.

  Options:
  - `kind`: `:project` (default), `:dependency` or `:memory`, for the plan
  - `level`: `(function, arity -> level)` instead of the plan's word
  - `watched`: `(module, function -> boolean)` instead of the plan's word
  - `secret`: `(name -> boolean)` instead of the plan's words
  - `runtime`: the module that the added code calls
  - `next_site`: `(() -> id)`, the allocator of site ids
  - `file`: absolute path of the source

  `{:skip, reason}`: the module is to be left as it is.
  """
  @spec transform([tuple], map | nil, keyword) ::
          {:ok, [tuple], info, [Sites.site()]} | {:skip, atom}
  def transform(forms, plan, opts \\ []) do
    module = Forms.module(forms)

    cond do
      module == nil -> {:skip, :no_module}
      Forms.attribute?(forms, :on_load) -> {:skip, :on_load}
      Forms.attribute?(forms, :nifs) -> {:skip, :nif}
      calls_load_nif?(forms) -> {:skip, :nif}
      true -> instrument(forms, module, plan, opts)
    end
  end

  defp instrument(forms, module, plan, opts) do
    env = env(forms, module, plan, opts)
    st = %{n: 0, sites: [], line: 0, seen: MapSet.new(), next_site: opts[:next_site] || (&Sites.next/0)}
    {forms, {_, st}} = Enum.map_reduce(forms, {env, st}, &form/2)

    if st.sites == [] do
      {:skip, :nothing_selected}
    else
      info = %{module: module, file: opts[:file] || Forms.file(forms), behaviours: Forms.behaviours(forms)}
      {:ok, Forms.redirect(forms, {:erlang, :trace, 3}, @first_served), info, Enum.reverse(st.sites)}
    end
  end

  defp env(forms, module, plan, opts) do
    kind = opts[:kind] || :project
    exports = Forms.exports(forms)
    rules = plan && Redaction.rules(plan)

    %{
      module: module,
      runtime: opts[:runtime] || ElixirScope.Capture.Native.runtime(),
      level_of: opts[:level] || (&ElixirScope.Plan.level(plan, module, &1, &2, kind)),
      watched: opts[:watched] || (&ElixirScope.Plan.watched?(plan, &1, &2)),
      secret: opts[:secret] || (&Redaction.name?(&1, rules)),
      locals: MapSet.new(Forms.functions(forms)),
      callbacks: Callbacks.of(Forms.behaviours(forms), exports, Forms.state_functions?(forms)),
      test_module: {:__ex_unit__, 0} in exports,
      level: :off,
      funs: true,
      source: nil,
      foreign: false,
      line: nil,
      name: nil,
      arity: 0,
      frame: nil,
      callback: nil,
      before: nil
    }
  end

  # What follows was written in another file: by `use` of something, or in an Erlang header.
  defp form({:attribute, _, :file, {file, _}} = form, {env, st}) do
    {form, {%{env | foreign: env.source != nil and file != env.source, source: env.source || file}, st}}
  end

  # A transform that stayed in `-compile` would run again.
  defp form({:attribute, anno, :compile, options}, acc) do
    options = options |> List.wrap() |> Enum.reject(&match?({:parse_transform, _}, &1))
    {{:attribute, anno, :compile, options}, acc}
  end

  defp form({:function, _, _, _, _} = form, {env, st}) do
    {form, st} = selected(form, env, st)
    {form, {env, st}}
  end

  defp form(form, acc), do: {form, acc}

  defp selected({:function, _, name, arity, _} = form, env, st) do
    callback = env.callbacks[{name, arity}]
    level = if transformable?(name, arity), do: env.level_of.(name, arity), else: :off

    case level do
      :off -> {form, st}
      :state when callback == nil -> {form, st}
      :state -> function(form, %{env | level: :values, callback: callback, funs: false}, st)
      :calls -> function(form, %{env | level: :calls}, st)
      level when level in [:values, :full] -> function(form, %{env | level: level, callback: callback}, st)
    end
  end

  defp function({:function, anno, name, arity, clauses}, env, st) do
    line = line({:function, anno})
    env = %{env | name: name, arity: arity, line: if(env.foreign, do: line)}
    st = %{st | n: 0, line: line, seen: MapSet.new()}
    [{:clause, _, patterns, _, _} | _] = clauses
    names = Enum.map(patterns, &Patterns.parameter_name/1)
    generated = env.foreign or generated?({:function, anno}) or Enum.all?(clauses, &generated?/1)
    {site, st} = site(st, :function, env, line, names, detail(clauses, generated, env))
    {clauses, st} = Walker.framed_clauses(clauses, site, env, st)
    {{:function, anno, name, arity, clauses}, st}
  end

  defp detail(clauses, generated, env) do
    %{clauses: length(clauses), end_line: env.line || Forms.last_line(clauses)}
    |> Map.merge(if generated, do: %{generated: true}, else: %{})
    |> Map.merge(callback_detail(env.callback))
    |> Map.merge(if test?(env), do: %{test: true}, else: %{})
  end

  defp callback_detail(nil), do: %{}
  defp callback_detail(%{state_arg: nil} = callback), do: Map.take(callback, [:behaviour, :callback])
  defp callback_detail(callback), do: Map.take(callback, [:behaviour, :callback, :state_arg])

  defp test?(%{test_module: true, name: name, arity: 1}) do
    String.starts_with?(Atom.to_string(name), ["test ", "property ", "doctest "])
  end

  defp test?(_env), do: false

  defp transformable?(name, arity) do
    {name, arity} not in @compiler_made and not String.starts_with?(Atom.to_string(name), "MACRO-")
  end

  defp calls_load_nif?(forms) do
    Enum.any?(forms, fn
      {:function, _, _, _, clauses} -> load_nif?(clauses)
      _ -> false
    end)
  end

  defp load_nif?(list) when is_list(list), do: Enum.any?(list, &load_nif?/1)
  defp load_nif?({:remote, _, {:atom, _, :erlang}, {:atom, _, :load_nif}}), do: true
  defp load_nif?(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> load_nif?()
  defp load_nif?(_), do: false
end
