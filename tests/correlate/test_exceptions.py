"""Exceptions: where they came from, what they say, and where they ended."""

from __future__ import annotations

import pytest

from elixirscope.correlate.reasons import describe, exit_kind, stack_of
from elixirscope.pictures.literals import Reader
from elixirscope.recording.terms import Pid, Ref
from tests.correlate.drawn import Drawn, Row


def only(drawn: Drawn) -> Row:
    (row,) = drawn.rows("exceptions")
    return row


def test_raised_and_caught() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1) as outer        @ lib/shop.ex:3
        call Shop.pay(nil)               @ lib/shop.ex:9
        raise :error, %RuntimeError{__exception__: true, message: "no money"}     @ lib/shop.ex:11
        caught :error, %RuntimeError{__exception__: true, message: "no money"} in outer
        return :failed from outer
    """)
    row = only(drawn)
    assert (row["class"], row["type"], row["text"]) == ("error", "RuntimeError", "no money")
    assert (row["module"], row["function"], row["arity"], row["file"], row["line"]) == (
        "Shop",
        "pay",
        1,
        "lib/shop.ex",
        11,
    )
    assert (row["caught"], drawn.at(row["event"]), drawn.at(row["caught_event"])) == (True, 2, 3)
    assert row["exit_event"] is None
    assert drawn.frame(row["call"]) == "pay/1"


def test_a_crash_without_a_raise_event_is_read_from_the_stack_of_the_exit() -> None:
    drawn = Drawn("""
        p
        callback Shop.Till.handle_cast({:charge, nil})   @ lib/shop/till.ex:20
        exits {:badarith, [{:erlang, :*, [1, nil], []}, {Shop.Till, :charge, 2, [file: "lib/shop/till.ex", line: 31]}]}
    """)
    row = only(drawn)
    assert (row["type"], row["text"]) == ("ArithmeticError", "bad argument in arithmetic expression")
    assert (row["module"], row["function"], row["line"]) == ("Shop.Till", "charge", 31)
    assert (row["caught"], row["event"]) == (False, row["exit_event"])


def test_the_stack_of_an_exit_names_its_frame() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1)
        call Shop.price(1)
        tail Map.get/2
        exits {:badarith, [{:erlang, :*, [1, nil], []}, {Shop, :buy, 1, [file: "lib/shop.ex", line: 31]}]}
    """)
    assert drawn.frame(only(drawn)["call"]) == "buy/1"
    within = Drawn("""
        p
        call Shop.buy(1)
        fn Shop.buy(2)
        tail Map.get/2
        exits {:badarith, [{:erlang, :*, [1, nil], []}, {Shop, :"-buy/1-fun-0-", 1, []}]}
    """)
    assert within.rows("calls")[1]["call"] == only(within)["call"]


def test_a_raise_that_ends_its_process_is_one_exception() -> None:
    drawn = Drawn("""
        p
        call Shop.pay(nil)
        raise :error, {:badmatch, nil}
        exits {{:badmatch, nil}, [{Shop, :pay, 1, []}]}
    """)
    row = only(drawn)
    assert (row["type"], row["caught"], drawn.at(row["exit_event"])) == ("MatchError", False, 2)


def test_a_server_that_terminates_after_its_callback_raised() -> None:
    drawn = Drawn("""
        p
        callback Shop.handle_info(:go)
        raise :error, :badarith
        callback Shop.terminate(:badarith)
        return :ok
        exits {:badarith, [{Shop, :handle_info, 2, []}]}
    """)
    row = only(drawn)
    assert (row["caught"], drawn.at(row["exit_event"])) == (False, 4)


