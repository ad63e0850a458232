"""Frames: pairing, nesting, unwinding and tail calls."""

from __future__ import annotations

from textwrap import dedent

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.pictures import draw
from elixirscope.recording.terms import Atom
from tests.correlate.drawn import Drawn


def lines(text: str) -> str:
    return dedent(text).strip()


def test_calls_nest_and_return() -> None:
    drawn = Drawn("""
        client                          other
        call Shop.buy("A1")             |
        |                               call Shop.look("B2")
        call Shop.price("A1")           |
        return 25                       |
        |                               return :nothing
        return {:ok, 25}                |
    """)
    assert drawn.tree() == lines("""
        client: buy/1 returned
        other: look/1 returned
        client:   price/1 returned
    """)
    buy, look, price = drawn.rows("calls")
    assert price["parent"] == buy["call"]
    assert look["parent"] is None
    assert drawn.text(price["args"]) == '{"A1"}'
    assert drawn.text(buy["result"]) == "{:ok, 25}"
    assert buy["start"] < price["start"] < price["end"] < buy["end"]


def test_an_exception_ends_every_deeper_frame_where_it_is_caught() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1) as outer
        call Shop.pay(1)
        call Shop.charge(nil)
        raise :error, :badarith
        caught :error, :badarith in outer
        return :failed from outer
    """)
    assert drawn.tree() == lines("""
        p: buy/1 returned
        p:   pay/1 raised
        p:     charge/1 raised
    """)
    _, pay, charge = drawn.rows("calls")
    assert drawn.at(pay["end_event"]) == drawn.at(charge["end_event"]) == 4


def test_an_exception_caught_by_unrecorded_code_shows_when_an_outer_frame_goes_on() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1) as outer
        call Shop.pay(1)
        bind x = 1 in outer
        call Shop.retry(1)
        return 2
        return 3
    """)
    assert drawn.tree() == lines("""
        p: buy/1 returned
        p:   pay/1 raised
        p:   retry/1 returned
    """)


def test_the_end_of_the_process_ends_its_frames_and_the_end_of_the_recording_leaves_them_open() -> None:
    drawn = Drawn("""
        p                    q
        call Shop.buy(1)     |
        |                    call Shop.wait(1)
        exits :killed        |
    """)
    assert drawn.tree() == "p: buy/1 raised\nq: wait/1 open"
    buy, wait = drawn.rows("calls")
    assert drawn.at(buy["end_event"]) == 2
    assert wait["end"] is None
    assert wait["end_event"] is None
    assert wait["result"] is None


def test_a_tail_call_continues_at_the_same_depth() -> None:
    drawn = Drawn("""
        p
        call Shop.run(1)
        call Shop.loop(2)
        tail Shop.loop/1
        call Shop.loop(1)
        tail Shop.loop/1
        call Shop.loop(0)
        return :done
        return :ok
    """)
    assert drawn.tree() == lines("""
        p: run/1 returned
        p:   loop/1 tail
        p:   loop/1 tail after loop/1
        p:   loop/1 returned after loop/1
    """)
    run, *loops = drawn.rows("calls")
    assert {loop["parent"] for loop in loops} == {run["call"]}
    assert loops[2]["tail_of"] == loops[1]["call"]


def test_a_tail_call_into_unrecorded_code_that_calls_closures_back() -> None:
    drawn = Drawn("""
        p
        call Shop.run([1, 2])
        call Shop.each([1, 2])
        tail Enum.each/2
        fn Shop.each(1)
        return :ok
        fn Shop.each(2)
        return :ok
        bind x = 1
        fn Shop.each(3)
        return :late
        return :ok
    """)
    assert drawn.tree() == lines("""
        p: run/1 returned
        p:   each/1 tail
        p:   each/1 returned after each/1
        p:   each/1 returned after each/1
        p:   each/1 returned
    """)


def test_a_call_that_only_follows_a_tail_call_does_not_continue_it() -> None:
    drawn = Drawn("""
        p
        call Shop.run(1)
        call Shop.log(1)
        tail Logger.info/1
        call Shop.pay(1)
        return :ok
        return :ok
    """)
    assert "after" not in drawn.tree()


