"""Recorded values as a person reads them: decoded only when asked for, and never able to fail a question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from elixirscope.errors import RecordingError
from elixirscope.recording.terms import MARKER, ElixirMap, ImproperList, Redacted, Truncated, inspect
from elixirscope.recording.values import SealedValues

if TYPE_CHECKING:
    from elixirscope.recording.recording import Recording

TEXT_LIMIT = 200
_MARK_DEPTH = 12
UNREADABLE = Truncated("unreadable", None, None)
_MARK = MARKER.encode()
_COMPRESSED = b"\x83P"


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value in an answer: one line of text, and the id that fetches all of it (None for a part of a value)."""

    id: int | None
    text: str
    truncated: bool = False
    redacted: bool = False


class Values:
    """Texts and parts of the recorded values. A damaged value reads as such; it never fails the whole answer."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def term(self, value: int) -> Any:
        """The decoded term of a value id. Raises `RecordingError` when its bytes are damaged."""
        return self._recording.term(value)

    def peek(self, value: int) -> Any:
        """As `term`, but `UNREADABLE` for damaged bytes: for answers of which this value is only a part."""
        try:
            return self.term(value)
        except RecordingError:
            return UNREADABLE

    def text(self, value: int | None, limit: int = TEXT_LIMIT) -> str | None:
        """One line, at most about `limit` characters; None for no value."""
        if value is None:
            return None
        try:
            text: str | None = self._recording.text(value, limit)
            return text
        except RecordingError as error:
            return f"#Unreadable<{error.message}>"

    def value(self, value: int | None) -> Value | None:
        """`Value` of an id, with what the recorder left out of it."""
        if value is None:
            return None
        try:
            term = self.term(value)
            return Value(value, inspect(term, limit=TEXT_LIMIT)) if self.whole(value) else self.of_term(term, value)
        except RecordingError as error:
            return Value(value, f"#Unreadable<{error.message}>")

    def whole(self, value: int) -> bool:
        """Whether nothing was left out of a value, so that nobody need look for what was. Raises `RecordingError`."""
        raw = bytes(self._recording.values.bytes(value))
        return _MARK not in raw and not raw.startswith(_COMPRESSED)

    def of_term(self, term: Any, value: int | None = None) -> Value:
        """`Value` of a decoded term, for instance a part of a recorded value."""
        truncated, redacted = marks(term)
        return Value(value, inspect(term, limit=TEXT_LIMIT), truncated, redacted)

    def soon(self, values: Iterable[int | None]) -> None:
        """Have what these values are made of read, as far as it is only on disk: they are about to be asked for."""
        held = self._recording.values
        if isinstance(held, SealedValues):
            held.will_need(np.array([value for value in values if value is not None], np.int64))

    def elements(self, value: int | None) -> tuple[Any, ...]:
        """The parts of an arguments or bindings tuple; empty when there is none or it cannot be read."""
        if value is None:
            return ()
        term = self.peek(value)
        if isinstance(term, Truncated) and term.kind == "tuple":
            term = tuple(term.shown or ())
        return term if isinstance(term, tuple) else ()

    def element_text(self, value: int | None, position: int | None, limit: int = TEXT_LIMIT) -> str | None:
        """Text of one part of a tuple; None when that part was not recorded."""
        if value is None or position is None:
            return None
        parts = self.elements(value)
        return inspect(parts[position], limit=limit) if 0 <= position < len(parts) else None


def marks(term: Any) -> tuple[bool, bool]:
    """(something was cut to its budget, something was redacted) anywhere in `term`."""
    truncated = redacted = False
    stack: list[tuple[Any, int]] = [(term, 0)]
    while stack:
        part, depth = stack.pop()
        if isinstance(part, Truncated):
            truncated = True
        elif isinstance(part, Redacted):
            redacted = True
        elif depth < _MARK_DEPTH:
            stack.extend((inner, depth + 1) for inner in parts(part))
    return truncated, redacted


def parts(term: Any) -> Iterable[Any]:
    """The terms directly inside `term`."""
    if isinstance(term, (list, tuple)):
        return term
    if isinstance(term, (dict, ElixirMap)):
        return [part for pair in term.items() for part in pair]
    if isinstance(term, ImproperList):
        return [*term.items, term.tail]
    return ()
