"""Failed tests: joined to the finding that explains them, told on their own when none does."""

from __future__ import annotations

from elixirscope.insight.tests import excerpt
from tests.insight.conftest import Investigate
from tests.insight.scenes import free, put, sell

BEGIN = 'main test "sells" of Office.SalesTest starts @ test/sales_test.exs:9\n'
SEATS = """
processes: main, seats, night, ada, joe
main starts seats running Office.Seats.init/1 as Office.Seats
seats callback Office.Seats.init([])
seats state %{seats: %{"A1" => nil, "A2" => nil}}
seats return {:ok, %{}}
"""
RUNS = """
main spawns night running ExUnit.Runner.run/0
night runs test "sells" of Office.SalesTest @ test/sales_test.exs:9
"""


def end(result: str) -> str:
    message = ' "Assertion with == failed\\nleft: [1]"' if result == "failed" else ""
    return f'main test "sells" of Office.SalesTest {result}{message}\n'


def race() -> str:
    return (
        "night spawns ada running Office.Client.run/0\nnight spawns joe running Office.Client.run/0\n"
        + sell("ada", "A1")
        + sell("joe", "A1")
        + free("ada", "A1")
        + free("joe", "A1")
        + put("joe", "A1", A1="joe")
        + put("ada", "A1", A1="ada")
    )


CRASH = """
night spawns ada running Office.Client.run/0
ada call Office.Client.run() @ lib/client.ex:2
ada raise :error, :badarg @ lib/client.ex:3
ada exits {:badarg, [{Office.Client, :run, 0, []}]}
"""


def test_a_failed_test_is_told_with_the_race_that_failed_it(found: Investigate) -> None:
    (finding,) = found(SEATS + BEGIN + RUNS + race() + "night return :ok\n" + end("failed"))
    assert finding.kind == "race"
    assert "test sells (Office.SalesTest) failed: Assertion with == failed" in finding.evidence[-1].text


def test_a_failed_test_that_nothing_explains_is_a_finding(found: Investigate) -> None:
    picture = SEATS + BEGIN + RUNS
    picture += "night call Office.Math.half(3) @ lib/math.ex:2\nnight exits :shutdown\n" + end("failed")
    (finding,) = found(picture)
    assert finding.kind == "test"
    assert "Assertion with == failed" in finding.explanation
    assert finding.location is not None


def test_a_crash_in_a_test_that_passed_counts_less(found: Investigate) -> None:
    (passed,) = found(SEATS + BEGIN + RUNS + CRASH + "night return :ok\n" + end("passed"))
    assert passed.confidence < 0.4
    assert "passed" in passed.explanation


def test_a_stop_with_a_reason_in_a_test_that_passed_is_no_finding(found: Investigate) -> None:
    stop = "night spawns ada running Office.Client.run/0\nada call Office.Client.run()\nada exits :bored\n"
    assert found(SEATS + BEGIN + RUNS + stop + "night return :ok\n" + end("passed")) == []


def test_what_a_test_started_belongs_to_it_after_its_end(found: Investigate) -> None:
    late = CRASH.replace("ada raise", "night return :ok\n" + end("passed") + "ada raise")
    (finding,) = found(SEATS + BEGIN + RUNS + late)
    assert finding.confidence < 0.4


def test_a_crash_in_a_test_that_failed_counts_in_full(found: Investigate) -> None:
    (failed,) = found(SEATS + BEGIN + RUNS + CRASH + "night return :ok\n" + end("failed"))
    assert failed.confidence > 0.6
    assert "failed" in failed.evidence[-1].text


def test_a_test_left_waiting_for_a_process_that_died_is_explained_by_it(found: Investigate) -> None:
    picture = SEATS + BEGIN + RUNS
    picture += """
night call Office.Seats.free?("A9") @ lib/seats.ex:10
night -> seats call {:free?, "A9"} as asking
seats callback Office.Seats.handle_call({:free?, "A9"}, night) @ lib/seats.ex:26
seats exits {{:badkey, "A9"}, [{Office.Seats, :handle_call, 3, []}]}
night exits :shutdown
"""
    (finding,) = found(picture + end("failed"))
    assert finding.kind == "crash"
    assert "test sells" in finding.evidence[-1].text


