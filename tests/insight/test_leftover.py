"""Tests that fail by what other tests did, run by a real ExUnit, recorded once."""

from __future__ import annotations

from functools import partial

import pytest

from elixirscope.insight import Finding
from tests.conftest import Run
from tests.insight.planting import findings_of, line_in, place, the

pytestmark = pytest.mark.beam

SCRIPT = """\
defmodule Tenant do
  def put(tenant), do: Application.put_env(:shop, :tenant, tenant)
  def current, do: Application.get_env(:shop, :tenant, "public")
  def table(name), do: current() <> "." <> name
end

defmodule Counter do
  use Agent
  def start, do: Agent.start(fn -> 0 end, name: Counter)
  def next, do: Agent.get_and_update(Counter, &{&1 + 1, &1 + 1})
end

defmodule Room do
  use GenServer
  def init(id), do: {:ok, id}
  def handle_call(:id, _from, id), do: {:reply, id, id}
  def ensure(id, gate) do
    case Registry.lookup(Rooms, id) do
      [{room, _}] -> room
      [] ->
        send(gate, :looked)
        receive do :go -> :ok end
        {:ok, room} = GenServer.start(Room, id, name: {:via, Registry, {Rooms, id}})
        room
    end
  end
end

{:ok, _} = Registry.start_link(keys: :unique, name: Rooms)
{:ok, _} = Agent.start(fn -> [] end, name: Basket)
ExUnit.start(seed: 0, autorun: false, max_cases: 4)

defmodule Basket do
  def add(item), do: Agent.update(Basket, &[item | &1])
  def all, do: Agent.get(Basket, & &1)
  def await(count), do: unless(length(all()) == count, do: (Process.sleep(5); await(count)))
end

defmodule TeaTest do
  use ExUnit.Case, async: true
  test "tea alone" do
    Basket.add(:tea)
    Basket.await(2)
    assert Basket.all() == [:tea]
  end
end

defmodule CakeTest do
  use ExUnit.Case, async: true
  test "cake" do
    Basket.await(1)
    Basket.add(:cake)
  end
end

defmodule ShopTest do
  use ExUnit.Case
  setup do
    Counter.start()
    :ok
  end

  test "a tenant of its own" do
    Tenant.put("acme")
    assert Tenant.table("users") == "acme.users"
  end

  test "b first number" do
    assert Counter.next() == 1
  end

  test "c public by default" do
    assert Tenant.table("users") == "public.users"
  end

  test "d numbers begin at one" do
    assert Counter.next() == 1
  end

  test "e a counter of its own" do
    {:ok, _} = Agent.start(fn -> 10 end, name: Counter)
  end

  test "f its own tenant, and its own number" do
    Tenant.put("zoo")
    assert Tenant.table("users") == "wrong"
  end

  test "g two want a room" do
    gate = self()
    both = for _ <- 1..2, do: spawn_monitor(fn -> Room.ensure("lobby", gate) end)
    for _ <- both, do: (receive do :looked -> :ok end)
    for {pid, watch} <- both do
      send(pid, :go)
      receive do {:DOWN, ^watch, _, _, reason} -> send(self(), {:ended, reason}) end
    end
    assert_received {:ended, :normal}
    refute_received {:ended, {{:badmatch, _}, _}}
  end
end

ExUnit.run()
"""


line_of = partial(line_in, SCRIPT)


@pytest.fixture(scope="module")
def findings(elixirscope: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    return findings_of(SCRIPT, elixirscope, tmp_path_factory.mktemp("leftover"))


def test_what_another_test_had_put_into_the_environment(findings: list[Finding]) -> None:
    left = the(findings, "test c public by default")
    assert left.title.endswith('"acme.users" came of what test a tenant of its own (ShopTest) had left')
    assert place(left) == ("put", line_of("Application.put_env"))
    assert ":tenant in the environment of :shop" in left.explanation
    assert "on_exit" in left.suggestion


def test_a_process_that_outlived_the_test_that_had_changed_it(findings: list[Finding]) -> None:
    left = the(findings, "test d numbers begin at one")
    assert left.title.endswith("2 came of what test b first number (ShopTest) had left")
    assert place(left) == ("start", line_of("def start"))
    assert "start_supervised!/1" in left.suggestion


def test_what_a_test_beside_it_did(findings: list[Finding]) -> None:
    beside = the(findings, "test tea alone (TeaTest)")
    assert beside.title.endswith("[:cake, :tea] came of what test cake (CakeTest) did")
    assert "async: false" in beside.suggestion


def test_a_name_that_was_taken(findings: list[Finding]) -> None:
    taken = the(findings, "test e a counter of its own (ShopTest): the name was taken")
    assert "Counter had been started" in taken.explanation
    assert "in test a tenant of its own (ShopTest), and was still there" in taken.explanation


def test_what_a_test_did_itself_is_not_put_on_others(findings: list[Finding]) -> None:
    assert "had left" not in the(findings, "test f its own tenant").title


def test_a_name_for_which_two_looked_before_either_took_it(findings: list[Finding]) -> None:
    raced = the(findings, "MatchError in Room.ensure/2")
    assert 'Room.ensure/2 had looked (Registry.lookup(Rooms, "lobby")) and found nobody' in raced.explanation
    assert any("test g two want a room" in step.text for step in raced.evidence)
