defmodule ElixirScope.Capture.Batch do
  @moduledoc """
  Events gathered for one frame: encoded as they come, so that their terms are free at once. Pure.
  """

  use ElixirScope.Capture.Event

  @no_peer 0xFFFFFFFF

  @type t :: map

  @doc "An empty batch that knows which processes the file has already named."
  def new(known \\ %{}), do: %{events: <<>>, values: <<>>, count: 0, first: nil, last: nil, known: known, fresh: []}

  @doc "Adds one event with the value as it is to be written, and the flags of what was done to it."
  def add(batch, {:"$es", kind, flags, aux, ts, frame, site, pid, peer, ref, _}, value, more_flags) do
    ts = nanoseconds(ts)
    {pid, batch} = index(batch, pid)
    {peer, batch} = index(batch, peer)
    encoded = if value == @none, do: <<>>, else: :erlang.term_to_binary(value, minor_version: 2)
    offset = byte_size(batch.values)

    event =
      <<ts::little-signed-64, nanoseconds(frame)::little-signed-64, ref::little-signed-64, pid::little-32,
        peer::little-32, site::little-32, kind, Bitwise.bor(flags, more_flags), aux::little-16, offset::little-32,
        byte_size(encoded)::little-32>>

    %{
      batch
      | events: <<batch.events::binary, event::binary>>,
        values: <<batch.values::binary, encoded::binary>>,
        count: batch.count + 1,
        # Processes are not in step with each other.
        first: min(batch.first || ts, ts),
        last: max(batch.last || ts, ts)
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

  defp nanoseconds(0), do: 0
  defp nanoseconds(native), do: :erlang.convert_time_unit(native, :native, :nanosecond)
end
