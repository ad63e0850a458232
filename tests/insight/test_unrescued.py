"""Exceptions that no process died of, for what runs the program's code caught them: real programs, recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.insight.planting import findings_of, line_in, place, the

pytestmark = pytest.mark.beam

SHOP = """
defmodule Served do
  defmacro __using__(_) do
    quote do
      def call(id) do
        try do
          show(id)
        rescue
          _ -> :failed
        end
      end
    end
  end
end

defmodule NotFound do
  defexception message: "no such item", plug_status: 404
end

defmodule Stock do
  def find(id), do: Map.get(%{1 => %{name: "apple"}}, id)
end

defmodule Shop do
  use Served

  def show(id) do
    item = Stock.find(id)
    NAME
  end
  def careful(id) do
    show(id)
  rescue
    _ -> :failed
  end
end

ASK
"""
NAME = "String.upcase(item.name)"


@pytest.mark.parametrize(
    "ask",
    ["Shop.call(7)", 'Code.eval_string("try do Shop.show(7) rescue _ -> :failed end")'],
    ids=["macro", "unrecorded"],
)
def test_an_exception_that_only_a_framework_rescued_is_told(ask: str, elixirscope: Run, tmp_path: Path) -> None:
    script = SHOP.replace("NAME", NAME).replace("ASK", f"for _ <- 1..3, do: {ask}\nShop.careful(1)")
    found = the(findings_of(script, elixirscope, tmp_path), "Unexpected")
    # Of a field of nil Elixir 1.20 says something else than the others.
    exceptions = {"KeyError": "key :name not found", "BadMapError": "expected a map, got: nil"}
    name = found.title.removeprefix("Unexpected: ").partition(" ")[0]
    assert found.title == f"Unexpected: {name} in Shop.show/1, by a nil from Stock.find/1, 3 times"
    assert place(found) == ("find", line_in(script, "def find"))
    assert "nothing in the program rescued it" in found.explanation
    assert found.evidence[-1].text.endswith(f"raised in Shop.show/1: {exceptions[name]}")


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        pytest.param(NAME, "Shop.careful(7)", id="rescued by the program"),
        pytest.param("item || raise NotFound", "Shop.call(7)", id="answered as the client's fault"),
    ],
)
def test_what_is_expected(name: str, ask: str, elixirscope: Run, tmp_path: Path) -> None:
    script = SHOP.replace("NAME", name).replace("ASK", ask)
    assert findings_of(script, elixirscope, tmp_path) == []
