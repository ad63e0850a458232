"""What a finding is: one root cause, where it sits, and the moments that show it."""

from __future__ import annotations

from typing import Literal

import msgspec

from elixirscope.moment import Moment

FindingKind = Literal["crash", "race", "deadlock", "timeout", "unread", "test", "overload", "repetition", "leak"]


class Location(msgspec.Struct, frozen=True):
    """A line of the recorded program: the one to look at, or to change. `file` is as recorded, "" when unknown."""

    module: str
    function: str
    arity: int
    file: str
    line: int


class Evidence(msgspec.Struct, frozen=True):
    """One step of the proof: a sentence, and the moment at which anyone can see that it is so."""

    moment: Moment
    text: str


class Finding(msgspec.Struct, frozen=True):
    """One root cause. `confidence` (0..1) falls with every step that was inferred rather than seen."""

    kind: FindingKind
    title: str
    confidence: float
    location: Location | None
    evidence: list[Evidence]
    explanation: str
    suggestion: str