def test_what_failed_a_test_comes_first(found: Investigate) -> None:
    other = """
processes: main, seats, night, ada, joe, worker
main starts seats running Office.Seats.init/1 as Office.Seats
seats callback Office.Seats.init([])
seats state %{seats: %{"A1" => nil, "A2" => nil}}
seats return {:ok, %{}}
main spawns worker running W.run/0
worker call W.run() @ lib/w.ex:1
worker raise :error, :badarg @ lib/w.ex:2
worker exits {:badarg, [{W, :run, 0, []}]}
"""
    first, second = found(other + BEGIN + RUNS + race() + "night return :ok\n" + end("failed"))
    assert (first.kind, second.kind) == ("race", "crash")


def test_an_exception_in_the_tests_own_process_is_followed_to_the_bad_value(found: Investigate) -> None:
    picture = SEATS + BEGIN + RUNS
    picture += """
night call Office.Math.total("3x", 5) @ lib/math.ex:9
night call Office.Math.parse("3x") @ lib/math.ex:2
night return nil @ :5
night call Office.Math.multiply(nil, 5) @ lib/math.ex:14
night exits :shutdown
"""
    (finding,) = found(picture + end("failed"))
    assert finding.kind == "test"
    assert "in Office.Math.multiply/2, by a nil from Office.Math.parse/1" in finding.title
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/math.ex", 5)


def test_an_answer_that_did_not_match_is_followed_to_who_gave_it(found: Investigate) -> None:
    picture = SEATS + BEGIN + RUNS
    picture += """
night call Office.Math.strict("") @ lib/math.ex:9
night call Office.Math.check("") @ lib/math.ex:2
night return {:error, :empty} @ :3
night exits :shutdown
"""
    (finding,) = found(picture + end("failed"))
    assert finding.location is not None
    assert (finding.location.function, finding.location.line) == ("check", 3)


CART = """
processes: main, cart, night
main starts cart running Office.Cart.init/1 as Office.Cart
cart callback Office.Cart.init([]) @ lib/cart.ex:2
cart state %{items: %{}}
cart return {:ok, %{}}
"""


def added(count: int) -> str:
    return f"""
night call Office.Cart.add("cup", {count}) @ lib/cart.ex:4
night -> cart cast {{:add, "cup", {count}}}
cart callback Office.Cart.handle_cast({{:add, "cup", {count}}}) @ lib/cart.ex:8
cart state %{{items: %{{"cup" => {count}}}}}
cart return {{:noreply, %{{}}}}
night return :ok
"""


TOTAL = """
night call Office.Cart.total() @ lib/cart.ex:5
night -> cart call :total as q
cart callback Office.Cart.handle_call(:total, night) @ lib/cart.ex:11
cart state unchanged
cart return {:reply, 600}
cart -> night reply 600 to q
night return 600
"""


def asserted(*lines: str) -> str:
    text = "\\n".join(["** (ExUnit.AssertionError) ", "", "Assertion with == failed", *lines])
    return f'night exits :shutdown\nmain test "sells" of Office.SalesTest failed "{text}"\n'


def test_what_an_assertion_refused_is_followed_to_who_made_it_and_to_what_changed_its_state(found: Investigate) -> None:
    picture = CART + BEGIN + RUNS + added(1) + added(2) + TOTAL
    (finding,) = found(picture + asserted("code:  assert Office.Cart.total() == 900", "left:  600", "right: 900"))
    assert finding.title == "Failed: test sells (Office.SalesTest): 600 from Office.Cart.handle_call/3"
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/cart.ex", 11)
    texts = [step.text for step in finding.evidence]
    assert any('changed by {:add, "cup", 2}: .items["cup"] from 1 to 2' in text for text in texts)
    assert '{:add, "cup", 2} had changed last' in finding.explanation
    assert finding.confidence < 0.8


def test_the_refused_value_may_stand_on_the_right_and_be_broken_into_lines(found: Investigate) -> None:
    total = TOTAL.replace("600", "%{cups: 600, spoons: 2}")
    lines = ("left:  1", "right: %{", "  cups: 600,", "  spoons: 2", "}")
    picture = CART + BEGIN + RUNS + added(1) + total + asserted("code:  assert 1 == Office.Cart.total()", *lines)
    (finding,) = found(picture)
    assert "What was not expected is %{cups: 600, spoons: 2}, on the right" in finding.explanation


