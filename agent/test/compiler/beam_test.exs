defmodule ElixirScope.Compiler.BeamTest do
  use ExUnit.Case, async: true

  alias ElixirScope.Compiler.Beam

  defp made(module, version) do
    forms = [
      {:attribute, 1, :module, module},
      {:attribute, 1, :export, [version: 0, wait: 1]},
      {:function, 2, :version, 0, [{:clause, 2, [], [], [{:integer, 2, version}]}]},
      {:function, 3, :wait, 1,
       [
         {:clause, 3, [{:var, 3, :Pid}], [],
          [
            {:op, 3, :!, {:var, 3, :Pid}, {:atom, 3, :ready}},
            {:receive, 3, [{:clause, 3, [{:atom, 3, :end}], [], [{:integer, 3, version}]}]}
          ]}
       ]}
    ]

    {:ok, ^module, binary} = :compile.forms(forms, [])
    {module, ~c"#{module}.beam", binary}
  end

  # The VM says of the one that is no code that it is none.
  @tag capture_log: true
  test "loads modules at once, and where one is in use all the others" do
    all = [:beam_test_a, :beam_test_b]

    on_exit(fn ->
      for module <- all, do: {:code.purge(module), :code.delete(module), :code.purge(module)}
    end)

    assert Beam.load([]) == []
    assert Beam.load(for module <- all, do: made(module, 1)) == []
    # In code that is the older one as soon as the next is loaded.
    waiting = Task.async(:beam_test_a, :wait, [self()])
    assert_receive :ready, 30_000

    assert Beam.load(for module <- all, do: made(module, 2)) == []
    assert Beam.load(for module <- all, do: made(module, 3)) == [{:beam_test_a, :in_use}]
    assert for(module <- all, do: apply(module, :version, [])) == [2, 3]
    send(waiting.pid, :end)
    assert Task.await(waiting, 30_000) == 1

    assert [{:beam_test_a, _}] = Beam.load([{:beam_test_a, ~c"a.beam", "no beam"}, made(:beam_test_b, 4)])
    assert apply(:beam_test_b, :version, []) == 4
  end
end
