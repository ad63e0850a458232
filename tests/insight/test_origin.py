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
