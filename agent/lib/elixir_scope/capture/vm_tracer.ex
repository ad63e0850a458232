defmodule ElixirScope.Capture.VMTracer do
  @moduledoc """
  What only the VM knows: spawns, exits, links, names, messages sent and received, the states of OTP's supervisors.

  `arm/0` asks the VM to tell the collector `:vm`, which makes events of it (`ElixirScope.Capture.TraceMessage`).
  On OTP 27 and later this is a trace session of our own; before, the one legacy tracer a process can have: processes
  that another tool traces are left to it, and reported as not covered.
  """

  alias ElixirScope.Capture.{Ingestor, Meta, Native, NativeRuntime}
  alias ElixirScope.{Boot, Plan}

  # The processes that lived when tracing began, which are not traced.
  @armed {__MODULE__, :armed}
  @collector {__MODULE__, :collector}
  @session {__MODULE__, :session}
  # Sticky OTP code is never rewritten, but its callbacks are never in tail position: they can be traced.
  @supervisor [init: 1, handle_call: 3, handle_cast: 2, handle_info: 2, handle_continue: 2]

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
        not_covered(
          "Elixir's compiler",
          "the processes that compile code, and the code server, are no part of the program"
        )
      end

      Meta.write(names())
      trace(pid, [:new_processes, self()])
    end

    :ok
  end

  # Who was there before: their births and registrations were not seen.
  defp names do
    named = for name <- Process.registered(), pid = Process.whereis(name), is_pid(pid), do: {pid, name}
    if Native.tracer(), do: for({pid, name} <- named, do: NativeRuntime.trace_named(name, pid))
    %{what: :names, names: named, main: if(Boot.mix?(), do: self())}
  end

  @doc "Stops telling of messages and scheduling, for good: they are more than can be taken in."
  @spec mute(pid) :: :ok
  def mute(collector) do
    not_covered("messages", "more were sent than the agent could take: from then on they are not recorded")
    messages(collector, false)
  end

  @doc "Stops telling of messages and scheduling, or goes on with it."
  @spec messages(pid, boolean) :: :ok
  def messages(collector, on?) do
    tracer = Native.tracer() || collector
    session = :persistent_term.get(@session, nil)
    off = [:send, :receive, :running]
    wanted = flags(Plan.current())
    flags = if on?, do: Enum.filter(wanted, &(&1 in off)), else: off

    for pid <- [:new_processes | Process.list()], ours?(session, pid, tracer) do
      try do
        set(session, pid, on?, if(on?, do: flags ++ tracer(session, tracer), else: flags))
      rescue
        # It has ended.
        ArgumentError -> :ok
      end
    end

    :ok
  end

  @doc "Processes that only serve: the agent's own and the code server."
  @spec serving() :: [pid]
  def serving do
    names = [:code_server, :erl_prim_loader, :elixir_code_server, :elixir_scope_meta, :elixir_scope_pipeline]
    pids = for name <- names, pid = Process.whereis(name), do: pid
    Enum.uniq(pids ++ List.wrap(:persistent_term.get(@collector, nil)) ++ Ingestor.collectors())
  end

  defp trace(collector, whom) do
    plan = Plan.current()
    flags = flags(plan)
    tracer = Native.tracer() || collector
    session = session(tracer)

    if flags != [] do
      patterns(session)

      Enum.each(whom, fn who ->
        try do
          if foreign?(session, who, tracer) do
            foreign(who)
          else
            set(session, who, true, flags ++ tracer(session, tracer))
          end
        rescue
          # It has ended, or a tracer came in between.
          ArgumentError -> if who == :new_processes or Process.alive?(who), do: foreign(who)
        end
      end)

      # A collector that was started again was born traced.
      for pid <- serving(), ours?(session, pid, tracer), do: set(session, pid, false, [:all])
    end
  end

  # Setting another tracer for new processes would silently take them away from the one there is.
  defp foreign?(nil, who, tracer) do
    case :erlang.trace_info(who, :tracer) do
      {:tracer, []} -> false
      {:tracer, ^tracer} -> false
      {:tracer, {^tracer, _}} -> false
      {:tracer, pid} when is_pid(pid) -> Process.alive?(pid)
      {:tracer, _} -> true
      :undefined -> false
    end
  end

  defp foreign?(_session, _, _), do: false

  defp ours?(nil, who, tracer), do: :erlang.trace_info(who, :tracer) in [{:tracer, tracer}, {:tracer, {tracer, []}}]
  defp ours?(_session, _, _), do: true

  defp foreign(:new_processes), do: not_covered("VM events", "another tool traces new processes")
  defp foreign(pid), do: not_covered("VM events of #{inspect(pid)}", "another tool traces this process")
  defp not_covered(subject, reason), do: Meta.write(%{what: :coverage, subject: subject, reason: reason})

  defp flags(plan) do
    if(plan.lifecycle, do: [:procs, :call], else: []) ++
      if(plan.messages, do: [:send, :receive], else: []) ++ if plan.scheduling, do: [:running], else: []
  end

  # The module :trace is OTP 27's.
  defp session(tracer) do
    if Code.ensure_loaded?(:trace) and function_exported?(:trace, :session_create, 3) do
      tracer = if is_atom(tracer), do: {tracer, []}, else: tracer
      session = apply(:trace, :session_create, [:elixir_scope, tracer, []])
      # A session ends when its last handle is collected.
      :persistent_term.put(@session, session)
      session
    end
  end

  # A module takes its time itself.
  defp tracer(nil, module) when is_atom(module), do: [{:tracer, module, []}]
  defp tracer(nil, collector), do: [:monotonic_timestamp, {:tracer, collector}]
  defp tracer(_session, module) when is_atom(module), do: []
  defp tracer(_session, _), do: [:monotonic_timestamp]

  defp set(nil, who, on?, flags), do: :erlang.trace(who, on?, flags)
  defp set(session, who, on?, flags), do: apply(:trace, :process, [session, who, on?, flags])

  defp patterns(session) do
    # Our own events are sent from traced processes: they must not be traced in turn.
    event = List.to_tuple([:"$es" | List.duplicate(:_, 10)])
    # A module of ours knows them by their receivers.
    sends = if Native.tracer(), do: true, else: [{[:_, event], [], [{:message, false}]}, {[:_, :_], [], []}]
    # Adds the sender, as {node, pid}.
    receives = [{[:"$1", :"$2", :_], [], [{:message, {{:"$1", :"$2"}}}]}]
    returns = [{:_, [], [{:return_trace}]}]

    if session do
      apply(:trace, :send, [session, sends, []])
      apply(:trace, :recv, [session, receives, []])
      for {f, a} <- @supervisor, do: apply(:trace, :function, [session, {:supervisor, f, a}, returns, [:local]])
    else
      :erlang.trace_pattern(:send, sends, [])
      :erlang.trace_pattern(:receive, receives, [])
      for {f, a} <- @supervisor, do: :erlang.trace_pattern({:supervisor, f, a}, returns, [:local])
    end
  end
end
