defmodule ElixirScope.Test.RawFiles do
  @moduledoc """
  Reads a recording's raw files as `docs/format.md` describes them. Written from that page, and shares nothing with the
  code that writes them.
  """

  @kinds %{
    1 => :call,
    2 => :return,
    3 => :tail,
    4 => :bind,
    5 => :caught,
    6 => :raise,
    10 => :state,
    20 => :spawn,
    21 => :spawned,
    22 => :exit,
    23 => :link,
    24 => :unlink,
    25 => :getting_linked,
    26 => :getting_unlinked,
    27 => :register,
    28 => :unregister,
    29 => :send,
    30 => :receive,
    36 => :scheduled_in,
    37 => :scheduled_out,
    40 => :test_start,
    41 => :test_end
  }

  @frames %{1 => :events, 2 => :processes, 3 => :sites, 4 => :loss, 5 => :meta, 6 => :end, 7 => :samples}

  @doc "Every file of `dir`: `%{path, shard, os_pid, frames, gaps, tail}`; `tail` is the bytes after the last whole frame."
  def read(dir) do
    # A writer that is killed as soon as it has made its file leaves it without a header.
    for path <- dir |> Path.join("*.frames") |> Path.wildcard() |> Enum.sort(),
        File.stat!(path).size >= 40,
        do: file(path)
  end

  def file(path) do
    <<"ELXSCOPE", 1::little-16, 1, 48, os_pid::little-32, mono::little-signed-64, unix::little-signed-64,
      shard::little-16, _::16, _::32, rest::binary>> = File.read!(path)

    true = unix > 1_600_000_000_000_000_000 and is_integer(mono)
    {frames, gaps, tail} = frames(rest, [], 0)
    shard = %{0xFFFF => :meta, 0xFFFE => :vm}[shard] || shard
    %{path: path, shard: shard, os_pid: os_pid, frames: frames, gaps: gaps, tail: tail}
  end

  defp frames(<<>>, done, gaps), do: {Enum.reverse(done), gaps, 0}

  defp frames(
         <<"EXSF", crc::little-32, checked::binary-size(32), rest::binary>> = data,
         done,
         gaps
       ) do
    <<type, _flags, _::16, length::little-32, first::little-signed-64, last::little-signed-64, count::little-32,
      loss::little-32>> = checked

    with true <- byte_size(rest) >= length,
         {payload, more} = :erlang.split_binary(rest, length),
         ^crc <- :erlang.crc32([checked, payload]) do
      frame = %{type: @frames[type], first: first, last: last, count: count, loss: loss, payload: payload}
      frames(more, [frame | done], gaps)
    else
      _ -> resume(data, done, gaps)
    end
  end

  defp frames(data, done, gaps), do: resume(data, done, gaps)

  # The next magic whose frame holds; none means that the file stops here.
  defp resume(data, done, gaps) do
    found =
      for {at, _} <- :binary.matches(data, "EXSF"),
          at > 0,
          holds?(binary_part(data, at, byte_size(data) - at)),
          do: at

    case found do
      [] -> {Enum.reverse(done), gaps, byte_size(data)}
      [at | _] -> frames(binary_part(data, at, byte_size(data) - at), done, gaps + 1)
    end
  end

  defp holds?(<<"EXSF", crc::little-32, checked::binary-size(32), rest::binary>>) do
    <<_::32, length::little-32, _::binary>> = checked

    byte_size(rest) >= length and
      crc == :erlang.crc32([checked, binary_part(rest, 0, length)])
  end

  defp holds?(_), do: false

  @doc "All events of `dir`, by time."
  def events(dir) do
    dir |> read() |> Enum.flat_map(&file_events/1) |> Enum.sort_by(& &1.ts)
  end

  @doc "The events of one file in the order of the file."
  def file_events(%{frames: frames, shard: shard}) do
    {events, _} =
      Enum.flat_map_reduce(frames, %{}, fn
        %{type: :processes, payload: payload}, names ->
          {[], Map.merge(names, Map.new(:erlang.binary_to_term(payload)))}

        %{type: :events} = frame, names ->
          {decode(frame, names, shard), names}

        _, names ->
          {[], names}
      end)

    events
  end

  defp decode(%{payload: payload, count: count, first: first, last: last}, names, shard) do
    size = count * 48
    {events, values} = :erlang.split_binary(payload, size)

    for <<ts::little-signed-64, frame::little-signed-64, ref::little-signed-64, pid::little-32, peer::little-32,
          site::little-32, kind, flags, aux::little-16, offset::little-32, length::little-32 <- events>> do
      true = shard == :vm or (ts >= first and ts <= last)

      %{
        ts: ts,
        frame: frame,
        ref: ref,
        pid: Map.fetch!(names, pid),
        peer: if(peer != 0xFFFFFFFF, do: Map.fetch!(names, peer)),
        site: site,
        kind: Map.fetch!(@kinds, kind),
        flags: flags,
        aux: aux,
        value:
          if(length > 0, do: {:ok, values |> binary_part(offset, length) |> :erlang.binary_to_term()}, else: :none)
      }
    end
  end

  @doc "Whether every file was ended in order."
  def complete?(dir) do
    files = read(dir)
    files != [] and Enum.all?(files, fn file -> Enum.any?(file.frames, &(&1.type == :end)) and file.tail == 0 end)
  end

  @doc "The maps of all META frames."
  def metas(dir), do: terms(dir, :meta)

  @doc "`{pid, count, reason}` of all LOSS frames."
  def losses(dir), do: dir |> terms(:loss) |> List.flatten()

  defp terms(dir, type) do
    for file <- read(dir), %{type: ^type, payload: payload} <- file.frames, do: :erlang.binary_to_term(payload)
  end
end
