"""A program full of one planted secret: no byte of its recording holds it, neither while it runs nor afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import elixirscope as library
from tests.capture.projects import tiny_project
from tests.conftest import Run, environment

pytestmark = pytest.mark.beam

SECRET = "hunter2-the-planted-secret"

# The secret is put together when it runs: the source of a program is kept with its recording.
PROGRAM = """\
defmodule Account do
  @derive {Inspect, except: [:pin]}
  defstruct [:name, :pin]
end
defmodule Only do
  @derive {Inspect, only: [:name]}
  defstruct [:name, :code]
end
defmodule Vault.Box do
  defstruct [:content]
end
defmodule Denied do
  defexception [:secret_word, message: "denied"]
end
defmodule Hush do
  def quiet(x), do: {:quiet, x}
end
defmodule Server do
  use GenServer
  def init(options), do: {:ok, %{session: %{token: options[:token]}, n: 0}}
  def handle_call({:login, %{password: password}}, _from, state), do: {:reply, {:ok, [api_key: password]}, state}
  def handle_cast({:crash, credentials}, state), do: exit({:no_more, credentials, state})
  def handle_info(%{"authorization" => _} = headers, state), do: {:noreply, Map.put(state, :headers, headers)}
end
defmodule Work do
  def same(x), do: x
  def login(user, password) when is_atom(user), do: {user, String.length(password)}
  def whisper(x), do: {:whispered, x}
  def within(fun), do: fun.()
  def denied(secret), do: raise(Denied, secret_word: secret)
  def unmatched(%{ok: ok, private_key: _}), do: ok
  def settings(secret) do
    Application.put_env(:work, :secret_key_base, secret)
    base_secret = Application.fetch_env!(:work, :secret_key_base)
    {String.length(base_secret), Application.get_env(:work, "api_keys", [secret]) |> length()}
  end
  def kept(token) do
    table = :ets.new(:kept, [:public])
    :ets.insert(table, {:token, token})
    {:ets.lookup(table, :token), :ets.lookup_element(table, :token, 2)} |> tuple_size()
  end
end
:logger.set_primary_config(:level, :none)
secret = Enum.join(["hunter2", "the", "planted", "secret"], "-")
for value <- [
      %{password: secret}, %{"user" => %{"Password-Confirmation" => secret}}, [name: "jo", access_token: secret],
      [{"Authorization", "Bearer " <> secret}, {"x-api-key", secret}, {"Cookie", "session=" <> secret}],
      [{~c"authorization", to_charlist("Bearer " <> secret)}, {~c"accept", ~c"*/*"}], %{~c"api_key" => secret},
      List.duplicate({~c"Proxy-Authorization", to_charlist(secret)}, 100),
      %{passphrase: secret, credentials: {"jo", secret}, apiKey: secret},
      struct!(Account, name: "jo", pin: secret), {:ok, [struct!(Only, name: "jo", code: secret)]},
      %{box: struct!(Vault.Box, content: secret)}, %{state: List.duplicate(%{token: secret}, 1_000)},
      Map.new(1..100, &{:"passwd_#{&1}", secret})
    ] do
  Work.same(value)
  send(self(), {:told, value})
  receive do: ({:told, _} -> :ok)
end
Work.login(:jo, secret)
Work.whisper(secret)
Hush.quiet(secret)
Work.within(fn -> String.length(secret) end)
Work.settings(secret)
Work.kept(secret)
for n <- 1..3 do
  try do
    case n do
      1 -> Work.denied(secret)
      2 -> Work.login("nobody", secret)
      3 -> Work.unmatched(%{private_key: secret})
    end
  rescue
    e -> Work.same({e, __STACKTRACE__})
  end
end
Process.flag(:trap_exit, true)
{:ok, server} = GenServer.start_link(Server, token: secret)
{:ok, _} = GenServer.call(server, {:login, %{password: secret}})
send(server, %{"authorization" => secret})
Task.await(Task.async(fn -> %{token: secret} end))
GenServer.cast(server, {:crash, %{secret: secret}})
receive do: ({:EXIT, ^server, _} -> :ok)
IO.puts("ready")
IO.gets("")
"""

PLAN = """\
functions = [{ match = "Work.whisper/1", level = "off" }]
modules = [{ match = "Hush", level = "off" }]
[redact]
modules = ["Vault*"]
"""

RECORD = (sys.executable, "-m", "elixirscope.cli.main", "record")


def _holding(files: list[Path]) -> list[Path]:
    return [file for file in files if file.is_file() and SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize("engine", ["portable", "native"])
def test_no_byte_of_a_recording_holds_a_secret(tmp_path: Path, engine: str) -> None:
    (tmp_path / "program.exs").write_text(PROGRAM)
    (tmp_path / "plan.toml").write_text(PLAN)
    path = tmp_path / "r.scope"
    run = subprocess.Popen(
        [*RECORD, "--engine", engine, "--plan", "plan.toml", "-o", str(path), "--", "elixir", "program.exs"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    # As they are while it runs: rings among them, wherever they are.
    rings = list((path / "raw").glob("*.ring"))
    assert bool(rings) == (engine == "native")
    assert all(ring.read_bytes().startswith(b"ELXRING1") for ring in rings)
    assert _holding([*path.rglob("*")]) == []
    run.communicate("\n")
    assert run.returncode == 0

    rec = library.open(path)
    assert (rec.info.engines, rec.info.complete) == ([engine], True)
    called = set(rec.sql("select distinct function from calls").arrow()["function"].to_pylist())
    assert {"same", "login", "denied", "put_env", "lookup_element"} <= called
    assert not called & {"whisper", "quiet"}
    assert _holding([*path.rglob("*")]) == []
    for segment in path.rglob("*.parquet"):  # which is compressed, as values are
        assert SECRET not in str(pq.read_table(segment).to_pylist()), segment
    values = rec.recording.values
    assert len(values) > 50
    assert [values.bytes(n) for n in range(len(values)) if SECRET.encode() in bytes(values.bytes(n))] == []


FAILING = """\
defmodule Tiny.SecretTest do
  use ExUnit.Case
  test "compares" do
    secret = Enum.join(["hunter2", "the", "planted", "secret"], "-")
    assert %{name: "jo", password: secret} == %{name: "nobody", password: nil}
  end
  test "misses a key" do
    token = Enum.join(["hunter2", "the", "planted", "secret"], "-")
    Map.fetch!(%{token: token}, :name)
  end
end
"""


def test_a_test_that_fails_tells_no_secret(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "tiny", {"test/secret_test.exs": FAILING})
    path = tmp_path / "r.scope"
    run = elixirscope("record", "-o", path, "--", "mix", "test", cwd=project)
    assert SECRET in run.stdout  # what ExUnit prints is the program's own, and a text
    messages = library.open(path).sql("select text from tests where result = 'failed'").arrow()["text"]
    assert len(messages) == 2
    assert all("[redacted]" in message for message in messages.to_pylist())
    assert any("nobody" in message for message in messages.to_pylist())
    assert not any(SECRET in message for message in messages.to_pylist())
