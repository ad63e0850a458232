"""What is known of the code behind a frame."""

from __future__ import annotations

import pytest

from elixirscope.insight.history import defines


@pytest.mark.parametrize(
    ("line", "function"),
    [
        ('  def buy(conn, %{"item" => item}) do', "buy"),
        ("  defp free?(seat), do: seat == nil", "free?"),
        ("  defmemo total(list), do: Enum.sum(list)", "total"),
        ("handle_call(all, _From, State) ->", "handle_call"),
        ('  test "a sale" do', "test a sale"),
        ("  def a <> b, do: join(a, b)", "<>"),
    ],
)
def test_what_a_person_wrote_is_defined_by_its_name(line: str, function: str) -> None:
    assert defines(line, function)


@pytest.mark.parametrize(
    ("line", "function"),
    [
        ("  use Phoenix.Controller, formats: [:html]", "action"),
        ("  pipeline :browser do", "browser"),
        ('    get "/buy", CartController, :buy', "__match_route__"),
        ("  def buyer(conn), do: conn", "buy"),
    ],
)
def test_what_a_macro_wrote_is_not(line: str, function: str) -> None:
    assert not defines(line, function)
