"""How long the reader rests: a share of the processor in the long run, and never so long that who watches wonders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.web.pace import MOST_S, PAUSE_S, SHARE, SHARE_BEHIND, SOON_S, Pace

LOOKS = st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=60)


@given(LOOKS)
def test_a_rest_is_one_that_nobody_wonders_about(looks: list[tuple[float, bool]]) -> None:
    pace = Pace()
    assert all(PAUSE_S <= pace.rest(took, behind=behind) <= MOST_S for took, behind in looks)


@given(st.lists(st.floats(0.02, 0.3), min_size=1, max_size=30))
def test_looks_have_their_share_of_the_time(looks: list[float]) -> None:
    """Of any work that goes on: the same looks again and again take half of the time at most, and one part in `SHARE`
    + 1 where that makes no event late."""
    pace = Pace()
    rests = [pace.rest(took, behind=False) for took in looks * 60][-len(looks) :]
    assert sum(rests) >= 0.99 * sum(looks)
    assert all(rest >= SOON_S for rest in rests) or sum(rests) >= 0.99 * SHARE * sum(looks)


def test_one_slow_look_is_not_rested_from_for_long() -> None:
    pace, quick = Pace(), 0.01
    for _ in range(20):
        pace.rest(quick, behind=False)
    assert pace.rest(0.5, behind=True) < 0.2
    assert pace.rest(quick, behind=False) < 0.15
    assert [pace.rest(quick, behind=False) for _ in range(20)][-1] == PAUSE_S


@pytest.mark.parametrize("took", [0.04, 0.09])
def test_what_cannot_be_followed_is_not_tried_at_the_programs_cost(took: float) -> None:
    pace = Pace()
    rests = [pace.rest(took, behind=True) for _ in range(40)]
    assert rests[1] < 2 * SHARE * took, "what a pause left is caught up with"
    assert rests[-1] == pytest.approx(SHARE_BEHIND * took, rel=0.1)
    assert pace.rest(took, behind=False) <= SHARE * took, "and recovers at once"
