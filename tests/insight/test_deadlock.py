"""A deadlock in a real VM: two servers that ask each other, named with the line that closes the circle."""

from __future__ import annotations

from pathlib import Path

import pytest

import elixirscope as library
from tests.conftest import Run

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

{:ok, _} = GenServer.start(Stock, %{apple: 3}, name: Stock)
{:ok, _} = GenServer.start(Pricing, nil, name: Pricing)
catch_exit = fn -> try do GenServer.call(Stock, {:reserve, :apple}) catch :exit, _ -> :gone end end
:gone = catch_exit.()
"""


def test_the_line_that_closes_the_circle(elixirscope: Run, tmp_path: Path) -> None:
    script = tmp_path / "shop.exs"
    script.write_text(SCRIPT)
    recording = tmp_path / "shop.scope"
    elixirscope("record", "-o", recording, "--", "elixir", script, cwd=tmp_path)
    first = library.open(recording).findings[0]
    assert first.title == "Deadlock: Stock and Pricing wait for each other"
    assert first.location is not None
    assert first.location.line == SCRIPT.splitlines().index("    level = Stock.level(item)") + 1
