defmodule ElixirScope.Capture.SecretsTest do
  # A whole program with a planted secret, and the whole of its recording searched for it.
  use ExUnit.Case, async: true
  import ElixirScope.Test.Folder
  alias ElixirScope.Test.{ChildVM, RawFiles}

  setup :own_folder

  @secret "hunter2-the-planted-secret"

  @plan """
  redact => \#{keys => [<<"password">>], modules => [<<"Vault*">>]},
  modules => [{<<"Hush">>, off}], functions => [{<<"Work.whisper/1">>, off}], messages => false
  """

  test "hidden fields, modules and functions of a script", %{tmp_dir: dir} do
    {output, status} =
      ChildVM.run(
        dir,
        """
        defmodule Account do
          @derive {Inspect, except: [:pin]}
          defstruct [:name, :pin]
        end

        defmodule Only do
          @derive {Inspect, only: [:name]}
          defstruct [:name, :pin]
        end

        defmodule Vault.Box do
          defstruct [:content]
        end

        defmodule Hush do
          def quiet(x), do: {:quiet, x}
        end

        defmodule Work do
          def account(x), do: x
          def login(password), do: String.length(password)
          def whisper(x), do: {:whispered, x}
        end

        # In parts: the script itself is copied nowhere, but its literals would be found in what is recorded.
        secret = Enum.join(["hunter2", "the", "planted", "secret"], "-")
        Work.account(struct!(Account, name: "jo", pin: secret))
        Work.account(struct!(Only, name: "jo", pin: secret))
        Work.account(%{box: struct!(Vault.Box, content: secret)})
        Work.account([password: secret])
        Work.login(secret)
        Hush.quiet(secret)
        Work.whisper(secret)
        IO.puts(inspect(struct!(Account, name: "jo", pin: 1)))
        """,
        @plan
      )

    assert {output, status} == {"#Account<name: \"jo\", ...>\n", 0}
    raw = Path.join(dir, "raw")
    assert RawFiles.complete?(raw)

    for path <- Path.wildcard(Path.join(raw, "*")),
        do: assert(:binary.match(File.read!(path), @secret) == :nomatch, path)

    values = for %{kind: :call, value: {:ok, {value}}} <- RawFiles.events(raw), do: value
    assert %{__struct__: Account, name: "jo", pin: {:"$elixirscope", :redacted}} in values
    assert %{__struct__: Only, name: "jo", pin: {:"$elixirscope", :redacted}} in values
    assert %{box: {:"$elixirscope", :redacted}} in values
  end
end
