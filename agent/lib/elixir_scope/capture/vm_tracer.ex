defmodule ElixirScope.Capture.VMTracer do
  @moduledoc """
  What only the VM knows: spawns, exits, links, names, messages sent and received, the states of OTP's supervisors.

  `arm/0` asks the VM to tell the collector `:vm`, which turns each trace message into an event with `event/2`.
  On OTP 27 and later this is a trace session of our own; before, the one legacy tracer a process can have: processes
  that another tool traces are left to it, and reported as not covered.
  """

  use ElixirScope.Capture.Event
  alias ElixirScope.Capture.{Ingestor, Meta, States, Value}
  alias ElixirScope.Plan

  @armed {__MODULE__, :armed}
  @collector {__MODULE__, :collector}
  # Sticky OTP code is never rewritten, but its callbacks are never in tail position: they can be traced.
  @supervisor [init: 1, handle_call: 3, handle_cast: 2, handle_info: 2, handle_continue: 2]

  @doc "Names the collector that trace messages go to, and arms it again if it replaces one."
  def collector(pid) do
    :persistent_term.put(@collector, pid)
    :persistent_term.put({__MODULE__, :ours}, ours(pid))

    if :persistent_term.get(@armed, false) do
      Meta.write(%{
        what: :coverage,
        subject: "VM events",
        reason: "the tracer was restarted: events around now are missing"
      })

      trace(pid)
    end

    :ok
  end

  @doc "Starts tracing all processes that are spawned from now on, and the calling one. Idempotent."
  @spec arm() :: :ok
  def arm do
    with pid when is_pid(pid) <- :persistent_term.get(@collector, nil),
         false <- :persistent_term.get(@armed, false) do
      :persistent_term.put(@armed, true)
      trace(pid)
    end

    :ok
  end

  defp trace(collector) do
    plan = Plan.current()
    flags = flags(plan)
    session = session(collector)

    if flags != [] do
      Enum.each([:new_processes, self()], fn who ->
        try do
          processes(session, who, [:monotonic_timestamp | flags] ++ tracer(session, collector))
        rescue
          ArgumentError -> foreign(who)
        end
      end)

      patterns(session)
    end
  end

  defp foreign(:new_processes), do: not_covered("VM events", "another tool traces new processes")
  defp foreign(pid), do: not_covered("VM events of #{inspect(pid)}", "another tool traces this process")
  defp not_covered(subject, reason), do: Meta.write(%{what: :coverage, subject: subject, reason: reason})

  defp flags(plan) do
    if(plan.lifecycle, do: [:procs, :call], else: []) ++
      if(plan.messages, do: [:send, :receive], else: []) ++ if plan.scheduling, do: [:running], else: []
  end

  # The module :trace is OTP 27's.
  defp session(collector) do
    if Code.ensure_loaded?(:trace) and function_exported?(:trace, :session_create, 3) do
      session = apply(:trace, :session_create, [:elixir_scope, collector, []])
      # A session ends when its last handle is collected.
      :persistent_term.put({__MODULE__, :session}, session)
      session
    end
  end

  defp tracer(nil, collector), do: [{:tracer, collector}]
  defp tracer(_session, _), do: []

  defp processes(nil, who, flags), do: :erlang.trace(who, true, flags)
  defp processes(session, who, flags), do: apply(:trace, :process, [session, who, true, flags])

  defp patterns(session) do
    # Our own events are sent from traced processes: they must not be traced in turn.
    event = List.to_tuple([:"$es" | List.duplicate(:_, 10)])
    sends = [{[:_, event], [], [{:message, false}]}, {[:_, :_], [], []}]
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

  # Processes whose traffic is ours or the VM's own plumbing.
  defp ours(vm_collector) do
    names = [:code_server, :elixir_scope_meta, :elixir_scope_pipeline, :erl_prim_loader]
    pids = for name <- names, pid = Process.whereis(name), do: pid

    channel =
      case Ingestor.channel() do
        {_, collectors, _, _} -> Tuple.to_list(collectors)
        nil -> []
      end

    Map.new([vm_collector | pids ++ channel], &{&1, true})
  end

  @doc "The event that a trace message stands for; nil for what is not recorded."
  @spec event(tuple, map) :: tuple | nil
  def event({:trace_ts, pid, :send, message, to, ts}, budgets), do: sent(pid, message, to, ts, budgets, 0)

  def event({:trace_ts, pid, :send_to_non_existing_process, message, to, ts}, budgets) do
    sent(pid, message, to, ts, budgets, @no_receiver)
  end

  def event({:trace_ts, pid, :receive, message, {_node, from}, ts}, budgets) do
    unless ours?(from) do
      {value, cut?} = Value.clip(message, budgets.message)
      {:"$es", @receive, cut(cut?), 0, ts, 0, 0, pid, from, hash(value), value}
    end
  end

  def event({:trace_ts, pid, :spawn, child, mfa, ts}, budgets),
    do: plain(@spawn, pid, child, origin(mfa, budgets), ts)

  def event({:trace_ts, pid, :spawned, parent, mfa, ts}, budgets),
    do: plain(@spawned, pid, parent, origin(mfa, budgets), ts)

  def event({:trace_ts, pid, :exit, reason, ts}, budgets) do
    {value, cut?} = Value.clip(reason, budgets.reason)
    {:"$es", @exit, cut(cut?), 0, ts, 0, 0, pid, nil, 0, value}
  end

  def event({:trace_ts, pid, :link, other, ts}, _), do: linked(@link, pid, other, ts)
  def event({:trace_ts, pid, :unlink, other, ts}, _), do: linked(@unlink, pid, other, ts)
  def event({:trace_ts, pid, :getting_linked, other, ts}, _), do: linked(@getting_linked, pid, other, ts)
  def event({:trace_ts, pid, :getting_unlinked, other, ts}, _), do: linked(@getting_unlinked, pid, other, ts)
  def event({:trace_ts, pid, :register, name, ts}, _), do: plain(@register, pid, nil, name, ts)
  def event({:trace_ts, pid, :unregister, name, ts}, _), do: plain(@unregister, pid, nil, name, ts)
  def event({:trace_ts, pid, :in, _, ts}, _), do: plain(@scheduled_in, pid, nil, @none, ts)
  def event({:trace_ts, pid, :out, _, ts}, _), do: plain(@scheduled_out, pid, nil, @none, ts)

  def event({:trace_ts, pid, :return_from, {:supervisor, function, _}, result, ts}, budgets) do
    shape = if function == :init, do: :gen_server_init, else: :gen_server

    with {:ok, state} <- States.after_callback(shape, @none, result) do
      {value, cut?} = Value.clip(state, budgets.state)
      {:"$es", @state, cut(cut?), 1, ts, 0, 0, pid, nil, 0, value}
    else
      :none -> nil
    end
  end

  def event(_, _), do: nil

  defp sent(pid, message, to, ts, budgets, flags) do
    peer = receiver(to)

    unless ours?(peer) do
      {value, cut?} = Value.clip(message, budgets.message)
      # Without a receiver the name is what there is to tell.
      value = if peer == nil and named?(to), do: {to, value}, else: value
      {:"$es", @send, Bitwise.bor(flags, cut(cut?)), 0, ts, 0, 0, pid, peer, hash(value), value}
    end
  end

  defp receiver(to) when is_pid(to), do: to
  defp receiver(to) when is_atom(to), do: local(Process.whereis(to))
  defp receiver({name, node}) when node == node() and is_atom(name), do: local(Process.whereis(name))
  defp receiver(_), do: nil

  defp local(pid) when is_pid(pid), do: pid
  defp local(_), do: nil

  defp named?(to), do: is_atom(to) or is_tuple(to)

  defp linked(kind, pid, other, ts) when is_pid(other), do: plain(kind, pid, other, @none, ts)
  defp linked(_, _, _, _), do: nil

  defp plain(kind, pid, peer, value, ts), do: {:"$es", kind, 0, 0, ts, 0, 0, pid, peer, 0, value}

  defp ours?(pid) when is_pid(pid), do: is_map_key(:persistent_term.get({__MODULE__, :ours}, %{}), pid)
  defp ours?(_), do: false

  defp cut(true), do: @truncated
  defp cut(false), do: 0

  # Both ends of a message see the same term, cut by the same rule.
  defp hash(value), do: :erlang.phash2(value, 4_294_967_296)

  # Who a process is: what it was spawned with, seen through proc_lib and OTP's generic servers.
  defp origin({:proc_lib, :init_p, [_parent, ancestors, module, function, args]}, budgets) when is_list(args) do
    {initial, name} = initial(module, function, args)
    described(%{mfa: {module, function, length(args)}, initial: initial, ancestors: ancestors, name: name}, budgets)
  end

  defp origin({:proc_lib, :init_p, [_parent, ancestors, fun]}, budgets) when is_function(fun) do
    described(%{mfa: of_fun(fun), initial: of_fun(fun), ancestors: ancestors}, budgets)
  end

  defp origin({:erlang, :apply, [fun, args]}, budgets) when is_function(fun) and is_list(args) do
    described(%{mfa: of_fun(fun)}, budgets)
  end

  defp origin({module, function, args}, budgets) when is_list(args) do
    described(%{mfa: {module, function, length(args)}}, budgets)
  end

  defp origin(other, budgets), do: described(%{mfa: other}, budgets)

  defp described(map, budgets), do: map |> Value.clip(max(budgets.message, 512)) |> elem(0)

  # gen:init_it(GenModule, Starter, Parent, [Name,] CallbackModule, Args, Options)
  defp initial(:gen, :init_it, [_gen, _starter, _parent, name, module, args, _options]),
    do: {server(module, args), name(name)}

  defp initial(:gen, :init_it, [_gen, _starter, _parent, module, args, _options]), do: {server(module, args), nil}

  defp initial(Task.Supervised, function, args) do
    case List.last(args) do
      {:erlang, :apply, [fun, []]} when is_function(fun) -> {of_fun(fun), nil}
      {module, name, list} when is_list(list) -> {{module, name, length(list)}, nil}
      _ -> {{Task.Supervised, function, length(args)}, nil}
    end
  end

  defp initial(module, function, args), do: {{module, function, length(args)}, nil}

  # proc_lib names the callback module of a supervisor in the function's place.
  defp server(:supervisor, {_name, module, _args}) when is_atom(module), do: {:supervisor, module, 1}
  defp server(module, _args), do: {module, :init, 1}

  defp name({:local, name}), do: name
  defp name({:global, name}), do: {:global, name}
  defp name({:via, module, name}), do: {:via, module, name}
  defp name(_), do: nil

  defp of_fun(fun) do
    {:module, module} = :erlang.fun_info(fun, :module)
    {:name, name} = :erlang.fun_info(fun, :name)
    {:arity, arity} = :erlang.fun_info(fun, :arity)
    {module, name, arity}
  end
end
