"""What a message is, told from the first bytes of its External Term Format.

Millions of messages cannot all be decoded; their kind, their reference and where their request begins can be read
in passing. Only bytes are compared: the same term of the same VM has the same encoding.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from elixirscope.recording import terms

_SMALL_TUPLE, _LARGE_TUPLE, _LIST, _NIL, _BINARY, _MAP = 104, 105, 108, 106, 109, 116
_STRINGS = (107,)
_REFERENCES = (90, 114)
_ATOMS = (119, 118, 115, 100)


class _OutOfBounds(Exception):
    """The bytes end in the middle of a term: damage, or an encoding we do not peek into."""


class Shape(NamedTuple):
    """A message at a glance."""

    kind: str  # as in the messages table
    tag: str | None
    ref: bytes | None = None  # the reference that a call carries and its reply answers to, encoded
    body: bytes = b""  # what a callback is given: the request of a call or cast, else the message
    subject: bytes | None = None  # of DOWN and EXIT messages: whose, encoded


Span = tuple[int, int]


class Outline(NamedTuple):
    """A shape whose parts are places in the message."""

    kind: str
    tag: str | None
    ref: Span | None = None
    body: Span = (0, 0)
    subject: Span | None = None


def shape(data: bytes) -> Shape:
    """The shape of a message (ETF with its leading 131). Unreadable bytes are an `info` without a tag."""
    kind, tag, ref, body, subject = outline(data)
    return Shape(
        kind,
        tag,
        None if ref is None else data[slice(*ref)],
        data[slice(*body)],
        None if subject is None else data[slice(*subject)],
    )


def outline(data: bytes) -> Outline:
    """As `shape`, with places for parts."""
    try:
        return _outline(data)
    except (IndexError, _OutOfBounds, struct.error, UnicodeDecodeError):
        return Outline("info", None, body=(1, len(data)))


def _outline(data: bytes) -> Outline:
    end = len(data)
    body = (1, end)
    if data[1] != _SMALL_TUPLE:
        return Outline("info", _tag(data, 1), body=body)
    arity, first = data[2], 3
    second = skip(data, first) if arity else first
    name = _atom(data, first) if arity else None
    if name == "$gen_call" and arity == 3 and data[second : second + 2] == bytes((_SMALL_TUPLE, 2)):
        tag = skip(data, second + 2)
        request = skip(data, tag)
        return Outline("call", _tag(data, request), _reference(data, tag), (request, end))
    if name == "$gen_cast" and arity == 2:
        return Outline("cast", _tag(data, second), body=(second, end))
    if name == "DOWN" and arity == 5:
        subject = skip(data, skip(data, second))
        return Outline("down", ":DOWN", body=body, subject=(subject, skip(data, subject)))
    if name == "EXIT" and arity == 3:
        return Outline("exit", ":EXIT", body=body, subject=(second, skip(data, second)))
    if name in ("io_request", "io_reply") and arity in (3, 4):
        return Outline("io", f":{name}", body=body)
    if name == "system" and arity == 3:
        return Outline("system", _tag(data, skip(data, second)), body=body)
    if name == "timeout" and arity == 3 and data[second] in _REFERENCES:
        return Outline("timer", _tag(data, skip(data, second)), body=body)
    if name is None and arity == 2:
        ref = _reference(data, first)
        if ref is not None:
            return Outline("reply", _tag(data, second), ref, body)
    return Outline("info", _tag(data, 1), body=body)


def arguments(data: bytes) -> list[bytes]:
    """The encoded elements of an encoded tuple; empty when it is none or cannot be read."""
    return [data[start:end] for start, end in elements(data)]


def elements(data: bytes) -> list[Span]:
    """As `arguments`, with places for elements."""
    try:
        if data[1] != _SMALL_TUPLE:
            return []
        at, parts = 3, []
        for _ in range(data[2]):
            end = skip(data, at)
            parts.append((at, end))
            at = end
        return parts
    except (IndexError, _OutOfBounds, struct.error):
        return []


def from_reference(data: bytes, at: int = 0) -> Span | None:
    """The place of the reference in the `{pid, tag}` of handle_call or the `{:call, {pid, tag}}` of a gen_statem,
    which begins at `at`."""
    try:
        for _ in range(2):
            if data[at : at + 2] != bytes((_SMALL_TUPLE, 2)):
                return None
            second = skip(data, at + 2)
            found = _reference(data, second)
            if found is not None:
                return found
            at = second
        return None
    except (IndexError, _OutOfBounds, struct.error):
        return None


def free_bytes(data: bytes) -> list[Span] | None:
    """The places of a term's numbers, texts and identities: what may differ without another outline. None when it
    cannot be read to its end."""
    free: list[Span] = []
    try:
        skip(data, 1, free)
    except (IndexError, _OutOfBounds, struct.error):
        return None
    return free


def _reference(data: bytes, at: int) -> Span | None:
    """The reference at `at`, itself or within `[:alias | ref]`."""
    if data[at] == _LIST and data[at + 1 : at + 5] == b"\0\0\0\1" and _atom(data, at + 5) == "alias":
        at = skip(data, at + 5)
    return (at, skip(data, at)) if data[at] in _REFERENCES else None


def _atom(data: bytes, at: int) -> str | None:
    tag = data[at]
    if tag in (119, 115):
        length, start = data[at + 1], at + 2
    elif tag in (118, 100):
        length, start = int.from_bytes(data[at + 1 : at + 3], "big"), at + 3
    else:
        return None
    return data[start : start + length].decode("utf-8" if tag in (118, 119) else "latin-1")


def _tag(data: bytes, at: int) -> str:
    """A short shape for people: `:pay`, `{:reserve, _, _}`, `%Order{}`, `"…"`."""
    name = _atom(data, at)
    if name is not None:
        return _printed(name)
    tag = data[at]
    if tag == _SMALL_TUPLE:
        arity = data[at + 1]
        first = _atom(data, at + 2) if arity else None
        shown = ["_" if first is None else _printed(first)] + ["_"] * (arity - 1)
        return "{" + ", ".join(shown[:arity][:6] + (["…"] if arity > 6 else [])) + "}"
    if tag == _MAP:
        return f"%{_struct(data, at)}{{}}"
    if tag == _BINARY:
        return '"…"'
    if tag == _NIL:
        return "[]"
    return "[…]" if tag == _LIST or tag in _STRINGS else "_"


@lru_cache(4096)
def _printed(atom: str) -> str:
    return terms.inspect(terms.Atom(atom))


def _struct(data: bytes, at: int) -> str:
    pairs = int.from_bytes(data[at + 1 : at + 5], "big")
    at += 5
    for _ in range(pairs):
        value = skip(data, at)
        if _atom(data, at) == "__struct__":
            module = _atom(data, value)
            return _printed(module) if module else ""
        at = skip(data, value)
    return ""


_FIXED = {97: 1, 98: 4, 70: 8, 99: 31, 106: 0}


def skip(data: bytes, at: int, free: list[Span] | None = None) -> int:
    """The offset behind the term that begins at `at`. Iterative: depth costs no stack.

    free: is given the places of what is neither a tag, a size nor an atom.
    """
    left, size = 1, len(data)
    while left:
        if at >= size:
            raise _OutOfBounds
        left -= 1
        tag = data[at]
        content = _FIXED.get(tag)
        if content is not None:
            at += 1
        elif tag in (119, 115):
            at, content = at + 2 + data[at + 1], 0
        elif tag in (118, 100):
            at, content = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big"), 0
        elif tag == 107:
            at, content = at + 3, int.from_bytes(data[at + 1 : at + 3], "big")
        elif tag == _SMALL_TUPLE:
            left += data[at + 1]
            at, content = at + 2, 0
        elif tag == _LARGE_TUPLE:
            left += _u32(data, at + 1)
            at, content = at + 5, 0
        elif tag == _LIST:
            left += _u32(data, at + 1) + 1
            at, content = at + 5, 0
        elif tag == _MAP:
            left += 2 * _u32(data, at + 1)
            at, content = at + 5, 0
        elif tag == _BINARY:
            at, content = at + 5, _u32(data, at + 1)
        elif tag == 77:  # bit string
            at, content = at + 6, _u32(data, at + 1)
        elif tag == 110:  # integers beyond 32 bits
            at, content = at + 2, 1 + data[at + 1]
        elif tag == 111:
            at, content = at + 5, 1 + _u32(data, at + 1)
        elif tag in (88, 103):  # pids: node, then two or three numbers
            at, content = skip(data, at + 1), 12 if tag == 88 else 9
        elif tag in (89, 102, 120):  # ports
            at, content = skip(data, at + 1), {89: 8, 102: 5, 120: 12}[tag]
        elif tag in _REFERENCES:
            words = int.from_bytes(data[at + 1 : at + 3], "big")
            at, content = skip(data, at + 3), 4 * words + (4 if tag == 90 else 1)
        elif tag == 113:  # &Module.function/arity
            left += 3
            at, content = at + 1, 0
        elif tag == 112:  # closures
            at, content = at + 5, max(_u32(data, at + 1) - 4, 0)
        else:
            raise _OutOfBounds
        if free is not None and content:
            free.append((at, at + content))
        at += content
    if at > size:
        raise _OutOfBounds
    return at


def _u32(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise _OutOfBounds
    return int.from_bytes(data[at : at + 4], "big")
