defmodule Bench do
  @moduledoc """
  What the scripts beside this share: a pipeline that records into a folder, ways of measuring, and the lines that
  `benchmarks/capture.py` reads: `RESULT KEY NUMBER`.
  """

  alias ElixirScope.Capture.{Native, PipelineManager}

  @doc "A figure for the runner."
  def result(key, number), do: IO.puts("RESULT #{key} #{number}")

  @doc "Starts recording into `dir`. `engine`: `:native` falls back to `:portable` without `NATIVE_LIBRARY`, its path. The one in use."
  def start(dir, engine, changes \\ "") do
    engine = if engine == :native and native() != :ok, do: :portable, else: engine
    File.mkdir_p!(dir)
    plan = Path.join(dir, "plan.terms")
    File.write!(plan, "\#{version => 1, redact => \#{keys => [<<\"password\">>, <<\"token\">>]}#{changes}}.")
    {:ok, plan} = ElixirScope.Plan.load(plan)
    hello = %{what: :hello, engine: engine}
    {:ok, _} = ElixirScope.Application.start_link(%{dir: dir, plan: plan, hello: hello})
    PipelineManager.ready()
    engine
  end

  defp native do
    with library when library not in [nil, ""] <- System.get_env("NATIVE_LIBRARY"),
         {:error, reason} <- Native.load(library) do
      IO.puts(:stderr, "the native engine is not measured: #{reason}")
      :error
    end
  end

  @doc "`runs` rounds of all ways in turn, so that a machine whose speed drifts favours none; the median of each."
  def medians(ways, runs) do
    times = for _ <- 1..runs, do: for({key, way} <- ways, do: {key, way.()})

    for {key, _} <- ways,
        do: {key, times |> Enum.map(&List.keyfind(&1, key, 0)) |> Enum.map(&elem(&1, 1)) |> median()}
  end

  def median(numbers), do: numbers |> Enum.sort() |> Enum.at(div(length(numbers), 2))

  @doc "Nanoseconds of wall time per event of `rounds` calls of `fun`, in a fresh process, as calls are made in life."
  def in_fresh_process(rounds, events, fun, prepare \\ fn -> :ok end) do
    task =
      Task.async(fn ->
        prepare.()
        repeat(100, fun)
        begun = :erlang.monotonic_time(:nanosecond)
        repeat(rounds, fun)
        (:erlang.monotonic_time(:nanosecond) - begun) / (rounds * events)
      end)

    Task.await(task, 120_000)
  end

  defp repeat(0, _), do: :ok

  defp repeat(n, fun) do
    fun.()
    repeat(n - 1, fun)
  end

  @doc "A process that takes every message and does nothing with it, for as long as `fun` runs."
  def with_sink(fun) do
    sink = :erlang.spawn_opt(&sink/0, [{:message_queue_data, :off_heap}])
    result = fun.(sink)
    Process.exit(sink, :kill)
    result
  end

  defp sink do
    receive do
      _ -> sink()
    end
  end

  defp collect(file, batch) when byte_size(batch) >= 65_536 do
    :ok = :file.write(file, batch)
    collect(file, <<>>)
  end

  defp collect(file, batch) do
    receive do
      term -> collect(file, <<batch::binary, :erlang.term_to_binary(term, minor_version: 2)::binary>>)
    end
  end

  @doc "As `with_sink/1`, a process that encodes every message and writes them to a file in `dir` in batches of 64 KB."
  def with_collector(dir, fun) do
    collector =
      :erlang.spawn_opt(
        fn ->
          {:ok, file} = :file.open(Path.join(dir, "collected"), [:write, :raw, :binary])
          collect(file, <<>>)
        end,
        [{:message_queue_data, :off_heap}]
      )

    result = fun.(collector)
    Process.exit(collector, :kill)
    result
  end

  @doc "What the files of `dir` hold: `{events, lost}`. Only the heads of frames are read."
  def written(dir) do
    for path <- Path.wildcard(Path.join(dir, "*.frames")), reduce: {0, 0} do
      sums ->
        {:ok, file} = :file.open(path, [:read, :raw, :binary])
        sums = frames(file, 40, sums)
        :file.close(file)
        sums
    end
  end

  defp frames(file, at, {events, lost} = sums) do
    case :file.pread(file, at, 40) do
      {:ok, <<"EXSF", _::32, type, _::24, bytes::little-32, _::128, count::little-32, loss::little-32>>} ->
        frames(file, at + 40 + bytes, if(type == 1, do: {events + count, lost + loss}, else: sums))

      _ ->
        sums
    end
  end
end

defmodule Bench.Floor do
  @moduledoc "Functions of C that do nothing, or nearly so (`floor.c`): what any engine in C costs at the least."

  @doc "Loads them from `FLOOR_LIBRARY`, where that is set; whether they are there."
  def load do
    library = System.get_env("FLOOR_LIBRARY", "")
    library != "" and :erlang.load_nif(String.to_charlist(Path.rootname(library)), 0) == :ok
  end

  def nothing(_, _), do: :erlang.nif_error(:not_loaded)
  def nothing(_, _, _), do: :erlang.nif_error(:not_loaded)
  @doc "Takes the time and writes it into a record of 64 bytes."
  def noted(_, _), do: :erlang.nif_error(:not_loaded)
  def noted(_, _, _), do: :erlang.nif_error(:not_loaded)
  # A tracer that is asked, says yes, and does nothing.
  def enabled(_, _, _), do: :erlang.nif_error(:not_loaded)
  def trace(_, _, _, _, _), do: :erlang.nif_error(:not_loaded)
end
