Code.require_file("../ast/support.exs", __DIR__)

defmodule ElixirScope.Compiler.LoaderTest do
  use ExUnit.Case, async: false

  alias ElixirScope.AST.Support
  alias ElixirScope.Compiler.{Ahead, Beam, Loader}
  alias ElixirScope.Plan

  @compile {:no_warn_undefined, [Loaded, LoadedOnLoad]}

  @moduletag :tmp_dir

  @source """
  defmodule Loaded do
    @moduledoc "Docs"
    @behaviour GenServer
    @doc "Says"
    def f(x), do: {:ok, x}
    def init(x), do: {:ok, x}
  end
  """

  setup %{tmp_dir: dir} do
    File.write!(Path.join(dir, "plan.terms"), "\#{version => 1, default => full}.")
    {:ok, plan} = Plan.load(Path.join(dir, "plan.terms"))
    {module, _, binary} = Support.elixir(@source)
    path = Path.join(dir, "#{module}.beam")
    File.write!(path, binary)
    Support.load(module, binary)
    %{plan: plan, module: module, binary: binary, path: String.to_charlist(path)}
  end

  test "loads over the original, once, and back again; the file stays", %{plan: plan, module: module} = context do
    plain = module.module_info(:md5)
    modules = [{module, context.path, :project}]

    assert Loader.arm(plan, modules) == 1
    assert Loader.arm(plan, modules) == 0
    assert %{^module => _} = Loader.armed()
    assert module.module_info(:md5) != plain
    assert :code.which(module) == context.path
    assert module.module_info(:compile)[:source] |> List.to_string() |> Path.basename() == "subject.ex"
    assert Loaded.f(1) == {:ok, 1}
    assert File.read!(context.path) == context.binary

    Loader.detach()
    assert module.module_info(:md5) == plain
    assert Loader.armed() == %{}
  end

  test "leaves nothing with the caller", %{plan: plan, module: module, path: path} do
    before = Process.info(self(), [:messages, :links, :dictionary, :monitors])
    Loader.arm(plan, [{module, path, :project}])
    assert Process.info(self(), [:messages, :links, :dictionary, :monitors]) == before
    Loader.detach()
  end

  test "skips what it cannot or must not replace, and says why", %{plan: plan, tmp_dir: dir} do
    broken = Path.join(dir, "Elixir.Broken.beam")
    File.write!(broken, "no beam")

    assert Ahead.run(dir, :app, plan).skipped == [{Broken, :not_a_beam}]
    lists = :code.which(:lists)

    assert Loader.arm(plan, [{Broken, String.to_charlist(broken), :project}, {:lists, lists, :project}]) == 0
    assert Loader.armed() == %{}
  end

  test "the compile-time door keeps what a file says of itself, and enters once", context do
    %{plan: plan, module: module, path: path, tmp_dir: dir, binary: original} = context
    assert %{instrumented: [^module], skipped: []} = Ahead.run(dir, :app, plan)
    instrumented = File.read!(path)
    assert instrumented != original

    for chunk <- [~c"Docs", ~c"Dbgi", ~c"Attr", ~c"CInf", ~c"ExCk"] do
      assert :beam_lib.chunks(instrumented, [chunk]) == :beam_lib.chunks(original, [chunk])
    end

    {%{module: ^module}, [{id, :function, _, _, _, _, _} | _]} = Beam.announcement(instrumented)
    assert id >= 0x4000_0000
    assert %{instrumented: [], skipped: [{^module, :already_instrumented}]} = Ahead.run(dir, :app, plan)
    assert File.read!(path) == instrumented

    Support.load(module, instrumented)
    assert Loaded.f(1) == {:ok, 1}
    assert Code.fetch_docs(List.to_string(path)) |> elem(4) == %{"en" => "Docs"}
  end
end
