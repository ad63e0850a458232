defmodule ElixirScope.Capture.VMTracer do
  @moduledoc """
  What only the VM knows: spawns, exits, links, names, messages sent and received, the states of OTP's supervisors.

  `arm/0` asks the VM to tell the collector `:vm`, which makes events of it (`ElixirScope.Capture.TraceMessage`).
  On OTP 27 and later this is a trace session of our own: other tools trace as if we were not there. Before, it is the one
  legacy tracer a process can have, with patterns that hold for the whole VM: what another tool has taken is left to it,
  and what it takes from us later is noticed. Either is reported as not covered.
  """

  alias ElixirScope.Capture.{Collector, Ingestor, MemorySampler, Meta, Native, NativeRuntime, TraceSession}
  alias ElixirScope.{Boot, Once, Plan}

  # The processes that lived when tracing began, which are not traced.
  @armed {__MODULE__, :armed}
  @collector {__MODULE__, :collector}
  @taken {__MODULE__, :taken}
  # Those by which ExUnit reports.
  @reporting {__MODULE__, :reporting}
  # The processes that are left to the program.
  @left {__MODULE__, :left}
  # Sticky OTP code is never rewritten, but its callbacks are never in tail position: they can be traced.
  @supervisor [init: 1, handle_call: 3, handle_cast: 2, handle_info: 2, handle_continue: 2]

  @doc "The collector that trace messages go to; nil before there is one."
  @spec collector() :: pid | nil
  def collector, do: :persistent_term.get(@collector, nil)

  @doc "Names the collector that trace messages go to, and arms it when it replaces one."
  @spec collector(pid) :: :ok
  def collector(pid) do
    before = :persistent_term.get(@collector, nil)
    :persistent_term.put(@collector, pid)

    if Native.tracer() do
      Enum.each([pid | serving()], &NativeRuntime.trace_serving/1)
      NativeRuntime.trace_collector(pid)
    end

    with nil <- Native.tracer(),
         older when older != nil and before != pid <- :persistent_term.get(@armed, nil) do
      not_covered("VM events", "the tracer was restarted: events around then are missing")
      trace(pid, [:new_processes | Process.list() -- [pid | older ++ serving()]])
    end

    :ok
  end

  @doc "Starts tracing all processes that are spawned from now on, and the calling one. Idempotent."
  @spec arm() :: :ok
  def arm do
    with pid when is_pid(pid) <- :persistent_term.get(@collector, nil),
         nil <- :persistent_term.get(@armed, nil) do
      :persistent_term.put(@armed, List.delete(Process.list(), self()))

      if Plan.current().lifecycle or Plan.current().messages do
        reason =
          "the processes that compile code, the code server and the application controller are no part of the program"

        Meta.write([%{what: :coverage, subject: "Elixir's compiler", reason: reason}, names()])
      else
        Meta.write(names())
      end

      trace(pid, [:new_processes, self()])
      if Plan.current().memory, do: MemorySampler.begin()
    end

    :ok
  end

  # Who was there before: their births and registrations were not seen.
  defp names do
    named = for name <- Process.registered(), pid = Process.whereis(name), is_pid(pid), do: {pid, name}
    if Native.tracer(), do: for({pid, name} <- named, do: NativeRuntime.trace_named(name, pid))
    %{what: :names, names: named, main: if(Boot.mix?(), do: self())}
  end

  @doc "Stops telling of messages and scheduling, or goes on with it."
  @spec messages(pid, boolean) :: :ok
  def messages(collector, on?) do
    tracer = Native.tracer() || collector
    {flags, lives} = Enum.split_with(flags(Plan.current()), &(&1 in [:send, :receive, :running]))

    # To ask for nothing in addition would end the tracing of new processes.
    for pid <- [:new_processes | Process.list()], flags != [], TraceSession.ours?(pid, tracer) do
      try do
        if on?, do: TraceSession.trace(pid, flags, tracer), else: TraceSession.stop(pid, flags)
        # And so does asking for less.
        if pid == :new_processes and not on? and lives != [], do: TraceSession.trace(pid, lives, tracer)
      rescue
        # It has ended.
        ArgumentError -> :ok
      end
    end

    :ok
  end

  @doc """
  Notices, once, that another tool has taken or stopped the legacy tracing of processes that are spawned: it never tells.
  """
  @spec watch() :: :ok
  def watch do
    collector = :persistent_term.get(@collector, nil)

    # A collector that has died is another matter.
    with false <- :persistent_term.get(@taken, nil),
         false <- TraceSession.ours?(:new_processes, Native.tracer() || collector),
         true <- Process.alive?(collector) do
      taken("another tool has stopped or taken over the tracing of processes: from then on some events are missing")
    end

    :ok
  end

  @doc "Tells of no process any more, once: more begin and end than the agent can take, and its memory would grow without end."
  @spec give_up() :: :ok
  def give_up do
    if :persistent_term.get(@taken, nil) != true do
      taken("more processes began and ended than the agent could take: from then on all are missing")
      Enum.each([:new_processes | Process.list()], &untraced(&1, Native.tracer() || collector()))
    end

    :ok
  end

  @doc "From now on these processes, by which ExUnit reports, only serve."
  @spec reporting([pid]) :: :ok
  def reporting(pids) do
    reason =
      "what its own formatters are told of tests is no part of the program; starts, ends and results of tests are"

    not_covered("ExUnit's reports", reason)
    collector = collector()
    if Native.tracer(), do: Enum.each(pids, &NativeRuntime.trace_serving/1)
    Collector.serving(collector, pids ++ serving())
    Enum.each(pids, &untraced(&1, Native.tracer() || collector))
    :persistent_term.put(@reporting, pids)
  end

  defp untraced(pid, tracer) do
    if TraceSession.ours?(pid, tracer), do: TraceSession.stop(pid, [:all])
  rescue
    # It has ended.
    ArgumentError -> :ok
  end

  @doc "Processes that only serve: the agent's own, the code server, who keeps the settings of applications, and who reports."
  @spec serving() :: [pid]
  def serving do
    names = [:code_server, :erl_prim_loader, :elixir_code_server, :application_controller]

    ours =
      ~w(elixir_scope_meta elixir_scope_memory elixir_scope_pacer elixir_scope_pipeline elixir_scope_counterparts)a

    pids = for name <- names ++ ours, pid = Process.whereis(name), do: pid
    reporting = :persistent_term.get(@reporting, [])
    Enum.uniq(pids ++ reporting ++ List.wrap(:persistent_term.get(@collector, nil)) ++ Ingestor.collectors())
  end

  defp trace(collector, whom) do
    plan = Plan.current()
    tracer = Native.tracer() || collector
    wanted = flags(plan)
    if wanted != [], do: TraceSession.open(tracer)
    flags = patterns(wanted)

    if flags != [] do
      Enum.each(whom, fn who ->
        try do
          if TraceSession.foreign?(who, tracer), do: foreign(who), else: TraceSession.trace(who, flags, tracer)
        rescue
          # It has ended, or a tracer came in between.
          ArgumentError -> if who == :new_processes or Process.alive?(who), do: foreign(who)
        end
      end)

      # A collector that was started again was born traced.
      for pid <- serving(), TraceSession.ours?(pid, tracer), do: TraceSession.stop(pid, [:all])
      if plan.lifecycle and :persistent_term.get(@taken, nil) == nil, do: :persistent_term.put(@taken, false)
    end
  end

  @doc "Stands for `:erlang.trace/3` in instrumented code: a process that it asks for, and that has room for one tracer, is left to it."
  @spec traced_by_program(term, term, term) :: term
  def traced_by_program(who, how, flags) do
    if how == true and is_pid(who), do: left(who, Native.tracer() || collector())
    :erlang.trace(who, how, flags)
  end

  defp left(pid, tracer) do
    if tracer != nil and TraceSession.legacy?() and TraceSession.ours?(pid, tracer) do
      TraceSession.stop(pid, [:all])
      told_plainly(pid)
      not_covered("VM events of #{inspect(pid)}", "the program traces this process itself")
    end
  rescue
    # It has ended: the program is told so.
    ArgumentError -> :ok
  end

  # The pattern that adds the sender holds for whoever traces. Of several at once one comes first, and the others ask again.
  defp told_plainly(pid) do
    if pid not in :persistent_term.get(@left, []) do
      Once.run(:elixir_scope_left, fn ->
        before = receives()
        :persistent_term.put(@left, [pid | Enum.filter(:persistent_term.get(@left, []), &Process.alive?/1)])
        TraceSession.replace(before, receives())
      end)

      told_plainly(pid)
    end
  end

  defp foreign(:new_processes), do: taken("another tool traces new processes")
  defp foreign(pid), do: not_covered("VM events of #{inspect(pid)}", "another tool traces this process")

  defp taken(reason) do
    :persistent_term.put(@taken, true)
    not_covered("VM events", reason)
  end

  defp not_covered(subject, reason), do: Meta.write(%{what: :coverage, subject: subject, reason: reason})

  defp flags(plan) do
    lives = if Plan.lives_only?(plan), do: [:procs], else: [:procs, :call]

    if(plan.lifecycle, do: lives, else: []) ++
      if(plan.messages, do: [:send, :receive], else: []) ++ if plan.scheduling, do: [:running], else: []
  end

  # Sets the patterns that go with these flags; returns the flags that can be set.
  defp patterns([]), do: []

  defp patterns(flags) do
    # Our own events are sent from traced processes: they must not be traced in turn.
    event = {:"$es", :_, :_, :_, :_, :_}
    # A module of ours knows them by their receivers.
    sends = if Native.tracer(), do: true, else: [{[:_, event], [], [{:message, false}]}, {[:_, :_], [], []}]
    # What they are called with, their whole state, need not be told.
    returns = [{:_, [], [{:message, false}, {:return_trace}]}]

    for {f, a} <- @supervisor, :call in flags, not TraceSession.pattern({:supervisor, f, a}, returns) do
      not_covered("states of supervisors", "another tool traces supervisor.#{f}/#{a}")
    end

    if :send not in flags or TraceSession.patterns(send: sends, receive: receives()) do
      flags
    else
      not_covered("messages", "another tool has set trace patterns of its own for them")
      flags -- [:send, :receive]
    end
  end

  # Adds the sender. (Of anything but a single word the VM would make a message of its own, which takes 80 ns.)
  defp receives do
    left = for pid <- :persistent_term.get(@left, []), do: {[:_, :_, :_], [{:"=:=", {:self}, pid}], []}
    left ++ [{[:_, :"$1", :_], [], [{:message, :"$1"}]}]
  end
end
