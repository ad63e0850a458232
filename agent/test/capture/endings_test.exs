defmodule ElixirScope.Capture.EndingsTest do
  # However a program ends, what it did until then can be read.
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  import ElixirScope.Test.Eventually
  import ElixirScope.Test.Traced, only: [engines: 0]
  alias ElixirScope.Test.{ChildVM, RawFiles}

  setup :own_folder

  # Whether a small file system can be had here, to be filled.
  @mounted (
             dir = Path.join(System.tmp_dir!(), "elixir_scope_mount_#{System.pid()}")
             File.mkdir_p!(dir)
             mount = System.find_executable("mount")
             args = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", dir]
             done = mount && match?({_, 0}, System.cmd(mount, args, stderr_to_stdout: true))
             if done, do: System.cmd("umount", [dir])
             File.rmdir(dir)
             done
           )

  @module """
  defmodule Work do
    def step(n), do: n + 1
  end
  """

  defp raw(dir), do: Path.join(dir, "raw")
  defp events(dir), do: RawFiles.events(raw(dir))

  # Everything that was recorded of the module's function.
  defp steps(dir) do
    sites =
      for f <- RawFiles.read(raw(dir)), %{type: :sites, payload: p} <- f.frames do
        :erlang.binary_to_term(p)
      end

    assert [site] = for({Work, _, sites} <- sites, {id, :function, :step, 1, _, _, _} <- sites, do: id),
           "no site among #{inspect(RawFiles.metas(raw(dir)), limit: :infinity)}"

    for %{kind: :call, site: ^site, value: {:ok, {n}}} <- events(dir), do: n
  end

  describe "ends in order:" do
    for {name, code, status, engines} <- [
          {"the end of the script", "", 0, [:portable]},
          {"System.halt in a module", "defmodule Stop do\n def now, do: System.halt(3)\nend\nStop.now()", 3,
           engines()},
          {"System.halt in a function that is not instrumented", "Enum.each([4], &System.halt/1)", 4, [:portable]},
          {"System.stop", "System.stop(5)\nreceive do after :infinity -> :ok end", 5, [:portable]},
          {"an exit", "exit({:shutdown, 6})", 6, [:portable]},
          {"an uncaught exception", "raise \"oops\"", 1, engines()},
          {"an uncaught throw", "throw :ball", 1, [:portable]},
          {"the end of another process", "spawn(fn -> System.halt(7) end)\nreceive do after :infinity -> :ok end", 7,
           [:portable]}
        ],
        engine <- engines do
      test "#{name} (#{engine})", %{tmp_dir: dir} do
        program = @module <> "for n <- 1..3, do: Work.step(n)\n" <> unquote(code)
        {output, status} = ChildVM.run(dir, program, "", unquote(engine))
        assert status == unquote(status), output
        refute output =~ "elixirscope"
        assert RawFiles.complete?(raw(dir))
        assert steps(dir) == [1, 2, 3]
      end
    end

    for engine <- engines() do
      test "SIGTERM, with everything until then (#{engine})", %{tmp_dir: dir} do
        code = """
        #{@module}
        for n <- 1..5_000, do: Work.step(n)
        spawn(fn -> Stream.iterate(5_001, &Work.step/1) |> Stream.run() end)
        IO.puts("ready \#{System.pid()}")
        receive do after :infinity -> :ok end
        """

        {port, pid} = ChildVM.start(dir, code, "", unquote(engine))
        assert ChildVM.kill(port, pid, "TERM") == 0
        assert RawFiles.complete?(raw(dir))
        assert Enum.take(steps(dir), 5_000) == Enum.to_list(1..5_000)
      end
    end
  end

  test "kill -9 leaves whole frames, and no end", %{tmp_dir: dir} do
    {port, pid} =
      ChildVM.start(dir, """
      #{@module}
      for n <- 1..5_000, do: Work.step(n)
      ElixirScope.Capture.PipelineManager.flush()
      spawn(fn -> Stream.iterate(5_001, &Work.step/1) |> Stream.run() end)
      IO.puts("ready \#{System.pid()}")
      receive do after :infinity -> :ok end
      """)

    # In the midst of it.
    assert eventually(fn -> Enum.sum(for f <- Path.wildcard(raw(dir) <> "/*"), do: File.stat!(f).size) > 2_000_000 end)

    assert ChildVM.kill(port, pid, "KILL") == 137
    refute RawFiles.complete?(raw(dir))
    assert Enum.all?(RawFiles.read(raw(dir)), &(&1.gaps == 0))
    assert Enum.take(steps(dir), 5_000) == Enum.to_list(1..5_000)
  end

  test "a program that waits is on disk without being asked", %{tmp_dir: dir} do
    {port, pid} =
      ChildVM.start(dir, """
      #{@module}
      for n <- 1..3, do: Work.step(n)
      IO.puts("ready \#{System.pid()}")
      receive do after :infinity -> :ok end
      """)

    assert eventually(fn -> steps(dir) == [1, 2, 3] end)
    ChildVM.kill(port, pid, "KILL")
  end

  test "two VMs write to one recording", %{tmp_dir: dir} do
    code = """
    #{@module}
    Work.step(1)
    if System.get_env("INNER") == nil do
      {_, 0} = System.cmd("elixir", [__ENV__.file], env: [{"INNER", "1"}])
    end
    """

    assert {"", 0} = ChildVM.run(dir, code)
    files = RawFiles.read(raw(dir))
    assert RawFiles.complete?(raw(dir))
    assert [_, _] = files |> Enum.map(& &1.os_pid) |> Enum.uniq()
    assert [one, two] = for(%{what: :hello} = hello <- RawFiles.metas(raw(dir)), do: hello.os_pid)
    assert Enum.sort([one, two]) == files |> Enum.map(& &1.os_pid) |> Enum.uniq() |> Enum.sort()
  end

  test "a corrupt plan is told with its line, and the program runs", %{tmp_dir: dir} do
    env = ChildVM.environment(dir, "")
    File.write!(Path.join(dir, "plan.terms"), "\#{version => 1,\n  default = full}.\n")
    File.write!(Path.join(dir, "script.exs"), "IO.puts(:ran)")
    {output, 0} = System.cmd("elixir", [Path.join(dir, "script.exs")], env: env, stderr_to_stdout: true)
    assert [problem, "ran"] = String.split(output, "\n", trim: true)
    assert problem =~ ~r"^elixirscope: not recording: the plan .*plan.terms is wrong in line 2: "
    refute File.exists?(raw(dir))
  end

  test "a folder that cannot be written is told, and the program runs", %{tmp_dir: dir} do
    env = ChildVM.environment(dir, "")
    File.write!(raw(dir), "in the way")
    File.write!(Path.join(dir, "script.exs"), "IO.puts(:ran)")
    {output, 0} = System.cmd("elixir", [Path.join(dir, "script.exs")], env: env, stderr_to_stdout: true)
    assert [problem, "ran"] = String.split(output, "\n", trim: true)
    assert problem =~ "elixirscope: not recording: #{raw(dir)} cannot be written: "
    assert problem =~ "Choose another folder with -o"
  end

  test "a VM without Elixir is left alone", %{tmp_dir: dir} do
    env = for {k, v} <- ChildVM.environment(dir, ""), do: {k, v}
    args = ["-noshell", "-eval", "io:put_chars(\"ran\\n\"), halt()."]
    assert {"ran\n", 0} = System.cmd("erl", args, env: env, stderr_to_stdout: true)
    refute File.exists?(raw(dir))
  end

  describe "a full disk" do
    unless @mounted, do: @describetag(skip: "a small file system cannot be mounted here")

    test "costs the recording, not the program; it is said once", %{tmp_dir: dir} do
      File.mkdir_p!(raw(dir))
      {_, 0} = System.cmd("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", raw(dir)])
      on_exit(fn -> System.cmd("umount", [raw(dir)]) end)

      {output, status} =
        ChildVM.run(dir, """
        #{@module}
        for n <- 1..20_000, do: Work.step(n)
        IO.puts("still here")
        """)

      assert status == 0
      assert [complaint] = Regex.scan(~r/elixirscope: .*/, output)
      assert hd(complaint) =~ "recording stopped: no space left on device. The program runs on"
      assert output =~ "still here"
      refute RawFiles.complete?(raw(dir))
      # From its beginning, without holes, as far as there was room.
      steps = steps(dir)
      assert length(steps) in 500..19_999
      assert steps == Enum.to_list(1..length(steps))
    end
  end
end
