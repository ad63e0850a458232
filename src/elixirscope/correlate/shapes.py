"""What a message is, told from the first bytes of its External Term Format.

Millions of messages cannot all be decoded; their kind, their reference and where their request begins can be read
in passing. Only bytes are compared: the same term of the same VM has the same encoding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from elixirscope.correlate.columns import Ints
from elixirscope.correlate.digests import digest
from elixirscope.kernels import I64, Bytes, kernel
from elixirscope.recording import terms
from elixirscope.recording.values import RawValues

KINDS: Final = ("info", "call", "cast", "down", "exit", "timer", "reply", "io", "system")
"""As in the messages table."""
_INFO, CALL, _CAST, _DOWN, _EXIT, _TIMER, REPLY, _IO, SYSTEM = range(len(KINDS))

_SMALL_TUPLE, _LARGE_TUPLE, _LIST, _NIL, _BINARY, _MAP, _STRING = 104, 105, 108, 106, 109, 116, 107
_SMALL_ATOM, _OLD_SMALL_ATOM, _ATOM, _OLD_ATOM = 119, 115, 118, 100
_NEWER_REFERENCE, _NEW_REFERENCE = 90, 114


def _known(name: bytes) -> int:
    return digest.interpreted(name, 0, len(name))


_GEN_CALL, _GEN_CAST, _DOWN_NAME, _EXIT_NAME = map(_known, (b"$gen_call", b"$gen_cast", b"DOWN", b"EXIT"))
_REQUEST, _ANSWER, _SYSTEM_NAME, _TIMEOUT = map(_known, (b"io_request", b"io_reply", b"system", b"timeout"))
_ALIAS, _STRUCT = map(_known, (b"alias", b"__struct__"))


class Looks(NamedTuple):
    """Messages at a glance, in parallel arrays. Parts are known by their digests; 0 is none."""

    kind: Ints  # index into KINDS
    tag: Ints  # of a short shape for people, and …
    tag_at: Ints  # … where it begins
    reference: Ints  # that a call carries and its reply answers to
    body: Ints  # what a callback is given: the request of a call or cast, else the message
    subject: Ints  # of DOWN and EXIT messages: where it is told whose
    subject_end: Ints


def look(values: RawValues, ids: Ints, inner: dict[int, tuple[int, int]]) -> Looks:
    """The looks of messages; those without a value (-1) are an `info` of which nothing is known.

    inner: of some the start and end within the value: the message is only there.
    """
    looks = Looks(*(np.zeros(len(ids), np.int64) for _ in Looks._fields))
    data, there, start, end = values.located(ids)
    origin = start.copy()
    for number in np.flatnonzero(np.isin(there, list(inner))).tolist() if inner else []:
        first, last = inner[int(there[number])]
        start[number], end[number] = origin[number] + first - 1, origin[number] + last
    outlines.expect(int((end - start).sum()) // 4)
    outlines(there, data, origin, start, end, *looks)
    return looks


@kernel
def outlines(
    chosen: I64,
    data: Bytes,
    origin: I64,
    start: I64,
    end: I64,
    kind: I64,
    tag: I64,
    tag_at: I64,
    reference: I64,
    body: I64,
    subject: I64,
    subject_end: I64,
) -> None:
    """The looks of the messages `chosen`, which lie in `data` from `start` to before `end`, leading 131 included, in
    values that begin at `origin`. Unreadable bytes are an `info` without a tag.
    """
    for each in range(len(chosen)):
        number, first, last = chosen[each], start[each] + 1, end[each]
        what, tagged, asked, given = _INFO, first, -1, first
        if first + 2 <= last and data[first] == _SMALL_TUPLE:
            arity = data[first + 1]
            name = name_at(data, first + 2, last) if arity > 0 else 0
            second = skip(data, first + 2, last) if arity > 0 else first + 2
            third = skip(data, second, last) if second >= 0 and arity > 1 else -1
            if second < 0:
                tagged = -1
            elif (
                name == _GEN_CALL
                and arity == 3
                and third >= 0
                and data[second] == _SMALL_TUPLE
                and data[second + 1] == 2
            ):
                what, tagged, given = CALL, third, third
                asked = reference_at(data, skip(data, second + 2, last), last)
            elif name == _GEN_CAST and arity == 2:
                what, tagged, given = _CAST, second, second
            elif name == _DOWN_NAME and arity == 5 and third >= 0:
                what, tagged = _DOWN, first + 2
                subject[number] = skip(data, third, last)
                subject_end[number] = skip(data, subject[number], last) if subject[number] >= 0 else -1
            elif name == _EXIT_NAME and arity == 3:
                what, tagged = _EXIT, first + 2
                subject[number], subject_end[number] = second, third
            elif (name in (_REQUEST, _ANSWER)) and 3 <= arity <= 4:
                what, tagged = _IO, first + 2
            elif name == _SYSTEM_NAME and arity == 3:
                what, tagged = SYSTEM, third
            elif name == _TIMEOUT and arity == 3 and third >= 0 and is_reference(data[second]):
                what, tagged = _TIMER, third
            elif name == 0 and arity == 2:
                asked = reference_at(data, first + 2, last)
                if asked >= 0:
                    what, tagged = REPLY, second
        kind[number] = what
        tag[number], tag_at[number] = _tag_at(data, tagged, last), tagged - origin[each]
        reference[number] = digest(data, asked, skip(data, asked, last)) if asked >= 0 else 0
        body[number] = digest(data, given, last) if given < last else 0
        if subject_end[number] > subject[number] > 0:
            subject[number], subject_end[number] = subject[number] - origin[each], subject_end[number] - origin[each]
        else:
            subject[number] = subject_end[number] = 0


@kernel
def arguments(chosen: I64, data: Bytes, start: I64, end: I64, first: I64, count: I64, parts: I64, refs: I64) -> None:
    """What callbacks were called with: of each of the tuples `chosen` the digests of its elements, in `parts` from
    `first` on, and of the references that the first two of them carry, two in `refs`; 0 is none. `count` is how many
    elements there should be, and 0 after it where the bytes do not hold them."""
    for each in range(len(chosen)):
        number, at, last = chosen[each], start[each] + 3, end[each]
        for place in range(count[number]):
            after = skip(data, at, last) if at >= 0 else -1
            if after >= 0:
                parts[first[number] + place] = digest(data, at, after)
                if place < 2:
                    refs[2 * number + place] = _of_caller(data, at, after)
            at = after
        if at < 0:
            count[number] = refs[2 * number] = refs[2 * number + 1] = 0


@kernel
def arities(chosen: I64, data: Bytes, start: I64, end: I64, count: I64) -> None:
    """How many elements the values `chosen` have, if they are tuples."""
    for each in range(len(chosen)):
        if start[each] + 3 <= end[each] and data[start[each] + 1] == _SMALL_TUPLE:
            count[chosen[each]] = data[start[each] + 2]


@kernel
def _of_caller(data: Bytes, at: int, end: int) -> int:
    """The reference in the `{pid, tag}` of handle_call or the `{:call, {pid, tag}}` of a gen_statem at `at`, or 0."""
    for _ in range(2):
        if at < 0 or at + 2 > end or data[at] != _SMALL_TUPLE or data[at + 1] != 2:
            return 0
        at = skip(data, at + 2, end)
        found = reference_at(data, at, end)
        if found >= 0:
            return digest(data, found, skip(data, found, end))
    return 0


@kernel
def reference_at(data: Bytes, at: int, end: int) -> int:
    """Where the reference at `at` begins, itself or within `[:alias | ref]`; -1 for none."""
    if at < 0 or at >= end:
        return -1
    if data[at] == _LIST and at + 5 <= end and data[at + 4] == 1 and name_at(data, at + 5, end) == _ALIAS:
        at = skip(data, at + 5, end)
        if at < 0 or at >= end:
            return -1
    return at if is_reference(data[at]) and skip(data, at, end) >= 0 else -1


@kernel
def is_reference(tag: int) -> bool:
    """Whether a term with this tag is one."""
    return tag in (_NEWER_REFERENCE, _NEW_REFERENCE)


@kernel
def name_at(data: Bytes, at: int, end: int) -> int:
    """The digest of the text of the atom at `at`, 0 when there is none."""
    after = _after_atom(data, at, end)
    if after < 0:
        return 0
    return digest(data, at + (2 if data[at] == _SMALL_ATOM or data[at] == _OLD_SMALL_ATOM else 3), after)


@kernel
def _after_atom(data: Bytes, at: int, end: int) -> int:
    after = -1
    if at >= 0 and at + 2 <= end:
        if data[at] == _SMALL_ATOM or data[at] == _OLD_SMALL_ATOM:
            after = at + 2 + data[at + 1]
        elif (data[at] == _ATOM or data[at] == _OLD_ATOM) and at + 3 <= end:
            after = at + 3 + data[at + 1] * 256 + data[at + 2]
    return after if after <= end else -1


@kernel
def _tag_at(data: Bytes, at: int, end: int) -> int:
    """A number of what `tag_text` shows of the term at `at`; 0 when it cannot be read."""
    if at < 0 or at >= end:
        return 0
    tag = data[at]
    after = _after_atom(data, at, end)
    if after >= 0:
        return digest(data, at, after)
    if tag == _SMALL_TUPLE and at + 2 <= end:
        after = _after_atom(data, at + 2, end) if data[at + 1] > 0 else -1
        return digest(data, at, after if after >= 0 else at + 2)
    if tag == _MAP and at + 5 <= end:
        pairs = _four(data, at + 1)
        at += 5
        while pairs > 0:
            value = skip(data, at, end)
            if value < 0:
                return 0
            after = _after_atom(data, value, end)
            if after >= 0 and name_at(data, at, end) == _STRUCT:
                return digest(data, value, after) ^ 1  # not the atom alone
            at = skip(data, value, end)
            if at < 0:
                return 0
            pairs -= 1
        return _MAP
    if tag == _STRING:
        return _LIST
    return tag if tag in (_BINARY, _NIL, _LIST) else 1


@kernel
def skip(data: Bytes, at: int, end: int) -> int:
    """The offset behind the term that begins at `at`. -1 when the bytes end in its middle: damage, or an encoding we do
    not peek into."""
    if at < 0:
        return -1
    left = 1
    while left > 0:
        if at >= end:
            return -1
        left -= 1
        tag = data[at]
        at += 1
        if tag == 97:
            at += 1
        elif tag == 98:
            at += 4
        elif tag == _NIL:
            continue
        elif tag == 70:
            at += 8
        elif tag == 99:
            at += 31
        elif tag == 113:  # &Module.function/arity
            left += 3
        elif tag in (_SMALL_ATOM, _OLD_SMALL_ATOM, _SMALL_TUPLE) or tag == 110:
            if at >= end:
                return -1
            size = data[at]
            if tag == _SMALL_TUPLE:
                at, left = at + 1, left + size
            elif tag == 110:  # integers beyond 32 bits
                at += 2 + size
            else:
                at += 1 + size
        elif tag in (_ATOM, _OLD_ATOM, _STRING):
            if at + 2 > end:
                return -1
            at += 2 + data[at] * 256 + data[at + 1]
        elif tag == 88 or tag == 103:  # pids: node, then two or three numbers
            at = _after_atom(data, at, end)
            if at < 0:
                return -1
            at += 12 if tag == 88 else 9
        elif tag == 89 or tag == 102 or tag == 120:  # ports
            at = _after_atom(data, at, end)
            if at < 0:
                return -1
            at += 8 if tag == 89 else 5 if tag == 102 else 12
        elif tag in (_NEWER_REFERENCE, _NEW_REFERENCE):
            if at + 2 > end:
                return -1
            size = 4 * (data[at] * 256 + data[at + 1])
            at = _after_atom(data, at + 2, end)
            if at < 0:
                return -1
            at += size + (4 if tag == _NEWER_REFERENCE else 1)
        else:
            if at + 4 > end:
                return -1
            size = _four(data, at)
            at += 4
            if tag == _BINARY:
                at += size
            elif tag == _LIST:
                left += size + 1
            elif tag == _MAP:
                left += 2 * size
            elif tag == _LARGE_TUPLE:
                left += size
            elif tag == 77 or tag == 111:  # bit strings, integers of any size
                at += 1 + size
            elif tag == 112:  # closures
                at += size - 4 if size > 4 else 0
            else:
                return -1
    return at if at <= end else -1


@kernel
def _four(data: Bytes, at: int) -> int:
    return data[at] * 16777216 + data[at + 1] * 65536 + data[at + 2] * 256 + data[at + 3]


def tag_text(data: bytes, at: int) -> str | None:
    """A short shape for people: `:pay`, `{:reserve, _, _}`, `%Order{}`, `"…"`; None when it cannot be read."""
    try:
        return _tag(data, at)
    except (IndexError, UnicodeDecodeError):
        return None


def _atom(data: bytes, at: int) -> str | None:
    tag = data[at]
    if tag in (_SMALL_ATOM, _OLD_SMALL_ATOM):
        length, start = data[at + 1], at + 2
    elif tag in (_ATOM, _OLD_ATOM):
        length, start = int.from_bytes(data[at + 1 : at + 3], "big"), at + 3
    else:
        return None
    return data[start : start + length].decode("utf-8" if tag in (_SMALL_ATOM, _ATOM) else "latin-1")


def _tag(data: bytes, at: int) -> str:
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
    return "[…]" if tag in (_LIST, _STRING) else "_"


@lru_cache(4096)
def _printed(atom: str) -> str:
    return terms.inspect(terms.Atom(atom))


def _struct(data: bytes, at: int) -> str:
    pairs = int.from_bytes(data[at + 1 : at + 5], "big")
    at += 5
    for _ in range(pairs):
        value = _behind(data, at)
        if _atom(data, at) == "__struct__":
            module = _atom(data, value)
            return _printed(module) if module else ""
        at = _behind(data, value)
    return ""


def elements(data: bytes) -> list[tuple[int, int]]:
    """Where the elements of an encoded tuple begin and end; empty when it is none or cannot be read."""
    if len(data) < 3 or data[1] != _SMALL_TUPLE:
        return []
    spans, at = list[tuple[int, int]](), 3
    for _ in range(data[2]):
        after = skip.interpreted(data, at, len(data))
        if after < 0:
            return []
        spans.append((at, after))
        at = after
    return spans


def _behind(data: bytes, at: int) -> int:
    after = skip.interpreted(data, at, len(data))
    if after < 0:
        raise IndexError
    return after
