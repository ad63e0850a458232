defmodule ElixirScope.Capture.Meta do
  @moduledoc """
  Writes the meta file: what sites mean, what was instrumented, what is not covered. Written at once, not in batches,
  so that no event is on disk before its site.
  """

  use GenServer
  alias ElixirScope.Capture.FrameFile

  @name :elixir_scope_meta
  # How long a caller waits for the disk; once it has waited so long in vain, the next ones only for a moment.
  @patience {__MODULE__, :patience}
  @patient_ms 5_000
  @impatient_ms 50

  def start_link(arg), do: GenServer.start_link(__MODULE__, arg, name: @name)

  @doc "Writes the sites of a module, and META frames that go with them; returns when they are written, unless the disk takes nothing."
  def sites(module, info, sites, told \\ []) do
    # Encoded here, and not where all meet: there it would be copied first.
    frames = [FrameFile.frame_of(:sites, {module, info, sites}, count: length(sites))]
    call({:frames, frames ++ Enum.map(told, &FrameFile.frame_of(:meta, &1))})
  end

  @doc "Writes a META frame, or some at once."
  def write(maps) when is_list(maps), do: call({:frames, Enum.map(maps, &FrameFile.frame_of(:meta, &1))})
  def write(map), do: call({:meta, map})

  @doc "Writes what the memory of processes is now: `[{index, pid}]` of those not named before, and encoded samples."
  def samples(fresh, samples), do: call({:samples, fresh, samples})

  @doc "Ends the file in order."
  def close, do: call(:close)

  # The recorder may be gone or failing, its disk may take nothing: whoever instruments a module must not suffer from it.
  # What was not waited for is written all the same, as soon as it can be.
  defp call(request) do
    GenServer.call(@name, request, :persistent_term.get(@patience, @patient_ms))
  catch
    :exit, {:timeout, _} -> :persistent_term.put(@patience, @impatient_ms)
    :exit, _ -> :ok
  end

  @impl true
  def init({dir, hello}) do
    Process.flag(:trap_exit, true)
    :persistent_term.erase(@patience)

    case FrameFile.open(dir, :meta) do
      {:ok, file} ->
        append(file, :meta, hello, [])
        {:ok, %{file: file, closed: false}}

      {:error, reason} ->
        {:stop, {:cannot_write, dir, reason}}
    end
  end

  @impl true
  def handle_call({:frames, frames}, _from, state) do
    written(FrameFile.append(state.file, frames))
    {:reply, :ok, state}
  end

  def handle_call({:meta, map}, _from, state) do
    append(state.file, :meta, map, [])
    {:reply, :ok, state}
  end

  def handle_call({:samples, fresh, samples}, _from, %{closed: false} = state) do
    if fresh != [], do: append(state.file, :processes, fresh, count: length(fresh))
    written(FrameFile.write(state.file, :samples, samples, count: length(samples)))
    {:reply, :ok, state}
  end

  def handle_call({:samples, _, _}, _from, state), do: {:reply, :ok, state}

  def handle_call(:close, _from, state) do
    finish(state)
    {:reply, :ok, %{state | closed: true}}
  end

  @impl true
  def terminate(_reason, state), do: finish(state)

  defp append(file, type, term, opts), do: written(FrameFile.write_term(file, type, term, opts))

  defp written(result), do: with({:error, reason} <- result, do: FrameFile.complain(reason))

  defp finish(state), do: FrameFile.write_term(state.file, :end, %{events: 0, lost: 0})
end
