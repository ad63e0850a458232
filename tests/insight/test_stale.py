"""Updates that a process loses to a function of its own that computed with an older state: real programs, recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from elixirscope.insight import Finding
from tests.conftest import Run
from tests.insight.planting import findings_of, line_in, the

pytestmark = pytest.mark.beam

CART = """
defmodule Cart do
  use GenServer
  def init(_), do: {:ok, %{items: [], total: 0}}

  def handle_call({:add, item, price}, _from, state) do
    me = self()
    %{items: items, total: total} = state
    {:ok, helper} = Task.start(fn ->
      receive do :go -> :ok end
      SEND
    end)
    {:reply, helper, state}
  end
  def handle_call(:total, _from, state), do: {:reply, state.total, state}

  def handle_info({:priced, items, total}, state), do: {:noreply, %{state | items: items, total: total}}
  def handle_info({:price, item, price}, state) do
    {:noreply, %{state | items: [item | state.items], total: state.total + price}}
  end
end

{:ok, cart} = GenServer.start_link(Cart, nil, name: Cart)
apple = GenServer.call(cart, {:add, :apple, 3})
TURNS
12
|> then(fn _ -> GenServer.call(cart, :total) end)
|> IO.inspect()
"""

SENDS_THE_STATE = "send(me, {:priced, [item | items], total + price})"
BESIDE = """
melon = GenServer.call(cart, {:add, :melon, 9})
for helper <- [apple, melon] do
  ref = Process.monitor(helper)
  send(helper, :go)
  receive do {:DOWN, ^ref, _, _, _} -> GenServer.call(cart, :total) end
end
"""
IN_TURN = """
ref = Process.monitor(apple)
send(apple, :go)
receive do {:DOWN, ^ref, _, _, _} -> GenServer.call(cart, :total) end
melon = GenServer.call(cart, {:add, :melon, 9})
ref = Process.monitor(melon)
send(melon, :go)
receive do {:DOWN, ^ref, _, _, _} -> GenServer.call(cart, :total) end
"""


def of(send: str, turns: str, elixirscope: Run, folder: Path) -> list[Finding]:
    return findings_of(CART.replace("SEND", send).replace("TURNS", turns), elixirscope, folder)


def test_what_a_helper_made_of_an_older_state_overwrites_a_change(elixirscope: Run, tmp_path: Path) -> None:
    for send in (SENDS_THE_STATE, "send(me, {:priced, [item | state.items], state.total + price})"):
        lost = the(of(send, BESIDE, elixirscope, tmp_path), "Lost update")
        assert lost.kind == "race"
        assert lost.title.startswith("Lost update: total of Cart was overwritten")
        assert lost.location is not None
        assert lost.location.line == line_in(CART, "Task.start")
        told = [step.text for step in lost.evidence]
        assert "when total was 0" in told[0]
        assert "made total 3" in told[1]
        assert told[2].endswith("sent {:priced, [:melon], 9}")
        assert told[3] == "with that Cart made total 9, and 3 is lost"


@pytest.mark.parametrize(
    ("send", "turns"),
    [
        pytest.param("send(me, {:price, item, price})", BESIDE, id="the server computes"),
        pytest.param(SENDS_THE_STATE, IN_TURN, id="nothing came in between"),
        pytest.param(
            "total = GenServer.call(me, :total)\n      send(me, {:priced, [item], total + price})",
            BESIDE,
            id="the helper asked anew",
        ),
        pytest.param("send(me, {:priced, [item], price})", BESIDE, id="the helper computes with nothing of it"),
    ],
)
def test_what_is_no_lost_update(send: str, turns: str, elixirscope: Run, tmp_path: Path) -> None:
    assert [finding.title for finding in of(send, turns, elixirscope, tmp_path) if "Lost" in finding.title] == []
