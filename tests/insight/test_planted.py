"""Mistakes planted in a program that a real VM runs, recorded once: each is named with the line to blame."""

from __future__ import annotations

from functools import partial

import pytest

from elixirscope.insight import Finding
from tests.conftest import Run
from tests.insight.planting import findings_of, line_in, place, the

pytestmark = pytest.mark.beam

SCRIPT = """\
defmodule Stock do
  use GenServer
  def init(stock), do: {:ok, stock}
  def handle_call({:reserve, item}, _from, stock) do
    {:reply, Pricing.price(item), stock}
  end

  def handle_call({:level, item}, _from, stock), do: {:reply, stock[item], stock}
  def level(item), do: GenServer.call(Stock, {:level, item})
end

defmodule Pricing do
  use GenServer
  def init(_), do: {:ok, nil}
  def price(item), do: GenServer.call(Pricing, {:price, item}, 3000)

  def handle_call({:price, item}, _from, state) do
    level = Stock.level(item)
    {:reply, 10 - level, state}
  end
end

# Two add to a number that an agent holds; each waits for the other by a counter, which sends nothing.
defmodule Visits do
  def open, do: Agent.start_link(fn -> %{home: 3} end, name: Visits)
  def count(page), do: Agent.get(Visits, &Map.get(&1, page))

  def hit(page, turns, mine) do
    seen = count(page)
    :atomics.add(turns, 1, 1)
    await(turns, mine)
    Agent.update(Visits, &Map.put(&1, page, seen + 1))
    :atomics.add(turns, 1, 1)
  end

  def add(page), do: Agent.update(Visits, &Map.update!(&1, page, fn n -> n + 1 end))
  defp await(turns, mine), do: unless(:atomics.get(turns, 1) >= mine, do: (Process.sleep(1); await(turns, mine)))
end

defmodule Rates do
  use GenServer
  def init(_), do: {:ok, nil}
  def handle_call({:rate, currency}, _from, state), do: {:reply, fetch(currency), state}
  defp fetch("EUR"), do: 1.0
  defp fetch(_other) do
    Process.sleep(60_000)
    1.1
  end
end

defmodule Thumbs do
  def all(files), do: files |> Task.async_stream(&shrink/1, timeout: 2000) |> Enum.to_list()
  defp shrink("huge.png"), do: (Process.sleep(60_000); :never)
  defp shrink(file), do: file
end

defmodule Feed do
  use GenServer
  def init(config), do: {:ok, config}
  def handle_cast(:connect, config), do: {:noreply, address(config)}
  defp address(config), do: config[:host] <> ":" <> Integer.to_string(port(config))
  defp port(config), do: Keyword.get(config, :prot)
end

defmodule Basket do
  def total(%{"price" => price} = params) do
    count = params |> Map.get(:count)
    price * count
  end
end

defmodule Courses do
  use GenServer
  def init(_), do: {:ok, %{courses: %{}}}
  def handle_call({:course, of}, _from, state), do: {:reply, Map.get(state.courses, of), state}
  def handle_info({:loaded, courses}, state), do: {:noreply, %{state | courses: courses}}
  def convert(amount, of), do: amount * GenServer.call(Courses, {:course, of})
end

{:ok, _} = GenServer.start(Stock, %{apple: 3}, name: Stock)
{:ok, _} = GenServer.start(Pricing, nil, name: Pricing)
catch_exit = fn ask -> try do ask.() catch :exit, _ -> :gone end end
:gone = catch_exit.(fn -> GenServer.call(Stock, {:reserve, :apple}) end)

{:ok, _} = Visits.open()
turns = :atomics.new(1, [])
[2, 3] |> Enum.map(&Task.async(fn -> Visits.hit(:home, turns, &1) end)) |> Task.await_many(60_000)
4 = Visits.count(:home)
1..4 |> Enum.map(fn _ -> Task.async(fn -> Visits.count(:home); Visits.add(:home) end) end) |> Task.await_many(60_000)
8 = Visits.count(:home)

{_, watch} = spawn_monitor(fn -> Thumbs.all(["a.png", "huge.png"]) end)
{:ok, rates} = GenServer.start(Rates, nil, name: Rates)
1.0 = GenServer.call(rates, {:rate, "EUR"})
:gone = catch_exit.(fn -> GenServer.call(rates, {:rate, "USD"}, 2000) end)
receive do {:DOWN, ^watch, _, _, _} -> :ok end

{:ok, feed} = GenServer.start(Feed, [host: "example.org", port: 4040], name: Feed)
watch = Process.monitor(feed)
GenServer.cast(feed, :connect)
receive do {:DOWN, ^watch, _, _, _} -> :ok end

{_, watch} = spawn_monitor(fn -> Basket.total(%{"price" => 4, "count" => 2}) end)
receive do {:DOWN, ^watch, _, _, _} -> :ok end
{:ok, courses} = GenServer.start(Courses, nil, name: Courses)
{_, watch} = spawn_monitor(fn -> Courses.convert(11, "EUR") end)
receive do {:DOWN, ^watch, _, _, _} -> :ok end
send(courses, {:loaded, %{"EUR" => 1.1}})
1.1 = GenServer.call(courses, {:course, "EUR"})
"""


line_of = partial(line_in, SCRIPT)


@pytest.fixture(scope="module")
def findings(elixirscope: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    return findings_of(SCRIPT, elixirscope, tmp_path_factory.mktemp("planted"))


def test_the_line_that_closes_a_circle_of_calls(findings: list[Finding]) -> None:
    first = findings[0]
    assert first.title == "Deadlock: Stock and Pricing wait for each other"
    assert place(first) == ("handle_call", line_of("level = Stock.level(item)"))


def test_an_update_that_an_agent_lost(findings: list[Finding]) -> None:
    (race,) = [finding for finding in findings if finding.kind == "race"]  # not that of `add`, which loses none
    assert place(race) == ("hit", line_of("seen = count(page)"))
    assert any("it was 4 already, so one of the two is lost" in step.text for step in race.evidence)
    assert "Agent.update(…)" in race.explanation
    assert race.confidence == 0.68


def test_the_clause_that_took_the_time(findings: list[Finding]) -> None:
    assert place(the(findings, "Rates.fetch/1")) == ("fetch", line_of("defp fetch(_other)"))


def test_the_task_that_ended_a_stream(findings: list[Finding]) -> None:
    stream = the(findings, "Thumbs.shrink/1")
    assert stream.kind == "timeout"
    assert place(stream) == ("shrink", line_of('defp shrink("huge.png")'))


def test_a_key_that_is_spelled_otherwise(findings: list[Finding]) -> None:
    crash = the(findings, "Crash: ArgumentError in Feed.address/1, for want of :prot in Feed.port/1")
    assert place(crash) == ("port", line_of("defp port(config)"))
    assert ":erlang.integer_to_binary(nil) is refused" in crash.explanation
    assert "has no :prot, but :port" in crash.explanation
    assert crash.suggestion.startswith("Let Feed.port/1 look up :port")


def test_a_key_of_another_kind(findings: list[Finding]) -> None:
    crash = the(findings, "Basket.total/1")
    assert place(crash) == ("total", line_of("|> Map.get(:count)"))
    assert 'has no :count, an atom, but "count", a text' in crash.explanation


def test_what_was_asked_before_it_was_loaded(findings: list[Finding]) -> None:
    crash = the(findings, 'for want of "EUR" in Courses.handle_call/3')
    assert "It came into the state of Courses only" in crash.explanation
    assert "init/1 or handle_continue/2" in crash.suggestion
