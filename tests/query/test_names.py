"""What functions are called in front of a person."""

from __future__ import annotations

import pytest

from elixirscope.query.names import mfa


@pytest.mark.parametrize(
    ("function", "arity", "said"),
    [
        ("put", 3, "Seats.put/3"),
        ("__ex_unit_setup_4_0", 1, "setup of Seats"),
        ("__ex_unit_setup_0", 1, "setup of Seats"),
        ("__ex_unit_setup_all_0", 1, "setup_all of Seats"),
        ("test no seat is sold twice", 1, "test no seat is sold twice (Seats)"),
        ("testing", 1, "Seats.testing/1"),
    ],
)
def test_a_function_is_called_what_it_was_written_as(function: str, arity: int, said: str) -> None:
    assert mfa({"module": "Seats", "function": function, "arity": arity}) == said


def test_unknown_code_is_named_so() -> None:
    assert mfa(None) == "unknown code"