def test_caught_by_code_that_is_not_recorded() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1) as outer
        call Shop.pay(1)
        raise :throw, :stop
        return 1 from outer
    """)
    row = only(drawn)
    assert (row["class"], row["type"], row["text"], row["caught"], row["caught_event"]) == (
        "throw",
        "throw",
        ":stop",
        True,
        None,
    )


def test_one_that_is_passed_on_is_still_the_same() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1) as outer
        call Shop.safely(1) as middle
        call Shop.pay(nil)
        raise :error, :badarith
        caught :error, :badarith in middle
        reraise :error, %ArithmeticError{__exception__: true} in middle
        caught :error, %ArithmeticError{__exception__: true} in outer
        raise :error, :badarith in outer
        exits {:badarith, [{Shop, :buy, 1, []}]}
    """)
    first, second = drawn.rows("exceptions")
    assert (first["function"], first["caught"], drawn.at(first["caught_event"])) == ("pay", True, 6)
    assert (second["caught"], drawn.at(second["exit_event"])) == (False, 8)


def test_an_exit_passed_on_by_a_link_is_no_second_exception() -> None:
    drawn = Drawn("""
        a                       b
        links b                 |
        |                       exits {:badarith, [{Shop, :run, 0, []}]}
        exits {:badarith, [{Shop, :run, 0, []}]}
    """)
    assert drawn.who(only(drawn)["process"]) == "b"


def test_the_exit_of_a_caller_whose_server_died() -> None:
    drawn = Drawn("""
        a
        call Shop.look(1)                  @ lib/shop.ex:4
        exits {:noproc, {GenServer, :call, [:seats, :get, 5000]}}
    """)
    row = only(drawn)
    assert (row["class"], row["caught"]) == ("exit", False)
    assert (row["function"], row["file"], row["line"]) == ("look", "lib/shop.ex", None)
    assert (row["type"], row["text"]) == (":noproc", ":noproc in GenServer.call(:seats, :get, 5000)")


def test_ordinary_ends_are_no_exceptions() -> None:
    drawn = Drawn("""
        a                       b                c
        exits :normal           |                |
        |                       exits {:shutdown, [1]}
        |                       |                exits :killed
    """)
    assert drawn.rows("exceptions") == []


def literal(text: str) -> object:
    return Reader(text, lambda name: Pid("n", 1, 0), lambda name: Ref("n", (1,))).value()


@pytest.mark.parametrize(
    ("class_", "reason", "type_", "text"),
    [
        ("error", "{:badmatch, 1}", "MatchError", "no match of right hand side value: 1"),
        ("error", "{:badkey, :a1}", "KeyError", "key :a1 not found"),
        ("error", "{:case_clause, nil}", "CaseClauseError", "no case clause matching: nil"),
        ("error", "%KeyError{__exception__: true, key: :a, term: %{}}", "KeyError", "key :a not found in: %{}"),
        ("error", '%ArgumentError{__exception__: true, message: "a\\nb"}', "ArgumentError", "a b"),
        ("error", "%MatchError{__exception__: true, term: 3}", "MatchError", "no match of right hand side value: 3"),
        (
            "error",
            "%FunctionClauseError{__exception__: true, module: Shop, function: :pay, arity: 1}",
            "FunctionClauseError",
            "no function clause matching in Shop.pay/1",
        ),
        ("error", "%My.Error{__exception__: true, code: 7}", "My.Error", "code: 7"),
        ("exit", ":timeout", ":timeout", ":timeout"),
        ("exit", "{:badarith, [{:m, :f, 1, []}]}", "ArithmeticError", "bad argument in arithmetic expression"),
        (
            "exit",
            "{{%RuntimeError{__exception__: true, message: \"oops\"}, [{:m, :f, 1, []}]}, {GenServer, :call, [1]}}",
            "exit",
            "RuntimeError: oops in GenServer.call(1)",
        ),
        ("exit", "{:noproc, 1}", ":noproc", "{:noproc, 1}"),
        ("throw", "{:halt, 1}", "throw", "{:halt, 1}"),
        ("error", "12", "ErlangError", "12"),
    ],
)  # fmt: skip
def test_descriptions(class_: str, reason: str, type_: str, text: str) -> None:
    assert describe(class_, literal(reason)) == (type_, text)


def test_reasons_of_any_shape_are_survived() -> None:
    for text in ("{:badarith, [1, {2}]}", "{:a, []}", "[]", "{}", "%{}", '{"x", [{:m, :f, -1, 5}]}'):
        reason = literal(text)
        assert exit_kind(reason) == "crash"
        stack_of(reason)
        describe("error", reason)
