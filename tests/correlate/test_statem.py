"""State machines of a real VM: which message each of their functions handled, for whom, and what state that left."""

from __future__ import annotations

import pytest

from elixirscope.recorded import Recorded
from tests.conftest import record_script

pytestmark = pytest.mark.beam

SCRIPT = """\
defmodule Door do
  @behaviour :gen_statem
  def start, do: :gen_statem.start_link({:local, Door}, Door, [], [])
  def push, do: :gen_statem.call(Door, :push)
  def lock, do: :gen_statem.cast(Door, :lock)
  def callback_mode, do: :state_functions
  def init([]), do: {:ok, :closed, 0}
  def closed({:call, from}, :push, pushes), do: {:next_state, :open, pushes + 1, [{:reply, from, :opened}]}
  def closed(:cast, :lock, pushes), do: {:next_state, :locked, pushes}
  def open({:call, from}, :push, pushes), do: {:next_state, :closed, pushes + 1, [{:reply, from, :closed}]}
  def locked({:call, from}, :push, _), do: {:keep_state_and_data, [{:reply, from, :stuck}]}
end

defmodule Lamp do
  @behaviour :gen_statem
  def start, do: :gen_statem.start_link({:local, Lamp}, Lamp, [], [])
  def storm, do: send(Lamp, :storm)
  def press, do: :gen_statem.call(Lamp, :press)
  def callback_mode, do: :handle_event_function
  def init([]), do: {:ok, :dark, %{lit: 0}}
  def handle_event({:call, from}, :press, :dark, data),
    do: {:next_state, :bright, %{data | lit: data.lit + 1}, [{:reply, from, :on}]}
  def handle_event({:call, from}, :press, :bright, data), do: {:next_state, :dark, data, [{:reply, from, :off}]}
  def handle_event(:info, :storm, _, data), do: {:next_state, :broken, data}
end

{:ok, _} = Door.start()
{:ok, _} = Lamp.start()
:opened = Door.push()
:closed = Door.push()
:ok = Door.lock()
:stuck = Door.push()
:on = Lamp.press()
:off = Lamp.press()
Lamp.storm()
{:broken, _} = :sys.get_state(Lamp)
"""


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return record_script(SCRIPT, tmp_path_factory.mktemp("machines"))


def test_each_function_of_a_state_handles_its_message_for_who_sent_it(rec: Recorded) -> None:
    rows = rec.sql(
        "select c.module, c.function, m.kind, m.certain, m.reply is not null as answered, asker.function as asker"
        " from calls c join messages m on m.message = c.message left join calls asker on asker.call = c.remote_parent"
        " where c.module in ('Door', 'Lamp') and c.function not in ('init', 'callback_mode')"
        " and c.process in (select process from processes where name in ('Door', 'Lamp')) order by c.call"
    )
    assert [(row["function"], row["kind"], row["answered"], row["asker"]) for row in rows] == [
        ("closed", "call", True, "push"),
        ("open", "call", True, "push"),
        ("closed", "cast", False, "lock"),
        ("locked", "call", True, "push"),
        ("handle_event", "call", True, "press"),
        ("handle_event", "call", True, "press"),
        ("handle_event", "info", False, "storm"),
    ]
    assert all(row["certain"] for row in rows)


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("Door", ["{:closed, 0}", "{:open, 1}", "{:closed, 2}", "{:locked, 2}"]),
        ("Lamp", ["{:dark, %{lit: 0}}", "{:bright, %{lit: 1}}", "{:dark, %{lit: 1}}", "{:broken, %{lit: 1}}"]),
    ],
)
def test_a_machine_has_a_state_with_its_data_after_each_change(rec: Recorded, name: str, states: list[str]) -> None:
    rows = rec.sql(
        f"select s.value from states s join processes p using (process) where p.name = '{name}' order by s.version"
    )
    assert [row["value"] for row in rows] == states
    kind = rec.sql(f"select kind from processes where name = '{name}'")
    assert [row["kind"] for row in kind] == ["gen_statem"]


def test_a_state_is_that_of_its_time(rec: Recorded) -> None:
    for row in rec.sql("select p.name, s.at, s.until, s.value from states s join processes p using (process)"):
        if row["name"] in ("Door", "Lamp"):
            end = row["until"] - 1 if row["until"] is not None else "end"
            assert [rec.state(row["name"], at=at).text for at in (row["at"], end)] == [row["value"]] * 2
