"""Which clause of a function takes given arguments, by the heads in the source."""

from __future__ import annotations

import pytest

from elixirscope.insight.clauses import clause_line
from elixirscope.recording.terms import Atom, Term

SOURCE = """\
defmodule Shop.Rates do
  def fetch("EUR", _at), do: 1.0

  def fetch(currency, _at) when is_binary(currency) and currency != "USD" do
    0.5
  end

  def fetch(nil), do: :arity_one
  def fetch(%{rate: _}, at \\\\ nil), do: at
  def fetch(_, _), do: nil
  def odd(<<first, _::binary>>), do: first
  def odd(_), do: nil
  def handle_call(:go, _from, %{at: nil}), do: :first
  def handle_call(:go, _from, _state), do: :second
  def handle_call(_, _from, state) when state == 1, do: :third
end

defmodule Shop.Others do
  def fetch(%{other: _}, _at), do: 1.0
end
""".splitlines()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ((b"EUR", 1), 2),
        ((b"GBP", 1), 4),
        (({Atom("rate"): 3}, 1), 9),
        ((b"USD", 1), 10),
        (({Atom("other"): 3}, 1), 10),
    ],
)
def test_the_first_clause_whose_head_takes_the_arguments(given: tuple[Term, ...], line: int) -> None:
    assert clause_line(SOURCE, 2, "fetch", given) == line


def test_a_head_that_only_elixir_can_judge_leaves_it_open() -> None:
    assert clause_line(SOURCE, 11, "odd", (b"text",)) is None


def test_of_a_callback_the_state_is_not_known() -> None:
    assert clause_line(SOURCE, 13, "handle_call", (Atom("go"), 1)) is None
    assert clause_line(SOURCE, 13, "handle_call", (Atom("stop"), 1)) is None


def test_nothing_is_said_of_a_line_without_that_function() -> None:
    assert clause_line(SOURCE, 3, "fetch", (b"EUR", 1)) is None
    assert clause_line(SOURCE, 2, "rate", (b"EUR", 1)) is None
    assert clause_line(["defmodule X do", "  def (", "end"], 2, "x", ()) is None
