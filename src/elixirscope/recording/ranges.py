"""A file behind HTTP, read by ranges."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Final

from elixirscope.errors import EnvironmentProblem

_BLOCK: Final = 1 << 18
_KEPT: Final = 64  # blocks
_TIMEOUT: Final = 60


class Positioned(io.RawIOBase):
    """A file that is only read, anywhere: `_bytes` says how long it is, `_part` gives any stretch."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    def _bytes(self) -> int:
        """How many there are."""
        raise NotImplementedError

    def _part(self, start: int, end: int) -> bytes | memoryview:
        """Those from `start` to before `end`, which is not beyond the last."""
        raise NotImplementedError

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the next read."""
        base = 0 if whence == io.SEEK_SET else self._at if whence == io.SEEK_CUR else self._bytes()
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` as far as the file goes."""
        end = min(self._at + len(buffer), self._bytes())
        if end <= self._at:
            return 0
        part = self._part(self._at, end)
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


class HttpFile(Positioned):
    """Bytes at an address whose server answers ranges. Small reads come from blocks that are kept, large ones directly.

    Raises `EnvironmentProblem` for a server that cannot be reached, does not answer ranges, or whose file changes.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._size: int | None = None
        self.fetched = 0  # bytes that came over the net
        self._fetch(0, 1)

    def _bytes(self) -> int:
        return self._size or 0

    def _part(self, start: int, end: int) -> bytes:
        if end - start >= _BLOCK:
            return self._fetch(start, end)
        found = b"".join(self._block(n) for n in range(start // _BLOCK, (end - 1) // _BLOCK + 1))
        first = start % _BLOCK
        return found[first : first + end - start]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * _BLOCK
            self._blocks[number] = self._fetch(start, min(start + _BLOCK, self._size or 0))
            if len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _fetch(self, start: int, end: int) -> bytes:
        import urllib.request  # few recordings lie behind HTTP

        request = urllib.request.Request(self._address, headers={"Range": f"bytes={start}-{end - 1}"})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                if answer.status != 206:
                    raise EnvironmentProblem(
                        f"the server of {self._address} does not answer ranges", "download the file, and open that"
                    )
                size = int(answer.headers.get("Content-Range", "").rpartition("/")[2])
                data: bytes = answer.read(end - start + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise EnvironmentProblem(f"cannot read {self._address}: {reason}", "check the address") from error
        if self._size is not None and size != self._size:
            raise EnvironmentProblem(f"{self._address} changed while it was read", "open it again")
        if len(data) != end - start:
            raise EnvironmentProblem(f"{self._address} gave {len(data):,} of {end - start:,} bytes", "open it again")
        self._size = size
        self.fetched += len(data)
        return data
