"""A recording in one file: written by `pack`, read in place, unpacked with suspicion.

A pack is a zip. What is compressed already (segments) is stored, each member beginning at a multiple of 64 bytes, so it
is mapped where it lies; raw files are deflated. The index is at the end, as zips have it, so that a reader over HTTP
needs the end of the file and the members it asks for. Decision 0009 has the reasons.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from elixirscope.errors import EnvironmentProblem, RecordingError
from elixirscope.recording.packed import SUFFIX, Pack

_ALIGNMENT: Final = 64
_PADDING: Final = 0xD935  # the id that zip tools give to padding for alignment
_LOCAL_HEADER: Final = 30
_ZIP64_EXTRA: Final = 20
_PARTS: Final = ("raw", "segments", "sources")  # folders of a recording that go into a pack
_FILES: Final = ("manifest.json", "plan.toml", "plan.terms")
_NAME = re.compile(r"[\w@.+=-][\w@.+= -]{0,200}", re.ASCII)
_DEEPEST: Final = 6
_CHUNK: Final = 1 << 20
_RATIO: Final = 1_100  # deflate cannot make less of anything
_UNIX: Final = 3


def pack(recording: Path, target: Path) -> int:
    """Write the sealed recording in the folder `recording` into the file `target`; gives its size in bytes.

    The file is there whole or not at all. Raises `EnvironmentProblem` when it cannot be written or is there already.
    """
    if target.exists():
        raise EnvironmentProblem(f"{target} is there already", "remove it, or choose another name with -o")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                for path, name in _members(recording):
                    _add(archive, path, name)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write {target}: {error.strerror or error}", "free some space, or choose another place with -o"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target.stat().st_size


def _members(recording: Path) -> Iterator[tuple[Path, str]]:
    """The files of a recording that belong into a pack, with their names in it."""
    for name in _FILES:
        if (recording / name).is_file():
            yield recording / name, name
    for part in _PARTS:
        for path in sorted((recording / part).rglob("*")):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                yield path, path.relative_to(recording).as_posix()


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    about = zipfile.ZipInfo(name)  # of no date: the same recording makes the same pack
    about.compress_type = zipfile.ZIP_DEFLATED if name.startswith("raw/") else zipfile.ZIP_STORED
    about.create_system, about.external_attr = _UNIX, (stat.S_IFREG | 0o644) << 16
    about.file_size = path.stat().st_size
    assert archive.fp is not None
    begins = archive.fp.tell() + _LOCAL_HEADER + len(name.encode()) + _ZIP64_EXTRA + 4
    fill = -begins % _ALIGNMENT
    about.extra = struct.pack("<HH", _PADDING, fill) + b"\0" * fill
    with path.open("rb") as source, archive.open(about, "w", force_zip64=True) as member:
        shutil.copyfileobj(source, member, _CHUNK)


def unpack(packed: Path, target: Path) -> int:
    """Unpack the file `packed` into the new folder `target`; gives how many files.

    Nothing is ever written outside `target`, which is there whole or not at all. Raises `RecordingError` for a pack
    that is damaged or would do anything else than make a recording, `EnvironmentProblem` when `target` is there
    already or cannot be written.
    """
    if packed.is_dir():
        raise RecordingError(
            f"{packed} is a folder, and no pack", f"give a file that `elixirscope pack` made ({SUFFIX})"
        )
    archive = Pack.open(packed).archive
    members = _checked(packed, archive)
    if target.exists() or target.is_symlink():
        raise EnvironmentProblem(f"{target} is there already", "give another folder")
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        total = sum(member.file_size for member in members)
        free = shutil.disk_usage(target.absolute().parent).free
        if total > free:
            raise EnvironmentProblem(f"{packed} unpacks to {total:,} bytes, and {free:,} are free", "free some space")
        fresh.mkdir()
        for member in members:
            path = fresh / member.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("xb") as file:
                _copy(source, file, member, packed)
        fresh.rename(target)
    except (zipfile.BadZipFile, EOFError, struct.error, zlib.error, NotImplementedError) as error:
        raise RecordingError(f"{packed} is damaged: {error}", "get the file again") from error
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write {target}: {error.strerror or error}", "free some space, or give another folder"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return len(members)


def _copy(source: IO[bytes], file: IO[bytes], member: zipfile.ZipInfo, packed: Path) -> None:
    written = 0
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        if written > member.file_size:
            raise _refused(packed, member.filename, "it is larger than it says")
        file.write(chunk)


def _checked(packed: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members to unpack. Raises `RecordingError` for any that does not belong into a recording."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    seen: set[str] = set()
    for member in members:
        name = member.orig_filename
        parts = name.split("/")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _refused(packed, name, "it is a link or a device")
        if not all(_NAME.fullmatch(part) and part.strip(". ") for part in parts) or len(parts) > _DEEPEST:
            raise _refused(packed, name, "its name leads out of the folder, or is none that a recording has")
        if not (name in _FILES or (len(parts) > 1 and parts[0] in _PARTS)):
            raise _refused(packed, name, "a recording has no such file")
        if name.casefold() in seen or any(p.as_posix().casefold() in seen for p in PurePosixPath(name).parents):
            raise _refused(packed, name, "it is there twice")
        seen.add(name.casefold())
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(packed, name, "it is encrypted or compressed in a way that packs are not")
        stored = member.compress_type == zipfile.ZIP_STORED
        if member.file_size > (member.compress_size if stored else member.compress_size * _RATIO + _CHUNK):
            raise _refused(packed, name, "it says that it is larger than it can be")
    if not any(name.startswith(("raw/", "segments/")) for name in seen):
        raise RecordingError(f"{packed} holds no recording", f"give a file that `elixirscope pack` made ({SUFFIX})")
    ends = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < ends:
            raise _refused(packed, member.orig_filename, "it overlaps another file")
        ends = member.header_offset + _LOCAL_HEADER + member.compress_size
    return members


def _refused(packed: Path, name: str, why: str) -> RecordingError:
    return RecordingError(
        f"{packed} is refused because of {name[:100]!r}: {why}", f"get a pack that `elixirscope pack` made ({SUFFIX})"
    )
