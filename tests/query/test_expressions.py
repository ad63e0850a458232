"""Expressions over recorded values: what Elixir would answer, and nothing else."""

from __future__ import annotations

import time

import pytest

from elixirscope.errors import UsageError
from elixirscope.query.expressions import Evaluated, compile_expression
from elixirscope.query.functions import EvaluationError
from elixirscope.recording.terms import Atom, Fun, ImproperList, Pid, Redacted, Truncated, inspect

VARIABLES = {
    "user": {Atom("__struct__"): Atom("Elixir.User"), Atom("name"): b"Ada", Atom("tags"): [1, 2, 3], b"k": Atom("ok")},
    "price": 12.5,
    "n": 7,
    "opts": [(Atom("a"), 1), (Atom("b"), 2)],
    "t": (Atom("ok"), b"x"),
    "secret": Redacted(),
    "deep": Truncated("map", None, 9),
    "text": Truncated("binary", b"abc", 5_000),
    "cut": [1, Truncated("more", None, 40)],
    "pid": Pid("n", 1, 2),
    "fun": Fun("Elixir.A", "f", 1),
    "improper": ImproperList([1], 2),
}


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("n + 1", "8"),
        ("price * 2", "25.0"),
        ("n / 2", "3.5"),
        ("div(-7, 2)", "-3"),
        ("rem(-7, 2)", "-1"),
        ("-n - 1", "-8"),
        ("user.name", '"Ada"'),
        ('user["k"]', ":ok"),
        ("user[:missing]", "nil"),
        ("nil[:a]", "nil"),
        ("opts[:b]", "2"),
        ("length(user.tags) == 3 and not is_nil(n)", "true"),
        ("n > 3 && user.name", '"Ada"'),
        ("nil || n", "7"),
        ("false or n == 7", "true"),
        ("!user", "false"),
        ("1 == 1.0", "true"),
        ("1 === 1.0", "false"),
        ("1 != 2 and 1 !== 1.0", "true"),
        ("elem(t, 1)", '"x"'),
        ("hd(user.tags) + hd(tl(user.tags))", "3"),
        ('"#{user.name}: #{n} #{inspect(t)}"', '"Ada: 7 {:ok, \\"x\\"}"'),
        ('user.name <> "!"', '"Ada!"'),
        ("[300] ++ [1] -- [1]", "[300]"),
        ("n in [1, 7] and n not in [2]", "true"),
        ("match?({:ok, _}, t)", "true"),
        ('match?(%User{name: "B" <> _}, user)', "false"),
        ("map_size(%{a: 1, b: 2})", "2"),
        ("is_struct(user) and is_struct(user, User) and is_map(user)", "true"),
        ("is_pid(pid) and is_function(fun) and is_list(improper)", "true"),
        ("byte_size(text)", "5000"),
        ("length(cut)", "41"),
        ("{n, [a: 1], %{x: t}}", '{7, [a: 1], %{x: {:ok, "x"}}}'),
        ("max(1, :a)", ":a"),
        ('n < :a and :a < {} and {} < %{} and %{} < [] and [] < ""', "true"),
        ("{1, 2} < {1, 3} and [1] < [1, 2]", "true"),
        ("round(2.5) + trunc(-2.5)", "1"),
        ("Map.get(user, :name)", '"Ada"'),
        ("Map.get(user, :no, 0)", "0"),
        ("Enum.count(user.tags) + String.length(user.name)", "6"),
        ("(n)", "7"),
    ],
)
def test_answers(expression: str, answer: str) -> None:
    assert inspect(compile_expression(expression)(Evaluated(VARIABLES))) == answer


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("nobody", "no variable 'nobody'"),
        ("n.field", "is no map"),
        ("user.nobody", "no field nobody"),
        ("n / 0", "arithmetic"),
        ("n + user", "a number was expected"),
        ("n and true", "a boolean was expected"),
        ("secret", "redacted"),
        ("deep.x", "left out"),
        ('text <> "x"', "only a part"),
        ("tl(cut) == 1 or cut ++ []", "only a part"),
        ("hd([])", "empty"),
        ("elem(t, 9)", "no element 9"),
        ("deep < 1", "left out"),
        ("n in 7", "no list"),
        ("1.0e308 * 10", "arithmetic"),
    ],
)
def test_what_fails_on_these_values(expression: str, message: str) -> None:
    compiled = compile_expression(expression)
    with pytest.raises(EvaluationError, match=message):
        compiled(Evaluated(VARIABLES))


@pytest.mark.parametrize(
    "expression",
    [
        "System.halt(0)",
        'File.read("x")',
        "fn -> 1 end",
        "x = 1",
        "if n do 1 end",
        "n |> abs",
        "send(pid, 1)",
        "&f/1",
        "n.()",
        "for x <- [1], do: x",
        "user.name()(1)",
        "1 +",
        "%User{}",
    ],
)
def test_what_is_refused(expression: str) -> None:
    with pytest.raises(UsageError):
        compile_expression(expression)


def test_no_expression_runs_long() -> None:
    started = time.monotonic()
    big = compile_expression(" * ".join(["n"] * 50))
    assert big(Evaluated({"n": 7})) == 7**50
    with pytest.raises(EvaluationError, match="too large"):
        big(Evaluated({"n": 10**4_000}))
    with pytest.raises(EvaluationError, match="too long"):
        compile_expression(" <> ".join(["s"] * 50))(Evaluated({"s": b"x" * 100_000}))
    assert time.monotonic() - started < 30
