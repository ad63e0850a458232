defmodule ElixirScope.Compiler.DoorsTest do
  # The doors in a VM of their own, as `elixirscope record` opens them: what a program shows must not change.
  use ExUnit.Case, async: true

  @moduletag :tmp_dir

  @plan """
  \#{version => 1, default => full, watch => [{ets, '_'}]}.
  """

  # As the recorder does it: nothing but the environment.
  defp recorded(dir) do
    recording = Path.join(dir, "film.scope")
    File.mkdir_p!(recording)
    File.write!(Path.join(recording, "plan.terms"), @plan)
    cache = dir |> String.trim_trailing("/again") |> Path.join("cache")
    flags = "-pa #{agent(dir)} -s Elixir.ElixirScope.Boot"
    [{"ERL_AFLAGS", flags}, {"ELIXIRSCOPE_DIR", recording}, {"XDG_CACHE_HOME", cache}]
  end

  # The agent alone: helpers of these tests on the path would take part in the project's consolidation of protocols.
  defp agent(dir) do
    ebin = Path.join(dir, "agent")
    File.mkdir_p!(ebin)

    for file <- Path.wildcard(Application.app_dir(:elixir_scope, "ebin/*")), not String.contains?(file, ".Test.") do
      File.cp!(file, Path.join(ebin, Path.basename(file)))
    end

    ebin
  end

  defp plain, do: [{"ERL_AFLAGS", nil}, {"ELIXIRSCOPE_DIR", nil}]

  defp run(command, args, dir, env) do
    System.cmd(command, args, cd: dir, env: [{"MIX_ENV", "test"} | env], stderr_to_stdout: true)
  end

  # Sites and META frames are readable terms: names of functions are in them as they are.
  defp recorded_text(dir) do
    [dir, "film.scope", "raw", "*meta.frames"] |> Path.join() |> Path.wildcard() |> Enum.map_join(&File.read!/1)
  end

  defp project(dir) do
    for {path, text} <- [
          {"mix.exs",
           """
           defmodule Tiny.MixProject do
             use Mix.Project
             def project, do: [app: :tiny, version: "1.0.0"]
             def application, do: [extra_applications: []]
           end
           """},
          {"lib/tiny.ex",
           """
           defmodule Tiny do
             @moduledoc "iex> Tiny.counted(1)\\n2"
             def counted(n), do: n + 1
             defprotocol P do
               def p(x)
             end
             defimpl P, for: Integer do
               def p(x), do: Tiny.counted(x)
             end
           end
           """},
          {"test/test_helper.exs", "ExUnit.start(seed: 0)"},
          {"test/tiny_test.exs",
           """
           defmodule TinyTest do
             use ExUnit.Case, async: true
             doctest Tiny
             test "holds", do: assert Tiny.counted(2) == helped(3)
             test "protocol", do: assert Tiny.P.p(3) == 4
             test "fails", do: assert Tiny.counted(1) == helped(0)
             defp helped(x), do: x
           end
           """}
        ] do
      path = Path.join(dir, path)
      File.mkdir_p!(Path.dirname(path))
      File.write!(path, text)
    end

    dir
  end

  defp timeless(output), do: String.replace(output, ~r/[\d.]+ seconds \([^)]*\)|took [\d.]+s/, "T")

  defp files(dir) do
    for path <- Path.wildcard(Path.join(dir, "_build/**/*"), match_dot: true),
        File.regular?(path),
        Path.extname(path) in [".beam", ".app"],
        into: %{},
        do: {Path.relative_to(path, dir), content(path)}
  end

  # Since OTP 26 the order in which a map is written follows from which atoms there were first: chunks that hold terms are
  # the same when the terms are.
  defp content(path) do
    case :beam_lib.all_chunks(String.to_charlist(path)) do
      {:ok, _, chunks} ->
        for {id, data} <- chunks, do: {id, if(id == ~c"Dbgi", do: :erlang.binary_to_term(data), else: data)}

      {:error, :beam_lib, _} ->
        File.read!(path)
    end
    |> :erlang.phash2(4_294_967_296)
  end

  test "mix test: same output and status, same `_build`, test modules and project recorded", %{
    tmp_dir: dir
  } do
    one = project(Path.join(dir, "one"))
    {plain_output, plain_status} = run("mix", ["test"], one, plain())
    plain_files = files(one)
    File.rm_rf!(Path.join(one, "_build"))

    {output, status} = run("mix", ["test"], one, recorded(dir))
    assert timeless(output) == timeless(plain_output)
    # As Elixir says it since 1.20, and before.
    assert output =~ "Result: 3/4 passed" or output =~ "1 doctest, 3 tests, 1 failure"
    assert status == plain_status
    assert files(one) == plain_files

    text = recorded_text(dir)
    for name <- ["counted", "helped", "test holds"], do: assert(text =~ name)

    # Once more: what was instrumented is kept, test modules too.
    kept = Path.wildcard(Path.join(dir, "cache/elixirscope/instrumented/*"))
    again = Path.join(dir, "again")
    {output, ^status} = run("mix", ["test"], one, recorded(again))
    assert timeless(plain_output) =~ timeless(output)
    text = recorded_text(again)
    for name <- ["counted", "helped", "test holds"], do: assert(text =~ name)

    # Since OTP 26 what a test module is compiled to follows from which atoms a VM has met, more of them in a first build.
    if System.otp_release() < "26",
      do: assert(Path.wildcard(Path.join(dir, "cache/elixirscope/instrumented/*")) == kept)

    assert length(kept) > 3

    # What was compiled while recording is not compiled again without.
    {output, 0} = run("mix", ["compile"], one, plain())
    assert output == ""
  end

  test "mix test --cover: the same table", %{tmp_dir: dir} do
    one = project(Path.join(dir, "one"))
    {plain, status} = run("mix", ["test", "--cover"], one, plain())
    assert plain =~ "Percentage"
    assert {output, ^status} = run("mix", ["test", "--cover"], one, recorded(dir))
    assert timeless(output) == timeless(String.replace(plain, ~r/\ACompiling.*?app\n/s, ""))
  end

  test "what code says of itself, and code that is loaded again while it runs", %{tmp_dir: dir} do
    one = project(Path.join(dir, "one"))

    File.write!(Path.join(one, "look.exs"), """
    IO.inspect(Tiny.__info__(:functions))
    IO.inspect(Tiny.__info__(:attributes) |> Keyword.keys() |> Enum.uniq())
    IO.inspect(Tiny.module_info(:compile)[:source] |> to_string() |> Path.basename())
    IO.inspect(Tiny.P.impl_for(1))
    {:docs_v1, _, _, _, %{"en" => doc}, _, _} = Code.fetch_docs(Tiny)
    IO.puts(doc)
    2 = Tiny.counted(1)
    [{Tiny, _} | _] = Code.compile_string("defmodule Tiny do\\n def counted(n), do: n + 100\\nend")
    IO.inspect(Tiny.counted(1))
    """)

    {_, 0} = run("mix", ["compile"], one, plain())
    {plain, 0} = run("mix", ["run", "look.exs"], one, plain())
    assert plain =~ "101"
    assert {output, 0} = run("mix", ["run", "look.exs"], one, recorded(dir))
    # Standard output and standard error are in no order with each other.
    lines = &(&1 |> String.split("\n") |> Enum.sort())
    assert lines.(output) == lines.(plain)
  end

  test "what is compiled again while the program runs is recorded as it is then", %{tmp_dir: dir} do
    one = project(Path.join(dir, "one"))

    File.write!(Path.join(one, "again.exs"), """
    before = &Tiny.counted/1
    IO.inspect(before.(1))
    File.write!("lib/tiny.ex", File.read!("lib/tiny.ex") |> String.replace("n + 1", "added(n, 100)\n def added(n, m), do: n + m"))
    File.write!("lib/later.ex", "defmodule Later do\n def added_later, do: :later\nend")
    Enum.each(["compile", "compile.all", "compile.elixir"], &Mix.Task.reenable/1)
    Mix.Task.run("compile")
    IO.inspect({before.(1), Later.added_later(), Tiny.P.p(2), :erlang.check_old_code(Tiny)})
    """)

    source = File.read!(Path.join(one, "lib/tiny.ex"))
    {_, 0} = run("mix", ["compile"], one, plain())
    {expected, 0} = run("mix", ["run", "again.exs"], one, plain())
    assert expected =~ "{101, :later, 102, true}"
    # Whether protocols are consolidated again, Mix decides by whole seconds.
    ebin = fn -> for {path, content} <- files(one), path =~ "/ebin/", do: {path, content} end
    plain_ebin = ebin.()

    File.write!(Path.join(one, "lib/tiny.ex"), source)
    File.rm!(Path.join(one, "lib/later.ex"))
    {_, 0} = run("mix", ["compile"], one, plain())
    assert {^expected, 0} = run("mix", ["run", "again.exs"], one, recorded(dir))
    assert ebin.() == plain_ebin
    text = recorded_text(dir)
    for name <- ["counted", "added", "added_later"], do: assert(text =~ name)
  end

  test "an umbrella is recorded from its root: all of its applications", %{tmp_dir: dir} do
    root = Path.join(dir, "root")
    one = Path.join(root, "apps/one/lib/one.ex")
    two = Path.join(root, "apps/two/lib/two.ex")
    for path <- [one, two], do: File.mkdir_p!(Path.dirname(path))
    File.write!(one, "defmodule One do\n  def first(x), do: x + 1\nend\n")
    File.write!(two, "defmodule Two do\n  def second(x), do: One.first(x) * 2\nend\n")

    File.write!(Path.join(root, "mix.exs"), """
    defmodule Root.MixProject do
      use Mix.Project
      def project, do: [apps_path: "apps", version: "1.0.0", deps: []]
    end
    """)

    for {app, deps} <- [{"one", "[]"}, {"two", "[{:one, in_umbrella: true}]"}] do
      File.write!(Path.join(root, "apps/#{app}/mix.exs"), """
      defmodule #{Macro.camelize(app)}.MixProject do
        use Mix.Project
        def project, do: [app: :#{app}, version: "1.0.0", build_path: "../../_build", deps: #{deps}]
      end
      """)
    end

    assert {output, 0} = run("mix", ["run", "-e", "IO.puts(Two.second(1))"], root, recorded(dir))
    assert String.ends_with?(output, "\n4\n")
    text = recorded_text(dir)
    for name <- ["first", "second"], do: assert(text =~ name)
  end

  test "the compile-time door: a project that asks for it is instrumented in its _build, and recorded when run", %{
    tmp_dir: dir
  } do
    one = project(Path.join(dir, "one"))
    plan = Path.join(dir, "ahead.terms")
    File.write!(plan, @plan)

    File.write!(Path.join(one, "mix.exs"), """
    defmodule Tiny.MixProject do
      use Mix.Project

      def project do
        # Since Elixir 1.15, Mix prunes what is no dependency.
        [app: :tiny, version: "1.0.0", compilers: Mix.compilers() ++ [:elixir_scope], elixir_scope: [plan: #{inspect(plan)}],
         prune_code_paths: false]
      end
    end
    """)

    # The task comes with the agent, as a dependency would bring it.
    with_agent = [{"ERL_AFLAGS", "-pa #{agent(dir)}"}, {"ELIXIRSCOPE_DIR", nil}]
    assert {_, 0} = run("mix", ["compile"], one, with_agent)
    once = files(one)
    assert {"", 0} = run("mix", ["compile"], one, with_agent)
    assert files(one) == once

    # Not recorded, it runs as ever.
    assert {output, 0} = run("mix", ["run", "-e", "IO.puts(Tiny.counted(41))"], one, with_agent)
    assert String.ends_with?(output, "42\n")

    assert {output, 0} = run("mix", ["run", "-e", "IO.puts(Tiny.counted(41))"], one, recorded(dir))
    assert String.ends_with?(output, "42\n")
    assert recorded_text(dir) =~ "counted"
  end

  test "a script: same output and status", %{tmp_dir: dir} do
    script = Path.join(dir, "script.exs")

    File.write!(script, """
    defmodule Script do
      def down(0), do: :done
      def down(n), do: down(n - 1)
    end
    IO.inspect(Script.down(100_000))
    IO.inspect(Process.info(self(), [:links, :dictionary, :messages]) |> Keyword.delete(:links) |> Keyword.keys())
    System.halt(3)
    """)

    {expected, 3} = run("elixir", [script], dir, plain())
    assert {^expected, 3} = run("elixir", [script], dir, recorded(dir))
    assert recorded_text(dir) =~ "down"
  end

  test "a compile error looks the same", %{tmp_dir: dir} do
    script = Path.join(dir, "script.exs")
    File.write!(script, "defmodule Broken do\n  def f(x), do: y\nend\n")
    assert {output, 1} = run("elixir", [script], dir, plain())
    assert {^output, 1} = run("elixir", [script], dir, recorded(dir))
  end

  test "warnings look the same, of a project and of its tests", %{tmp_dir: dir} do
    one = project(Path.join(dir, "one"))
    File.write!(Path.join(one, "lib/unused.ex"), "defmodule Unused do\n  def f(inside), do: Tiny.nowhere()\nend\n")

    File.write!(Path.join(one, "test/tiny_test.exs"), """
    defmodule TinyTest do
      use ExUnit.Case
      test "warns" do
        outside = Tiny.counted(1)
      end
      defp never, do: 1
    end
    """)

    # Standard output and standard error are in no order with each other.
    lines = fn output -> output |> timeless() |> String.split("\n") |> Enum.sort() end
    assert {expected, 0} = run("mix", ["test", "--force"], one, plain())
    for name <- ["inside", "outside", "never", "nowhere"], do: assert(expected =~ name)
    assert {output, 0} = run("mix", ["test", "--force"], one, recorded(dir))
    assert lines.(output) == lines.(expected)
    assert recorded_text(dir) =~ "test warns"
  end
end
