"""Copies of the recorded source files: `sources/HASH` and `sources/index.json`.

File names come from the recorded program and, when a recording is read, from whoever made it: they
are hostile. Only source files are copied, and nothing outside the recording is ever read back.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from xxhash import xxh3_128_hexdigest

from elixirscope.errors import EnvironmentProblem
from elixirscope.recording.durable import write_file
from elixirscope.recording.frames import raw_paths
from elixirscope.recording.told import Described, read_told

MAX_BYTES: Final = 2 * 1024 * 1024
_SUFFIXES: Final = frozenset(
    [".ex", ".exs", ".eex", ".heex", ".leex", ".sface", ".livemd", ".erl", ".hrl", ".xrl", ".yrl"]
)
_HASH = re.compile(r"[0-9a-f]{32}")


class Copied(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one source file: its copy's name, or why there is none."""

    copy: str | None = None
    refused: str | None = None


def copy_sources(recording: Path, named: Iterable[str] | None = None) -> None:
    """Copy every source file that the sites of `recording` name, or those `named`; files copied before are left alone.

    What cannot be copied is noted in the index with the reason. Raises `OSError` when the recording
    cannot be written. Processes that do this at the same time do it one after the other.
    """
    folder = recording / "sources"
    files = sorted(_named_files(recording) if named is None else set(named))
    if not files:
        return
    folder.mkdir(exist_ok=True)
    with _alone(folder):
        index = _read_index(folder)
        fresh = [file for file in files if file not in index or index[file].copy is None]
        for file in fresh:
            index[file] = _copy(Path(file), folder)
        if fresh:
            encoded = msgspec.json.format(msgspec.json.encode(index, order="sorted"), indent=1) + b"\n"
            write_file(folder / "index.json", lambda out: out.write(encoded))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # where folders cannot be locked
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_source(recording: Path, file: str) -> list[str] | None:
    """The lines of `file` as recorded, None when it was not kept."""
    folder = recording / "sources"
    copied = _read_index(folder).get(file)
    if copied is None or copied.copy is None or not _HASH.fullmatch(copied.copy):
        return None
    path = folder / copied.copy
    if not path.resolve().is_relative_to(recording.resolve()):  # a link that leads out
        return None
    content = _read(path)
    if isinstance(content, str):
        return None
    # Only \n ends a line for the compiler that numbered them.
    lines = content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines]


def _named_files(recording: Path) -> set[str]:
    meta = [path for path in raw_paths(recording / "raw") if path.stem.endswith("-meta")]
    return {file for path in meta for file in files_of(read_told(path).modules)}


def files_of(modules: Iterable[Described]) -> set[str]:
    """The files that descriptions of modules name."""
    named: set[str] = set()
    for _, info, sites in modules:
        details = (site[6] for site in sites if isinstance(site, tuple) and len(site) == 7)
        for about in (info, *(detail for detail in details if isinstance(detail, dict))):
            if isinstance(file := about.get("file"), bytes):
                named.add(file.decode("utf-8", "replace"))
    return named


def _copy(path: Path, folder: Path) -> Copied:
    if not path.is_absolute() or path.suffix not in _SUFFIXES:
        return Copied(refused="it is not a source file")
    content = _read(path)
    if isinstance(content, str):
        return Copied(refused=content)
    name = xxh3_128_hexdigest(content)
    if not (folder / name).exists():
        write_file(folder / name, lambda out: out.write(content))
    return Copied(copy=name)


def _read(path: Path) -> bytes | str:
    """The content of a regular file, or why it is not read."""
    try:
        if not path.is_file():
            return "there is no such file"
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        return f"it cannot be read: {error}"
    return content if len(content) <= MAX_BYTES else f"it is larger than {MAX_BYTES:,} bytes"


def _read_index(folder: Path) -> dict[str, Copied]:
    path = folder / "index.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Copied])
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return {}  # damaged: as if no source had been kept
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot read {path}: {error.strerror or error}",
            "give yourself permission to read the recording's files",
        ) from error
