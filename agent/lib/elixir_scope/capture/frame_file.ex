defmodule ElixirScope.Capture.FrameFile do
  @moduledoc """
  One raw file: a header, then checked frames, each written with one call (`docs/format.md`, "Raw files").
  """

  alias ElixirScope.Capture.{Clock, Ingestor}

  @types %{events: 1, processes: 2, sites: 3, loss: 4, meta: 5, end: 6, samples: 7}
  @meta_shard 0xFFFF
  @vm_shard 0xFFFE
  @vm {__MODULE__, :vm}

  @type t :: :file.fd()

  @doc """
  Creates the file of `shard` (`:meta`, `:vm` or a collector's number) in `dir`. A restarted writer gets a file of its
  own: what the one before wrote stays.
  """
  @spec open(Path.t(), :meta | :vm | non_neg_integer) :: {:ok, t} | {:error, term}
  def open(dir, shard), do: open(dir, shard, 0)

  defp open(dir, shard, again) do
    suffix = if again == 0, do: "", else: "-#{again}"
    path = Path.join(dir, "#{vm()}-#{shard}#{suffix}.frames")

    with {:error, :eexist} <- create(path, shard), do: open(dir, shard, again + 1)
  end

  @doc """
  Finds what the names of this VM's files in `dir` begin with: its node and OS process. One that `:init.restart/0` has
  begun anew (`bin/app restart`, or a release that restarts for its configuration) is another VM, of the same both.
  """
  @spec name(Path.t()) :: :ok
  def name(dir), do: name(dir, "#{node()}.#{:os.getpid()}", 0)

  defp name(dir, vm, restarts) do
    name = if restarts == 0, do: vm, else: "#{vm}+#{restarts}"

    if match?({:ok, _}, :file.read_file_info(Path.join(dir, name <> "-meta.frames"))),
      do: name(dir, vm, restarts + 1),
      else: :persistent_term.put(@vm, name)
  end

  @doc "What `name/1` has found."
  @spec vm() :: binary
  def vm, do: :persistent_term.get(@vm)

  @doc "Creates the file `path`, which must not exist."
  @spec create(Path.t(), :meta | :vm | non_neg_integer) :: {:ok, t} | {:error, term}
  def create(path, shard) do
    with {:ok, file} <- :file.open(path, [:write, :exclusive, :raw, :binary]),
         :ok <- :file.write(file, header(shard)),
         do: {:ok, file}
  end

  defp header(shard) do
    monotonic = Clock.nanoseconds()
    unix = :erlang.system_time(:nanosecond)
    os_pid = List.to_integer(:os.getpid())
    number = %{meta: @meta_shard, vm: @vm_shard}[shard] || shard

    <<"ELXSCOPE", 1::little-16, 1, 48, os_pid::little-32, monotonic::little-signed-64, unix::little-signed-64,
      number::little-16, 0::16, 0::32>>
  end

  @doc "Tells the user, once, that recording failed. The program has not."
  @spec complain(term) :: :ok
  def complain(reason) do
    # Several writers meet the same full disk at the same time.
    if Ingestor.first?(:complaint) do
      why = :file.format_error(reason)

      :io.put_chars(
        :standard_error,
        "elixirscope: recording stopped: #{why}. The program runs on; free space and record again.\n"
      )
    end

    :ok
  end

  @doc "Appends one frame: see `frame/3`."
  @spec write(t, atom, iodata, keyword) :: :ok | {:error, term}
  def write(file, type, payload, opts \\ []), do: append(file, [frame(type, payload, opts)])

  @doc "Appends frames at once: each time somebody writes, a thread of the VM is woken, and spins for a while afterwards."
  @spec append(t, [iodata]) :: :ok | {:error, term}
  def append(_file, []), do: :ok
  def append(file, frames), do: :file.write(file, frames)

  @doc "One frame. `loss` counts the events dropped since the frame before."
  @spec frame(atom, iodata, keyword) :: iodata
  def frame(type, payload, opts \\ []) do
    now = Clock.nanoseconds()

    head =
      <<Map.fetch!(@types, type), 0, 0::16, IO.iodata_length(payload)::little-32,
        Keyword.get(opts, :first, now)::little-signed-64, Keyword.get(opts, :last, now)::little-signed-64,
        Keyword.get(opts, :count, 1)::little-32, Keyword.get(opts, :loss, 0)::little-32>>

    checked = [head, payload]
    ["EXSF", <<:erlang.crc32(checked)::little-32>>, checked]
  end

  @doc "Appends a frame that carries one term."
  def write_term(file, type, term, opts \\ []), do: append(file, [frame_of(type, term, opts)])

  @doc "One frame that carries one term."
  @spec frame_of(atom, term, keyword) :: iodata
  def frame_of(type, term, opts \\ []), do: frame(type, :erlang.term_to_binary(term), opts)
end
