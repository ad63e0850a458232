"""Mistakes with the lives of processes, in a program that a real VM runs, recorded once."""

from __future__ import annotations

from functools import partial

import pytest

from elixirscope.insight import Finding
from tests.conftest import Run
from tests.insight.planting import findings_of, line_in, place, the

pytestmark = pytest.mark.beam

SCRIPT = """\
defmodule Worker do
  use GenServer
  def init(n), do: {:ok, n}
  def handle_call({:work, x}, _from, n), do: {:reply, div(n, x), n}
end

defmodule Pool do
  use GenServer
  def checkout, do: GenServer.call(Pool, :checkout)
  def init(worker), do: (Process.monitor(worker); {:ok, [worker]})
  def handle_call(:checkout, _from, [worker | rest]), do: {:reply, worker, rest ++ [worker]}
  def handle_info(_other, workers), do: (send(:shop, :told); {:noreply, workers})
end

defmodule Work do
  def on(x), do: GenServer.call(Pool.checkout(), {:work, x})
end

defmodule Config do
  use Agent
  def start_link(_), do: Agent.start_link(fn -> %{url: "http://example.org"} end, name: Config)
  def url, do: Agent.get(Config, & &1[:url])
  def reset, do: Agent.update(Config, fn _ -> %{} end)
end

defmodule Poller do
  use GenServer
  def start_link(_), do: GenServer.start_link(Poller, nil, name: Poller)
  def init(_), do: {:ok, String.length(Config.url())}
  def handle_cast(:poll, n), do: {:noreply, n + byte_size(Config.url())}
end

defmodule Session do
  use GenServer
  def init(user), do: {:ok, %{user: user, log: nil}}
  def handle_call({:buy, item}, _from, state), do: {:reply, price(item), state}
  def terminate(_reason, state), do: IO.binwrite(:stderr, state.log <> "bye")
  defp price("tea"), do: 3
end

defmodule Import do
  use GenServer
  def init(_), do: (Process.flag(:trap_exit, true); {:ok, 0})
  def handle_call({:run, rows}, _from, done) do
    {:reply, Task.await(Task.async(fn -> Enum.sum(rows) end)), done + 1}
  end
  def handle_info({:tick, n}, _done), do: {:noreply, n}
end

defmodule Mailer do
  use GenServer, restart: :temporary
  def start_link(_), do: GenServer.start_link(Mailer, [], name: Mailer)
  def sent, do: GenServer.call(Mailer, :sent)
  def init(sent), do: {:ok, sent}
  def handle_call(:sent, _from, sent), do: {:reply, sent, sent}
  def handle_cast(:close, sent), do: {:stop, :normal, sent}
end

ended = fn {_, watch} -> receive do {:DOWN, ^watch, _, _, reason} -> reason end end
stopped = fn pid -> ended.({pid, Process.monitor(pid)}) end

Process.register(self(), :shop)
{:ok, worker} = GenServer.start(Worker, 1)
{:ok, _} = GenServer.start(Pool, worker, name: Pool)
ended.(spawn_monitor(fn -> Work.on(0) end))
receive do :told -> :ok end
ended.(spawn_monitor(fn -> Work.on(1) end))

Process.flag(:trap_exit, true)
{:ok, supervisor} = Supervisor.start_link([Config, Poller], strategy: :one_for_one, name: Shop.Supervisor)
Config.reset()
GenServer.cast(Poller, :poll)
stopped.(supervisor)
ended.(spawn_monitor(fn -> Config.url() end))

{:ok, session} = GenServer.start(Session, "ada")
ended.(spawn_monitor(fn -> GenServer.call(session, {:buy, "cake"}) end))

{:ok, import} = GenServer.start(Import, nil)
6 = GenServer.call(import, {:run, [1, 2, 3]})
stopped.(import)

{:ok, _} = Supervisor.start_link([Mailer], strategy: :one_for_one, name: Mail.Supervisor)
mailer = Process.whereis(Mailer)
GenServer.cast(Mailer, :close)
stopped.(mailer)
# Time in which a supervisor would have started it again: none does.
Process.sleep(50)
ended.(spawn_monitor(fn -> Mailer.sent() end))
ended.(spawn_monitor(fn -> GenServer.call(Maler, :sent) end))
"""


line_of = partial(line_in, SCRIPT)


@pytest.fixture(scope="module")
def findings(elixirscope: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    return findings_of(SCRIPT, elixirscope, tmp_path_factory.mktemp("lives"))


def test_who_was_told_of_a_death_and_kept_the_dead(findings: list[Finding]) -> None:
    kept = the(findings, "Crash: Worker was asked when it was dead; Pool had kept it")
    assert place(kept) == ("handle_info", line_of("handle_info(_other"))
    assert "Pool.handle_info/2 left Worker in the state" in kept.explanation
    assert kept.confidence == 0.9


def test_a_supervisor_that_gives_up_is_one_finding_with_the_death_that_began_it(findings: list[Finding]) -> None:
    storm = the(findings, "gave up")
    assert "Poller.handle_cast/2, for want of :url in an anonymous function in Config.url" in storm.title
    assert place(storm) == ("reset", line_of("def reset"))
    assert "Config.reset/0 had taken :url out of the state of Config" in storm.explanation
    assert "restarted 3 times, until Shop.Supervisor gave up" in storm.title
    told = [step.text for step in storm.evidence]
    assert sum("started in its place, and died too" in text for text in told) == 3
    assert any("it asked Config, which was gone by then" in text for text in told)
    assert "what is wrong outlives a restart" in storm.explanation
    assert not any("Poller.init" in finding.title for finding in findings)


def test_the_exception_that_terminate_hid(findings: list[Finding]) -> None:
    hidden = the(findings, "Session.price/1")
    assert place(hidden) == ("price", line_of('defp price("tea")'))
    assert "Session.terminate/2 was run because of that" in hidden.explanation
    assert not any("Session.terminate" in finding.title for finding in findings)


def test_where_an_exit_that_no_clause_takes_came_from(findings: list[Finding]) -> None:
    trapped = the(findings, "Import.handle_info/2")
    assert "Import traps exits (Process.flag/2) and is linked to" in trapped.explanation
    assert "{:EXIT, pid, reason}" in trapped.suggestion


def test_a_process_that_nobody_started_again(findings: list[Finding]) -> None:
    gone = the(findings, "Mailer.sent/0 asked Mailer, which had ended")
    assert place(gone) == ("sent", line_of("def sent"))
    assert "Mail.Supervisor, its supervisor, lived on and did not start it again" in gone.explanation


def test_a_process_that_nobody_had_started(findings: list[Finding]) -> None:
    never = the(findings, "which nobody had started")
    assert "Mailer is like it" in never.explanation
    assert never.suggestion.startswith("Ask Mailer, if that is meant")