def test_a_place_in_a_state_that_an_assertion_read_leads_to_who_set_it(found: Investigate) -> None:
    picture = CART + BEGIN + RUNS + added(1) + added(2)
    picture += """
cart callback Office.Cart.handle_cast(:polish) @ lib/cart.ex:30
cart state %{items: %{"cup" => 2}, shiny: true}
cart return {:noreply, %{}}
night sends {:system, {night, #q}, :get_state} to :cart
cart -> night {#q, %{items: %{"cup" => 2}, shiny: true}}
"""
    code = 'code:  assert :sys.get_state(Office.Cart).items[\\"cup\\"] == 3'
    (finding,) = found(picture + asserted(code, "left:  2", "right: 3"))
    assert finding.title == "Failed: test sells (Office.SalesTest): 2 from Office.Cart.handle_cast/2"
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/cart.ex", 8)
    assert 'was set in .items["cup"] by Office.Cart.handle_cast/2' in finding.explanation
    events = [step.moment.event or 0 for step in finding.evidence]
    assert events == sorted(events)


def test_the_answer_of_an_awaited_task_leads_to_the_function_that_made_it_and_what_it_had(found: Investigate) -> None:
    picture = """
processes: main, night, task
"""
    picture += BEGIN + RUNS
    picture += """
night call Office.Till.total() @ lib/till.ex:2
night spawns task running Task.Supervised.reply/4
task call Office.Till.line("cup", 2) @ lib/till.ex:8
task call Office.Till.price("cup") @ lib/till.ex:12
task return 100 @ :14
task return 200 @ :9
task -> night {#t, 200}
night tail Enum.sum/1
"""
    (finding,) = found(picture + asserted("code:  assert Office.Till.total() == 180", "left:  200", "right: 180"))
    assert finding.title == "Failed: test sells (Office.SalesTest): 200 from Office.Till.line/2"
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/till.ex", 9)
    assert 'Till.price("cup") had returned 100' in finding.evidence[0].text


def test_an_assertion_names_the_call_whose_result_was_not_seen(found: Investigate) -> None:
    picture = CART + BEGIN + RUNS + "night call Office.Till.total() @ lib/till.ex:2\nnight tail Enum.sum/1\n"
    (finding,) = found(picture + asserted("code:  assert Office.Till.total() == 180", "left:  200", "right: 180"))
    assert finding.title == "Failed: test sells (Office.SalesTest): left 200, right 180"
    assert "What Office.Till.total/0 returned was not seen: it ended in Enum.sum/1, which is not" in finding.explanation
    assert "it called Office.Till.total()" in finding.evidence[0].text


def test_an_assertion_on_what_no_call_gave_is_told_as_it_is(found: Investigate) -> None:
    picture = CART + BEGIN + RUNS + added(1) + TOTAL
    (finding,) = found(picture + asserted("code:  assert 1 == 2", "left:  1", "right: 2"))
    assert finding.title == "Failed: test sells (Office.SalesTest): left 1, right 2"


def test_a_message_that_never_came_is_told_with_what_came_instead(found: Investigate) -> None:
    text = "\\n".join(
        [
            *("** (ExUnit.AssertionError) ", "", "Assertion failed, no matching message after 50ms"),
            *("code: assert_receive {:finished, _}", "mailbox:", "  pattern: {:finished, _}", "  value:   {:done, 1}"),
        ]
    )
    failed = f'night exits :shutdown\nmain test "sells" of Office.SalesTest failed "{text}"\n'
    picture = "processes: main, night, helper\n" + BEGIN + RUNS + "night spawns helper\n"
    (finding,) = found(picture + "helper -> night {:done, 1}\n" + failed)
    assert finding.title == "Failed: test sells (Office.SalesTest): {:finished, _} never came; {:done, 1} came"
    assert " sent {:done, 1}, which is not {:finished, _}" in finding.evidence[0].text


def test_a_test_that_waited_in_silence_says_so(found: Investigate) -> None:
    text = (
        "** (ExUnit.AssertionError)\\nAssertion failed, no matching message after 5ms\\ncode: assert_receive :done\\n"
    )
    failed = f'night exits :shutdown\nmain test "sells" of Office.SalesTest failed "{text}"\n'
    (finding,) = found("processes: main, night\n" + BEGIN + RUNS + failed)
    assert finding.title == "Failed: test sells (Office.SalesTest): :done never came"
    assert "No other message came either" in finding.explanation


RESCUED = """
night call Office.Cart.load("7") as load @ lib/cart.ex:2
night call Office.Cart.items("7") @ lib/cart.ex:8
night call Office.Cart.price("cup") @ lib/cart.ex:12
night return 5
night return {:ok, []} from load
"""


