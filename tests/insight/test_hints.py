"""What befell a value that a failed assertion refused, and what was slow, in a program that a real VM runs, once."""

from __future__ import annotations

from functools import partial

import pytest

from elixirscope.insight import Finding
from tests.conftest import Run
from tests.insight.planting import findings_of, line_in, place, the

pytestmark = pytest.mark.beam

SCRIPT = """\
defmodule Auth do
  def call(%{user: nil} = conn), do: %{conn | status: 401}
  def call(conn), do: conn
end

defmodule Admin do
  def call(%{path: "/admin"} = conn), do: %{conn | status: 200}
end

defmodule Pipeline do
  def run(conn), do: Enum.reduce([Auth, Admin], conn, &call/2)
  defp call(plug, conn), do: if(conn.halted, do: conn, else: plug.call(conn))
end

defmodule Door do
  use GenServer
  def init(_), do: {:ok, :closed}
  def handle_call({:open, ms}, _from, _state) do
    Process.send_after(self(), :auto_close, ms)
    {:reply, :ok, :open}
  end
  def handle_call(:close, _from, _state), do: {:reply, :ok, :closed}
  def handle_call(:state, _from, state), do: {:reply, state, state}
  def handle_info(:auto_close, _state), do: {:noreply, :closed}
end

defmodule Counts do
  use GenServer
  def init(_), do: {:ok, %{"7" => 5}}
  def handle_call({:add, id, n}, _from, counts), do: {:reply, :ok, Map.update(counts, id, n, & &1 + n)}
  def handle_call({:get, id}, _from, counts), do: {:reply, Map.get(counts, id), counts}
end

defmodule Prices do
  def of(prices, amount), do: Map.get(prices, amount, :unknown)
end

defmodule Hits do
  def hit(turns) do
    seen = case :ets.lookup(:hits, "home") do
      [{_, n}] -> n
      [] -> 0
    end
    :atomics.add(turns, 1, 1)
    await(turns)
    :ets.insert(:hits, {"home", seen + 1})
  end
  defp await(turns), do: unless(:atomics.get(turns, 1) == 2, do: (Process.sleep(1); await(turns)))
end

defmodule Geo do
  use GenServer
  def init(_), do: {:ok, nil}
  def handle_call({:locate, 1}, _from, state) do
    send(ShopTest, :busy)
    queued(11)
    {:reply, 1, state}
  end
  def handle_call({:locate, n}, _from, state), do: (Process.sleep(20); {:reply, n, state})
  def queued(n), do: unless(elem(Process.info(self(), :message_queue_len), 1) >= n, do: (Process.sleep(1); queued(n)))
end

defmodule Sampler do
  use GenServer
  def init(_), do: (schedule(0); {:ok, 0})
  def handle_cast(:poke, n) do
    schedule(60_000)
    {:noreply, n}
  end
  def handle_info(:sample, n), do: (schedule(60_000); {:noreply, n + 1})
  defp schedule(ms), do: Process.send_after(self(), :sample, ms)
end

defmodule View do
  def mount(stock), do: {:ok, %{stock: stock, total: sum(stock)}}
  def handle({:stock, item, left}, view), do: {:noreply, %{view | stock: Map.put(view.stock, item, left)}}
  def sum(stock), do: stock |> Map.values() |> Enum.sum()
end

defmodule Till do
  def pay(params), do: reduced(450, coupon(params))
  defp coupon(params), do: Map.get(params, :coupon)
  defp reduced(price, "HALF"), do: div(price, 2)
  defp reduced(price, _none), do: price + 0
end

defmodule Prefs do
  def open, do: :ets.new(:prefs, [:named_table, :public])
  def set(key, n) do
    :ets.insert(:prefs, {key, n + 1})
    :ok
  end
  def keep(key, n) do
    :ets.insert(:prefs, {key, n})
    :ok
  end
  def get(key) do
    [{_, n}] = :ets.lookup(:prefs, key)
    n
  end
end

defmodule AlreadySentError do
  defexception message: "the response was already sent"
end

defmodule Guard do
  def call(%{user: nil} = conn), do: %{conn | status: 401}
  def call(conn), do: conn
end

defmodule Page do
  def run(conn), do: show(Guard.call(conn))
  defp show(%{status: nil} = conn), do: %{conn | status: 200}
  defp show(_conn), do: raise(AlreadySentError)
end

ExUnit.start(seed: 0, autorun: false)

defmodule ShopTest do
  use ExUnit.Case

  test "no stranger sees the books" do
    conn = Pipeline.run(%{path: "/admin", user: nil, status: nil, halted: false})
    assert conn.status == 401
  end

  test "the door stays open" do
    {:ok, door} = GenServer.start(Door, nil)
    GenServer.call(door, {:open, 20})
    GenServer.call(door, :close)
    GenServer.call(door, {:open, 60_000})
    closed(door)
    assert GenServer.call(door, :state) == :open
  end

  test "a count goes on" do
    {:ok, counts} = GenServer.start(Counts, nil)
    GenServer.call(counts, {:add, 7, 2})
    assert GenServer.call(counts, {:get, "7"}) == 7
  end

  test "a price by weight" do
    assert Prices.of(%{10 => :cheap, 20 => :dear}, 100 / 10) == :cheap
  end

  test "two hits" do
    :ets.new(:hits, [:named_table, :public])
    turns = :atomics.new(1, [])
    for(_ <- 1..2, do: Task.async(fn -> Hits.hit(turns) end)) |> Task.await_many(60_000)
    assert :ets.lookup(:hits, "home") == [{"home", 2}]
  end

  test "many callers" do
    {:ok, geo} = GenServer.start(Geo, nil, name: Geo)
    ask = fn n -> Task.async(fn -> GenServer.call(geo, {:locate, n}, 60_000) end) end
    Process.register(self(), ShopTest)
    first = ask.(1)
    receive do :busy -> :ok end
    rest = for n <- 2..12, do: ask.(n)
    Task.await_many([first | rest], 60_000)
  end

  test "the total follows" do
    {:ok, view} = View.mount(%{"cup" => 5, "tea" => 2})
    {:noreply, view} = View.handle({:stock, "cup", 1}, view)
    assert view.total == 3
  end

  test "half price" do
    assert Till.pay(%{"coupon" => "HALF"}) == 225
  end

  test "a page for members" do
    conn = Page.run(%{user: nil, status: nil})
    assert conn.status == 401
  end

  test "what a table keeps" do
    Prefs.open()
    Prefs.set("size", 2)
    Prefs.set("rows", 7)
    assert Prefs.get("size") == 2
  end

  test "what the test gave" do
    Prefs.open()
    Prefs.keep("rows", 6)
    Prefs.keep("size", 6 + 0)
    assert Prefs.get("rows") == 7
  end

  test "pokes" do
    {:ok, sampler} = GenServer.start(Sampler, nil, name: Sampler)
    sampled(sampler)
    for _ <- 1..11, do: GenServer.cast(sampler, :poke)
    assert :sys.get_state(sampler) == 1
  end

  defp closed(door), do: unless(GenServer.call(door, :state) == :closed, do: (Process.sleep(2); closed(door)))
  defp sampled(pid), do: unless(:sys.get_state(pid) == 1, do: (Process.sleep(2); sampled(pid)))
end

ExUnit.run()
"""


