"""Rows of whole numbers that come a few at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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
