"""Plans: made from an analysis, edited by a person, read by the agent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.brain.erlang import Atom, to_text
from elixirscope.brain.levels import INTENTS, LEVEL_COST, LEVELS, Intent
from elixirscope.brain.orchestrator import analysis_of, plan_for
from elixirscope.brain.plan import Plan, Rule
from elixirscope.brain.planner import make_plan, replan
from elixirscope.errors import UsageError
from elixirscope.recording.fields import FIRST
from tests.brain.source import STOCK, analyze, write_project

SOURCE = """\
defmodule Shop do
  def buy(item), do: if(Shop.Stock.count(item) > 0, do: Shop.Stock.take(item))
  def sum([h | t], acc), do: sum(t, acc + h)
  def sum([], acc), do: acc
  def words(<<c, rest::binary>>, acc), do: words(rest, [c | acc])
  def words("", acc), do: acc
  defimpl Inspect do
    def inspect(_, _), do: "shop"
  end
end
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_project(tmp_path / "shop", {"lib/shop.ex": SOURCE, "lib/stock.ex": STOCK})


@pytest.mark.parametrize("intent", INTENTS)
def test_a_plan_survives_its_file(intent: str, shop: Path) -> None:
    plan = make_plan(analyze(shop), intent)  # type: ignore[arg-type]
    assert Plan.parse(plan.dumps()) == plan
    assert plan.intent == intent


names = st.from_regex(r"[A-Z]\w{0,8}(\.[A-Z]\w{0,8})?\.[a-z]\w{0,8}[?!]?/\d", fullmatch=True)
rules = st.builds(Rule, match=names, level=st.sampled_from(LEVELS), reason=st.text(max_size=40))


@given(st.lists(rules, max_size=4), st.text(max_size=20), st.lists(st.text(max_size=10), max_size=3))
def test_any_plan_survives_its_file(functions: list[Rule], reason: str, keys: list[str]) -> None:
    redact = msgspec.structs.replace(Plan().redact, keys=tuple(keys))
    plan = Plan(reason=reason, functions=tuple(functions), redact=redact)
    assert Plan.parse(plan.dumps()) == plan


def test_only_a_minimal_plan_records_lives_alone() -> None:
    assert [intent for intent in INTENTS if Plan.of_intent(intent).lives_only] == ["minimal"]
    minimal = Plan.of_intent("minimal")
    assert not msgspec.structs.replace(minimal, functions=(Rule("A.b/1", "calls"),)).lives_only
    assert msgspec.structs.replace(minimal, modules=(Rule("A", "off"),)).lives_only
    assert not msgspec.structs.replace(minimal, messages=True).lives_only


def test_every_rule_has_a_reason(shop: Path) -> None:
    for intent in INTENTS:
        plan = make_plan(analyze(shop), intent, budget=0.3)
        assert all(rule.reason for rule in (*plan.functions, *plan.modules))


def test_debug_reduces_what_would_only_be_noise(shop: Path) -> None:
    plan = make_plan(analyze(shop), "debug")
    assert plan.default == "full"
    assert {(r.match, r.level) for r in plan.functions} == {("Shop.sum/2", "calls"), ("Shop.words/2", "off")}
    assert ("Inspect.Shop", "off") in {(r.match, r.level) for r in plan.modules}


def test_the_states_of_generated_automata_are_off_and_their_actions_are_not(tmp_path: Path) -> None:
    grammars = {
        "src/shop_lexer.xrl": "Rules.",
        "src/shop_parser.yrl": "",
        "src/odd-one.xrl": "",
        "deps/d/src/d.xrl": "",
    }
    root = write_project(tmp_path / "shop", {"lib/shop.ex": SOURCE, **grammars})
    for intent in ("debug", "full", "performance"):
        found = {rule.match: rule.level for rule in make_plan(analyze(root), intent).functions if ":" in rule.match}
        assert found == {":shop_lexer.yystate/*": "off", ":shop_parser.yecc*/7": "off"}
    assert not any(":" in rule.match for rule in make_plan(analyze(root), "minimal").functions)


def test_a_budget_lowers_the_default_but_not_what_is_risky(shop: Path) -> None:
    plan = make_plan(analyze(shop), "debug", budget=0.3)
    assert LEVEL_COST[plan.default] <= 0.3
    assert "budget of 30%" in plan.reason
    assert plan.functions[0] == Rule("Shop.buy/1", "full", "checks Shop.Stock and acts on it later (line 2)")


