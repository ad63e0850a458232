"""Crashes: which exits belong together, and where the bad value came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from elixirscope.insight import Finding
from elixirscope.insight.collapse import collapses
from elixirscope.insight.complaint import bad_values
from elixirscope.insight.history import History
from elixirscope.recording.terms import Atom
from tests.insight.conftest import Investigate

SPRING = '%Promo{campaign: "SPRING", percent: nil}'
STACK = '[{:erlang, :"*", [5000, nil], []}, {Shop.Till, :discount, 2, [file: "lib/till.ex", line: 36]}]'

# A code is announced and read wrongly; much later a checkout asks for it, keeps it, and its till fails on it.
PROMOTION = f"""
processes: main, promotions, checkout, till
main starts promotions running Shop.Promotions.init/1 as Shop.Promotions
promotions callback Shop.Promotions.init([])
promotions state %{{}}
promotions return {{:ok, %{{}}}}
main starts checkout running Shop.Checkout.init/1
checkout callback Shop.Checkout.init([])
checkout state %{{promotion: nil, customer: "Ada"}}
checkout return {{:ok, :state}}
checkout starts till running Shop.Till.init/1
till callback Shop.Till.init([])
till state %{{taken: 0}}
till return {{:ok, :state}}

main call Shop.Promotions.announce("SPRING-10%")
main -> promotions call {{:announce, "SPRING-10%"}} as announcing
promotions callback Shop.Promotions.handle_call({{:announce, "SPRING-10%"}}, main)
promotions call Shop.PromoCode.parse("SPRING-10%") @ lib/promo_code.ex:13
promotions call Shop.PromoCode.percent(["10%"]) @ lib/promo_code.ex:19
promotions return nil @ lib/promo_code.ex:24
promotions return {SPRING} @ lib/promo_code.ex:15
promotions state %{{"SPRING-10%" => {SPRING}}}
promotions return {{:reply, :ok}}
promotions -> main reply :ok to announcing
main return :ok

main call Shop.Checkout.apply_code("SPRING-10%")
main -> checkout call {{:apply_code, "SPRING-10%"}} as applying
checkout callback Shop.Checkout.handle_call({{:apply_code, "SPRING-10%"}}, main) @ lib/checkout.ex:36
checkout call Shop.Promotions.find("SPRING-10%") @ lib/promotions.ex:16
checkout -> promotions call {{:find, "SPRING-10%"}} as finding
promotions callback Shop.Promotions.handle_call({{:find, "SPRING-10%"}}, checkout)
promotions state unchanged
promotions return {{:reply, {{:ok, {SPRING}}}}}
promotions -> checkout reply {{:ok, {SPRING}}} to finding
checkout return {{:ok, {SPRING}}}
checkout state %{{promotion: {SPRING}, customer: "Ada"}}
checkout return {{:reply, :ok}}
checkout -> main reply :ok to applying
main return :ok

main call Shop.Checkout.pay()
main -> checkout call :pay as paying
checkout callback Shop.Checkout.handle_call(:pay, main)
checkout call Shop.Till.charge([2500, 2500], {SPRING}) @ lib/till.ex:12
checkout -> till cast {{:charge, [2500, 2500], {SPRING}}}
checkout return :ok
checkout state %{{promotion: nil, customer: "Ada"}}
checkout return {{:noreply, :state}}
till callback Shop.Till.handle_cast({{:charge, [2500, 2500], {SPRING}}}) @ lib/till.ex:22
till call Shop.Till.total([2500, 2500], {SPRING}) @ lib/till.ex:31
till call Shop.Till.discount(5000, nil) @ lib/till.ex:36
till exits {{:badarith, {STACK}}}
checkout exits {{:badarith, {STACK}}}
"""


def crash(findings: list[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.kind == "crash"]
    return found


def test_a_bad_value_is_followed_through_messages_and_states_to_the_line_that_made_it(found: Investigate) -> None:
    finding = crash(found(PROMOTION))
    assert finding.location is not None
    assert (finding.location.module, finding.location.function) == ("Shop.PromoCode", "percent")
    assert (finding.location.file, finding.location.line) == ("lib/promo_code.ex", 24)
    assert finding.title.startswith("Crash: ArithmeticError in Shop.Till.discount/2")
    assert "Shop.PromoCode.percent/1" in finding.title
    assert finding.confidence > 0.9


def test_the_evidence_tells_the_way_of_the_value_in_order(found: Investigate) -> None:
    finding = crash(found(PROMOTION))
    events = [step.moment.event for step in finding.evidence if step.moment.event is not None]
    assert len(events) == len(finding.evidence)
    assert events == sorted(events)
    texts = [step.text for step in finding.evidence]
    story = ["was made here", "Promotions kept", "answered", "Checkout kept", "{:charge,", "crashed", "died with it"]
    positions = [next(i for i, text in enumerate(texts) if part in text) for part in story]
    assert positions == sorted(positions)


def test_linked_processes_that_die_of_it_are_one_finding(history: Callable[[str], History]) -> None:
    drawn = history(PROMOTION)
    (collapse,) = collapses(drawn)
    assert drawn.label(collapse.process) == "Till"
    assert [drawn.label(process) for process, _, _ in collapse.followers] == ["Checkout"]


def test_crashes_that_have_nothing_to_do_with_each_other_stay_apart(history: Callable[[str], History]) -> None:
    picture = """
