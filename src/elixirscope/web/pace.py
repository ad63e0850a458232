"""How long the reader of a recording that is being made rests between two looks at it."""

from __future__ import annotations

from typing import Final

PAUSE_S: Final = 0.03
"""The least, while a page waits for what is new."""

MOST_S: Final = 1.0
"""And the most, however much there is to do: who watches sees that it goes on."""

SHARE: Final = 2
"""A rest is so many times as long as looks lately took of the processor's time: the machine is the application's."""

SOON_S: Final = 0.06
"""A longer rest would make events later than who watches expects. So it is no longer, unless looks would then have more
than half of the time."""

SHARE_BEHIND: Final = 10
"""The same where more happens than can be followed, again and again: that is not tried at the application's cost."""

_LATELY: Final = 8  # looks
_BEHIND: Final = 3  # looks in a row that left something for the next: one or two follow a pause, or a mishap


class Pace:
    """Tells how long to rest after each look, by what looks took of the processor's time. Waiting for a processor is no
    work, and makes no rest longer; and one slow look is none of those that come lately."""

    def __init__(self) -> None:
        self._cost = 0.0  # of a look lately, in seconds
        self._behind = 0  # looks in a row

    def rest(self, took: float, *, behind: bool) -> float:
        """Seconds until the next look, after one that took so many and was, or was not, left `behind` what happens."""
        self._cost += (took - self._cost) / _LATELY
        self._behind = self._behind + 1 if behind else 0
        rest = min(SHARE * self._cost, max(SOON_S, self._cost))
        if self._behind >= _BEHIND:
            rest = SHARE_BEHIND * self._cost
        return min(max(PAUSE_S, rest), MOST_S)
