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

  def start_link(arg), do: GenServer.start_link(__MODULE__, arg, name: @name, spawn_opt: [max_heap_size: 0])

  @typedoc "Frames as they are in the file: encoded by who writes them, and not where all meet, where they would be copied first."
  @type frames :: [iodata]

  @doc "The sites of a module, and META frames that go with them."
  @spec sites(module, map, [tuple], [map]) :: frames
  def sites(module, info, sites, told) do
    [
      FrameFile.frame_of(:sites, {module, info, sites}, count: length(sites))
      | Enum.map(told, &FrameFile.frame_of(:meta, &1))
    ]
  end

  @doc "Writes frames; returns when they are written, unless the disk takes nothing."
  @spec put(frames) :: :ok
  def put(frames), do: frames |> begin() |> written()

  @doc "Has frames written, which they are when `written/1` returns: the caller has something to do meanwhile."
  @spec begin(frames) :: term
  def begin(frames), do: :gen_server.send_request(@name, {:frames, frames})

  @doc "See `begin/1`."
  @spec written(term) :: :ok
  def written(request) do
    if :gen_server.receive_response(request, patience()) == :timeout, do: impatient()
    :ok
  end

  @doc "Writes a META frame, or some at once."
  def write(maps) when is_list(maps), do: maps |> Enum.map(&FrameFile.frame_of(:meta, &1)) |> put()
  def write(map), do: call({:meta, map})

  @doc "Writes what the memory of processes is now: `[{index, pid}]` of those not named before, and encoded samples."
  def samples(fresh, samples), do: call({:samples, fresh, samples})

  @doc "Ends the file in order."
  def close, do: call(:close)

  # The recorder may be gone or failing, its disk may take nothing: whoever instruments a module must not suffer from it.
  # What was not waited for is written all the same, as soon as it can be.
  defp call(request) do
    GenServer.call(@name, request, patience())
  catch
    :exit, {:timeout, _} -> impatient()
    :exit, _ -> :ok
  end

  defp patience, do: :persistent_term.get(@patience, @patient_ms)
  defp impatient, do: :persistent_term.put(@patience, @impatient_ms)

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
    told(FrameFile.append(state.file, frames))
    {:reply, :ok, state}
  end

  def handle_call({:meta, map}, _from, state) do
    append(state.file, :meta, map, [])
    {:reply, :ok, state}
  end

  def handle_call({:samples, fresh, samples}, _from, %{closed: false} = state) do
    if fresh != [], do: append(state.file, :processes, fresh, count: length(fresh))
    told(FrameFile.write(state.file, :samples, samples, count: length(samples)))
    {:reply, :ok, state}
  end

  def handle_call({:samples, _, _}, _from, state), do: {:reply, :ok, state}

  def handle_call(:close, _from, state) do
    finish(state)
    {:reply, :ok, %{state | closed: true}}
  end

  @impl true
  def terminate(_reason, state), do: finish(state)

  defp append(file, type, term, opts), do: told(FrameFile.write_term(file, type, term, opts))

  defp told(result), do: with({:error, reason} <- result, do: FrameFile.complain(reason))

  defp finish(state), do: FrameFile.write_term(state.file, :end, %{events: 0, lost: 0})
end