def test_states_of_live_views_are_recorded_where_states_are(shop: Path, tmp_path: Path) -> None:
    hosts = {"Phoenix.LiveView.Channel", "Phoenix.Channel.Server"}

    def levels(directory: Path, intent: Intent) -> dict[str, str]:
        rules = make_plan(analysis_of(directory), intent).modules
        return {rule.match: rule.level for rule in rules if rule.match in hosts}

    assert levels(shop, "debug") == levels(shop, "state") == dict.fromkeys(hosts, "state")
    assert levels(shop, "full") == dict.fromkeys(hosts, "values")
    assert levels(shop, "performance") == levels(shop, "minimal") == {}
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "channel.ex").write_text("defmodule Phoenix.LiveView.Channel do\nend\n")
    assert levels(tmp_path, "debug") == {"Phoenix.Channel.Server": "state"}  # its own is recorded in full


def test_minimal_instruments_nothing(shop: Path) -> None:
    plan = make_plan(analyze(shop), "minimal")
    assert (plan.default, plan.messages, plan.lifecycle, plan.functions) == ("off", False, True, ())


def test_replanning_steps_down_what_ran_very_often() -> None:
    person = Rule("A.mine/0", "full")
    plan = msgspec.structs.replace(Plan.of_intent("debug"), functions=(person,))
    hits = {
        "A.mine/0": 900_000,
        "A.seldom/0": 19_999,
        "A.often/0": 20_000,
        "A.always/0": 2_000_000,
        "A.handle_info/2": 300_000,
        "ATest.test many times/1": 30_000,
    }
    changed = replan(plan, hits)
    assert [(r.match, r.level) for r in changed.functions] == [
        ("A.mine/0", "full"),
        ("A.always/0", "off"),
        ("A.handle_info/2", "state"),
        ("ATest.test many times/1", "calls"),
        ("A.often/0", "calls"),
    ]
    assert changed.functions[1].reason == "called 2,000,000 times in an earlier recording"
    assert Plan.parse(changed.dumps()) == changed
    assert replan(changed, hits) == changed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 1\nintent = ", r"p\.toml, line 2"),
        ('default = "loud"', r"p\.toml, line 1: default: .*'loud'"),
        ("version = 2", r"p\.toml, line 1: version"),
        ("\ncolour = 1", r"p\.toml, line 2: colour: .*unknown field"),
        ('[budgets]\nstate = "big"', r"p\.toml, line 2: budgets\.state: Expected `int`"),
        ("[budgets]\nstate = 0", r"p\.toml, line 2: budgets\.state: 0 is not between"),
        (
            '[[functions]]\nmatch = "A.b/1"\nlevel = "off"\n\n[[functions]]\nmatch = "A b"\nlevel = "off"',
            r"p\.toml, line 6: functions\[1\]\.match: `A b`",
        ),
        ('[[modules]]\nmatch = "A.*"', r"p\.toml, line 1: modules\[0\]: .*missing required field `level`"),
        ('watch = [":ets", "not a module"]', r"p\.toml, line 1: watch\[1\]"),
        ('first = ["method"]', r"p\.toml, line 1: first: it is a table"),
        ('[first]\n"Shop.Order" = "id"', r'p\.toml, line 2: first\."Shop\.Order": it is not a list'),
        ('[first]\n"Shop.Cart" = ["id"]\n"Shop.Order" = ["id", 7]', r'line 3: first\."Shop\.Order": it is not a list'),
        ('[first]\nOrder = ["id", "no field"]', r'line 2: first\."Order": `no field` is not like'),
        ('[first]\nOrder = ["__struct__"]', r"line 2: .*`__struct__` is not like"),
        ('[first]\nOrder = ["id", "id"]', r"line 2: .*twice"),
        ('[first]\n"order" = ["id"]', r"line 2: .*`order` is not like MyApp\.Order"),
        (f"[first]\nOrder = {[f'f{n}' for n in range(17)]}", r"line 2: .*17 fields are more than 16"),
        # TOML takes the dots for tables.
        (
            '[first]\n\nShop.Web.Cart = ["id"]',
            r'line 3: first\.Shop\.Web\.Cart: put the name .* in quotes: "Shop\.Web\.Cart"',
        ),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "p.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        Plan.load(file)


