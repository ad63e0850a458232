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


def shapes(values: RawValues, ids: Ints) -> list[Shape]:
    """The shapes of messages."""
    found: list[Shape] = [Shape("info", None)] * len(ids)
    for group in alike(values, ids):
        kind, tag, ref, body, subject = outline(group.example)
        parts = zip(group.places.tolist(), group.part(ref), group.part(body), group.part(subject), strict=True)
        for place, its_ref, its_body, its_subject in parts:
            found[place] = Shape(kind, tag, its_ref, its_body or b"", its_subject)
    return found


def all_arguments(values: RawValues, ids: Ints) -> list[Arguments]:
    """The arguments in encoded tuples."""
    found = [Arguments()] * len(ids)
    for group in alike(values, ids):
        spans = elements(group.example)
        refs = [ref for start, _ in spans[:2] if (ref := from_reference(group.example, start)) is not None]
        columns = [group.part(span) for span in spans]
        of_refs = [group.part(ref) for ref in refs]
        for number, place in enumerate(group.places.tolist()):
            parts = tuple(column[number] or b"" for column in columns)
            found[place] = Arguments(parts, tuple(column[number] or b"" for column in of_refs))
    return found


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
