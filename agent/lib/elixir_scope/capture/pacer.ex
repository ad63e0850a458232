defmodule ElixirScope.Capture.Pacer do
  @moduledoc """
  Lets collectors rest between batches.

  A process that waits for messages is woken by the first, and waking takes whoever sent it 1 to 3 µs: ten times what the
  event itself costs. To a process that is suspended messages only come to lie in its queue. So a collector that has
  taken all there is asks for a rest, is suspended for some milliseconds, and then takes what came meanwhile in one go.
  One that found nothing after its rest waits as any process does, so that an idle program wakes nobody.

  Should this process die the VM resumes whom it had suspended.
  """

  use GenServer

  @name :elixir_scope_pacer
  @rest_ms 10

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: @name)

  @doc "The calling process has time: it is suspended soon, for a moment."
  @spec rest() :: :ok
  def rest, do: GenServer.cast(@name, {:rest, self()})

  @doc "Whoever rests goes on at once."
  @spec wake() :: :ok
  def wake, do: GenServer.cast(@name, :wake)

  @impl true
  def init(nil) do
    # It does little, and that must not wait for a program that keeps all schedulers busy.
    Process.flag(:priority, :high)
    {:ok, []}
  end

  @impl true
  def handle_cast({:rest, pid}, resting) do
    # It may have asked twice.
    if pid not in resting and suspended?(pid) do
      Process.send_after(self(), {:wake, pid}, @rest_ms)
      {:noreply, [pid | resting]}
    else
      {:noreply, resting}
    end
  end

  def handle_cast(:wake, resting) do
    resume(resting)
    {:noreply, []}
  end

  @impl true
  def handle_info({:wake, pid}, resting) do
    # It may have been woken, and rest again: then it is woken early.
    if pid in resting, do: resume([pid])
    {:noreply, List.delete(resting, pid)}
  end

  def handle_info(_, resting), do: {:noreply, resting}

  # Without waiting for it: it may be writing to a slow disk.
  defp suspended?(pid) do
    :erlang.suspend_process(pid, [:asynchronous, :unless_suspending])
  rescue
    # It has ended.
    ArgumentError -> false
  end

  defp resume(resting) do
    for pid <- resting do
      try do
        :erlang.resume_process(pid)
      rescue
        # It has ended.
        ArgumentError -> :ok
      end
    end
  end
end
