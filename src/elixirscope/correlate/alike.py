"""Many encoded terms at once: those that differ only in numbers and texts have their parts in the same places.

A program sends millions of messages of a few shapes. One of each shape is read; that the others have the same bytes
wherever a tag, a size or an atom stands, is a comparison of arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.correlate.columns import Ints
from elixirscope.correlate.shapes import Shape, Span, elements, free_bytes, from_reference, outline
from elixirscope.recording.values import RawValues

_FEW = 4  # fewer are read one by one
_LONGEST = 4096
_KINDS = 64  # tried per length, before what is left is read one by one


class Alike(NamedTuple):
    """Terms of one make: `places` in what was asked for, a row of bytes each, and one of them."""

    places: Ints
    rows: npt.NDArray[np.uint8]
    example: bytes

    def part(self, span: Span | None) -> list[bytes] | list[None]:
        """The same part of each."""
        start, end = span or (0, 0)
        if span is None:
            return [None] * len(self.places)
        if start == end:
            return [b""] * len(self.places)
        cut = np.ascontiguousarray(self.rows[:, start:end])
        parts: list[bytes] = cut.view(f"V{end - start}").ravel().tolist()
        return parts


class Arguments(NamedTuple):
    """What a callback was called with: each argument, and the references that the first two carry, encoded."""

    parts: tuple[bytes, ...] = ()
    refs: tuple[bytes, ...] = ()


class Parts(NamedTuple):
    """Some parts of each of many terms: `content` has them all, `of` the place of each one's term, ascending, and `at`
    where in `content` it is."""

    of: Ints
    at: Ints
    content: list[bytes]

    @classmethod
    def join(cls, of: list[Ints], content: list[bytes]) -> Parts:
        """Those of several groups of terms; `of`: the places of the terms of each."""
        joined = np.concatenate([np.empty(0, np.int64), *of])
        order = np.argsort(joined, kind="stable")
        return cls(joined[order], order, content)

    def of_term(self, place: int) -> tuple[bytes, ...]:
        """The parts of one term."""
        first, end = np.searchsorted(self.of, [place, place + 1]).tolist()
        return tuple(self.content[number] for number in self.at[first:end].tolist())


class AllArguments(NamedTuple):
    """The arguments of many calls."""

    parts: Parts
    refs: Parts

    def of_call(self, place: int) -> Arguments:
        """Those of one call."""
        return Arguments(self.parts.of_term(place), self.refs.of_term(place))


def shapes(values: RawValues, ids: Ints) -> list[Shape]:
    """The shapes of messages."""
    found: list[Shape] = [Shape("info", None)] * len(ids)
    for group in alike(values, ids):
        kind, tag, ref, body, subject = outline(group.example)
        parts = zip(group.places.tolist(), group.part(ref), group.part(body), group.part(subject), strict=True)
        for place, its_ref, its_body, its_subject in parts:
            found[place] = Shape(kind, tag, its_ref, its_body or b"", its_subject)
    return found


def all_arguments(values: RawValues, ids: Ints) -> AllArguments:
    """The arguments in encoded tuples."""
    of_parts, of_refs = list[Ints](), list[Ints]()
    parts, refs = list[bytes](), list[bytes]()
    for group in alike(values, ids):
        spans = elements(group.example)
        for span in spans:
            of_parts.append(group.places)
            parts += (part or b"" for part in group.part(span))
        for start, _ in spans[:2]:
            if (found := from_reference(group.example, start)) is not None:
                of_refs.append(group.places)
                refs += (ref or b"" for ref in group.part(found))
    return AllArguments(Parts.join(of_parts, parts), Parts.join(of_refs, refs))


def alike(values: RawValues, ids: Ints) -> Iterator[Alike]:
    """All of the values `ids`, in groups."""
    sizes = values.sizes(ids)
    order = np.argsort(sizes, kind="stable")
    starts = np.flatnonzero(np.diff(sizes[order], prepend=-1))
    for places in np.split(order, starts[1:]) if len(order) else []:
        size = int(sizes[places[0]])
        if len(places) < _FEW or not 1 < size <= _LONGEST:
            yield from _one_by_one(values, ids, places)
            continue
        rows = values.rows(ids[places], size)
        for _ in range(_KINDS):
            example = rows[0].tobytes()
            free = free_bytes(example)
            if free is None:
                break
            fixed = np.ones(size, dtype=bool)
            for start, end in free:
                fixed[start:end] = False
            same = (rows[:, fixed] == rows[0, fixed]).all(axis=1)
            yield Alike(places[same], rows[same], example)
            places, rows = places[~same], rows[~same]
            if not len(places):
                break
        yield from _one_by_one(values, ids, places)


def _one_by_one(values: RawValues, ids: Ints, places: Ints) -> Iterator[Alike]:
    for place in places.tolist():
        data = values.bytes(int(ids[place]))
        yield Alike(np.array([place]), np.frombuffer(data, np.uint8)[None], data)
