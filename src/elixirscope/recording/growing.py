"""What comes a few at a time: rows of whole numbers, and the beginning of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


class First(Sequence[T]):
    """What a list holds now, of one that is only ever added to. It is not copied."""

    __slots__ = ("_all", "_count")

    def __init__(self, found: list[T]) -> None:
        self._all, self._count = found, len(found)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> list[T]: ...

    def __getitem__(self, at: int | slice) -> T | list[T]:
        if isinstance(at, slice):
            return self._all[slice(*at.indices(self._count))]
        if not -self._count <= at < self._count:
            raise IndexError(f"{at} of {self._count}")
        return self._all[at if at >= 0 else at + self._count]


class GrowingRows:
    """Rows of `width` numbers; grows without moving what was given out, and is seldom copied."""

    def __init__(self, width: int) -> None:
        self._rows = np.empty((1024, width), np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, rows: npt.NDArray[np.int64]) -> None:
        count = self._count + len(rows)
        if count > len(self._rows):
            before = self.all
            self._rows = np.empty((2 * count, self._rows.shape[1]), np.int64)
            self._rows[: len(before)] = before
        self._rows[self._count : count] = rows
        self._count = count

    @property
    def all(self) -> npt.NDArray[np.int64]:
        """All that were appended so far."""
        return self._rows[: self._count]