def test_a_tail_call_that_may_have_been_only_counted_is_continued_by_none() -> None:
    picture = """
        p
        call Shop.run(1)
        call Shop.loop(9)
        tail Shop.loop/1
        call Shop.loop(8)
        tail Shop.loop/1
        call Shop.loop(2)
        return 3
        return :ok
    """
    plain = Drawn(picture)
    assert plain.tree().count("after") == 2
    first, second = (int(at) for at in plain.log.rows["at"][[2, 4]])

    def counted(function: str, since: int, until: int) -> str:
        log = draw(picture)
        subject = (Atom("Elixir.Shop"), Atom("function"), Atom(function), 1, 7)
        told = {"until_unix_ns": until + log.start_unix_ns, "calls_per_second": 1}
        log.metas.append(told | {"what": Atom("counted"), "calls": [(subject, 5, since + log.start_unix_ns)]})
        rows = EventCorrelator().correlate(log)["calls"].to_pylist()
        return " ".join("after" if row["tail_of"] is not None else "-" for row in rows)

    assert counted("loop", second, second + 500) == "- - after -"
    assert counted("loop", first, second) == "- - - -"
    assert counted("loop", second + 2_000, second + 9_000) == "- - after after"
    assert counted("other", first, second) == "- - after after"


def test_closures_called_in_tail_position_and_watched_calls() -> None:
    drawn = Drawn("""
        p
        call Shop.run(1)
        tail fn
        fn Shop.build(1)
        external :ets.lookup(:seats, "A1")
        return []
        return :ok
    """)
    assert drawn.tree() == lines("""
        p: run/1 tail
        p: build/1 returned after run/1
        p:   lookup/2 returned
    """)
    assert [row["external"] for row in drawn.rows("calls")] == [False, False, True]
    assert drawn.rows("calls")[2]["module"] == ":ets"


def test_events_belong_to_their_frame_and_sends_to_the_innermost_one() -> None:
    drawn = Drawn("""
        p                          q
        call Shop.buy(1)           |
        call Shop.ask(1)           |
        tail GenServer.cast/2      |
        |--cast :hello------------>|
        bind x = 1                 |
        |--cast :again------------>|
        return :ok                 |
        |--cast :after------------>|
    """)
    sends = [row for row in drawn.rows("events") if row["kind"] == 29]
    # The first was made on behalf of the frame that had just ended by its tail call.
    assert [drawn.frame(row["call"]) for row in sends] == ["ask/1", "buy/1", None]


def test_what_calls_nothing_of_the_programs_has_returned_when_the_next_is_called() -> None:
    picture = """
        p                          q
        call Shop.buy(1)           |
        call Shop.ask(1)           |
        tail {}                    |
        |--"one"------------------>|
        call Shop.price(1)         |
        return 25                  |
        |--"two"------------------>|
    """

    def frames(callee: str) -> list[str | None]:
        drawn = Drawn(picture.format(callee))
        return [drawn.frame(row["call"]) for row in drawn.rows("events") if row["kind"] == 29]

    assert frames("GenServer.call/2") == ["ask/1", "buy/1"]
    assert frames("Enum.map/2") == ["ask/1", "ask/1"]  # which may have called `price`


def test_with_lost_events_a_silent_end_is_not_called_an_exception() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1) as outer
        call Shop.pay(1)
        loses 2
        return :ok from outer
    """)
    assert drawn.tree() == "p: buy/1 returned\np:   pay/1 open"
    assert drawn.process("p")["lost"] == 2


def test_a_return_whose_call_was_not_recorded_is_left_alone() -> None:
    drawn = Drawn("""
        p
        call Shop.old(1)
        return 1
        call Shop.buy(1)
        return 2
    """)
    drawn.log.rows = drawn.log.rows[1:]
    drawn.log.rows["event"][:] -= 1
    calls = EventCorrelator().correlate(drawn.log)["calls"].to_pylist()
    assert [(row["function"], row["outcome"]) for row in calls] == [("buy", "returned")]


def test_frames_say_what_the_compiler_wrote() -> None:
    drawn = Drawn("""
        p
        call Shop.made(1) generated
        return 1
    """)
    assert drawn.rows("calls")[0]["generated"] is True
