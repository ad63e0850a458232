"""Where a value came from: one kind of step after the other, and how each chain ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from elixirscope.insight.history import History
from elixirscope.insight.origin import Origin, Tracer
from elixirscope.recording.terms import Atom

Draw = Callable[[str], History]
NIL = Atom("nil")


def trace(history: History, value: Any, function: str) -> Origin:
    """Follows the value back from the end of the last frame of `function`."""
    rows = history.query.rows("select * from raw.calls where function = ? order by call desc limit 1", [function])
    return Tracer(history, value).trace(rows[0], history.query.event_count)


def test_a_value_that_the_frame_was_not_given_was_made_by_it(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main bind amount = nil @ :5
main call Shop.charge("Ada") @ lib/shop.ex:9
"""
    origin = trace(history(picture), NIL, "run")
    assert origin.made
    assert origin.location is not None
    assert (origin.location.file, origin.location.line) == ("lib/shop.ex", 5)


def test_an_argument_is_followed_to_the_caller(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main bind amount = nil @ :5
main call Shop.charge(nil) @ lib/shop.ex:9
"""
    origin = trace(history(picture), NIL, "charge")
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("run", 5)


def test_a_result_is_followed_through_a_tail_call(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main call Shop.price("A1") @ lib/shop.ex:9
main tail Shop.look_up/1
main call Shop.look_up("A1") @ lib/shop.ex:14
main return nil @ :16
main call Shop.charge(nil) @ lib/shop.ex:20
"""
    origin = trace(history(picture), NIL, "charge")
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("look_up", 16)
    assert origin.made


def test_the_argument_of_a_spawned_process_is_followed_to_who_spawned_it(history: Draw) -> None:
    picture = """
processes: main, worker
main call Shop.start() @ lib/shop.ex:3
main call Shop.prepare() @ lib/shop.ex:7
main return {:job, "unmistakable"} @ :8
main spawns worker running Worker.run/1
worker call Worker.run({:job, "unmistakable"}) @ lib/worker.ex:2
"""
    origin = trace(history(picture), (Atom("job"), b"unmistakable"), "run")
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("prepare", 8)
    assert origin.confidence < 1


def test_the_latest_of_several_sources_wins(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run("unmistakable") @ lib/shop.ex:3
main call Shop.again() @ lib/shop.ex:7
main return "unmistakable" @ :8
main call Shop.charge("unmistakable") @ lib/shop.ex:9
"""
    origin = trace(history(picture), b"unmistakable", "charge")
    assert origin.location is not None
    assert origin.location.function == "again"


def test_a_result_that_came_after_is_no_source(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main call Shop.charge(nil) @ lib/shop.ex:9
main return :ok
main call Shop.later() @ lib/shop.ex:12
main return nil @ :13
"""
    origin = trace(history(picture), NIL, "charge")
    assert origin.location is not None
    assert origin.location.function == "run"


def test_of_several_equal_values_the_choice_is_inferred(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main call Shop.load() @ lib/shop.ex:5
main return %{name: nil, percent: nil, key: "SPRING"} @ :6
main call Shop.apply(%{name: nil, percent: nil, key: "SPRING"}) @ lib/shop.ex:9
main call Shop.discount(nil) @ lib/shop.ex:12
"""
    origin = trace(history(picture), NIL, "discount")
    assert origin.location is not None
    assert origin.location.function == "load"
    assert origin.confidence < 1


def test_a_chain_ends_where_recording_ends_and_says_so(history: Draw) -> None:
    picture = """
processes: main
main call Shop.charge(nil) @ lib/shop.ex:9
"""
    origin = trace(history(picture), NIL, "charge")
    assert not origin.made
    assert "outside the recorded code" in origin.terminator


def test_a_watched_call_that_is_not_recorded_ends_the_chain(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main external :ets.lookup(:prices, "A1") @ lib/shop.ex:4
main return nil @ :4
main call Shop.charge(nil) @ lib/shop.ex:9
"""
    origin = trace(history(picture), NIL, "charge")
    assert not origin.made
    assert origin.maker is not None
    assert origin.maker["function"] == "lookup"
    assert "not recorded" in origin.terminator


PUBLISHER = """
processes: parser, publisher
parser callback Feed.Parser.handle_cast(:line) @ lib/parser.ex:1
parser call Feed.Parser.parse("ACME=n/a") @ lib/parser.ex:3
parser return nil @ :5
parser call Feed.Publisher.publish("ACME", nil) @ lib/publisher.ex:2
parser -> publisher cast {:publish, "ACME", nil}
publisher callback Feed.Publisher.handle_cast({:publish, "ACME", nil}) @ lib/publisher.ex:7
"""


def test_what_an_anonymous_function_closes_over_is_sought_in_the_function_around_it(history: Draw) -> None:
    picture = PUBLISHER + "publisher fn Feed.Publisher.handle_cast(1.5) @ lib/publisher.ex:7\n"
    origin = trace(history(picture), NIL, "handle_cast")
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("parse", 5)
    assert origin.confidence < 0.95
    assert any("from Feed.Publisher.handle_cast/2 around it" in step.text for step in origin.steps)


def test_a_function_around_that_has_ended_in_a_tail_call_is_looked_at_too(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main call Shop.price("A1") @ lib/shop.ex:9
main return nil @ :16
main call Shop.each(nil) @ lib/shop.ex:20
main tail Enum.each/2
main fn Shop.each("A1") @ lib/shop.ex:20
"""
    origin = trace(history(picture), NIL, "each")
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("price", 16)


def test_an_anonymous_function_may_have_what_nobody_saw(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main fn Shop.run("A1") @ lib/shop.ex:3
"""
    origin = trace(history(picture), NIL, "run")
    assert origin.confidence < 0.95
    assert "unless it closes over it" in origin.terminator


def test_a_float_is_followed_through_what_was_computed_with_it(history: Draw) -> None:
    picture = """
processes: gateway, cart
gateway callback Shop.Gateway.handle_call(:go) @ lib/gateway.ex:2
gateway call Shop.Gateway.rate("XMAS") @ lib/gateway.ex:5
gateway return 0.1 @ :6
gateway call Shop.Cart.discount(0.1) @ lib/cart.ex:3
gateway -> cart cast {:discount, 0.1}
cart callback Shop.Cart.handle_cast({:discount, 0.1}) @ lib/cart.ex:8
cart state %{discount: 0.1, items: [2200]}
cart return {:noreply, %{}}
cart callback Shop.Cart.handle_call(:total) @ lib/cart.ex:12
"""
    origin = trace(history(picture), 220.0, "handle_call")
    assert origin.value == 0.1
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("rate", 6)


def test_of_several_floats_none_is_followed(history: Draw) -> None:
    picture = """
processes: main
main call Shop.run() @ lib/shop.ex:3
main call Shop.charge(0.1, 0.2) @ lib/shop.ex:9
"""
    origin = trace(history(picture), 220.0, "charge")
    assert origin.value == 220.0
    assert origin.location is not None
    assert origin.location.function == "charge"


def test_an_anonymous_function_in_another_process_closes_over_what_its_starter_had(history: Draw) -> None:
    picture = """
processes: main, worker
main call Shop.run() @ lib/shop.ex:3
main call Shop.prices() @ lib/shop.ex:9
main return %{"TEA" => 3, "MUG" => nil} @ :11
main bind prices = %{"TEA" => 3, "MUG" => nil} @ :4
main spawns worker running Task.run/1
worker fn Shop.run() @ lib/shop.ex:3
worker call Shop.price(%{"TEA" => 3, "MUG" => nil}, "MUG") @ lib/shop.ex:20
"""
    origin = trace(history(picture), NIL, "price")
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("prices", 11)


def test_what_a_test_was_given_is_followed_into_its_setup(history: Draw) -> None:
    picture = """
processes: main, night
main test "sells" of SalesTest starts @ test/sales_test.exs:9
main spawns night running ExUnit.Runner.run/0
night call SalesTest.__ex_unit_setup_0(%{describe: nil}) @ test/sales_test.exs:3
night call Shop.prices() @ lib/shop.ex:9
night return %{"TEA" => 3, "MUG" => nil} @ :11
night return {:ok, [prices: %{"TEA" => 3, "MUG" => nil}]} @ :4
night runs test "sells" of SalesTest given %{describe: nil, prices: %{"TEA" => 3, "MUG" => nil}} @ test/sales_test.exs:9
night call Shop.price(%{"TEA" => 3, "MUG" => nil}, "MUG") @ lib/shop.ex:20
"""
    origin = trace(history(picture), NIL, "price")
    assert origin.location is not None
    assert (origin.location.function, origin.location.line) == ("prices", 11)
    assert any(step.text == "setup of SalesTest gave nil to test sells (SalesTest)" for step in origin.steps)