def test_an_exception_that_was_rescued_is_told_with_who_rescued_it(found: Investigate) -> None:
    (finding,) = found(SEATS + BEGIN + RUNS + RESCUED + asserted("left: 0", "right: 3"))
    assert finding.title.endswith(
        "Office.Cart.load/1 rescued an exception of Office.Cart.items/1, and returned {:ok, []}"
    )
    assert finding.location is not None
    assert (finding.location.function, finding.location.line) == ("items", 8)
    assert any('called Office.Cart.price("cup")' in step.text for step in finding.evidence)


def test_an_assertion_in_a_helper_was_not_rescued(found: Investigate) -> None:
    picture = RESCUED.replace("night return {:ok, []} from load", "")
    (finding,) = found(SEATS + BEGIN + RUNS + picture + asserted("left: 0", "right: 3"))
    assert "rescued" not in finding.title


CACHED = """
processes: main, store, cache, night
main starts store running Office.Store.init/1 as Office.Store
store callback Office.Store.init([])
store state %{"ada" => %{name: "Ada", plan: :free}}
store return {:ok, %{}}
main starts cache running Office.Cache.init/1 as Office.Cache
cache callback Office.Cache.init([])
cache state %{}
cache return {:ok, %{}}
"""
FETCH = """
night call Office.Cache.fetch("ada") @ lib/cache.ex:4
night -> cache call {:fetch, "ada"} as fetch
cache callback Office.Cache.handle_call({:fetch, "ada"}, night) @ lib/cache.ex:8
cache -> store call {:get, "ada"} as get
store callback Office.Store.handle_call({:get, "ada"}, cache) @ lib/store.ex:8
store state unchanged
store return {:reply, %{name: "Ada", plan: :free}}
store -> cache reply %{name: "Ada", plan: :free} to get
cache state %{"ada" => %{name: "Ada", plan: :free}}
cache return {:reply, %{name: "Ada", plan: :free}}
cache -> night reply %{name: "Ada", plan: :free} to fetch
night return %{name: "Ada", plan: :free}
"""
UPGRADE = """
night call Office.Profiles.upgrade("ada", :pro) @ lib/profiles.ex:6
night call Office.Store.put("ada", :pro) @ lib/store.ex:5
night -> store cast {:put, "ada", :pro}
store callback Office.Store.handle_cast({:put, "ada", :pro}) @ lib/store.ex:12
store state %{"ada" => %{name: "Ada", plan: :pro}}
store return {:noreply, %{}}
night return :ok
night return :ok
"""
AGAIN = """
night call Office.Cache.fetch("ada") @ lib/cache.ex:4
night -> cache call {:fetch, "ada"} as again
cache callback Office.Cache.handle_call({:fetch, "ada"}, night) @ lib/cache.ex:8
cache state unchanged
cache return {:reply, %{name: "Ada", plan: :free}}
cache -> night reply %{name: "Ada", plan: :free} to again
night return %{name: "Ada", plan: :free}
"""
WANTED = "code:  assert Office.Cache.fetch(who).plan == :pro", "left: :free", "right: :pro"


def test_a_copy_that_was_not_told_of_a_change_is_told_with_who_made_it(found: Investigate) -> None:
    (finding,) = found(CACHED + BEGIN + RUNS + FETCH + UPGRADE + AGAIN + asserted(*WANTED))
    assert finding.title.endswith(":free was out of date, Store had replaced it")
    assert finding.location is not None
    assert (finding.location.function, finding.location.line) == ("upgrade", 6)
    assert any(".plan from :free to :pro" in step.text for step in finding.evidence)


def test_a_change_that_came_after_the_answer_makes_no_copy_old(found: Investigate) -> None:
    (finding,) = found(CACHED + BEGIN + RUNS + FETCH + AGAIN + UPGRADE + asserted(*WANTED))
    assert "out of date" not in finding.title


def test_of_a_long_text_the_part_is_shown_that_is_most_like_what_was_sought() -> None:
    page = '"<div id=\\"main\\">' + "x" * 200 + '<p>Total: 9</p></div>"'
    assert excerpt(page, '"Total: 12"', 40) == "…Total: 9</p><…"
    assert excerpt(page, '"Sum"', 12) == page[:11] + "…"
    assert excerpt('"short"', '"long"', 40) == '"short"'
