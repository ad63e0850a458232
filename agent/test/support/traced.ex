defmodule ElixirScope.Test.Traced do
  @moduledoc "Programs recorded in VMs of their own, and what the files tell of their processes."

  import ExUnit.Assertions
  alias ElixirScope.Test.{ChildVM, NativeLibrary, RawFiles}

  @doc "Both engines where there is a compiler."
  def engines do
    if match?({:ok, _}, NativeLibrary.library()), do: [:portable, :native], else: [:portable]
  end

  @doc "What a program that was recorded into `dir` wrote, how it ended, and its events."
  def record(dir, code, plan, engine) do
    {output, status} = ChildVM.run(dir, code, plan, engine)
    raw = Path.join(dir, "raw")
    assert RawFiles.complete?(raw)
    %{output: output, status: status, raw: raw, events: RawFiles.events(raw)}
  end

  @doc "The pid that a name was given to."
  def named(events, name) do
    %{pid: pid} = Enum.find(events, &(&1.kind == :register and &1.value == {:ok, name}))
    pid
  end

  @doc "The events of one kind in a process."
  def of(events, pid, kind), do: Enum.filter(events, &(&1.pid == pid and &1.kind == kind))
end
