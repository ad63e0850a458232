defmodule ElixirScope.Capture.TraceSession do
  @moduledoc """
  How the VM is asked to trace: a session of our own where there are such (OTP 27), else by the legacy calls, which all
  tools of a VM share. Knows nothing of what is traced.
  """

  @session {__MODULE__, :session}

  @doc "Whether the VM has only the one tracer for a process, and patterns that hold for all tools."
  @spec legacy?() :: boolean
  # To ask for the module would have the code server look for it in every folder on the path.
  def legacy?, do: :erlang.system_info(:otp_release) < ~c"27"

  @doc "Begins, in place of an earlier session. The tracer is a process, or a module of `erl_tracer`'s functions."
  @spec open(pid | module) :: :ok
  def open(tracer) do
    if not legacy?() do
      older = session()
      tracer = if is_atom(tracer), do: {tracer, []}, else: tracer
      # A session ends when its last handle is collected.
      :persistent_term.put(@session, {:session, apply(:trace, :session_create, [:elixir_scope, tracer, []])})
      # Its patterns would outlive its tracer.
      with {:session, session} <- older, do: apply(:trace, :session_destroy, [session])
    end

    :ok
  end

  defp session, do: :persistent_term.get(@session, :legacy)

  @doc "Traces a process, or `:new_processes`, in addition to what is traced of it already. Raises `ArgumentError` when it has ended."
  @spec trace(pid | :new_processes, [atom], pid | module) :: term
  def trace(who, flags, tracer) do
    # A module takes its time itself.
    timed = if is_atom(tracer), do: flags, else: [:monotonic_timestamp | flags]

    case {session(), tracer} do
      {{:session, session}, _} -> apply(:trace, :process, [session, who, true, timed])
      {:legacy, module} when is_atom(module) -> :erlang.trace(who, true, [{:tracer, module, []} | timed])
      {:legacy, pid} -> :erlang.trace(who, true, [{:tracer, pid} | timed])
    end
  end

  @doc "Traces less of a process. Raises `ArgumentError` when it has ended."
  @spec stop(pid | :new_processes, [atom]) :: term
  def stop(who, flags) do
    case session() do
      {:session, session} -> apply(:trace, :process, [session, who, false, flags])
      :legacy -> :erlang.trace(who, false, flags)
    end
  end

  @doc """
  Whether another tool traces the process. Setting another tracer for new processes would silently take them away from
  the one there is.
  """
  @spec foreign?(pid | :new_processes, pid | module) :: boolean
  def foreign?(who, tracer) do
    case session() == :legacy and :erlang.trace_info(who, :tracer) do
      {:tracer, []} -> false
      {:tracer, ^tracer} -> false
      {:tracer, {^tracer, _}} -> false
      {:tracer, pid} when is_pid(pid) -> Process.alive?(pid)
      {:tracer, _} -> true
      _ -> false
    end
  end

  @doc "Whether tracing a process, or not, is up to us."
  @spec ours?(pid | :new_processes, pid | module) :: boolean
  def ours?(who, tracer) do
    session() != :legacy or :erlang.trace_info(who, :tracer) in [{:tracer, tracer}, {:tracer, {tracer, []}}]
  end

  @doc "Whether we trace the process."
  @spec traced?(pid | :new_processes, pid | module) :: boolean
  def traced?(who, tracer) do
    case session() do
      {:session, session} -> match?({:flags, [_ | _]}, apply(:trace, :info, [session, who, :flags]))
      :legacy -> ours?(who, tracer)
    end
  rescue
    # The process has ended, or the session was replaced just now.
    ArgumentError -> false
  end

  @doc "Sets the match specification of a function; `false` where another tool has set its own."
  @spec pattern(mfa, list) :: boolean
  def pattern(function, spec) do
    case session() do
      {:session, session} ->
        apply(:trace, :function, [session, function, spec, [:local]])
        true

      :legacy ->
        free? =
          :erlang.trace_info(function, :match_spec) in for(spec <- [:undefined, false, spec], do: {:match_spec, spec})

        if free?, do: :erlang.trace_pattern(function, spec, [:local])
        free?
    end
  end

  @doc "Sets the match specifications for `:send` and `:receive`; `false`, and none is set, where another tool has set its own."
  @spec patterns(send: term, receive: term) :: boolean
  def patterns(specs) do
    case session() do
      {:session, session} ->
        apply(:trace, :send, [session, specs[:send], []])
        apply(:trace, :recv, [session, specs[:receive], []])
        true

      :legacy ->
        free? =
          Enum.all?(specs, fn {what, spec} -> elem(:erlang.trace_info(what, :match_spec), 1) in [true, spec] end)

        if free?, do: for({what, spec} <- specs, do: :erlang.trace_pattern(what, spec, []))
        free?
    end
  end

  @doc "Replaces the legacy match specification for `:receive`, unless another tool has set its own meanwhile."
  @spec replace(list, list) :: term
  def replace(before, spec) do
    if :erlang.trace_info(:receive, :match_spec) == {:match_spec, before},
      do: :erlang.trace_pattern(:receive, spec, [])
  end

  @doc "Has the VM say when it has told all that has happened until now: the caller gets `{:trace_delivered, :all, ref}`."
  @spec delivered() :: reference
  def delivered do
    case session() do
      {:session, session} -> apply(:trace, :delivered, [session, :all])
      :legacy -> :erlang.trace_delivered(:all)
    end
  end
end
