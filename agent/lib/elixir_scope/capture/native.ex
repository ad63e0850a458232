defmodule ElixirScope.Capture.Native do
  @moduledoc """
  The native engine: whether it is in use, its rings, and the drainers that bring them to disk.

  The library comes from the recorder, which builds it for this version of OTP and names it in `ELIXIRSCOPE_NATIVE`.
  Whenever something is not as it must be, the portable engine records instead and the recording says why.
  """

  alias ElixirScope.Capture.{FrameFile, InstrumentationRuntime, Meta, NativeDrainer, NativeRuntime, Redaction, Value}

  @key {__MODULE__, :rings}
  @runtime {__MODULE__, :runtime}
  # Shards from here on are rings.
  @first_shard 256
  # Of a ring at first, a power of two, and of the page before it.
  @first 524_288
  @page 4_096
  @memory "/dev/shm"

  @doc "The module that instrumented code is to call."
  @spec runtime() :: module
  def runtime, do: :persistent_term.get(@runtime, InstrumentationRuntime)

  @doc "Budgets and rules of secrets, for values that C leaves to Elixir."
  def settings, do: :persistent_term.get({__MODULE__, :settings})

  @doc "Loads the library that the recorder names, once per VM. `{:error, reason}` also when there is none."
  @spec load(binary) :: :ok | {:error, binary}
  def load(library) do
    with :ok <- loaded(NativeRuntime.load(Path.rootname(library))), do: layouts()
  end

  defp loaded(:ok), do: :ok
  defp loaded({:error, {:reload, _}}), do: :ok
  defp loaded({:error, {_, text}}), do: {:error, to_string(text)}

  # The library reads binaries, and the sizes of large integers, in the VM's memory. Only where it reads them right.
  defp layouts do
    big = for n <- 1..125, into: <<>>, do: <<n * 2_654_435_761::64>>
    <<_::8, part::binary>> = big
    <<_::3, askew::binary-size(900), _::bitstring>> = big
    <<_::6, a, b::5, _::bitstring>> = big
    <<_::6, bits::bitstring-size(13), _::bitstring>> = big
    small = :binary.copy(binary_part(big, 0, 60))
    <<_, little::binary>> = small
    <<_::5, odd::binary-size(40), _::bitstring>> = small
    grown = for n <- 1..20, do: Enum.reduce(1..40, <<>>, fn m, all -> <<all::binary, n, m>> end)
    # What was elsewhere in memory before.
    :erlang.garbage_collect()
    whole = [big, part, askew, small, little, odd, <<big::binary, "more">>, :binary.copy("abc"), "" | grown]

    read =
      Enum.all?(whole, &(NativeRuntime.layout(&1) == {byte_size(&1), 0, binary_part(&1, 0, min(byte_size(&1), 100))}))

    read = read and NativeRuntime.layout(bits) == {1, 5, <<a, b::5, 0::3>>}
    numbers = for bits <- [64, 200, 2040, 9000], sign <- [-1, 1], do: sign * Bitwise.bsl(1, bits)
    sized = Enum.all?(numbers, &(NativeRuntime.layout(&1) == :erlang.external_size(&1)))

    others =
      Enum.all?([[1], self(), fn -> big end, make_ref(), %{a: big}, 1.0, 7], &(NativeRuntime.layout(&1) == false))

    # It takes the VM's own unit of time to be nanoseconds.
    if System.convert_time_unit(1, :second, :native) == 1_000_000_000 and
         read and sized and others,
       do: :ok,
       else: {:error, "this VM lays out its terms in a way that is not known"}
  end

  @doc """
  Makes the rings when `hello` asks for the native engine. Returns `hello` with the engine that will
  record, and `:engine_reason` when it is another than asked for.
  """
  @spec open(Path.t(), ElixirScope.Plan.t(), map) :: map
  def open(dir, plan, %{engine: :native} = hello) do
    case make_rings(dir, plan) do
      {:ok, rings} ->
        :persistent_term.put(@key, rings)
        :persistent_term.put({__MODULE__, :settings}, {plan.budgets, remembering(Redaction.rules(plan))})
        :persistent_term.put(@runtime, NativeRuntime)
        NativeRuntime.calls_begin()
        NativeRuntime.calls_limit(plan.limits.calls_per_second)
        hello

      {:error, reason} ->
        NativeRuntime.discard()
        :persistent_term.erase(@key)
        Map.merge(hello, %{engine: :portable, engine_reason: reason})
    end
  end

  def open(_dir, _plan, hello) do
    :persistent_term.erase(@key)
    hello
  end

  # What a program's own process remembers is in its dictionary, where we may leave nothing.
  defp remembering(nil), do: nil
  defp remembering(rules), do: Map.put(rules, :memory, :table)

  defp make_rings(dir, plan) do
    with :ok <- NativeRuntime.discard(), :ok <- configured(plan) do
      # One for each scheduler, and one for whoever else may come.
      count = :erlang.system_info(:schedulers) + 1
      wanted = plan.limits.memory_bytes
      with {:error, _} <- rings_in(@memory, dir, count, wanted), do: rings_in(dir, dir, count, wanted)
    end
  end

  # In memory, named by links in the recording; or where that has no room, in the recording itself.
  defp rings_in(folder, dir, count, wanted) do
    case growth(NativeRuntime.free_bytes(folder), count, wanted) do
      nil ->
        {:error, "no room for its rings in #{folder}"}

      growth ->
        NativeRuntime.growth(growth)

        Enum.reduce_while(0..(count - 1), {:ok, []}, fn n, {:ok, made} ->
          stem = Path.join(dir, "#{FrameFile.vm()}-#{@first_shard + n}")

          case ring(folder == dir, stem, @first_shard + n) do
            {:ok, path} ->
              {:cont, {:ok, made ++ [%{number: n, frames: stem <> ".frames", ring: path, link: stem <> ".ring"}]}}

            {:error, errno} ->
              Enum.each(made, &remove/1)
              NativeRuntime.discard()
              {:halt, {:error, "no room for its rings in #{folder} (error #{inspect(errno)})"}}
          end
        end)
    end
  end

  @doc """
  How many bytes `count` rings may grow by together, when `free` are free and `wanted` are wanted for them all: they take
  at most half of what is free, for the rest is the program's. nil when there is no room for them at all.
  """
  @spec growth(non_neg_integer, pos_integer, non_neg_integer) :: non_neg_integer | nil
  def growth(free, count, wanted) do
    least = count * (@first + @page)
    if 2 * least <= free, do: max(min(wanted, div(free, 2)) - least, 0)
  end

  defp configured(%{budgets: budgets} = plan) do
    {words, redacting} =
      case Redaction.rules(plan) do
        nil -> {[], 0}
        %{words: words} -> {words, 1}
      end

    %{argument: argument, binding: binding, reason: reason, state: state, message: message} = budgets

    case NativeRuntime.configure({argument, binding, reason, state, message}, words, redacting) do
      :ok -> first_fields(plan)
      false -> {:error, "the plan's words for secrets are too many or too long for it"}
    end
  end

  defp first_fields(%{first: first}) do
    if Enum.all?(first, fn {module, fields} -> NativeRuntime.first_fields(module, fields) == :ok end),
      do: :ok,
      else: {:error, "the plan names more fields of structs than it has room for"}
  end

  defp ring(true, stem, shard) do
    link = stem <> ".ring"
    with :ok <- NativeRuntime.create(link, @first, shard, link), do: {:ok, link}
  end

  defp ring(false, stem, shard) do
    link = stem <> ".ring"
    unique = Integer.to_string(:erlang.unique_integer([:positive]), 36) <> Integer.to_string(:os.system_time(), 36)
    shared = Path.join(@memory, "elixirscope-#{:os.getpid()}-#{shard}-#{unique}.ring")
    with :ok <- NativeRuntime.create(shared, @first, shard, link), :ok <- linked(shared, link), do: {:ok, shared}
  end

  defp linked(shared, link) do
    with {:error, _} = error <- File.ln_s(shared, link) do
      File.rm(shared)
      error
    end
  end

  @doc "Removes the file of a ring; what is mapped stays mapped."
  def remove(%{ring: ring, link: link}) do
    File.rm(ring)
    File.rm(link)
    :ok
  end

  @doc "Opens the rings, now that the drainers stand; or writes into the recording why another engine records."
  def begin(%{engine: :native}), do: NativeRuntime.recording(1)

  def begin(%{engine_reason: reason}) when is_binary(reason) do
    Meta.write(%{what: :coverage, subject: "native engine", reason: "the portable one recorded instead: #{reason}"})
  end

  def begin(_hello), do: :ok

  @doc "The supervisor of the drainers; nil with the portable engine."
  def children(%{engine: :native}) do
    children = for ring <- rings(), do: {NativeDrainer, ring}
    options = [strategy: :one_for_one, max_restarts: 1_000, max_seconds: 60]
    [%{id: :drainers, start: {Supervisor, :start_link, [children, options]}, type: :supervisor}]
  end

  def children(_hello), do: []

  @doc "Nothing more comes in."
  def close do
    if rings() != [], do: NativeRuntime.recording(0)
    :persistent_term.erase(@runtime)
    :ok
  end

  @doc "Has every drainer `:flush`, or `:close` its file: they have when `answered/1` returns."
  @spec ask(:flush | :close) :: [term]
  def ask(what) do
    if what == :close, do: close()
    Enum.map(rings(), &NativeDrainer.ask(&1.number, what))
  end

  @doc "See `ask/1`."
  @spec answered([term]) :: :ok
  def answered(requests), do: Enum.each(requests, &NativeDrainer.answered/1)

  @doc "What instrumented code may record: see `Ingestor.code/1`."
  def code(what) do
    if rings() != [], do: NativeRuntime.step(%{everything: 0, calls: 1, nothing: 2}[what])
    :ok
  end

  @doc "How many events the program has paid for: those in the files of the rings, and those there was no room for."
  @spec paid() :: non_neg_integer
  def paid do
    Enum.sum(
      for %{number: n} <- rings() do
        {_tail, _bytes, lost, events} = NativeRuntime.mark(n)
        lost + events
      end
    )
  end

  # What comes before an event is written and after: little where code is instrumented (10 to 20 ns), more where the VM's
  # tracer asks (150).
  @around_ns 100

  @doc "What the program has paid for its events until now, in ns."
  @spec spent_ns() :: non_neg_integer
  def spent_ns, do: if(rings() != [], do: @around_ns * paid() + NativeRuntime.written_ns(), else: 0)

  @doc "Values of this site hold secrets."
  def secret_site(site) do
    if rings() != [], do: NativeRuntime.secret_site(site)
    :ok
  end

  @doc "As `CallBudget` says, for calls that C counts."
  def calls_block(block, first) do
    if rings() != [], do: NativeRuntime.calls_block(block, first)
    :ok
  end

  @doc "See `calls_block/2`."
  def calls_place(place) do
    if rings() != [], do: NativeRuntime.calls_place(place)
    :ok
  end

  @doc "See `calls_block/2`."
  def calls_limit(calls) do
    if rings() != [], do: NativeRuntime.calls_limit(calls)
    :ok
  end

  @doc "What C has left out in so many places: `[{place, calls, since}]`."
  def calls_turn(places), do: if(rings() != [], do: NativeRuntime.calls_turn(places), else: [])

  @doc "The module that traces for the VM in place of a process; nil with the portable engine."
  @spec tracer() :: module | nil
  def tracer, do: if(rings() != [], do: NativeRuntime)

  @doc "A collector has found out that structs of this module have nothing to hide."
  def plain_struct(module) do
    if rings() != [], do: NativeRuntime.plain_struct(module)
    :ok
  end

  @doc "Tells C what stands for a function; whether it has room for that."
  @spec learn(fun) :: boolean
  def learn(function) do
    {marker, false} = Value.clip(function, 0)
    NativeRuntime.learn_function(function, :erlang.term_to_binary(marker, minor_version: 2)) == :ok
  end

  # So many terms are looked at.
  @looked 500

  @doc "Tells C about the functions in a term that it left to us, as far as it is worth to look."
  def learn_all(term) do
    if rings() != [], do: learn_all([term], @looked)
    :ok
  end

  defp learn_all([], _left), do: :ok
  defp learn_all(_terms, 0), do: :ok

  defp learn_all([term | terms], left) do
    if is_function(term), do: learn(term)
    learn_all(inside(term, terms), left - 1)
  end

  defp inside([head | tail], terms), do: [head, tail | terms]
  defp inside(term, terms) when is_tuple(term) and tuple_size(term) < @looked, do: Tuple.to_list(term) ++ terms
  defp inside(term, terms) when is_map(term) and map_size(term) < @looked, do: Map.values(term) ++ terms
  defp inside(_term, terms), do: terms

  # None with the portable engine.
  defp rings, do: :persistent_term.get(@key, [])
end
