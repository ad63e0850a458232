defmodule ElixirScope.Capture.HiddenTest do
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  alias ElixirScope.Capture.Hidden

  setup :own_folder

  # As in a project: the modules are files on the path.
  defp compile(%{tmp_dir: dir}, code) do
    path = Path.join(dir, "structs.ex")
    File.write!(path, code)
    {_, 0} = System.cmd("elixirc", ["-o", dir, path], stderr_to_stdout: true)
    Code.prepend_path(dir)
    on_exit(fn -> Code.delete_path(dir) end)
  end

  test "what a derived implementation leaves out", context do
    compile(context, """
    defmodule Shy.Except do
      @derive {Inspect, except: [:hash, :other]}
      defstruct [:name, :hash, :other]
    end

    defmodule Shy.Only do
      @derive {Inspect, only: [:name]}
      defstruct [:name, :hash, more: %{}]
    end

    defmodule Shy.Optional do
      @derive {Inspect, optional: [:name], except: [:hash]}
      defstruct [:hash, name: 1]
    end

    defmodule Shy.Nothing do
      defstruct [:name]
    end

    defmodule Shy.Plain do
      @derive Inspect
      defstruct [:name]
    end
    """)

    for {module, fields} <- [
          {Shy.Except, [:hash, :other]},
          {Shy.Only, [:hash, :more]},
          {Shy.Optional, [:hash]},
          {Shy.Nothing, []},
          {Shy.Plain, []}
        ] do
      Code.ensure_loaded!(module)
      assert Enum.sort(Hidden.fields(module)) == fields
    end

    # Nothing is loaded on behalf of a name.
    assert Hidden.fields(Shy.Unknown) == []
  end

  test "an implementation written by hand is never run", context do
    compile(context, """
    defmodule Shy.ByHand do
      defstruct [:name, :hash]

      defimpl Inspect do
        def inspect(struct, opts) do
          send(:hidden_test, :was_run)
          Inspect.Any.inspect(struct, "ByHand", [%{field: :name}], opts)
        end
      end
    end
    """)

    Process.register(self(), :hidden_test)
    Code.ensure_loaded!(Shy.ByHand)
    assert Hidden.fields(Shy.ByHand) == []
    refute_received :was_run
  end
end
