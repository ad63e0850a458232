"""What an exit reason complains of: reasons are whatever the program made of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from elixirscope.insight.complaint import bad_values
from elixirscope.recording.terms import Atom
from tests.insight.test_values import terms

SAID = st.sampled_from(["badarith", "badkey", "badmatch", "function_clause"]).map(Atom)
STACKS = st.lists(st.tuples(terms, terms, st.lists(terms, max_size=2), st.just([])), max_size=2)
REASONS = terms | st.tuples(terms | SAID, terms) | st.tuples(SAID | terms, STACKS) | st.tuples(SAID, terms, terms)


@given(REASONS, terms)
def test_any_reason_may_be_asked(reason: Any, arguments: Any) -> None:
    assert all(0 < trust <= 1 for _, trust in bad_values(reason, arguments, "boom"))


def test_what_did_not_match_is_complained_of_first() -> None:
    assert next(bad_values((Atom("badmatch"), 7), ())) == (7, 1.0)
    assert list(bad_values(({}, 1), ())) == []
