defmodule ElixirScope.Capture.Batch do
  @moduledoc """
  Events gathered for one frame: encoded as they come, so that their terms are free at once. Pure.
  """

  use ElixirScope.Capture.Event

  @no_peer 0xFFFFFFFF

  @type t :: map

  @doc "An empty batch that knows which processes the file has already named."
  def new(known \\ %{}) do
    %{events: <<>>, values: <<>>, count: 0, first: nil, last: nil, known: known, fresh: [], unit: unit()}
  end

  @doc "Adds one event with the value as it is to be written, and the flags of what was done to it."
  def add(batch, {:"$es", head, ts, frame, pid, _}, value, more_flags),
    do: add(batch, head ||| more_flags <<< 40, ts, frame, pid, nil, 0, value)

  def add(batch, {:"$es", kind, flags, aux, ts, frame, site, pid, peer, ref, _}, value, more_flags),
    do: add(batch, head(kind, flags ||| more_flags, aux, site), ts, frame, pid, peer, ref, value)

  defp add(batch, head, ts, frame, pid, peer, ref, value) do
    ts = nanoseconds(ts, batch.unit)
    frame = nanoseconds(frame, batch.unit)
    {pid, batch} = index(batch, pid)
    {peer, batch} = index(batch, peer)
    encoded = if value == @none, do: <<>>, else: :erlang.term_to_binary(value, minor_version: 2)
    %{events: events, values: values, first: first, last: last} = batch

    # Appended in one step: the binary grows in its place.
    events =
      <<events::binary, ts::little-signed-64, frame::little-signed-64, ref::little-signed-64, pid::little-32,
        peer::little-32, head::little-64, byte_size(values)::little-32, byte_size(encoded)::little-32>>

    %{
      batch
      | events: events,
        values: <<values::binary, encoded::binary>>,
        count: batch.count + 1,
        # Processes are not in step with each other.
        first: if(first == nil or ts < first, do: ts, else: first),
        last: if(last == nil or ts > last, do: ts, else: last)
    }
  end

  @doc "Bytes so far."
  def size(batch), do: byte_size(batch.events) + byte_size(batch.values)

  defp index(batch, pid) when is_pid(pid) do
    case batch.known do
      %{^pid => index} ->
        {index, batch}

      known ->
        index = map_size(known)
        {index, %{batch | known: Map.put(known, pid, index), fresh: [{index, pid} | batch.fresh]}}
    end
  end

  defp index(batch, _), do: {@no_peer, batch}

  # Nearly everywhere the VM's own unit is the nanosecond; converting takes longer than all else here.
  defp unit do
    if :erlang.convert_time_unit(1, :second, :native) == 1_000_000_000, do: :nanosecond, else: :native
  end

  defp nanoseconds(time, :nanosecond), do: time
  defp nanoseconds(0, :native), do: 0
  defp nanoseconds(time, :native), do: :erlang.convert_time_unit(time, :native, :nanosecond)
end
