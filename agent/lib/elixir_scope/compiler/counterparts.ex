defmodule ElixirScope.Compiler.Counterparts do
  @moduledoc """
  The same instrumented modules in every VM that a recorded one has started.

  A function that is sent to another VM names its code by the MD5 of its module's code: it can be called only where the
  same code is loaded. So what one VM of a recording has made of its modules it writes down in `code/`, and one that has
  no project of its own (a peer in a test of a cluster) takes them from there when it first calls one, before any of
  them is loaded otherwise: `error_handler` asks here. Whether such a VM records or not, it runs the same code.

  Until there is something to load, nothing but Erlang's own modules can be called here, `Enum` included (and so no
  `for` over lists): a peer may get Elixir on its path later.
  """

  alias ElixirScope.Boot
  alias ElixirScope.Capture.{Ingestor, Native, NativeRuntime}
  alias ElixirScope.Compiler.{Beam, Cache, Loader, Rewrite, Selection}
  alias ElixirScope.Plan

  @name :elixir_scope_counterparts
  @folder ~c"code"
  # By `called/1`, which would be called for them.
  @used [:os, :file, :filename, :lists, :maps]
  @known {__MODULE__, :known}
  @edits [
    {:before, :undefined_function, 3, {__MODULE__, :called}},
    {:before, :undefined_lambda, 3, {__MODULE__, :called}}
  ]

  @typedoc "A module, the file of its plain code, the MD5 of that, whose it is, and where the instrumented code is."
  @type registered :: {module, charlist, binary, Selection.kind(), {:kept, Path.t()} | {:entry, Cache.entry()}}

  @doc "Tells the other VMs of this recording what was made of modules."
  @spec register([registered]) :: :ok
  def register([]), do: :ok

  def register(modules) do
    with dir when is_list(dir) <- :os.getenv(~c"ELIXIRSCOPE_DIR"),
         file = :filename.join([dir, @folder, :os.getpid()]),
         content = :erlang.term_to_binary(modules),
         :ok <- :filelib.ensure_dir(file),
         :ok <- :file.write_file(file, [<<byte_size(content)::32>>, content], [:append]) do
      :ok
    else
      false -> :ok
      {:error, reason} -> not_covered("functions sent to other VMs", "they fail there: #{:file.format_error(reason)}")
    end
  end

  @doc "Keeps what `install/0` will load, where there is no Elixir to make it. Returns what could not be edited."
  @spec prepare() :: [{module, term}]
  def prepare do
    with {:ok, _} <- edited(), do: [], else: ({:error, reason} -> missing(reason))
  end

  @doc "Has `error_handler` ask here. Returns what could not be edited."
  @spec install() :: [{module, term}]
  def install do
    :lists.foreach(&:code.ensure_loaded/1, @used)

    with {:ok, binary} <- edited(),
         true <- :erlang.register(@name, spawn(&loop/0)),
         {:module, _} <- Beam.unstuck(:error_handler, :code.which(:error_handler), binary) do
      []
    else
      {:error, reason} -> missing(reason)
    end
  end

  # A release is stripped of it; few start peers.
  defp missing(:no_debug_info), do: []
  defp missing(reason), do: [{:error_handler, reason}]

  defp edited, do: Rewrite.edited(:error_handler, :code.which(:error_handler), @edits)

  # By the process that has called something of a module that is not loaded, before it is looked for.
  @doc false
  def called([module | _]) do
    with true <- is_map_key(known(), module),
         server when is_pid(server) and server != self() <- :erlang.whereis(@name) do
      arm(server)
    end

    :ok
  catch
    # It goes on as without us.
    _, _ -> :ok
  end

  @doc "Loads what there is for the present code path, now."
  @spec arm() :: :ok
  def arm, do: arm(:erlang.whereis(@name))

  # `error_handler` could not be edited.
  defp arm(:undefined), do: :ok

  # By a process of its own: the caller is the user's, and others wait until all is there.
  defp arm(server) do
    ref = :erlang.monitor(:process, server)
    send(server, {:arm, self(), ref})

    receive do
      ^ref -> :erlang.demonitor(ref, [:flush])
      {:DOWN, ^ref, :process, _, _} -> true
    end

    :ok
  end

  defp loop do
    receive do
      {:arm, from, ref} ->
        if map_size(known()) > 0 and match?({:module, _}, :code.ensure_loaded(:elixir)), do: load()
        send(from, ref)
    end

    loop()
  end

  defp load do
    Boot.runtime()
    path = Enum.map(:code.get_path(), &:filename.absname/1)
    present = for {_, file, _, _, _} = one <- Map.values(known()), :filename.dirname(file) in path, do: one

    if Ingestor.open() != nil do
      Loader.arm(Plan.current(), for({module, file, _, kind, _} <- present, do: {module, file, kind}))
    else
      present |> Enum.flat_map(&counterpart/1) |> Beam.load()
    end
  catch
    kind, reason -> not_covered("agent", Exception.format_banner(kind, reason, []))
  end

  defp counterpart({module, file, digest, _kind, made}) do
    with false <- :erlang.module_loaded(module),
         {:ok, plain} <- Beam.file(file),
         # It may have been compiled again since.
         ^digest <- :code.module_md5(plain),
         {:ok, code, _sites} <- entry(made),
         :ok <- runnable(code) do
      [{module, file, code}]
    else
      _ -> []
    end
  end

  defp entry({:kept, path}), do: Cache.read(path)
  defp entry({:entry, entry}), do: entry

  # Whatever instrumented code calls must be there.
  defp runnable(code) do
    {:ok, {_, [imports: imports]}} = :beam_lib.chunks(code, [:imports])

    if Enum.any?(imports, &(elem(&1, 0) == NativeRuntime)),
      do: Native.load(System.get_env("ELIXIRSCOPE_NATIVE", "")),
      else: :ok
  end

  # What other VMs have registered; read again only when there is more of it.
  defp known do
    folder = :filename.join(:os.getenv(~c"ELIXIRSCOPE_DIR"), @folder)
    names = with {:error, _} <- :prim_file.list_dir(folder), do: {:ok, []}
    files = :lists.map(&:filename.join(folder, &1), :lists.delete(:os.getpid(), elem(names, 1)))
    sizes = :lists.map(&size/1, files)

    case :persistent_term.get(@known, nil) do
      {^sizes, known} ->
        known

      _ ->
        known = :maps.from_list(:lists.flatmap(&read/1, files))
        :persistent_term.put(@known, {sizes, known})
        known
    end
  end

  defp size(file) do
    with {:ok, info} <- :file.read_file_info(file, [:raw]), do: {file, elem(info, 1)}
  end

  defp read(file) do
    case :file.read_file(file) do
      {:ok, content} -> read(content, [])
      {:error, _} -> []
    end
  end

  defp read(<<size::32, modules::binary-size(size), rest::binary>>, read) do
    read(rest, :lists.map(&{elem(&1, 0), &1}, :erlang.binary_to_term(modules)) ++ read)
  end

  defp read(_, read), do: read

  defp not_covered(subject, reason) do
    if Ingestor.open() != nil, do: Ingestor.meta(%{what: :coverage, subject: subject, reason: reason})
    :ok
  end
end
