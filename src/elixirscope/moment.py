"""A point in a recording: what a URL names, what every view takes and what every answer cites."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from elixirscope.errors import UsageError

UNKNOWN_TIME: Final = -1  # of a moment named by its event alone, until the event is looked up

_EVENT = re.compile(r"e([0-9]{1,18})")
_TIME = re.compile(r"([0-9]{1,18})ns(?:@([0-9]{1,9}))?")


class Moment(msgspec.Struct, frozen=True):
    """Where the focus is. `at` is ns since the recording's start; the rest narrows it down."""

    at: int
    process: int | None = None
    event: int | None = None
    call: int | None = None
    value: int | None = None

    @property
    def text(self) -> str:
        """Its short name, for URLs and the command line: `e18204`, else `44218317ns@12` (process 12)."""
        if self.event is not None:
            return f"e{self.event}"
        return f"{self.at}ns" if self.process is None else f"{self.at}ns@{self.process}"

    @classmethod
    def parse(cls, text: str) -> Moment:
        """The moment that `text` names. One named by its event has `at` = `UNKNOWN_TIME`. Raises `UsageError`."""
        if found := _EVENT.fullmatch(text):
            return cls(at=UNKNOWN_TIME, event=int(found[1]))
        if found := _TIME.fullmatch(text):
            return cls(at=int(found[1]), process=int(found[2]) if found[2] else None)
        raise UsageError(
            f"{text[:80]!r} names no moment", "write e18204 (an event) or 44218317ns@12 (a time and a process)"
        )
