defmodule ElixirScope.Capture.Meta do
  @moduledoc """
  Writes the meta file: what sites mean, what was instrumented, what is not covered. Written at once, not in batches,
  so that no event is on disk before its site.
  """

  use GenServer
  alias ElixirScope.Capture.{FrameFile, Redaction}

  @name :elixir_scope_meta

  def start_link(arg), do: GenServer.start_link(__MODULE__, arg, name: @name)

  @doc "Writes the sites of a module; returns when they are written."
  def sites(module, info, sites), do: call({:sites, module, info, sites})

  @doc "Writes a META frame."
  def write(map), do: call({:meta, map})

  @doc "Writes what the memory of processes is now: `[{index, pid}]` of those not named before, and encoded samples."
  def samples(fresh, samples), do: call({:samples, fresh, samples})

  @doc "Ends the file in order."
  def close, do: call(:close)

  # The recorder may be gone or failing; whoever instruments a module must not suffer from it.
  defp call(request) do
    GenServer.call(@name, request, :infinity)
  catch
    :exit, _ -> :ok
  end

  @impl true
  def init({dir, plan, hello}) do
    Process.flag(:trap_exit, true)

    case FrameFile.open(dir, :meta) do
      {:ok, file} ->
        append(file, :meta, hello, [])
        {:ok, %{file: file, secrets: Redaction.rules(plan), closed: false}}

      {:error, reason} ->
        {:stop, {:cannot_write, dir, reason}}
    end
  end

  @impl true
  def handle_call({:sites, module, info, sites}, _from, state) do
    Redaction.note_sites(module, sites, state.secrets)
    append(state.file, :sites, {module, info, sites}, count: length(sites))
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