line_of = partial(line_in, SCRIPT)


@pytest.fixture(scope="module")
def findings(elixirscope: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    return findings_of(SCRIPT, elixirscope, tmp_path_factory.mktemp("hints"))


def test_what_was_wanted_had_been_there_and_was_replaced(findings: list[Finding]) -> None:
    late = the(findings, "no stranger sees the books")
    assert late.title.endswith("200 from Admin.call/1, in place of the 401 of Auth.call/1")
    assert place(late) == ("call", line_of('%{path: "/admin"} = conn'))
    assert "halted was false" in late.suggestion


def test_a_timer_that_outlived_what_it_was_set_for(findings: list[Finding]) -> None:
    door = the(findings, "the door stays open")
    assert "when a timer fired that Door.handle_call/3 on {:open, 20} had set" in door.title
    assert "Since then :close, {:open, 60000} had changed the state" in door.explanation
    assert "Process.cancel_timer/1" in door.suggestion


def test_two_keys_of_one_name(findings: list[Finding]) -> None:
    counts = the(findings, "a count goes on")
    assert '"7", a text' in counts.explanation
    assert "7, an integer" in counts.explanation


def test_a_lookup_whose_result_nobody_saw(findings: list[Finding]) -> None:
    price = the(findings, "a price by weight")
    assert "has no 10.0, a float, but 10, an integer" in price.explanation


def test_a_place_that_was_left_as_it_was(findings: list[Finding]) -> None:
    total = the(findings, "the total follows")
    assert place(total) == ("handle", line_of("def handle({:stock"))
    assert 'View.handle/2 changed .stock["cup"] beside it, and left .total as it was' in total.explanation


def test_a_lookup_on_the_way_that_found_nothing(findings: list[Finding]) -> None:
    price = the(findings, "half price")
    assert place(price) == ("coupon", line_of("defp coupon"))
    assert 'has no :coupon, an atom, but "coupon", a text' in price.explanation


def test_a_value_is_followed_through_a_table(findings: list[Finding]) -> None:
    kept = the(findings, "what a table keeps")
    assert place(kept)[0] == "set"
    assert any('had written it: :ets.insert(:prefs, {"size", 3})' in step.text for step in kept.evidence)


def test_a_literal_of_the_test_is_its_own(findings: list[Finding]) -> None:
    own = the(findings, "what the test gave")
    assert place(own)[1] == line_of('Prefs.keep("rows", 6)')
    assert any("6 was made here: it stands in the source" in step.text for step in own.evidence)
    assert "the test itself put in" in own.suggestion


def test_a_response_that_was_sent_twice(findings: list[Finding]) -> None:
    twice = the(findings, "Guard.call/1 had answered 401, and did not halt")
    assert place(twice) == ("call", line_of("defmodule Guard") + 1)
    assert "Plug.Conn.halt/1" in twice.suggestion


def test_the_same_count_written_twice_to_a_table(findings: list[Finding]) -> None:
    race = the(findings, 'Race: key "home" changed twice')
    assert "one of the two changes is lost" in race.explanation


def test_many_who_wait_for_their_turn(findings: list[Finding]) -> None:
    geo = the(findings, "Overload: 12 processes wait for Geo")
    assert geo.location is not None
    assert geo.location.function == "handle_call"


def test_timers_that_pile_up(findings: list[Finding]) -> None:
    pile = the(findings, "timers for :sample are pending at once in Sampler")
    assert place(pile) == ("handle_cast", line_of("def handle_cast(:poke, n)"))
    assert ":poke set one more each time it came" in pile.explanation