processes: main, one, two
main spawns one running A.run/0
main spawns two running B.run/0
one call A.run()
two call B.run()
one exits {:badarg, [{A, :run, 0, []}]}
two exits {:badarith, [{B, :run, 0, []}]}
"""
    assert [collapse.followers for collapse in collapses(history(picture))] == [[], []]


def test_a_client_that_dies_of_its_servers_death_is_a_follower(found: Investigate) -> None:
    picture = """
processes: main, server, client
main starts server running S.init/1 as S
main spawns client running C.run/0
client call C.run() @ lib/c.ex:3
client -> server call :go as going
server callback S.handle_call(:go, client) @ lib/s.ex:9
server raise :error, :badarg @ lib/s.ex:12
server exits {:badarg, [{S, :handle_call, 3, [file: "lib/s.ex", line: 12]}]}
client exits {{:badarg, [{S, :handle_call, 3, [file: "lib/s.ex", line: 12]}]}, {GenServer, :call, [server, :go, 5000]}}
"""
    finding = crash(found(picture))
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/s.ex", 12)
    assert any("C.run" in step.text or "died with it" in step.text for step in finding.evidence)


def test_without_a_bad_value_the_message_being_handled_is_the_evidence(found: Investigate) -> None:
    picture = """
processes: main, server, client
main starts server running S.init/1 as S
main spawns client running C.run/0
client call C.run()
client -> server cast {:explode, "now"}
server callback S.handle_cast({:explode, "now"}) @ lib/s.ex:9
server raise :error, %RuntimeError{message: "boom", __exception__: true} @ lib/s.ex:12
server exits {%RuntimeError{message: "boom", __exception__: true}, [{S, :handle_cast, 2, []}]}
"""
    finding = crash(found(picture))
    assert finding.location is not None
    assert finding.location.line == 12
    assert finding.confidence < 0.8
    assert any(":explode" in step.text for step in finding.evidence)


def test_a_normal_end_is_no_finding(found: Investigate) -> None:
    picture = """
processes: main, worker
main spawns worker running W.run/0
worker call W.run()
worker return :ok
worker exits :normal
"""
    assert found(picture) == []


def test_the_same_crash_again_and_again_is_one_finding(found: Investigate) -> None:
    picture = "processes: main, a, b, c\n"
    for name in "abc":
        picture += f"""
main spawns {name} running W.run/0
{name} call W.run() @ lib/w.ex:3
{name} raise :error, :badarg @ lib/w.ex:5
{name} exits {{:badarg, [{{W, :run, 0, []}}]}}
"""
    assert "3 times" in crash(found(picture)).title


def test_the_operand_that_is_no_number_is_the_first_suspect() -> None:
    stack: list[Any] = [(Atom("erlang"), Atom("*"), [5_000, Atom("nil")], [])]
    assert next(bad_values((Atom("badarith"), stack), ())) == ("nil", 1.0)
    stack = [(Atom("erlang"), Atom("+"), [1, b"2"], [])]
    assert list(bad_values((Atom("badarith"), stack), ())) == [(b"2", 1.0)]


def test_the_value_that_did_not_match_is_the_first_suspect() -> None:
    reason: Any = ((Atom("badmatch"), (Atom("error"), Atom("enoent"))), [])
    assert next(bad_values(reason, ())) == ((Atom("error"), Atom("enoent")), 1.0)


def test_a_message_of_the_author_makes_no_nil_a_suspect() -> None:
    said = {Atom("__struct__"): Atom("Elixir.RuntimeError"), Atom("message"): b"unexpected return"}
    assert list(bad_values((said, []), (1, Atom("nil")))) == []


def test_a_missing_key_may_be_the_fault_of_the_map() -> None:
    reason: Any = ((Atom("badkey"), b"A9"), [])
    ((value, trust),) = bad_values(reason, ())
    assert value == b"A9"
    assert trust < 1


def test_what_lacks_a_key_comes_before_the_key_and_an_atom_is_no_suspect() -> None:
    lacking: Any = ((Atom("badkey"), Atom("name"), Atom("nil")), [])
    assert list(bad_values(lacking, ())) == [(Atom("nil"), 1.0)]
    other: Any = ((Atom("badkey"), b"A9", {b"A1": 1}), [])
    assert list(bad_values(other, ())) == [({b"A1": 1}, 0.8), (b"A9", 0.7)]


def test_a_nil_that_a_variable_is_bound_to_is_not_the_one_somewhere_in_the_state(found: Investigate) -> None:
    (finding,) = found("""