def test_fields_that_come_first_are_added_to_those_that_are_known() -> None:
    plan = Plan.parse(
        '[first]\n"Shop.Order" = ["id", "paid?"]\n"Plug.Conn" = ["status"]\n"Ecto.Multi" = []\n":order" = ["id"]'
    )
    assert plan.first == FIRST | {
        "Shop.Order": ("id", "paid?"),
        "Plug.Conn": ("status",),
        "Ecto.Multi": (),
        ":order": ("id",),
    }
    assert Plan.parse(plan.dumps()) == plan
    terms = " ".join(plan.terms().split())
    assert "'Elixir.Shop.Order' => [ id, 'paid?']" in terms
    assert "order => [ id]" in terms
    assert "Ecto.Multi" not in terms


def test_missing_and_unreadable_plans(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Plan.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        Plan.load(tmp_path / "binary.toml")


def test_erlang_text_quotes_what_needs_quotes() -> None:
    term = {Atom("a"): [Atom("Elixir.B"), Atom("end"), Atom("it's"), 'say "hi"\\\n', True, -3, ("x", [])]}
    assert to_text(term) == (
        "#{\n  a => [\n    'Elixir.B',\n    'end',\n    'it\\'s',\n"
        '    <<"say \\"hi\\"\\\\\\x{a}"/utf8>>,\n    true,\n    -3,\n    {<<"x"/utf8>>, []}]}.\n'
    )


CONSULT = """
{ok, [Plan]} = file:consult(File),
#{version := 1, intent := Intent, functions := Functions, default := Default, watch := Watch} = Plan,
#{budgets := #{state := State}, redact := #{keys := Keys}} = Plan,
io:setopts([{encoding, utf8}]),
io:format("~0p ~0p ~0p ~0p ~0tp ~0p", [Intent, Default, Watch, State, Keys, Functions]), halt().
"""


@pytest.mark.beam
def test_erlang_reads_the_terms(tmp_path: Path) -> None:
    redact = msgspec.structs.replace(Plan().redact, keys=("pass'word\"", "größe\n"))
    rule = Rule("A.b?/2", "calls", "why")
    plan = msgspec.structs.replace(Plan.of_intent("debug"), redact=redact, functions=(rule,), watch=(":ets", "A.b!"))
    file = tmp_path / "plan.terms"
    file.write_text(plan.terms(), encoding="utf-8")
    script = f'File = "{file}", {CONSULT}'
    out = subprocess.run(["erl", "-noshell", "-eval", script], capture_output=True, text=True, check=True).stdout
    expected = "debug full [{ets,'_'},{'Elixir.A','b!'}] 8192"
    keys = '[<<"pass\'word\\"">>,<<"größe\\n"/utf8>>]'
    assert out == f'{expected} {keys} [{{<<"A.b?/2">>,calls}}]'


def test_analysis_is_kept_and_follows_the_source(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = analysis_of(shop)
    (kept,) = (tmp_path / "cache").rglob("*.msgpack")
    written = kept.stat().st_mtime_ns
    assert analysis_of(shop) == first == analyze(shop)
    assert kept.stat().st_mtime_ns == written
    (shop / "lib" / "new.ex").write_text("defmodule New do\nend\n")
    assert "New" in {module.name for module in analysis_of(shop).modules}
    kept.write_bytes(b"damaged")
    assert analysis_of(shop) == analyze(shop)


def test_a_folder_without_a_project_gets_the_intents_own_plan(tmp_path: Path) -> None:
    assert plan_for(tmp_path, "state") == Plan.of_intent("state")


@pytest.mark.beam
def test_the_agent_accepts_the_plan_of_every_intent(shop: Path, tmp_path: Path) -> None:
    files = []
    for intent in INTENTS:
        file = tmp_path / f"{intent}.terms"
        file.write_text(make_plan(analyze(shop), intent).terms(), encoding="utf-8")
        files.append(str(file))
    source = Path(__file__).parents[2] / "agent" / "lib" / "elixir_scope" / "plan.ex"
    script = "for f <- System.argv(), do: ({:ok, plan} = ElixirScope.Plan.load(f); IO.puts(plan.intent))"
    run = subprocess.run(["elixir", "-r", source, "-e", script, *files], capture_output=True, text=True, check=False)
    assert run.stdout.split() == list(INTENTS), run.stderr
