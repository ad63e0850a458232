"""What the source of a project tells: behaviours, functions, supervision, messages, risks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.brain.facts import Analysis
from elixirscope.brain.reader import read_file
from elixirscope.errors import UsageError
from tests.brain.source import STOCK, analyze, write_project

EXAMPLE = Path(__file__).parents[2] / "examples" / "ticket_office"


def one(tmp_path: Path, source: str) -> Analysis:
    return analyze(write_project(tmp_path / "p", {"lib/shop.ex": source}))


def test_modules_behaviours_and_callbacks(tmp_path: Path) -> None:
    (stock,) = one(tmp_path, STOCK).modules
    assert (stock.name, stock.app, stock.behaviours) == ("Shop.Stock", "shop", ("GenServer",))
    callbacks = {f.key for f in stock.functions if f.callback_of == "GenServer"}
    assert callbacks == {"init/1", "handle_call/3", "handle_cast/2"}


def test_handlers_that_only_read_are_told_from_those_that_change(tmp_path: Path) -> None:
    (stock,) = one(tmp_path, STOCK).modules
    assert [(h.tag, h.reads_only) for h in stock.handlers] == [
        (":count", True),
        (":take", False),
        (":restock", False),
    ]


def test_complexity_counts_decisions(tmp_path: Path) -> None:
    source = """
    defmodule A do
      def flat(x), do: x
      def branchy(x) when x > 1 do
        if x > 2 and x < 9, do: 1, else: 2
        case x do
          1 -> :a
          2 -> :b
          _ -> :c
        end
      end
      def clauses(1), do: 1
      def clauses(2), do: 2
    end
    """
    functions = {f.key: f.complexity for f in one(tmp_path, source).modules[0].functions}
    assert functions == {"flat/1": 1, "branchy/1": 5, "clauses/1": 2}


def test_messages_lead_to_the_clause_that_handles_them(tmp_path: Path) -> None:
    flows = one(tmp_path, STOCK).flows
    assert [(f.kind, f.source, f.target, f.tag, f.handler_line) for f in flows] == [
        ("call", "Shop.Stock.count/1", "Shop.Stock", ":count", 13),
        ("call", "Shop.Stock.take/1", "Shop.Stock", ":take", 15),
        ("cast", "Shop.Stock.restock/2", "Shop.Stock", ":restock", 23),
    ]


def test_broadcasts_and_sends_lead_to_who_handles_them(tmp_path: Path) -> None:
    source = """
    defmodule News do
      use GenServer
      def tell(item), do: Phoenix.PubSub.broadcast(Shop.PubSub, "news", {:news, item})
      def later(pid), do: Process.send_after(pid, :tick, 100)
      def anyone(pid), do: send(pid, {:nobody_knows, 1})
      def init(_), do: {:ok, []}
      def handle_info({:news, item}, items), do: {:noreply, [item | items]}
      def handle_info(:tick, items), do: {:noreply, items}
    end
    """
    flows = one(tmp_path, source).flows
    assert [(f.kind, f.tag, f.target, f.handler_line) for f in flows] == [
        ("publish", ":news", "News", 8),
        ("send", ":tick", "News", 9),
        ("send", ":nobody_knows", None, None),
    ]


def test_check_then_act_on_a_server(tmp_path: Path) -> None:
    shop = """
    defmodule Shop do
      alias Shop.Stock

      def buy(item) do
        if Stock.count(item) > 0 do
          Stock.take(item)
        end
      end

      def peek(item), do: {Stock.count(item), Stock.count(item)}
      def other(a, b), do: {Stock.count(a), Stock.take(b)}
      def take_first(item), do: {Stock.take(item), Stock.count(item)}
    end
    """
    root = write_project(tmp_path / "p", {"lib/shop.ex": shop, "lib/stock.ex": STOCK})
    (risk,) = analyze(root).risks
    assert (risk.function, risk.subject) == ("Shop.buy/1", "Shop.Stock")
    assert (risk.check_line, risk.check, risk.act_line, risk.act) == (
        6,
        "Stock.count(item)",
        7,
        "Stock.take(item)",
    )


def test_check_then_act_through_private_helpers(tmp_path: Path) -> None:
    shop = """
    defmodule Shop do
      def buy(item), do: if(left?(item), do: item |> Shop.Stock.take())
      defp left?(item), do: Shop.Stock.count(item) > 0
    end
    """
    root = write_project(tmp_path / "p", {"lib/shop.ex": shop, "lib/stock.ex": STOCK})
    assert [risk.function for risk in analyze(root).risks] == ["Shop.buy/1"]


def test_check_then_act_on_a_table(tmp_path: Path) -> None:
    source = """
    defmodule Cache do
      @table :cache
      def make, do: :ets.new(:cache, [:named_table, :public])
      def fetch(key) do
        case :ets.lookup(@table, key) do
          [] -> :ets.insert(@table, {key, 1})
          found -> found
        end
      end
      def once(key), do: {:ets.lookup(@table, key), :ets.insert_new(@table, {key, 1})}
    end
    """
    analysis = one(tmp_path, source)
    assert [(r.function, r.subject) for r in analysis.risks] == [("Cache.fetch/1", "table Cache @table")]
    assert [(t.name, t.module, t.options) for t in analysis.tables] == [
        (":cache", "Cache", (":named_table", ":public"))
    ]


def test_a_server_that_reads_and_writes_its_own_state_is_no_risk(tmp_path: Path) -> None:
    source = """
    defmodule Own do
      use GenServer
      def init(_), do: {:ok, 1}
      def handle_info(:tick, state) do
        {_, _} = {GenServer.call(__MODULE__, {:get, state}), GenServer.call(__MODULE__, {:set, state})}
        {:noreply, state}
      end
      def handle_call({:get, _}, _, state), do: {:reply, state, state}
      def handle_call({:set, new}, _, _state), do: {:reply, :ok, new}
    end
    """
    assert one(tmp_path, source).risks == ()


@pytest.mark.parametrize(
    "children",
    [
        "Supervisor.init([{A, name: :a}, B, %{id: 1, start: {C, :start_link, []}}], strategy: :one_for_all)",
        "children = [A, B]\n    children = children ++ [Supervisor.child_spec(C, id: 1)]\n"
        "    Supervisor.init(children, strategy: :one_for_all)",
    ],
)
def test_supervision_children(tmp_path: Path, children: str) -> None:
    source = f"defmodule Sup do\n  use Supervisor\n  def init(_) do\n    {children}\n  end\nend\n"
    found = one(tmp_path, source).supervision
    assert [(c.supervisor, c.child, c.strategy) for c in found] == [
        ("Sup", child, ":one_for_all") for child in ("A", "B", "C")
    ]


def test_recursion_and_parsers_are_hot_but_loops_that_receive_are_not(tmp_path: Path) -> None:
    source = """
    defmodule H do
      def sum([h | t], acc), do: sum(t, acc + h)
      def sum([], acc), do: acc
      def words(<<c, rest::binary>>, acc), do: words(rest, [c | acc])
      def words("", acc), do: acc
      def loop(state) do
        receive do
          x -> loop(x)
        end
      end
    end
    """
    found = [(h.function, h.reason) for h in one(tmp_path, source).hot]
    assert found == [("H.sum/2", "recursive"), ("H.words/2", "parses")]


def test_nested_modules_aliases_and_implementations(tmp_path: Path) -> None:
    source = """
    defmodule Outer do
      alias Some.{Deep, Other}
      alias Long.Name, as: Short
      defmodule Deep.Inner do
        def f(x), do: Other.g(Short.h(x))
      end
      defimpl Inspect do
        def inspect(_, _), do: "x"
      end
      defimpl String.Chars, for: Other do
        def to_string(_), do: "x"
      end
    end
    """
    modules = one(tmp_path, source).modules
    assert [(m.name, m.kind) for m in modules] == [
        ("Outer", "module"),
        ("Outer.Deep.Inner", "module"),
        ("Inspect.Outer", "implementation"),
        ("String.Chars.Some.Other", "implementation"),
    ]
    (f,) = modules[1].functions
    assert [(c.module, c.name) for c in f.calls] == [("Some.Other", "g"), ("Long.Name", "h")]


@pytest.mark.parametrize("broken", ["def b(x do\n    x\n  end", "def b(x) do\n    x +\n  end", "def b(x) do\n if x do"])
def test_a_syntax_error_is_named_and_the_rest_is_still_read(tmp_path: Path, broken: str) -> None:
    source = f"defmodule A do\n  def ok(x), do: x\n  {broken}\n\n  def after_it(y), do: y\nend\n"
    analysis = one(tmp_path, source)
    assert "ok/1" in {f.key for m in analysis.modules for f in m.functions}
    assert [p.file for p in analysis.problems] == ["lib/shop.ex"] * len(analysis.problems) != []


def test_umbrella_files_belong_to_their_applications(tmp_path: Path) -> None:
    (tmp_path / "mix.exs").write_text('defmodule U.MixProject do\n  def project, do: [apps_path: "apps"]\nend\n')
    write_project(tmp_path / "apps" / "web", {"lib/web.ex": "defmodule Web do\nend"}, "web")
    write_project(tmp_path / "apps" / "core", {"lib/core.ex": "defmodule Core do\nend"}, "core")
    write_project(tmp_path / "deps" / "dep", {"lib/dep.ex": "defmodule Dep do\nend"}, "dep")
    analysis = analyze(tmp_path)
    assert [(a.name, a.path) for a in analysis.apps] == [("core", "apps/core"), ("web", "apps/web")]
    assert [(m.name, m.app) for m in analysis.modules] == [("Core", "core"), ("Web", "web")]


def test_folders_without_elixir_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        analyze(tmp_path / "missing")
    with pytest.raises(UsageError, match="no Elixir code"):
        analyze(tmp_path)
    (tmp_path / "main.py").write_text("print(1)")
    with pytest.raises(UsageError, match="no Elixir code"):
        analyze(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        analyze(tmp_path / "main.py")


@given(st.text(), st.integers(0, len(STOCK)), st.integers(0, 80))
def test_no_text_breaks_the_reader(noise: str, start: int, length: int) -> None:
    damaged = STOCK[:start] + noise + STOCK[start + length :]
    facts = read_file(damaged.encode("utf-8", "replace"), "a.ex")
    lines = damaged.count("\n") + 1
    assert all(1 <= m.line <= m.end_line <= lines + 1 for m in facts.modules)


def test_the_example_is_understood() -> None:
    analysis = analyze(EXAMPLE)
    assert [r.function for r in analysis.risks] == ["TicketOffice.BoxOffice.sell/3"]
    assert not analysis.problems
    started = {(c.supervisor, c.child, c.how) for c in analysis.supervision}
    assert {
        ("TicketOffice.Application", "TicketOffice.Shows", "listed"),
        ("TicketOffice.Shows", "TicketOffice.Seats", "dynamic"),
        ("TicketOffice.Checkout", "TicketOffice.Till", "linked"),
    } <= started
