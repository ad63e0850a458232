Code.require_file("../ast/support.exs", __DIR__)

defmodule ElixirScope.Compiler.RewriteTest do
  use ExUnit.Case, async: false

  alias ElixirScope.AST.Support
  alias ElixirScope.Compiler.Rewrite

  @compile {:no_warn_undefined, Wrapped}

  @moduletag :tmp_dir

  def around(args, original), do: {:around, args, original.(args)}
  def reversed(list), do: {:not_reversed, list}

  test "wraps functions, also private ones, and redirects calls", %{tmp_dir: dir} do
    {module, _, binary} =
      Support.elixir("""
      defmodule Wrapped do
        def f(x, y), do: {x, g(y)}
        defp g(y), do: y + 1
        def r(l), do: :lists.reverse(l)
      end
      """)

    path = Path.join(dir, "Elixir.Wrapped.beam")
    File.write!(path, binary)

    edits = [
      {:wrap, :f, 2, {__MODULE__, :around}},
      {:wrap, :g, 1, {__MODULE__, :around}},
      {:wrap, :missing, 9, {__MODULE__, :around}},
      {:redirect, {:lists, :reverse, 1}, {__MODULE__, :reversed}}
    ]

    kept = Path.join(Path.dirname(:code.which(Rewrite)), "Elixir.Wrapped-*.hook")

    # The second time from what was kept of the first, the third although that was damaged.
    for n <- 1..3 do
      if n == 3, do: kept |> Path.wildcard() |> Enum.each(&File.write!(&1, binary_part(File.read!(&1), 0, 300)))
      Support.load(module, binary)
      assert [] = Rewrite.load([{module, String.to_charlist(path), edits}])
    end

    assert {:around, [1, 2], {1, {:around, [2], 3}}} = Wrapped.f(1, 2)
    assert {:not_reversed, [1, 2]} = Wrapped.r([1, 2])
    assert :code.which(Wrapped) == String.to_charlist(path)
    hook = Path.wildcard(kept)
    assert [_ | _] = hook
    Enum.each(hook, &File.rm!/1)
  end

  def noted(args), do: send(self(), {:called, args})

  test "calls another function before each clause of one" do
    {module, read, _} = Support.elixir("defmodule Wrapped do\ndef f({x, _}) when x > 0, do: x\ndef f(x), do: x\nend")
    assert {:ok, forms} = Rewrite.edit(read.forms, [{:before, :f, 1, {__MODULE__, :noted}}])
    {:ok, binary} = ElixirScope.Compiler.Beam.compile(forms, read)
    Support.load(module, binary)

    for {given, result} <- [{{1, 2}, 1}, {{0, 2}, {0, 2}}, {:a, :a}] do
      assert Wrapped.f(given) == result
      assert_received {:called, [^given]}
    end
  end

  test "says so when a module has nothing to edit" do
    {_, read, _} = Support.elixir("defmodule Wrapped do\ndef f(), do: 1\nend")

    assert {:error, :no_such_function} = Rewrite.edit(read.forms, [{:wrap, :g, 0, {__MODULE__, :around}}])
  end
end
