defmodule ElixirScope.PlanTest do
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  alias ElixirScope.Plan

  setup :own_folder

  defp load(%{tmp_dir: dir}, text) do
    path = Path.join(dir, "plan.terms")
    File.write!(path, text)
    {path, Plan.load(path)}
  end

  test "what it leaves out is the default", context do
    {_, {:ok, plan}} = load(context, "\#{version => 1, budgets => \#{state => 7}}.")
    assert plan.default == :full
    assert plan.budgets == %{argument: 512, binding: 512, state: 7, message: 1024, reason: 4096}
  end

  test "modules are named as Elixir shows them" do
    odd = [
      :a,
      :"a b",
      :"Elixir",
      :"Elixir.",
      :"Elixir.a",
      :"Elixir.A.b",
      :"Elixir.A..B",
      :"Elixir.A.",
      :"Elixir.É",
      nil
    ]

    for module <- [Plan, A.B_1.C, :"Elixir.Elixir", :"Elixir.Elixir.A" | odd] do
      assert Plan.name(module) == inspect(module)
    end
  end

  test "a syntax error is told with its line", context do
    {path, {:error, text}} = load(context, "\#{version => 1,\n default => full,\n watch => [}.\n")
    assert text =~ "the plan #{path} is wrong in line 3"
  end

  test "a wrong value is told with its key", context do
    for {key, value} <- [
          {"default", "some"},
          {"modules", "[{<<\"A\">>, loud}]"},
          {"functions", "[{a, full}]"},
          {"dependencies", "7"},
          {"messages", "some"},
          {"watch", "[ets]"},
          {"budgets", "\#{state => -1}"},
          {"limits", "\#{memory_bytes => lots}"},
          {"redact", "\#{keys => [password]}"},
          {"redact", "\#{modules => [a]}"},
          {"first", "[]"},
          {"first", "\#{'Elixir.Order' => id}"},
          {"first", "\#{<<\"Order\">> => [id]}"},
          {"first", "\#{'Elixir.Order' => [id, id]}"},
          {"first", "\#{'Elixir.Order' => ['__struct__']}"}
        ] do
      {path, {:error, text}} = load(context, "\#{version => 1, #{key} => #{value}}.")
      assert text =~ "the plan #{path} is wrong at #{key}:"
    end
  end

  test "another version, another shape, no file", context do
    assert {_, {:error, text}} = load(context, "\#{version => 2}.")
    assert text =~ "has version 2, this agent reads version 1"
    assert {_, {:error, text}} = load(context, "\#{version => 1}. oops.")
    assert text =~ "does not hold one map"
    assert {:error, text} = Plan.load("/nowhere/plan.terms")
    assert text =~ "/nowhere/plan.terms cannot be read: no such file"
  end

  test "the first rule that matches decides", context do
    {_, {:ok, plan}} =
      load(context, """
      \#{version => 1, default => calls, dependencies => state,
        modules => [{<<"Shop.Cart">>, full}, {<<"Shop.*">>, values}, {<<"*.Secret*">>, off}],
        functions => [{<<"Shop.Cart.put/2">>, off}]}.
      """)

    assert Plan.level(plan, Shop.Cart, :project) == :full
    assert Plan.level(plan, Shop.Secrets, :project) == :values
    assert Plan.level(plan, My.Secrets, :project) == :off
    # `*` is the only sign with a meaning.
    assert Plan.level(plan, ShopXCart, :project) == :calls
    assert Plan.level(plan, Other, :dependency) == :state
    assert Plan.level(plan, Other, :memory) == :calls
    assert Plan.level(plan, :lists, :dependency) == :state
    assert Plan.level(plan, Shop.Cart, :put, 2, :project) == :off
    assert Plan.level(plan, Shop.Cart, :put, 3, :project) == :full
    assert Plan.named?(plan, Shop.Cart)
    refute Plan.named?(plan, Other)
  end

  test "watched calls", context do
    {_, {:ok, plan}} = load(context, "\#{version => 1, watch => [{ets, '_'}, {lists, sort}]}.")
    assert Plan.watched?(plan, :ets, :insert)
    assert Plan.watched?(plan, :lists, :sort)
    refute Plan.watched?(plan, :lists, :reverse)
  end
end
