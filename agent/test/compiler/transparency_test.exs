defmodule ElixirScope.Compiler.TransparencyTest do
  # A project with what is special about modules, run plain and recorded: all that it can find out must be the same.
  use ExUnit.Case, async: true

  alias ElixirScope.Test.{ChildVM, NativeLibrary}

  @moduletag :tmp_dir

  @files [
    {"mix.exs",
     """
     defmodule Whole.MixProject do
       use Mix.Project
       def project, do: [app: :whole, version: "1.0.0"]
       def application, do: [extra_applications: []]
     end
     """},
    {"lib/native.ex",
     """
     defmodule Whole.Native do
       @on_load :load
       def load, do: (:erlang.load_nif(~c"/nowhere/at/all", 0); :ok)
       def add(_, _), do: :erlang.nif_error(:not_loaded)
       def plain(x), do: {:plain, x}
     end

     defmodule Whole.Stub do
       def add(a, b), do: :erlang.nif_error({:not_loaded, a + b})
     end
     """},
    {"lib/size.ex",
     """
     defprotocol Whole.Size do
       @moduledoc "Sizes"
       @fallback_to_any true
       @doc "How much it holds"
       @spec size(t) :: integer
       def size(x)
     end

     defimpl Whole.Size, for: [List, Map], do: (def size(x), do: Enum.count(x))

     defimpl Whole.Size, for: Any do
       defmacro __deriving__(module, _struct, options) do
         quote do
           defimpl Whole.Size, for: unquote(module), do: (def size(x), do: Map.fetch!(x, unquote(options[:of])))
         end
       end

       def size(x), do: raise(Protocol.UndefinedError, protocol: @protocol, value: x)
     end
     """},
    {"lib/box.ex",
     """
     defmodule Whole.Box do
       @moduledoc "A box"
       @derive {Whole.Size, of: :n}
       @enforce_keys [:n]
       defstruct [:n, b: 1]
       @typedoc "One"
       @type t :: %__MODULE__{n: integer}
       @callback open(t) :: :ok | {:error, term}
       @doc "Makes one"
       @doc since: "1.0.0"
       @spec new(integer, keyword) :: t
       def new(n, options \\\\ []) when is_integer(n), do: struct!(%__MODULE__{n: n}, options)
       @deprecated "new/1"
       def old(n), do: new(n)
       @doc false
       def hidden, do: :hidden
       defmacro twice(x), do: quote(do: unquote(x) * 2)
       defguard big(x) when x > 100
     end
     """},
    {"lib/turn.ex",
     """
     defmodule Whole.Turn do
       def version, do: 1
       def loop do
         receive do
           {:version, from} -> send(from, {:version, version()}); loop()
           {:next, from} -> send(from, :turned); __MODULE__.loop()
         end
       end
     end
     """},
    {"src/whole_erl.erl",
     """
     -module(whole_erl).
     -behaviour(gen_server).
     -export([all/1, init/1, handle_call/3, handle_cast/2]).
     -spec all([integer()]) -> tuple().
     all(L) ->
         F = fun Sum([]) -> 0; Sum([H | T]) -> H + Sum(T) end,
         T = try lists:nth(9, L) of X -> {ok, X} catch error:R:S -> {R, [{M, N} || {M, N, _, _} <- S, M =/= init]}
             after put(done, L) end,
         {F(L), [X * Y || X <- L, Y <- L, X < Y], << <<X>> || X <- L >>, T, get(done)}.
     init(N) -> {ok, N}.
     handle_call(Add, _, N) -> {reply, N + Add, N + Add}.
     handle_cast(stop, N) -> {stop, normal, N}.
     """}
  ]

  @look """
  failure = fn fun ->
    try do
      fun.()
    rescue
      e -> {e, for({m, f, a, l} <- __STACKTRACE__, m |> inspect() =~ "Whole", do: {m, f, a, l})}
    end
  end

  look = fn what, value -> IO.puts("\#{inspect(what)}: \#{inspect(value, limit: :infinity, printable_limit: :infinity, width: 200, custom_options: [sort_maps: true])}") end

  look.(:nif, {Whole.Native.plain(1), failure.(fn -> Whole.Native.add(1, 2) end), failure.(fn -> Whole.Stub.add(1, 2) end)})

  box = Whole.Box.new(3, b: 2)
  look.(:protocol, {Protocol.consolidated?(Whole.Size), Whole.Size.__protocol__(:impls), Whole.Size.impl_for(box)})
  look.(:impls, for(x <- [box, [1], %{a: 1}, 7], do: failure.(fn -> Whole.Size.size(x) end)))
  look.(:strict, failure.(fn -> Whole.Box.new(1, c: 2) end))
  look.(:clause, failure.(fn -> Whole.Box.new(:a) end))

  modules = [Whole.Box, Whole.Size, Whole.Size.List, Whole.Native, Whole.Turn, :whole_erl]

  for module <- modules do
    infos = if module == :whole_erl, do: [], else: [:functions, :macros, :deprecated, :module]
    look.({:info, module}, for(info <- infos, do: module.__info__(info)))
    look.({:exports, module}, Enum.sort(module.module_info(:exports)))
    look.({:attributes, module}, module.module_info(:attributes))
    look.({:compile, module}, module.module_info(:compile))
    look.({:where, module}, {:code.which(module), :code.is_loaded(module)})
    {^module, object, path} = :code.get_object_code(module)
    look.({:object, module}, {:erlang.md5(object), path})
    look.({:docs, module}, Code.fetch_docs(module))
    look.({:types, module}, {Code.Typespec.fetch_specs(module), Code.Typespec.fetch_types(module), Code.Typespec.fetch_callbacks(module)})
  end

  look.(:struct, Whole.Box.__struct__(n: 1))
  look.(:fun, :erlang.fun_info(&Whole.Box.new/2))
  look.(:eval, Code.eval_string("require Whole.Box; import Whole.Box; {twice(4), big(101), new(1)}") |> elem(0))
  look.(:erlang, :whole_erl.all([1, 2, 3]))

  {:ok, server} = :gen_server.start_link(:whole_erl, 1, [])
  look.(:server, {:gen_server.call(server, 4), :sys.get_state(server)})

  # A process stays in old code until it makes a call by the module's name.
  ask = fn pid, what -> send(pid, {what, self()}); receive do answer -> answer end end
  {Whole.Turn, first, path} = :code.get_object_code(Whole.Turn)
  pid = spawn_link(Whole.Turn, :loop, [])
  one = ask.(pid, :version)
  [{Whole.Turn, _}] = File.read!("lib/turn.ex") |> String.replace("version, do: 1", "version, do: 2") |> Code.compile_string("lib/turn.ex")
  look.(:reloaded, {one, ask.(pid, :version), Whole.Turn.version(), :erlang.check_process_code(pid, Whole.Turn), :code.soft_purge(Whole.Turn)})
  look.(:turned, {ask.(pid, :next), ask.(pid, :version), :erlang.check_process_code(pid, Whole.Turn), :code.soft_purge(Whole.Turn)})
  look.(:back, {:code.load_binary(Whole.Turn, path, first), Whole.Turn.version(), ask.(pid, :version), ask.(pid, :next), ask.(pid, :version)})
  look.(:file, {for({m, _} <- Code.compile_file("lib/turn.ex"), do: m), Whole.Turn.version(), Process.alive?(pid)})
  look.(:process, Process.info(self(), [:messages, :dictionary]) |> Keyword.update!(:dictionary, &Enum.sort/1) )
  """

  test "a project finds out the same about itself, plain and recorded", %{tmp_dir: dir} do
    project = Path.join(dir, "whole")

    for {path, text} <- @files do
      path = Path.join(project, path)
      File.mkdir_p!(Path.dirname(path))
      File.write!(path, text)
    end

    File.write!(Path.join(project, "look.exs"), @look)
    run = &System.cmd("mix", &1, cd: project, env: [{"MIX_ENV", "dev"} | &2], stderr_to_stdout: true)
    plain = [{"ERL_AFLAGS", nil}, {"ELIXIRSCOPE_DIR", nil}]
    {_, 0} = run.(["compile"], plain)
    {expected, 0} = run.(["run", "look.exs"], plain)
    assert length(Regex.scan(~r/^{:docs, /m, expected)) == 6

    for engine <- [:portable | if(match?({:ok, _}, NativeLibrary.library()), do: [:native], else: [])] do
      recording = Path.join(dir, "#{engine}.scope")
      File.mkdir_p!(recording)
      assert {output, 0} = run.(["run", "look.exs"], ChildVM.environment(recording, "default => full", engine))

      assert {lines(output) -- lines(expected), lines(expected) -- lines(output)} == {[], []}
      # It was recorded at all.
      assert [recording, "raw", "*meta.frames"]
             |> Path.join()
             |> Path.wildcard()
             |> Enum.any?(&(File.read!(&1) =~ "hidden"))
    end
  end

  # Standard output and standard error are in no order with each other. Numbers of processes and times are none of the program's.
  defp lines(text) do
    text |> String.replace(~r/#(PID|Reference)<[\d.]+>|REPORT=.*===/, "#") |> String.split("\n") |> Enum.sort()
  end
end