processes: main, worker
main starts worker running Odd.Worker.init/1
worker callback Odd.Worker.init([])
worker state %{jobs: [], last: nil}
worker return {:ok, :state}
main -> worker call {:finish, 3} as q
worker callback Odd.Worker.handle_call({:finish, 3}, main) @ lib/worker.ex:10
worker bind job = nil @ lib/worker.ex:13
worker raise :error, {:badkey, :name, nil} @ lib/worker.ex:14
worker exits {{:badkey, :name, nil}, [{Odd.Worker, :handle_call, 3, []}]}
""")
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/worker.ex", 13)


def test_what_no_clause_takes_is_told_with_who_sent_it(found: Investigate) -> None:
    (finding,) = found("""
processes: main, worker
main spawns worker running Odd.Worker.init/1
main -> worker {:tock, 1}
worker exits {:function_clause, [{Odd.Worker, :handle_info, [{:tock, 1}, %{last: nil}], []}]}
""")
    assert finding.title == "Crash: FunctionClauseError in Odd.Worker.handle_info/2"
    assert "no clause takes ({:tock, 1}, %{last: nil})" in finding.explanation
    assert finding.evidence[0].text.removeprefix("#PID<0.100.0>") == " sent {:tock, 1}, which no clause takes"
    assert "a clause" in finding.suggestion


REFUSED = """
processes: main, web, pricing
main starts pricing running Shop.Pricing.init/1
pricing callback Shop.Pricing.init([])
pricing state %{}
pricing return {:ok, :state}
web call Shop.Cart.action(CONN, []) @ lib/cart.ex:2
web call Shop.Cart.buy(CONN, %{"item" => "milk", "coupon" => nil}) @ lib/cart.ex:7
web -> pricing call {:price, "milk", nil} as q
pricing callback Shop.Pricing.handle_call({:price, "milk", nil}, web) @ lib/pricing.ex:9
pricing exits {:function_clause, [{Shop.Pricing, :base, ["milk"], [file: "lib/pricing.ex", line: 11]}]}
"""
CUT = '%{:host => "localhost", :"$elixirscope_more" => 19}'


def test_what_a_function_refused_is_to_blame_and_no_nil_that_it_was_not_given(found: Investigate) -> None:
    (finding,) = found(REFUSED.replace("CONN", '%{host: "localhost"}'))
    assert finding.title == 'Crash: FunctionClauseError in Shop.Pricing.base/1, by a "milk" from Shop.Cart.action/2'
    assert "nothing that it was given contains it" in finding.explanation


def test_who_was_given_what_was_cut_is_not_said_to_have_made_the_value(found: Investigate) -> None:
    (finding,) = found(REFUSED.replace("CONN", CUT))
    assert finding.title.endswith('by a "milk" from Shop.Cart.buy/2')
    assert "came with its arguments from Shop.Cart.action/2, of whose own a part was cut" in finding.explanation
    assert finding.location is not None
    assert (finding.location.function, finding.location.line) == ("buy", 7)
    assert finding.suggestion.endswith("or give that a clause for it.")


def test_a_server_that_calls_itself(found: Investigate) -> None:
    (finding,) = found("""
