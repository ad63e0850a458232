"""Agents and registries of a real VM: what runs in them, on whose account, and how sure that is."""

from __future__ import annotations

import pytest

from elixirscope.recorded import Recorded
from tests.conftest import record_script

pytestmark = pytest.mark.beam

SCRIPT = """\
defmodule Till do
  def open, do: Agent.start_link(fn -> 0 end, name: Till)
  def add(amount), do: Agent.update(Till, fn sum -> plus(sum, amount) end)
  def later(amount), do: Agent.cast(Till, fn sum -> plus(sum, amount) end)
  def sum, do: Agent.get(Till, fn sum -> read(sum) end)
  def kept, do: Agent.get(Till, Till, :read, [])
  def plus(sum, amount), do: sum + amount
  def read(sum), do: sum
end

defmodule Room do
  use GenServer
  def start_link(name), do: GenServer.start_link(Room, name, name: via(name))
  def via(name), do: {:via, Registry, {Rooms, name}}
  def enter(name, guest), do: GenServer.call(via(name), {:enter, guest})
  def init(name) do
    {:ok, _} = Registry.register(Doors, :open, name)
    {:ok, {name, []}}
  end
  def handle_call({:enter, guest}, _from, {name, guests}), do: {:reply, length(guests) + 1, {name, [guest | guests]}}
  def handle_info({:bell, from}, {name, guests}) do
    send(from, {:rang, name})
    {:noreply, {name, guests}}
  end
end

defmodule Porter do
  def ring do
    Registry.dispatch(Doors, :open, fn doors -> for {pid, _} <- doors, do: send(pid, {:bell, self()}) end)
    for _ <- 1..2 do
      receive do {:rang, name} -> name end
    end
  end
end

{:ok, _} = Registry.start_link(keys: :unique, name: Rooms)
{:ok, _} = Registry.start_link(keys: :duplicate, name: Doors)
{:ok, _} = Till.open()
:ok = Till.add(3)
:ok = Till.later(4)
7 = Till.sum()
7 = Till.kept()
{:ok, _} = Room.start_link("blue")
{:ok, _} = Room.start_link("red")
1 = Room.enter("blue", "Ada")
2 = Room.enter("blue", "Joe")
["blue", "red"] = Enum.sort(Porter.ring())
"""


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return record_script(SCRIPT, tmp_path_factory.mktemp("agents"))


# Each frame of the application in the agent: who asked for it, by what message, which answer that got
ASKED = """
select asker.function as asker, m.kind as kind, ran.function as ran, ran.result as result, m.certain as certain,
    m.reply is not null as answered
from calls ran join calls handler on handler.call = ran.parent join calls asker on asker.call = handler.remote_parent
join messages m on m.message = handler.message join processes p on p.process = ran.process
where p.name = 'Till' and ran.module = 'Till' and ran.function in ('plus', 'read') order by ran.call
"""


def test_what_is_handed_to_an_agent_runs_on_the_account_of_who_handed_it(rec: Recorded) -> None:
    told = [tuple(row.values()) for row in rec.sql(ASKED)]
    assert told == [
        ("add", "call", "plus", "3", True, True),
        ("later", "cast", "plus", "7", True, False),
        ("sum", "call", "read", "7", True, True),
        ("kept", "call", "read", "7", True, True),
    ]


def test_an_agent_has_a_state_after_each_change(rec: Recorded) -> None:
    rows = rec.sql(
        "select s.version, s.value, m.kind from states s join processes p using (process)"
        " left join messages m on m.message = s.message where p.name = 'Till' order by s.version"
    )
    assert [(row["value"], row["kind"]) for row in rows] == [("0", None), ("3", "call"), ("7", "cast")]


def test_who_is_found_by_a_registry_is_reached_for_certain(rec: Recorded) -> None:
    rows = rec.sql(
        "select c.args, c.message is not null as known, m.certain, asker.function as asker from calls c"
        " join messages m on m.message = c.message join calls asker on asker.call = c.remote_parent"
        " where c.module = 'Room' and c.function = 'handle_call' order by c.call"
    )
    assert [(row["certain"], row["asker"]) for row in rows] == [(True, "enter")] * 2
    assert [name in row["args"] for name, row in zip(("Ada", "Joe"), rows, strict=True)] == [True, True]


def test_a_registry_passes_on_to_all_who_registered(rec: Recorded) -> None:
    rows = rec.sql(
        "select c.process, m.certain, asker.module || '.' || asker.function as asker, through.function as through"
        " from calls c join messages m on m.message = c.message join calls asker on asker.call = c.remote_parent"
        " join calls through on through.call = asker.parent where c.module = 'Room' and c.function = 'handle_info'"
    )
    assert len({row["process"] for row in rows}) == len(rows) == 2
    assert {(row["certain"], row["asker"], row["through"]) for row in rows} == {(True, "Porter.ring", "dispatch")}


def test_who_registers_is_linked_to_the_registry(rec: Recorded) -> None:
    rows = rec.sql(
        "select p.module, o.name, l.certain from links l join processes p on p.process = l.process"
        " join processes o on o.process = l.peer where l.kind = 'link' and o.name like '%PIDPartition%'"
        " and p.module = 'Room'"
    )
    assert sorted((row["name"], row["certain"]) for row in rows) == [
        *[("Doors.PIDPartition0", True)] * 2,
        *[("Rooms.PIDPartition0", True)] * 2,
    ]


def test_every_edge_is_certain_or_says_why_not(rec: Recorded) -> None:
    edges = [(dag.name, edge) for dag in rec.dags.all for edge in dag.edges().to_pylist()]
    assert all(edge["certain"] or edge["reason"] for _, edge in edges)
    doubted = rec.sql("select distinct kind, reason from links where not certain order by 1, 2")
    assert {row["reason"] for row in doubted} >= {"a call monitors its server until the reply"}
    assert not list(rec.sql("select message from messages where not certain and reason is null"))
