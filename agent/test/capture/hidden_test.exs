defmodule ElixirScope.Capture.HiddenTest do
  use ExUnit.Case
  import ElixirScope.Test.Folder
  alias ElixirScope.Capture.{Hidden, Redaction}

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

  test "nothing is shown of one that hides something before its module is loaded", context do
    compile(context, """
    defmodule Shy.Later do
      @derive {Inspect, only: [:name]}
      defstruct [:name, :hash]
    end

    defmodule Shy.LaterPlain do
      defstruct [:name]
    end
    """)

    Redaction.create()
    rules = Redaction.rules(%{redact: %{keys: ["password"], modules: []}})
    # As a literal in another module makes it.
    made = %{__struct__: Shy.Later, name: "n", hash: "h"}
    plain = %{__struct__: Shy.LaterPlain, name: "n"}

    assert {%{__struct__: Shy.Later, name: hidden, hash: hidden}, true} = Redaction.redact(made, 0, rules)
    assert hidden not in ["n", "h"]
    assert Redaction.redact(plain, 0, rules) == {plain, false}
    refute :code.is_loaded(Shy.Later)

    Code.ensure_loaded!(Shy.Later)
    assert {%{name: "n", hash: ^hidden}, true} = Redaction.redact(made, 0, rules)
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

  test "an implementation in another folder, or made when folders were looked through already", context do
    Redaction.create()
    compile(context, "defmodule Shy.Apart do\n  defstruct [:name, :hash]\nend")
    other = Path.join(context.tmp_dir, "other")
    File.mkdir!(other)
    Code.append_path(other)
    on_exit(fn -> Code.delete_path(other) end)
    path = Path.join(other, "derived.ex")
    File.write!(path, "require Protocol\nProtocol.derive(Inspect, Shy.Apart, only: [:name])")
    {_, 0} = System.cmd("elixirc", ["-pa", context.tmp_dir, "-o", other, path], stderr_to_stdout: true)
    Code.ensure_loaded!(Shy.Apart)
    assert Hidden.fields(Shy.Apart) == [:hash]

    compile(context, "defmodule Shy.Fresh do\n  @derive {Inspect, only: []}\n  defstruct [:hash]\nend")
    Code.ensure_loaded!(Shy.Fresh)
    assert Hidden.fields(Shy.Fresh) == [:hash]
  end
end
