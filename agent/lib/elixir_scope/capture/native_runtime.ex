defmodule ElixirScope.Capture.NativeRuntime do
  @moduledoc """
  What `InstrumentationRuntime` is, with the way out of the process written in C (`agent/c_src`).

  The C functions cut and encode a value within its budget straight into the ring of the scheduler they run on. What
  takes knowledge that only Elixir has they leave to this module: a function they were not told of they return, and are
  called again when they are; of all else they return an atom, and it is cut, redacted and encoded as the portable
  engine does. Nothing here may be called before `ElixirScope.Capture.Native` has loaded the library.
  """

  use ElixirScope.Capture.Event
  alias ElixirScope.Capture.{CallBudget, Collector, Ingestor, Native, Redaction, States, Value, VMTracer}

  @hard :"$elixirscope_hard"

  @doc "See `InstrumentationRuntime.call/2`."
  def call(site, args) do
    case enter(site, args) do
      frame when is_integer(frame) -> frame
      hard -> if told?(hard), do: call(site, args), else: slowly(@call, 0, 0, site, args, :argument)
    end
  end

  @doc "See `InstrumentationRuntime.return/3`."
  def return(0, _site, value), do: value

  def return(frame, site, value) do
    with hard when hard != :ok <- leave(frame, site, value) do
      if told?(hard), do: return(frame, site, value), else: slowly(@return, 0, frame, site, value, :argument)
    end

    value
  end

  @doc "A frame ends in a tail call."
  # Here, for what is only counted ends so most often: a call of C costs more than this.
  def tail(0, _site), do: :ok
  def tail(frame, site), do: ended(frame, site)

  @doc "See `InstrumentationRuntime.bind/3`."
  def bind(0, _site, _values), do: :ok

  def bind(frame, site, values) do
    with hard when hard != :ok <- bound(frame, site, values) do
      if told?(hard), do: bind(frame, site, values), else: slowly(@bind, 0, frame, site, values, :binding)
    end

    :ok
  end

  @doc "See `InstrumentationRuntime.caught/5`."
  def caught(frame, site, class, reason, stack), do: failure(@caught, frame, site, {class, reason, stack})

  @doc "See `InstrumentationRuntime.raising/4`."
  def raising(frame, site, class, reason), do: failure(@raise, frame, site, {class, reason})

  @doc "See `InstrumentationRuntime.state/5`."
  def state(frame, site, shape, before, result) do
    with {:ok, state} <- States.after_callback(shape, before, result), do: new_state(frame, site, before, state)
    result
  end

  defp new_state(frame, site, before, state) do
    with hard when hard != :ok <- changed(frame, site, before, state) do
      if told?(hard), do: new_state(frame, site, before, state), else: slowly(@state, 1, frame, site, state, :state)
    end
  end

  defp failure(kind, frame, site, value) do
    with hard when hard != :ok <- failed(frame, site, value, kind) do
      if told?(hard), do: failure(kind, frame, site, value), else: slowly(kind, 0, frame, site, value, :reason)
    end

    :ok
  end

  # Whether it is worth to try again: each function is told of once.
  defp told?(@hard), do: false
  defp told?(function), do: Native.learn(function)

  # As the portable engine and its collector do. The time of the event; for a call, the name of its frame. To find out
  # what a struct hides takes messages, which none of the program's processes may get for our sake: an event with a
  # struct not met before goes to a collector, which tells us then.
  defp slowly(kind, aux, frame, site, value, budget) do
    {budgets, rules} = Native.settings()
    bytes = Map.fetch!(budgets, budget)
    if kind == @call, do: CallBudget.charge_native(site, bytes)
    {value, cut?} = Value.clip(value, bytes)
    cut = if cut?, do: @truncated, else: 0

    case redacted(value, site, rules) do
      {clean, secret?} ->
        flags = cut + if(secret?, do: @redacted, else: 0)
        put_encoded(kind, flags, aux, frame, site, :erlang.term_to_binary(clean, minor_version: 2))

      struct ->
        if Redaction.note_first({:asked, struct}), do: asked(struct)
        by_collector(kind, cut, aux, frame, site, value)
    end
  rescue
    # The agent, and with it the table of secrets, has ended in the middle of this.
    ArgumentError -> 0
  end

  # The value, and whether it had secrets; or a struct that nobody has asked about.
  defp redacted(value, site, rules) do
    Redaction.redact(value, site, rules)
  catch
    {:not_known, struct} -> struct
  end

  # Of who has little to do: until the collector comes to the event, many more like it may have gone the same way.
  defp asked(struct) do
    with pid when pid != nil <- VMTracer.collector(), do: Collector.structs(pid, [struct])
  end

  defp by_collector(kind, flags, aux, frame, site, value) do
    case {Ingestor.code_channel(), tick()} do
      {channel, ts} when channel == nil or ts == 0 ->
        0

      {channel, ts} ->
        # The clock of C is in nanoseconds, an event's in the VM's own unit.
        ts = :erlang.convert_time_unit(ts, :nanosecond, :native)
        frame = if kind == @call, do: ts, else: :erlang.convert_time_unit(frame, :nanosecond, :native)
        Ingestor.put(channel, head(kind, flags, aux, site), ts, frame, value)
        frame
    end
  end

  # In C. `frame` is 0 for calls, which name it.

  @doc "See `InstrumentationRuntime.call0/1`."
  def call0(_site), do: missing()
  @doc "See `InstrumentationRuntime.return0/2`."
  def return0(_frame, _site), do: missing()
  @doc "See `InstrumentationRuntime.return0/3`."
  def return0(_frame, _site, _value), do: missing()
  @doc false
  def ended(_frame, _site), do: missing()
  @doc false
  def enter(_site, _args), do: missing()
  @doc false
  def leave(_frame, _site, _value), do: missing()
  @doc false
  def bound(_frame, _site, _values), do: missing()
  @doc false
  def failed(_frame, _site, _value, _kind), do: missing()
  @doc false
  def changed(_frame, _site, _before, _state), do: missing()
  @doc false
  def put_encoded(_kind, _flags, _aux, _frame, _site, _value), do: missing()
  @doc "What ring `n` holds, about `limit` bytes of it; it stays there until `advance/5`."
  def drain(_ring, _limit), do: missing()

  @doc "Of whose events ring `n` had to drop how many since the last time, as far as it knows."
  def lost_by(_n), do: missing()

  @doc """
  Says that all before `tail`, `events` events, is in the first `bytes` bytes of the ring's file of frames, and that
  `lost` are told there.
  """
  def advance(_ring, _tail, _bytes, _lost, _events), do: missing()
  @doc "`{tail, bytes, lost, events}` of the last `advance/5`."
  def mark(_ring), do: missing()

  @doc """
  Makes one more ring, of `size` bytes, in the new file `path`, which the recording names `link`: `:ok` or
  `{:error, errno}`.
  """
  def create(_path, _size, _shard, _link), do: missing()

  @doc "So many bytes all rings may grow by, together: a ring doubles when its drainer does not keep up."
  def growth(_bytes), do: missing()
  @doc "How many bytes are free in a folder; 0 where that cannot be told."
  def free_bytes(_folder), do: missing()
  @doc "Gives up all rings."
  def discard, do: missing()

  @doc "Sets `{argument, binding, reason, state, message}` budgets, words of secrets, and whether there are secrets at all (1 or 0)."
  def configure(_budgets, _words, _redacting), do: missing()
  @doc "Values of this site are left to Elixir: some of its variables are secret."
  def secret_site(_site), do: missing()
  @doc "Structs of this module have nothing to hide."
  def plain_struct(_module), do: missing()
  @doc "Fields of structs of this module that are kept first, at most 16: `:ok`, or `false` where there is no room."
  def first_fields(_module, _fields), do: missing()
  @doc false
  def tick, do: missing()
  @doc "Opens (1) or closes (0) the rings for events."
  def recording(_on), do: missing()
  @doc "Of instrumented code: everything (0), no values (1), nothing (2)."
  def step(_step), do: missing()
  # The behaviour erl_tracer: called by the VM where an event happens, and only as C functions.
  @doc false
  def enabled(_tag, _state, _tracee), do: missing()
  @doc false
  def trace(_tag, _state, _tracee, _term, _options), do: missing()
  @doc "Names the collector that the VM's tracer leaves uncommon events to."
  def trace_collector(_pid), do: missing()
  @doc "What this process says and hears is no part of the film."
  def trace_serving(_pid), do: missing()
  @doc "A process had this name before tracing began."
  def trace_named(_name, _pid), do: missing()
  @doc "What stands for a function, in External Term Format: `:ok`, or `false` where there is no room for more."
  def learn_function(_function, _bytes), do: missing()
  @doc "Forgets how often what was called: see `CallBudget`, also for the five that follow."
  def calls_begin, do: missing()
  @doc "So many calls a second of a function are recorded."
  def calls_limit(_calls), do: missing()
  @doc "Where the places of a block of sites begin."
  def calls_block(_block, _first), do: missing()
  @doc "The site of this place may be left out."
  def calls_place(_place), do: missing()
  @doc "A call of this site costs as much as so many."
  def calls_charge(_site, _calls), do: missing()
  @doc "What was left out, of so many places: `[{place, calls, since}]`, in ns."
  def calls_turn(_taken), do: missing()
  @doc "What writing events has taken until now, in ns, in all rings: of short ones one in 64 is timed."
  def written_ns, do: missing()
  @doc false
  def layout(_term), do: missing()
  @doc false
  def encoded(_term, _budget, _redacting, _room), do: missing()

  defp missing, do: :erlang.nif_error(:not_loaded)

  @doc "Loads the library from `path`, without its ending."
  def load(path), do: :erlang.load_nif(String.to_charlist(path), 0)
end
