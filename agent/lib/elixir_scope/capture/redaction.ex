defmodule ElixirScope.Capture.Redaction do
  @moduledoc """
  Replaces secrets before they are written: values under keys, struct fields, keywords and variables whose name
  contains one of the plan's rules. Runs in the collector, inside the VM, on terms already cut to their budget.
  """

  alias ElixirScope.Capture.{Hidden, Native}

  @redacted {:"$elixirscope", :redacted}
  # What is longer is no name; its beginning may still be one.
  @name_bytes 200
  # Characters of a list that was cut, each of which takes seven of the budget: from so many on they tell.
  @shown 24
  @table :elixir_scope_secret_sites

  @typedoc "Parts of names, in lower case, and patterns over names of struct modules; nil when nothing is a secret."
  @type rules :: %{words: [binary | :binary.cp()], modules: [Regex.t()]} | nil

  @doc "What a plan says is secret."
  @spec rules(ElixirScope.Plan.t()) :: rules
  def rules(%{redact: %{keys: [], modules: []}}), do: nil
  def rules(%{redact: redact}), do: %{words: Enum.map(redact.keys, &lower/1), modules: redact.modules}

  # What Elixir knows of other letters takes 3 ms to load.
  defp lower(name) do
    String.downcase(name, if(:lists.all(&(&1 < 128), :erlang.binary_to_list(name)), do: :ascii, else: :default))
  end

  @doc "Makes the table of sites whose variables are secret; owned by the caller."
  def create, do: :ets.new(@table, [:named_table, :public, read_concurrency: true])

  @doc """
  Remembers which positions of a site's value tuple are secret, by the names of its variables, and which arguments of
  a function, for stack traces that show them.
  """
  @spec note_sites(module, [tuple], rules) :: :ok
  def note_sites(_module, _sites, nil), do: :ok

  def note_sites(module, sites, rules) do
    rules = compiled(rules)

    for {id, kind, function, arity, _, vars, detail} <- sites, kind in [:function, :fn, :bind] do
      secret = positions_of(vars, rules)
      if kind == :function and secret != [], do: :ets.insert(@table, {{module, function, arity}, secret})

      # The arguments of a callback are recorded without its state.
      secret =
        if detail[:state_arg], do: vars |> List.delete_at(detail.state_arg - 1) |> positions_of(rules), else: secret

      if secret != [] do
        :ets.insert(@table, {id, secret})
        Native.secret_site(id)
      end
    end

    :ok
  rescue
    # The agent has ended, and the table with it.
    ArgumentError -> :ok
  end

  @doc "Remembers a fact that redaction needs; whether there is a recording to need it."
  @spec note(term) :: boolean
  def note(fact) do
    :ets.insert(@table, {fact, true})
  rescue
    ArgumentError -> false
  end

  @doc "As `note/1`; whether nobody has noted it before."
  @spec note_first(term) :: boolean
  def note_first(fact) do
    :ets.insert_new(@table, {fact, true})
  rescue
    ArgumentError -> false
  end

  @doc "Whether a fact was noted."
  @spec noted?(term) :: boolean
  def noted?(fact) do
    :ets.member(@table, fact)
  rescue
    ArgumentError -> false
  end

  # Of many names: to look for several words begins with making one pattern of them, each time. A pattern has no empty word.
  defp compiled(%{words: words} = rules) do
    if words == [] or "" in words, do: rules, else: %{rules | words: [:binary.compile_pattern(words)]}
  end

  defp positions_of(vars, rules) do
    for {name, n} <- Enum.with_index(vars), secret?(lower(name), rules), do: n
  end

  @doc "What stands for a secret."
  def mark, do: @redacted

  @doc "Whether it is the name of a secret."
  @spec name?(binary, rules) :: boolean
  def name?(_name, nil), do: false
  def name?(name, rules), do: name |> lower() |> secret?(rules)

  @doc "The term without secrets, and whether there were any."
  @spec redact(term, non_neg_integer, rules) :: {term, boolean}
  def redact(term, _site, nil), do: {term, false}

  def redact(term, site, rules) when is_tuple(term) and site > 0, do: redact_at(term, positions(site), rules)
  def redact(term, _site, rules), do: redact_at(term, [], rules)

  @doc "As `redact/3`, of a site with these `positions/1`."
  @spec redact_at(term, [non_neg_integer], rules) :: {term, boolean}
  def redact_at(term, _secret, nil), do: {term, false}

  def redact_at(term, secret, rules) do
    clean = term |> blot(secret) |> walk(rules)
    {clean, clean !== term}
  end

  @doc "Which positions of the value tuple of a site are secret."
  @spec positions(non_neg_integer) :: [non_neg_integer]
  def positions(key) do
    case :ets.lookup(@table, key) do
      [{_, secret}] -> secret
      [] -> []
    end
  end

  defp blot(term, [n | secret]) when is_tuple(term) and n < tuple_size(term),
    do: term |> put_elem(n, @redacted) |> blot(secret)

  defp blot(term, [_ | secret]), do: blot(term, secret)
  defp blot(term, []), do: term

  defp walk(%{__struct__: module} = term, rules) when is_atom(module) do
    if struct?(module, rules), do: @redacted, else: term |> hide(module, rules) |> walk_map(rules)
  end

  defp walk(term, rules) when is_map(term), do: walk_map(term, rules)

  defp walk([head | tail], rules), do: [walk(head, rules) | walk(tail, rules)]

  defp walk({key, value}, rules) when is_atom(key) or is_binary(key) do
    if named?(key, rules), do: {key, @redacted}, else: {key, walk(value, rules)}
  end

  # A name that was cut is still one.
  defp walk({{:"$elixirscope", :binary, beginning, _} = key, value}, rules) when is_binary(beginning) do
    if named?(key, rules), do: {key, @redacted}, else: {key, walk(value, rules)}
  end

  # As Erlang's own libraries name things, in headers above all.
  defp walk({[byte | _] = key, value}, rules) when byte in 0..127,
    do: {walk(key, rules), if(named?(key, rules), do: @redacted, else: walk(value, rules))}

  # An entry of a stack trace may carry the arguments.
  defp walk({module, function, args, location}, rules)
       when is_atom(module) and is_atom(function) and is_list(args) and is_list(location) do
    {module, function, arguments(module, function, args, rules), walk(location, rules)}
  end

  # Most tuples are small, and a list of their elements costs more than all else.
  defp walk({}, _rules), do: {}
  defp walk({a}, rules), do: {walk(a, rules)}
  defp walk({a, b}, rules), do: {walk(a, rules), walk(b, rules)}
  defp walk({a, b, c}, rules), do: {walk(a, rules), walk(b, rules), walk(c, rules)}

  defp walk(term, rules) when is_tuple(term),
    do: term |> Tuple.to_list() |> Enum.map(&walk(&1, rules)) |> List.to_tuple()

  defp walk(term, _rules), do: term

  # The list may be cut short, and may not be one of arguments at all.
  defp arguments(module, function, args, rules) do
    case walk(args, rules) do
      [_ | _] = args when length(args) < 256 ->
        arity =
          case List.last(args) do
            {:"$elixirscope", :more, more} when is_integer(more) -> length(args) - 1 + more
            _ -> length(args)
          end

        args |> List.to_tuple() |> blot(positions({module, function, arity})) |> Tuple.to_list()

      other ->
        other
    end
  end

  defp walk_map(map, rules) do
    :maps.map(fn key, value -> if named?(key, rules), do: @redacted, else: walk(value, rules) end, map)
  end

  # What the author of a struct keeps from `inspect/2` is not for the film either.
  defp hide(struct, module, rules) do
    case remembered(rules, {:hidden, module}, fn -> apart(fn -> Hidden.fields(module) end) end) do
      [] -> struct
      :all -> :maps.map(fn key, value -> if key == :__struct__, do: value, else: @redacted end, struct)
      fields -> Enum.reduce(fields, struct, fn f, s -> if is_map_key(s, f), do: %{s | f => @redacted}, else: s end)
    end
  end

  # The code server answers, and thousands of events may wait before its answers.
  defp apart(fun) do
    {_, ref} = spawn_monitor(fn -> exit({:answer, fun.()}) end)

    receive do
      {:DOWN, ^ref, :process, _, {:answer, answer}} -> answer
      {:DOWN, ^ref, :process, _, reason} -> exit(reason)
    end
  end

  @doc "Finds out, in a process of the agent's, what structs of these modules hide, before any comes."
  @spec learn([module], rules) :: :ok
  def learn(_modules, nil), do: :ok

  def learn(modules, rules) do
    Enum.each(modules, &(struct?(&1, rules) or hide(%{}, &1, rules)))
  rescue
    # The agent has ended, and the table with it.
    ArgumentError -> :ok
  end

  defp struct?(_module, %{modules: []}), do: false

  defp struct?(module, %{modules: patterns} = rules) do
    remembered(rules, {:struct, module}, fn ->
      Enum.any?(patterns, &Regex.match?(&1, ElixirScope.Plan.name(module)))
    end)
  end

  defp named?(key, rules) when is_atom(key) do
    remembered(rules, {:key, key}, fn -> key |> Atom.to_string() |> lower() |> secret?(rules) end)
  end

  defp named?(key, rules) when is_binary(key) do
    key |> binary_part(0, min(byte_size(key), @name_bytes)) |> lower() |> secret?(rules)
  end

  # What is not shown of a name may be what makes it one of a secret.
  defp named?({:"$elixirscope", :binary, prefix, size}, rules),
    do: byte_size(prefix) < min(size, @name_bytes) or named?(prefix, rules)

  defp named?([byte | _] = key, rules) when byte in 0..127 do
    case characters(key, 0, []) do
      {:whole, name} -> named?(name, rules)
      {:cut, name} -> byte_size(name) < @shown or named?(name, rules)
      :none -> false
    end
  end

  defp named?(_, _), do: false

  # The name that a list of characters is, or the beginning of one that was cut.
  defp characters([byte | rest], n, name) when n < @name_bytes and byte in 0..127,
    do: characters(rest, n + 1, [byte | name])

  defp characters([byte | rest], n, name) when n >= @name_bytes and byte in 0..255, do: characters(rest, n, name)
  defp characters([], _n, name), do: {:whole, text(name)}
  defp characters([{:"$elixirscope", :more, _}], _n, name), do: {:cut, text(name)}
  defp characters(_, _n, _name), do: :none

  defp text(reversed), do: reversed |> :lists.reverse() |> :erlang.list_to_binary()

  defp secret?(name, %{words: words}), do: Enum.any?(words, &String.contains?(name, &1))

  # Atoms are few and come again: the answer is kept in the collector's own dictionary. The program's own processes,
  # whose dictionaries are not ours, look into the table, where collectors put what cannot be told without messages.
  defp remembered(%{memory: :table}, question, answer) do
    case {:ets.lookup(@table, question), question} do
      {[{_, answer}], _} ->
        answer

      {[], {:hidden, struct}} ->
        throw({:not_known, struct})

      {[], _} ->
        answer = answer.()
        :ets.insert(@table, {question, answer})
        answer
    end
  end

  defp remembered(_rules, question, answer) do
    case Process.get(question) do
      nil -> tap(answer.(), &remember(question, &1))
      answer -> answer
    end
  end

  # Until its module is loaded.
  defp remember(_question, :all), do: :ok

  defp remember(question, answer) do
    Process.put(question, answer)
    learned(question, answer)
  end

  defp learned({:hidden, module} = question, fields) do
    :ets.insert(@table, {question, fields})
    if fields == [], do: Native.plain_struct(module)
  end

  defp learned(_question, _answer), do: :ok
end
