defmodule ElixirScope.Capture.RedactionTest do
  # The pipeline is one for the VM.
  use ExUnit.Case, async: false
  import ElixirScope.Test.Folder
  alias ElixirScope.Capture.{Ingestor, InstrumentationRuntime, PipelineManager}
  alias ElixirScope.Test.{Pipeline, RawFiles, Shy}

  setup :own_folder
  @secret "hunter2-the-planted-secret"
  @redacted {:"$elixirscope", :redacted}
  @plan ~s(redact => \#{keys => [<<"Password">>, <<"token">>], modules => [<<"ElixirScope.Capture.RedactionTest.V*">>]})

  defmodule User do
    defstruct [:name, :password_hash]
  end

  defmodule Vault do
    defstruct [:content]
  end

  setup %{tmp_dir: dir} do
    pipeline = Pipeline.start(dir, @plan)
    on_exit(fn -> if Process.alive?(pipeline.owner), do: Pipeline.stop(pipeline) end)
    %{pipeline: pipeline}
  end

  defp sites do
    [
      {1, :function, :login, 2, 1, ["name", "password"], %{}},
      {2, :function, :handle_call, 3, 1, ["the_token", "from", "state"], %{state_arg: 3}},
      {3, :function, :handle_call, 3, 1, ["state", "from", "token"], %{state_arg: 1}},
      {4, :bind, :login, 2, 1, ["a", "apiToken", "b"], %{}},
      {5, :return, :login, 2, 1, [], %{}},
      {6, :fn, :login, 1, 1, ["password"], %{}},
      {7, :catch, :login, 2, 1, [], %{}}
    ]
  end

  defp written(dir) do
    PipelineManager.flush()
    for event <- RawFiles.events(dir), do: {event.site, event.value, event.flags}
  end

  test "no secret is in any file", %{tmp_dir: dir, pipeline: pipeline} do
    Ingestor.put_sites(Auth, %{file: "auth.ex"}, sites())

    frame = InstrumentationRuntime.call(1, {"jo", @secret})
    InstrumentationRuntime.call(2, {@secret, :from})
    InstrumentationRuntime.call(3, {:from, @secret})
    InstrumentationRuntime.bind(frame, 4, {1, @secret, 3})
    InstrumentationRuntime.call(6, {@secret})

    for value <- [
          %{password: @secret},
          %{"user" => %{"Password-Confirmation" => @secret}},
          [name: "jo", access_token: @secret],
          [{"X-Auth-Token", @secret}],
          {:ok, [%{deep: {%{PASSWORD: [@secret]}}}]},
          %User{name: "jo", password_hash: @secret},
          %Vault{content: @secret},
          [%Shy{name: "jo", pin: @secret}],
          {:nested, [%Vault{content: %{a: @secret}}]},
          %{{:token, 1} => 1, :token => {@secret, @secret}},
          [{:password, @secret} | {:token, @secret}],
          %{String.duplicate("password", 1_000) => @secret},
          %{state: List.duplicate(%{token: @secret}, 1_000)}
        ] do
      InstrumentationRuntime.return(frame, 5, value)
      InstrumentationRuntime.state(frame, 5, :gen_server, nil, {:noreply, value})
      InstrumentationRuntime.raising(frame, 5, :error, value)
    end

    stack = [{Auth, :login, ["jo", @secret], [file: ~c"auth.ex", line: 3]}]
    InstrumentationRuntime.caught(frame, 7, :error, :function_clause, stack)
    Pipeline.stop(pipeline)

    files = RawFiles.read(dir)
    assert Enum.sum(for f <- files, %{type: :events, count: n} <- f.frames, do: n) == 5 + 13 * 3 + 1
    for %{path: path} <- files, do: refute(File.read!(path) =~ @secret, path)
    assert Enum.all?(RawFiles.events(dir), &(Bitwise.band(&1.flags, 2) == 2))
  end

  test "what is no secret stays", %{tmp_dir: dir} do
    Ingestor.put_sites(Auth, %{file: "auth.ex"}, sites())
    frame = InstrumentationRuntime.call(1, {"jo", @secret})
    InstrumentationRuntime.call(2, {@secret, :from})
    InstrumentationRuntime.bind(frame, 4, {1, @secret, 3})
    plain = %{"name" => {:passwort, "x"}, list: [1, 2 | 3], user: %User{name: "jo"}}
    InstrumentationRuntime.return(frame, 5, %{plain | user: 1})
    InstrumentationRuntime.return(frame, 5, plain)
    InstrumentationRuntime.caught(frame, 7, :error, :function_clause, [{Auth, :login, ["jo", @secret], [line: 3]}])

    assert [
             {1, {:ok, {"jo", @redacted}}, 2},
             {2, {:ok, {@redacted, :from}}, 2},
             {4, {:ok, {1, @redacted, 3}}, 2},
             {5, {:ok, same}, 0},
             {5, {:ok, %{user: user}}, 2},
             {7, {:ok, {:error, :function_clause, [{Auth, :login, ["jo", @redacted], [line: 3]}]}}, 2}
           ] = written(dir)

    assert same == %{plain | user: 1}
    assert user == %{%User{name: "jo"} | password_hash: @redacted}
  end
end
