"""`analyze` and `plan` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elixirscope.brain.plan import Plan
from tests.brain.source import STOCK, write_project
from tests.conftest import Run

SHOP = "defmodule Shop do\n  def buy(i), do: if(Shop.Stock.count(i) > 0, do: Shop.Stock.take(i))\nend\n"


def shop(root: Path) -> Path:
    return write_project(root / "shop", {"lib/shop.ex": SHOP, "lib/stock.ex": STOCK})


def test_analyze_tells_it_to_people_and_programs(elixirscope: Run, tmp_path: Path) -> None:
    text = elixirscope("analyze", shop(tmp_path)).stdout
    assert "shop: 3 files, 2 modules, 8 functions" in text
    assert "Shop.buy/1 on Shop.Stock" in text
    analysis = json.loads(elixirscope("analyze", shop(tmp_path), "--json").stdout)
    assert set(analysis) == {
        *("root", "apps", "files", "digest", "modules", "supervision"),
        *("flows", "tables", "risks", "hot", "problems"),
    }
    assert analysis["risks"][0]["function"] == "Shop.buy/1"


def test_a_printed_plan_can_be_used_as_it_is(elixirscope: Run, tmp_path: Path) -> None:
    printed = elixirscope("plan", shop(tmp_path), "--intent", "state").stdout
    assert Plan.parse(printed).intent == "state"
    as_json = json.loads(elixirscope("plan", shop(tmp_path), "--intent", "state", "--json").stdout)
    assert as_json["default"] == "state"
    written = elixirscope("plan", shop(tmp_path), "--intent", "state", "-o", tmp_path / "p.toml")
    assert written.stdout == ""
    assert (tmp_path / "p.toml").read_text() == printed


def test_hostile_names_cannot_steer_the_terminal(elixirscope: Run, tmp_path: Path) -> None:
    source = 'defmodule A do\n  def f, do: send(:"\x1b[2Jx", {:m, 1})\nend\n'
    root = write_project(tmp_path / "p", {"lib/a.ex": source})
    assert "\x1b" not in elixirscope("analyze", root).stdout


def test_bad_folders_are_named(elixirscope: Run, tmp_path: Path) -> None:
    for command in ("analyze", "plan"):
        missing = elixirscope(command, tmp_path / "none")
        assert (missing.returncode, missing.stdout) == (2, "")
        assert "no such folder" in missing.stderr
        empty = elixirscope(command, tmp_path)
        assert empty.returncode == 2
        assert "no Elixir code" in empty.stderr
    refused = elixirscope("plan", shop(tmp_path), "-o", tmp_path / "none" / "p.toml")
    assert refused.returncode == 7


LOOP = """
defmodule Loop do
  def go(0), do: :ok
  def go(n), do: (step(n); go(n - 1))
  def step(n), do: n
  def once, do: go(20_000)
end
Loop.once()
"""


@pytest.mark.beam
def test_a_plan_learns_from_an_earlier_recording(elixirscope: Run, tmp_path: Path) -> None:
    (tmp_path / "loop.exs").write_text(LOOP)
    elixirscope("record", "-o", tmp_path / "r.scope", "--", "elixir", tmp_path / "loop.exs")
    planned = elixirscope("plan", shop(tmp_path), "--from", tmp_path / "r.scope")
    rules = {rule.match: rule.level for rule in Plan.parse(planned.stdout).functions}
    assert rules == {"Loop.go/1": "calls", "Loop.step/1": "calls"}