processes: main, worker
main starts worker running Odd.Worker.init/1
worker callback Odd.Worker.init([])
worker state %{}
worker return {:ok, :state}
main -> worker call :ask_self as q
worker callback Odd.Worker.handle_call(:ask_self, main) @ lib/worker.ex:11
worker exits {:calling_self, {GenServer, :call, [Odd.Worker, :count, 200]}}
""")
    assert finding.title == "Deadlock: Odd.Worker.handle_call/3 calls its own process"
    assert finding.evidence[0].text.removeprefix("#PID<0.100.0>") == " sent :ask_self, which was being handled"


def test_an_error_that_was_not_expected_is_told_to_both_sides(found: Investigate) -> None:
    (finding,) = found("""
processes: main, ada
main spawns ada running Shop.Client.run/0
ada call Shop.Client.run() @ lib/client.ex:2
ada call Shop.Stock.take("cup") @ lib/stock.ex:5
ada return {:error, :sold_out} @ :8
ada raise :error, {:badmatch, {:error, :sold_out}} @ lib/client.ex:3
ada exits {{:badmatch, {:error, :sold_out}}, [{Shop.Client, :run, 0, []}]}
""")
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/stock.ex", 8)
    assert finding.suggestion == (
        "Let Shop.Client.run/0 expect {:error, :sold_out}, or find out in Shop.Stock.take/1 why it came to that."
    )


def test_div_wants_whole_numbers() -> None:
    stack: list[Any] = [(Atom("erlang"), Atom("div"), [220.0, 100], [])]
    assert next(bad_values((Atom("badarith"), stack), ())) == (220.0, 1.0)
    stack = [(Atom("erlang"), Atom("/"), [220.0, Atom("nil")], [])]
    assert next(bad_values((Atom("badarith"), stack), ())) == (Atom("nil"), 1.0)


def test_a_message_that_names_a_key_makes_what_is_kept_under_it_a_suspect() -> None:
    said = {Atom("__struct__"): Atom("Elixir.ArgumentError"), Atom("message"): b'no price for "MUG"'}
    prices = {b"TEA": 3, b"MUG": Atom("nil"), b"CUP": Atom("nil")}
    assert list(bad_values((said, []), (prices, b"MUG"), 'no price for "MUG"')) == [(Atom("nil"), 0.8)]
    assert list(bad_values((said, []), (prices, b"MUG"), "no price")) == []


def test_the_only_absence_within_the_arguments_is_a_suspect() -> None:
    reason: Any = (Atom("badarith"), [])
    assert list(bad_values(reason, ({b"TEA": 3, b"MUG": Atom("nil")}, b"MUG"))) == [(Atom("nil"), 0.6)]
    assert list(bad_values(reason, ({b"TEA": Atom("nil"), b"MUG": Atom("nil")}, b"MUG"))) == []


def test_all_tests_that_a_crash_failed_are_cited(found: Investigate) -> None:
    picture = "processes: main, a, b\n"
    for name in "ab":
        picture += f"""
main test "{name}" of W.Test starts @ test/w_test.exs:9
main spawns {name} running W.run/0
{name} call W.run() @ lib/w.ex:3
{name} raise :error, :badarg @ lib/w.ex:5
{name} exits {{:badarg, [{{W, :run, 0, []}}]}}
main test "{name}" of W.Test failed "it died"
"""
    finding = crash(found(picture))
    assert "2 times" in finding.title
    assert sum("failed: it died" in step.text for step in finding.evidence) == 2


DIED_WITH = """
processes: main, orders, task
main starts orders running Shop.Orders.init/1 as Shop.Orders
orders callback Shop.Orders.init([])
orders state []
orders return {:ok, :state}
main -> orders cast {:report, "temperature=21.5"}
orders callback Shop.Orders.handle_cast({:report, "temperature=21.5"})
orders starts task running Shop.Metrics.parse/1
task call Shop.Metrics.parse("temperature=21.5") @ lib/metrics.ex:3
task raise :error, :badarg @ lib/metrics.ex:5
task exits REASON
orders exits REASON
""".replace("REASON", '{:badarg, [{:erlang, :binary_to_integer, ["21.5"], []}, {Shop.Metrics, :parse, 1, []}]}')


def test_what_the_vm_refused_is_told_and_how_the_starter_could_have_outlived_it(found: Investigate) -> None:
    finding = crash(found(DIED_WITH))
    assert ':erlang.binary_to_integer("21.5") is refused' in finding.explanation
    assert "Task.Supervisor.async_nolink/2" in finding.suggestion
    assert "Orders went with it because it is linked to it" in finding.suggestion
    assert any('{:report, "temperature=21.5"}, which was being handled' in step.text for step in finding.evidence)
