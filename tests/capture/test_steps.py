"""A program that costs more than it may: the agent steps down and up again, and the recording says when."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

import elixirscope as library
from tests.conftest import Run

pytestmark = pytest.mark.beam

# Calls until nothing of code is recorded any more, and makes nothing until all of it is again; then once more. What is
# said at the end is recorded at the first step.
BUSY = """\
defmodule Busy do
  def step(n), do: n
end
defmodule Round do
  def until(wanted, act) do
    if all() == wanted do
      :ok
    else
      act.()
      until(wanted, act)
    end
  end
  def all, do: ElixirScope.Capture.Ingestor.code_channel()
end
all = Round.all()
true = all != nil
for _ <- 1..2 do
  Round.until(nil, fn -> for n <- 1..1_000, do: Busy.step(n) end)
  Round.until(all, fn -> receive(after: (1 -> :ok)) end)
end
"""
# As many calls as it can are too much, and none is calm.
PLAN = """\
messages = false
every_call = ["Busy"]
modules = [{ match = "Round", level = "off" }]
[limits]
overhead_percent = 1
step_after_ms = 1
step_back_ms = 1
"""


def recorded(elixirscope: Run, folder: Path, engine: str, script: str, plan: str) -> Path:
    """The recording of a script by a plan."""
    (folder / "script.exs").write_text(script)
    (folder / "plan.toml").write_text(plan)
    path = folder / "r.scope"
    run = elixirscope(
        *("record", "--engine", engine, "--plan", "plan.toml", "-o", path, "--", "elixir", "script.exs"), cwd=folder
    )
    assert run.returncode == 0, run.stderr
    return path


@pytest.mark.parametrize("engine", ["portable", "native"])
def test_each_step_down_and_up_is_in_the_recording(elixirscope: Run, tmp_path: Path, engine: str) -> None:
    path = recorded(elixirscope, tmp_path, engine, BUSY, PLAN)
    asked = "select kind, level, at, until, reason from omissions where kind = 'step' order by at"
    answer = elixirscope("query", path, asked, "--json")
    rows = json.loads(answer.stdout)
    assert {row["level"] for row in rows} >= {"calls", "messages"}
    assert any("of the processors' time" in row["reason"] for row in rows)
    # Twice down, and all again after either.
    assert all(row["at"] < row["until"] for row in rows)
    assert sum(one["until"] < after["at"] for one, after in pairwise(rows)) >= 1
    shown = elixirscope("info", path).stdout
    assert "values of instrumented code, from " in shown
    assert "calls, values and states of instrumented code, from " in shown
    assert "another tool" not in shown


# Sends more than may be until messages are not recorded either, and nothing until they are again.
CHATTY = """\
defmodule Sink do
  def loop, do: receive(do: (_ -> loop()))
end
sink = spawn(&Sink.loop/0)
flags = fn ->
  case :persistent_term.get({ElixirScope.Capture.TraceSession, :session}, :legacy) do
    {:session, session} -> apply(:trace, :info, [session, self(), :flags])
    :legacy -> :erlang.trace_info(self(), :flags)
  end |> elem(1)
end
defmodule Round do
  def until(done?, act) do
    unless done?.() do
      act.()
      until(done?, act)
    end
  end
end
all = ElixirScope.Capture.Ingestor.code_channel()
Task.await(Task.async(fn ->
  text = String.duplicate("a text of some length ", 20)
  Round.until(fn -> :send not in flags.() end, fn -> for n <- 1..2_000, do: send(sink, {:many, n, text}) end)
  send(sink, :unheard)
  # Again and again: the ring is full of messages until it has been drained.
  Round.until(fn -> :send in flags.() end, fn ->
    {_, ref} = spawn_monitor(fn -> Process.register(self(), :born_in_silence) end)
    receive(do: ({:DOWN, ^ref, _, _, _} -> :ok))
    receive(after: (1 -> :ok))
  end)
  for n <- 1..200, do: send(sink, {:heard_again, n})
  Round.until(fn -> ElixirScope.Capture.Ingestor.code_channel() == all end, fn -> receive(after: (1 -> :ok)) end)
end), :infinity)
"""
# Portably it is the memory of who collects messages that tells of them.
CHATTY_PLAN = """\
default = "off"
[limits]
overhead_percent = 1
memory_bytes = 16000000
step_after_ms = 1
step_back_ms = 1
"""


@pytest.mark.parametrize("engine", ["portable", "native"])
def test_the_last_step_leaves_lives_alone_and_is_taken_back(elixirscope: Run, tmp_path: Path, engine: str) -> None:
    path = recorded(elixirscope, tmp_path, engine, CHATTY, CHATTY_PLAN)
    rec = library.open(path)
    rows = rec.sql("select level, at, until from omissions where kind = 'step' order by at").arrow().to_pylist()
    assert "lifecycle" in {row["level"] for row in rows}
    assert all(row["at"] < row["until"] for row in rows)
    said = rec.sql("select value from events where kind = 'send'").arrow()["value"].to_pylist()
    assert "{:heard_again, 200}" in said
    assert ":unheard" not in said
    # Lives that began then, from their births to their ends.
    born = rec.sql("select start, \"end\" from processes where name = ':born_in_silence'").arrow().to_pylist()
    (silence,) = [row for row in rows if row["level"] == "lifecycle"][:1]
    whole = [row for row in born if row["end"] is not None]
    assert any(silence["at"] < row["start"] < row["end"] < silence["until"] for row in whole)
