defmodule ElixirScope.Capture.CallBudget do
  @moduledoc """
  How many calls of one function are recorded within a second. Those beyond are counted and not recorded, so that a tiny
  function in a hot loop costs a counter and not two events a call. A call whose arguments had to be cut counts for as
  many as it costs.

  A call that is only counted has no frame: whatever it would have told is left out with it, never a part. What was left
  out is known exactly, function by function. Callbacks of OTP are never left out, they are what states and messages
  hang on; nor is what the plan lists in `every_call`.

  Each site that begins frames has a place in one array: how many calls of this second are left, how many were only
  counted, and since when. (Counting down: with a limit beside the count there would be one more atomic to read, and
  reading one takes longer than adding to it.) Ids of sites come in blocks of 4,096, few of which a VM uses. Where the
  places of a block begin is a persistent term of its own, by number: reading that is no memory fence, as reading an
  atomic would be, and a new one disturbs nobody.
  """

  import Bitwise
  alias ElixirScope.Capture.{Native, NativeRuntime}
  alias ElixirScope.Plan

  @key {__MODULE__, :current}
  @sites :elixir_scope_places
  # Ids from here on are of the compile-time door, and not limited.
  @ids 0x4000_0000
  # From here on a module has its blocks for itself.
  @kept_ids 0x2000_0000
  @block_bits 12
  @block 4096
  @places 131_072
  # Words of a place, and which one says what.
  @words 4
  @left_out 1
  @since 2
  # The first place is no site's: places taken, the ns that cutting arguments took, and how many calls a second are
  # recorded.
  @taken 1
  @spent 2
  @limit 3
  # So many that they are never used up: of sites that were not announced, or must not be left out.
  @exempt 0x4000_0000_0000_0000
  @some_left 0x2000_0000_0000_0000
  @kinds [:function, :fn, :external]

  @typedoc "What the first block is named, and the places; nil: calls are not limited."
  @type t :: {integer, :atomics.atomics_ref()} | nil
  @typedoc "Module, kind of site, function, arity, line."
  @type subject :: {module, atom, atom, arity, non_neg_integer}

  @doc "Makes the counters for a plan; the table belongs to the caller, which must outlive the pipeline."
  @spec create(map) :: t
  def create(plan) do
    budget =
      if Plan.records_code?(plan) do
        :ets.new(@sites, [:named_table, :public, :set, write_concurrency: true])
        # Numbers that nobody else takes, and no other recording of this VM.
        {-@ids * :erlang.unique_integer([:positive]), :atomics.new(@words * @places, signed: true)}
      end

    with {_, places} <- budget do
      :atomics.put(places, @limit, plan.limits.calls_per_second)
      :atomics.put(places, @taken, 1)
    end

    :persistent_term.put(@key, budget)
    budget
  end

  @doc "The counters in use."
  @spec current() :: t
  def current, do: :persistent_term.get(@key, nil)

  @doc "Gives the sites of a module their places, before any of its calls."
  @spec announce(module, [ElixirScope.AST.Sites.site()]) :: :ok
  def announce(module, sites) do
    with {_, places} = budget <- current(), %{} = plan <- Plan.current(), false <- Plan.every_call?(plan, module) do
      last = sites |> Enum.map(&elem(&1, 0)) |> Enum.max(fn -> 0 end)

      for {id, kind, function, arity, line, _, detail} <- sites,
          kind in @kinds and id < @ids and not is_map_key(detail, :callback),
          place = place(budget, id, last),
          place != 0,
          :ets.insert_new(@sites, {place, subject(module, kind, function, arity, line, detail)}) do
        :atomics.put(places, @words * place, :atomics.get(places, @limit))
        Native.calls_place(place)
      end
    end

    :ok
  rescue
    # The agent has ended, and the table with it.
    ArgumentError -> :ok
  end

  defp subject(_module, :external, _function, _arity, line, %{callee: {module, function, arity}}),
    do: {module, :external, function, arity, line}

  defp subject(module, kind, function, arity, line, _detail), do: {module, kind, function, arity, line}

  defp place({names, _} = budget, id, last) do
    case :persistent_term.get(names + (id >>> @block_bits), 0) do
      0 -> with first when first > 0 <- taken(budget, id, last), do: first + (id &&& @block - 1)
      first -> first + (id &&& @block - 1)
    end
  end

  # Places for a block: as many as the module has, where it has the block for itself.
  defp taken({names, places}, id, last) do
    block = id >>> @block_bits
    size = if id >= @kept_ids and block == last >>> @block_bits, do: (last &&& @block - 1) + 1, else: @block
    first = :atomics.add_get(places, @taken, size) - size + 1

    if first + size <= @places do
      for place <- first..(first + size - 1), do: :atomics.put(places, @words * place, @exempt)

      # Whoever comes second takes what the first has found; these places are then nobody's.
      if :ets.insert_new(@sites, {{:block, block}, first}) do
        :persistent_term.put(names + block, first)
        Native.calls_block(block, first)
        first
      else
        :ets.lookup_element(@sites, {:block, block}, 2)
      end
    else
      :atomics.sub(places, @taken, size)
      0
    end
  end

  @doc "Counts a call of this site; whether it is one of those that are not recorded."
  @spec spent?(t, pos_integer) :: boolean
  def spent?({names, places}, site) when site < @ids do
    case :persistent_term.get(names + (site >>> @block_bits), 0) do
      0 ->
        false

      first ->
        place = @words * (first + (site &&& @block - 1))
        :atomics.add_get(places, place, -1) < 0 and left_out(places, place)
    end
  end

  def spent?(_budget, _site), do: false

  defp left_out(places, place) do
    if :atomics.add_get(places, place + @left_out, 1) == 1,
      do: :atomics.put(places, place + @since, :erlang.monotonic_time())

    true
  end

  @doc "A call of this site had arguments that were cut to `bytes`: it costs about as much as so many small ones."
  @spec charge(t, pos_integer, pos_integer) :: :ok
  def charge({names, places}, site, bytes) when site < @ids do
    # Cutting takes some 8 ns for each byte kept; results and variables are mostly of the same sort.
    :atomics.add(places, @spent, 16 * bytes)

    case :persistent_term.get(names + (site >>> @block_bits), 0) do
      0 -> :ok
      first -> :atomics.add(places, @words * (first + (site &&& @block - 1)), -(bytes >>> 6))
    end
  end

  def charge(_budget, _site, _bytes), do: :ok

  @doc "As `charge/3`, of a call that C counts: Elixir also looks for secrets in what it cuts for C, and encodes it."
  @spec charge_native(pos_integer, pos_integer) :: :ok
  def charge_native(site, bytes) do
    with {_, places} <- current() do
      :atomics.add(places, @spent, 32 * bytes)
      NativeRuntime.calls_charge(site, bytes >>> 5)
    end

    :ok
  end

  @doc "What cutting arguments has cost until now, in ns, roughly."
  @spec spent() :: non_neg_integer
  def spent do
    case current() do
      nil -> 0
      {_, places} -> :atomics.get(places, @spent)
    end
  end

  @doc "Sets how many calls a second of a function are recorded."
  @spec limit(pos_integer) :: :ok
  def limit(calls) do
    with {_, places} <- current() do
      more = calls - :atomics.exchange(places, @limit, calls)
      for place <- taken(places)..2//-1, do: :atomics.add(places, @words * place, more)
    end

    Native.calls_limit(calls)
  end

  # Somebody may be finding out that there are no more.
  defp taken(places), do: min(:atomics.get(places, @taken), @places - 1)

  @doc """
  Begins the next second: what was called and not recorded in the one before, `[{subject, calls, since}]`. From `since`
  (ns; 0: from its beginning) until now no call of it was recorded.
  """
  @spec turn() :: [{subject, pos_integer, integer}]
  def turn do
    case current() do
      nil ->
        []

      {_, places} ->
        taken = taken(places)

        for {place, calls, since} <- turn(places, taken, :atomics.get(places, @limit), []) ++ Native.calls_turn(taken) do
          [{_, subject}] = :ets.lookup(@sites, place)
          {subject, calls, since}
        end
    end
  end

  defp turn(_places, 1, _limit, all), do: all

  defp turn(places, place, limit, all) do
    word = @words * place
    # The time first: once the count is taken, that of the next second may come. It may also be a moment late.
    since = if :atomics.get(places, word + @left_out) > 0, do: :atomics.exchange(places, word + @since, 0), else: 0
    left = :atomics.get(places, word)
    if left != limit and left < @some_left, do: :atomics.put(places, word, limit)

    case :atomics.exchange(places, word + @left_out, 0) do
      0 ->
        turn(places, place - 1, limit, all)

      calls ->
        since = :erlang.convert_time_unit(since, :native, :nanosecond)
        turn(places, place - 1, limit, [{place, calls, since} | all])
    end
  end
end
