"""What correlators give the sealer for a slice of the log: rows to add to tables, and changes of rows already there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elixirscope.recording.log import Log


class Patch(NamedTuple):
    """New contents for some columns of rows that are there already."""

    table: str
    rows: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]


@dataclass
class Changes:
    """What a slice adds to the tables, and what it tells of rows that were there before."""

    rows: dict[str, pa.Table]
    patches: list[Patch]


class Correlator(Protocol):
    """Relates the events of one recording, slice by slice."""

    def relate(self, slices: Iterable[Log]) -> Iterator[Changes]:
        """Slices, one after the other; several may be asked for before the first is answered."""
        ...

    def take(self, log: Log) -> Changes:
        """The next slice."""
        ...

    def finish(self, log: Log) -> Changes:
        """What is known when the last slice was taken."""
        ...

    def news(self, log: Log) -> Changes:
        """What slices tell of processes and exceptions and, by that, of older rows, that was not told by this before:
        with that, as much as `finish` tells of them."""
        ...

    def rest(self, log: Log) -> dict[str, pa.Table]:
        """What `finish` gives of other tables."""
        ...

    def outdated(self, log: Log) -> str | None:
        """Why slices that were taken would be related otherwise by one who knew what the next one, `log`, tells of the
        recording as a whole; None: they would not. Asked for each slice or none, before it is taken."""
        ...
