"""A row of a table, of which only what is asked for is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
"""Column of `recording.schema` → value."""


class Lazy(Mapping[str, Any]):
    """A row that reads each of its columns when that is first asked for: of a large recording every column is a page
    of its own, which perhaps only the disk has."""

    __slots__ = ("_columns", "_number", "_read")

    def __init__(self, columns: Mapping[str, pa.Array | pa.ChunkedArray], number: int) -> None:
        self._columns, self._number = columns, number
        self._read = dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._read:
            self._read[name] = self._columns[name][self._number].as_py()
        return self._read[name]

    @property
    def read(self) -> set[str]:
        """The columns that were read so far."""
        return set(self._read)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return repr(dict(self))
