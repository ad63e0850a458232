"""Reading a pack in place: paths that lead into it, whether it is a file or behind HTTP.

`PackedPath` answers what the readers of a recording ask of a path, so that they need not know of packs. Members that
are stored are parts of the one mapped file; deflated ones are inflated when asked for.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Self, cast

from elixirscope.errors import EnvironmentProblem, RecordingError
from elixirscope.recording.ranges import HttpFile, Positioned

SUFFIX: Final = ".scopez"
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LARGEST_INFLATED: Final = 1 << 36
_mounted: dict[str, Pack] = {}
_lock = threading.Lock()


def located(path: Path | str) -> Path:
    """The path of a recording: a folder as it is, a pack (a file, or an http address) as a path into it.

    Raises `RecordingError` for a pack that is damaged, `EnvironmentProblem` when it cannot be read.
    """
    text = str(path)
    if text.startswith(("http://", "https://")) or Path(path).is_file():
        key = str(PurePosixPath(text))
        pack = Pack.open(text if "://" in text else Path(path))
        with _lock:
            _mounted[key] = pack
        return cast(Path, PackedPath(key))  # it has what readers ask of a Path
    return Path(path)


def is_packed(path: object) -> bool:
    """Whether a path leads into a pack."""
    return isinstance(path, PackedPath)


def packed_content(path: object) -> memoryview | None:
    """The content of a file in a pack; None for a path that does not lead into one. Raises as `Pack.bytes`."""
    return path.mapped() if isinstance(path, PackedPath) else None


class _View(Positioned):
    """Mapped bytes as a file."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data = data

    def _bytes(self) -> int:
        return len(self._data)

    def _part(self, start: int, end: int) -> memoryview:
        return self._data[start:end]


