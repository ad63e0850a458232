Code.require_file("../ast/support.exs", __DIR__)

defmodule ElixirScope.Compiler.CacheTest do
  # What has been claimed is the VM's.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  alias ElixirScope.AST.Support
  alias ElixirScope.Compiler.{Beam, Cache, Loader}
  alias ElixirScope.Plan

  @compile {:no_warn_undefined, [Kept]}

  setup :own_folder

  setup %{tmp_dir: dir} do
    Application.put_env(:elixir_scope, :cache, Path.join(dir, "cache"))
    on_exit(fn -> Application.delete_env(:elixir_scope, :cache) end)
    %{plan: plan(dir, "")}
  end

  defp plan(dir, changes) do
    path = Path.join(dir, "plan.terms")
    File.write!(path, "\#{version => 1#{changes}}.")
    {:ok, plan} = Plan.load(path)
    plan
  end

  # As in another VM.
  defp anew, do: :persistent_term.erase({Cache, :claims})

  # What comes of fetching, and whether it had to be made: with what hands out ids, or without.
  defp fetch(cache, original, how \\ :project) do
    anew()
    made_again(cache, original, how)
  end

  defp made_again(cache, original, how \\ :project) do
    test = self()

    entry =
      cache
      |> Cache.place(original, how)
      |> Cache.fetch(fn next ->
        send(test, {:made, next != nil})
        {:ok, "code of #{original}", {%{module: M, file: "m.ex"}, [if(next, do: next.(), else: :id)]}}
      end)

    receive do
      {:made, kept?} -> {entry, if(kept?, do: :made, else: :made_for_now)}
    after
      0 -> {entry, :found}
    end
  end

  defp files(dir), do: dir |> Path.join("cache/*") |> Path.wildcard()

  test "what was made is found, by all that it depends on and nothing else", %{plan: plan, tmp_dir: dir} do
    cache = Cache.open(plan)
    assert {entry, :made} = fetch(cache, "one")
    assert {^entry, :found} = fetch(cache, "one")
    assert {:ok, "code of one", {%{module: M}, [id]}} = entry
    assert id in 0x2000_0000..0x3FFF_FFFF

    assert {_, :made} = fetch(cache, "two")
    assert {_, :made} = fetch(cache, "one", :dependency)
    assert {_, :made} = fetch(Cache.open(plan(dir, ", default => calls")), "one")
    # Values are cut when they are recorded, not in the code.
    assert {^entry, :found} = fetch(Cache.open(plan(dir, ", budgets => \#{argument => 7}")), "one")
    assert length(files(dir)) == 4
  end

  test "a damaged entry is ignored and made anew", %{plan: plan, tmp_dir: dir} do
    cache = Cache.open(plan)
    {entry, :made} = fetch(cache, "one")
    [path] = files(dir)
    whole = File.read!(path)

    for damaged <- ["", "short", binary_part(whole, 0, 40), String.replace(whole, "code of one", "code of two")] do
      File.write!(path, damaged)
      assert {^entry, :made} = fetch(cache, "one")
      assert File.read!(path) == whole
    end
  end

  test "ids are never given twice in one VM", %{plan: plan} do
    cache = Cache.open(plan)
    {entry, :made} = fetch(cache, "one")
    # What is defined again as it was has the ids that it had.
    assert {^entry, :found} = made_again(cache, "one")

    # Somebody else has had all blocks.
    claims = :persistent_term.get({Cache, :claims})
    for block <- 1..:atomics.info(claims).size, do: :atomics.put(claims, block, 7)
    assert {{:ok, _, {_, [:id]}}, :made_for_now} = made_again(cache, "one")

    # More than a block has go on into the next one, if that is free.
    anew()
    huge = fn next -> {:ok, "", {%{}, for(_ <- 1..5_000, do: if(next, do: {next.()}, else: :id))}} end
    place = Cache.place(cache, "huge", :project)
    assert {:ok, "", {%{}, [{first} | _] = ids}} = made = Cache.fetch(place, huge)
    assert ids == for(n <- 0..4_999, do: {first + n})
    assert Cache.fetch(place, fn _ -> flunk("it was kept") end) == made
    anew()
    {_, :made} = fetch(cache, "three")
    claims = :persistent_term.get({Cache, :claims})
    :atomics.put(claims, Bitwise.bsr(first - 0x2000_0000, 12) + 2, 7)
    assert {:ok, "", {%{}, [:id | _]}} = Cache.fetch(place, huge)
  end

  test "without a place for it everything is made", %{plan: plan, tmp_dir: dir} do
    in_the_way = Path.join(dir, "file")
    File.write!(in_the_way, "")
    assert Cache.open(plan, Path.join(in_the_way, "cache")) == nil
    assert {_, :made_for_now} = fetch(nil, "one")
    assert Cache.trim(nil) == :ok
  end

  test "what was not used for longest goes when there is too much", %{plan: plan, tmp_dir: dir} do
    cache = Cache.open(plan)
    anew()
    {_, :made} = fetch(cache, "one")
    File.rm!(Path.join(cache.dir, dir |> files() |> hd() |> Path.basename()))
    now = System.os_time(:second)

    for n <- 1..10 do
      path = Path.join(cache.dir, "entry#{n}")
      File.write!(path, String.duplicate("x", 100))
      File.touch!(path, now - n)
    end

    Cache.trim(cache, 1_000, 500)
    assert length(files(dir)) == 10
    Cache.trim(cache, 999, 500)
    assert files(dir) |> Enum.map(&Path.basename/1) |> Enum.sort() == for(n <- 1..5, do: "entry#{n}")
  end

  test "a module that was kept runs and is told of as the one that was made", %{plan: plan, tmp_dir: dir} do
    {module, _, binary} = Support.elixir("defmodule Kept do\n def f(x), do: {:ok, x}\nend")
    path = Path.join(dir, "#{module}.beam")
    File.write!(path, binary)
    Support.load(module, binary)
    modules = [{module, String.to_charlist(path), :project}]
    anew()

    codes =
      for _ <- 1..2 do
        anew()
        assert Loader.arm(plan, modules) == 1
        assert Kept.f(1) == {:ok, 1}
        code = module.module_info(:md5)
        Loader.detach()
        code
      end

    assert [same, same] = codes
    assert same != binary |> :beam_lib.md5() |> elem(1) |> elem(1)
    assert [_] = files(dir)
    assert Beam.announcement(binary) == nil
  end
end
