defmodule ElixirScope.Compiler.Cache do
  @moduledoc """
  Instrumented modules of earlier recordings, in the user's cache folder: compiling is most of what instrumenting costs.

  A file is named by all that its content depends on: the module's `.beam` (or its forms, of a module in memory), the plan, the agent, Elixir and OTP. It is
  whole or not there, carries its own checksum, and is never needed: what cannot be read is made anew.

  Ids of sites are in the code, so a kept module brings its own. They come from a block of ids that follows from the
  name of the file. Two modules of one VM that meet in a block are told apart by `claim/2`: the second is instrumented as
  if there were no cache.
  """

  alias ElixirScope.Once

  @block_bits 12
  @block 4096
  @blocks 131_072
  # Among the claims: whether anything was written.
  @written @blocks + 1
  # Between the ids given out at run time and those of the compile-time door.
  @first_id 0x2000_0000
  @claims {__MODULE__, :claims}
  @opened {__MODULE__, :opened}
  @most_bytes 256 * 1024 * 1024
  @kept_bytes 192 * 1024 * 1024
  # What plans say that no code depends on.
  @immaterial [:intent, :every_call, :budgets, :limits, :messages, :lifecycle, :scheduling, :memory, :redact]

  @type t :: %{dir: Path.t(), context: binary} | nil
  @type place :: %{path: Path.t(), block: non_neg_integer, whose: pos_integer} | nil
  @type entry :: {:ok, binary, {map, list}} | {:skip, term}

  @doc "The cache for a plan; nil where there is no place for one."
  @spec open(map, Path.t() | nil) :: t
  def open(plan, dir \\ dir()) do
    with dir when dir != nil <- dir, :ok <- File.mkdir_p(dir) do
      %{dir: dir, context: context(plan)}
    else
      _ -> nil
    end
  end

  @doc "As `open/1`, once for as long as the plan is the same: for modules that come one by one."
  @spec opened(map) :: t
  def opened(plan) do
    dir = dir()

    case :persistent_term.get(@opened, nil) do
      {^plan, ^dir, cache} -> cache
      _ -> tap(open(plan, dir), &:persistent_term.put(@opened, {plan, dir, &1}))
    end
  end

  defp dir, do: Application.get_env(:elixir_scope, :cache, folder())

  defp folder do
    Path.join(to_string(:filename.basedir(:user_cache, ~c"elixirscope")), "instrumented")
  rescue
    # A user without a home.
    _ -> nil
  end

  defp context(plan) do
    agent = with nil <- Application.get_env(:elixir_scope, :build), do: digests()
    code = %{Map.drop(plan, @immaterial) | modules: sources(plan.modules), functions: sources(plan.functions)}
    whole = {agent, code, plan.redact.keys, System.version(), :erlang.system_info(:otp_release)}
    :erlang.md5(:erlang.term_to_binary(whole, [:deterministic]))
  end

  # A compiled pattern is another in another VM.
  defp sources(rules), do: for({pattern, level} <- rules, do: {Regex.source(pattern), level})

  # Of an agent that the recorder has not built.
  defp digests do
    own = for module <- Application.spec(:elixir_scope, :modules) || [], Code.ensure_loaded?(module), do: module
    for module <- own, do: {module, module.module_info(:md5)}
  end

  @doc """
  Where the cache has, or would have, what is made of `original` (the file); nil without a cache. What else that depends
  on, `how` apart, is a part of the cache.
  """
  @spec place(t, iodata, term) :: place
  def place(nil, _original, _how), do: nil

  def place(cache, original, how) do
    <<number::32, whose::60, _::bitstring>> =
      key = :erlang.md5([cache.context, :erlang.md5(original), :erlang.term_to_binary(how)])

    %{path: path(cache, key), block: rem(number, @blocks), whose: whose + 1}
  end

  @doc """
  What `make` would return, from the file when there is a good one. `make` is given what hands out ids of sites, or nil for
  those of this VM.
  """
  @spec fetch(place, ((() -> pos_integer) | nil -> entry)) :: entry
  def fetch(nil, make), do: make.(nil)

  def fetch(%{path: path, block: block, whose: whose}, make) do
    if claim(block, whose) do
      entry = with :none <- read(path), do: make(path, block, make)
      if all_claimed?(entry, block, whose), do: entry, else: make.(nil)
    else
      make.(nil)
    end
  end

  @doc "The file that `fetch/2` has its answer from, and other VMs find it in; nil where it was made for this VM alone."
  @spec kept(place) :: Path.t() | nil
  def kept(nil), do: nil
  def kept(place), do: if(:atomics.get(claims(), place.block + 1) == place.whose, do: place.path)

  defp path(cache, key), do: Path.join(cache.dir, :binary.encode_hex(key))

  defp make(path, block, make) do
    counter = :atomics.new(1, [])
    first = @first_id + Bitwise.bsl(block, @block_bits)
    made = make.(fn -> first + :atomics.add_get(counter, 1, 1) - 1 end)
    unless match?({:skip, {:compile, _}}, made), do: write(path, made)
    made
  end

  # A module with more sites than a block has goes on into those that follow.
  defp all_claimed?({:ok, _, {_, sites}}, block, whose) do
    last = block + div(max(length(sites) - 1, 0), @block)
    last < @blocks and Enum.all?(Enum.drop(block..last, 1), &claim(&1, whose))
  end

  defp all_claimed?(_skipped, _block, _whose), do: true

  # Whether nobody else in this VM has had this block. A module that is defined again as it was has the ids that it had.
  defp claim(block, whose), do: :atomics.compare_exchange(claims(), block + 1, 0, whose) in [:ok, whose]

  defp claims do
    with nil <- :persistent_term.get(@claims, nil) do
      Once.run(__MODULE__, &create_claims/0)
      :persistent_term.get(@claims)
    end
  end

  defp create_claims do
    with nil <- :persistent_term.get(@claims, nil), do: :persistent_term.put(@claims, :atomics.new(@blocks + 1, []))
  end

  @doc "What a file holds; `:none` when that is nothing good."
  @spec read(Path.t()) :: entry | :none
  def read(path) do
    # By who asks, and not by the file server, which would have to be woken.
    with {:ok, <<sum::binary-size(16), content::binary>>} <- :prim_file.read_file(path),
         ^sum <- :erlang.md5(content) do
      # So that what is used is not what is removed: one time in eight is enough to tell.
      if rem(:erlang.unique_integer([:positive]), 8) == 0, do: File.touch(path)
      :erlang.binary_to_term(content)
    else
      _ -> :none
    end
  end

  # Other VMs may write the same: the file is there as a whole or not at all. Without it, all works as well.
  defp write(path, entry) do
    content = :erlang.term_to_binary(entry)
    temporary = "#{path}.#{:os.getpid()}"

    with :ok <- :prim_file.write_file(temporary, [:erlang.md5(content), content]),
         do: :prim_file.rename(temporary, path)

    :atomics.put(claims(), @written, 1)
  end

  @doc "Removes what was not used for longest when there is too much, if this VM has added anything."
  @spec trim(t, non_neg_integer, non_neg_integer) :: :ok
  def trim(cache, most \\ @most_bytes, kept \\ @kept_bytes)
  def trim(nil, _most, _kept), do: :ok

  def trim(cache, most, kept) do
    if :atomics.get(claims(), @written) == 1, do: remove(cache.dir, most, kept)
    :ok
  end

  defp remove(dir, most, kept) do
    files =
      for name <- ls(dir), path = Path.join(dir, name), {:ok, stat} <- [File.stat(path, time: :posix)] do
        {stat.mtime, stat.size, path}
      end

    total = Enum.sum(for {_, size, _} <- files, do: size)

    if total > most do
      files
      |> Enum.sort()
      |> Enum.reduce_while(total, fn {_, size, path}, left ->
        if left > kept do
          File.rm(path)
          {:cont, left - size}
        else
          {:halt, left}
        end
      end)
    end
  end

  defp ls(dir) do
    case File.ls(dir) do
      {:ok, names} -> names
      {:error, _} -> []
    end
  end
end