class Pack:
    """An opened pack."""

    def __init__(self, name: str, file: IO[bytes], data: memoryview | None) -> None:
        self.name = name
        self._file = file
        self._data = data  # None: behind HTTP
        self._lock = threading.Lock()
        try:
            self.archive = zipfile.ZipFile(file)
            self._members = {member.filename: member for member in self.archive.infolist() if not member.is_dir()}
        except (zipfile.BadZipFile, struct.error, ValueError, OSError, NotImplementedError) as error:
            raise RecordingError(
                f"{name} is a file, and no pack: {error}",
                f"give the folder that `elixirscope record` made (it ends in .scope), or a pack ({SUFFIX})",
            ) from error

    @classmethod
    def open(cls, source: Path | str) -> Self:
        """Open a file, or an address that answers ranges. Raises `RecordingError`, `EnvironmentProblem`."""
        if isinstance(source, str) and "://" in source:
            return cls(source, cast(IO[bytes], io.BufferedReader(HttpFile(source), 1 << 16)), None)
        try:
            with Path(source).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
        except FileNotFoundError as error:
            raise RecordingError(
                f"there is no recording at {source}", f"give a pack that `elixirscope pack` made (it ends in {SUFFIX})"
            ) from error
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot read {source}: {error.strerror or error}", "give yourself permission to read it"
            ) from error
        data = memoryview(mapped)
        return cls(str(source), cast(IO[bytes], io.BufferedReader(_View(data))), data)

    @cached_property
    def folders(self) -> set[str]:
        """The folders in it, "" for its top."""
        return {""} | {p.as_posix() for name in self._members for p in PurePosixPath(name).parents if str(p) != "."}

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder."""
        prefix = f"{folder}/" if folder else ""
        inside = {name[len(prefix) :].split("/")[0] for name in self._members if name.startswith(prefix)}
        return sorted(inside)

    def size(self, name: str) -> int | None:
        """The bytes of a member; None when there is none of that name."""
        member = self._members.get(name)
        return None if member is None else member.file_size

    def bytes(self, name: str) -> memoryview:
        """The content of a member. Raises `OSError` for one that is not there, `RecordingError` for a damaged one."""
        member = self._members.get(name)
        if member is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such file in the pack", f"{self.name}/{name}")
        with self._lock:
            try:
                raw = self._raw(member)
                if member.compress_type == zipfile.ZIP_STORED:
                    return raw
                return self._inflated(member, raw)
            except (zipfile.BadZipFile, zlib.error, struct.error, EOFError) as error:
                raise RecordingError(f"{self.name} is damaged at {name}: {error}", "get the file again") from error

    def _raw(self, member: zipfile.ZipInfo) -> memoryview:
        """Where a member lies: its local header says how long itself is."""
        if self._data is not None:
            header = self._data[member.header_offset : member.header_offset + _LOCAL_HEADER.size]
        else:
            self._file.seek(member.header_offset)
            header = memoryview(self._file.read(_LOCAL_HEADER.size))
        magic, name_size, extra_size = _LOCAL_HEADER.unpack(header)
        if magic != b"PK\x03\x04":
            raise zipfile.BadZipFile("no file begins there")
        start = member.header_offset + _LOCAL_HEADER.size + name_size + extra_size
        if self._data is not None:
            found = self._data[start : start + member.compress_size]
        else:
            self._file.seek(start)
            found = memoryview(self._file.read(member.compress_size))
        if len(found) != member.compress_size:
            raise EOFError("the pack ends too early")
        return found

    def _inflated(self, member: zipfile.ZipInfo, raw: memoryview) -> memoryview:
        if member.compress_type != zipfile.ZIP_DEFLATED or member.file_size > _LARGEST_INFLATED:
            raise zipfile.BadZipFile("it is compressed in a way that packs are not")
        inflater = zlib.decompressobj(-15)
        content = inflater.decompress(raw, member.file_size + 1)
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise zipfile.BadZipFile("its content is not what was packed")
        return memoryview(content)


class PackedPath(PurePosixPath):
    """A path into a mounted pack: reads like a `Path`, and refuses to write."""

    def _place(self) -> tuple[Pack, str]:
        text = str(self)
        for key, pack in _mounted.items():
            if text == key or text.startswith(f"{key}/"):
                return pack, text[len(key) + 1 :]
        raise FileNotFoundError(errno.ENOENT, "this pack is not open", text)

    def mapped(self) -> memoryview:
        """The content, where it lies if it is stored."""
        pack, name = self._place()
        return pack.bytes(name)

    def read_bytes(self) -> bytes:
        """See `Path`."""
        return bytes(self.mapped())

    def open(self, mode: str = "r", *_: Any, **__: Any) -> IO[bytes]:
        """See `Path`; only for reading bytes."""
        if mode != "rb":
            raise self._read_only()
        return io.BytesIO(self.mapped())

    def exists(self) -> bool:
        """See `Path`."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """See `Path`."""
        pack, name = self._place()
        return pack.size(name) is not None

    def is_dir(self) -> bool:
        """See `Path`."""
        pack, name = self._place()
        return name in pack.folders

    def is_symlink(self) -> bool:
        """See `Path`."""
        return False

    def iterdir(self) -> Iterator[PackedPath]:
        """See `Path`."""
        pack, name = self._place()
        if name not in pack.folders:
            raise FileNotFoundError(errno.ENOENT, "there is no such folder in the pack", str(self))
        return iter([self / inside for inside in pack.names(name)])

    def rglob(self, _pattern: str) -> Iterator[PackedPath]:
        """All files below, for the pattern `*`, the only one asked for."""
        for path in self.iterdir() if self.is_dir() else ():
            yield path
            yield from path.rglob("*")

    def stat(self) -> os.stat_result:
        """Kind and size."""
        pack, name = self._place()
        size = pack.size(name)
        if size is None and name not in pack.folders:
            raise FileNotFoundError(errno.ENOENT, "there is no such file in the pack", str(self))
        kind = stat.S_IFDIR | 0o555 if size is None else stat.S_IFREG | 0o444
        return os.stat_result((kind, 0, 0, 1, 0, 0, size or 0, 0, 0, 0))

    def resolve(self) -> Self:
        """Itself: a pack has no links."""
        return self

    def _read_only(self) -> OSError:
        return OSError(errno.EROFS, "a pack is only read: unpack it to change it", str(self))

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Refused."""
        raise self._read_only()

    def replace(self, _target: object) -> None:
        """Refused."""
        raise self._read_only()

    def unlink(self, missing_ok: bool = False) -> None:
        """Refused, where there is something to remove."""
        if not missing_ok:
            raise self._read_only()
