"""What a sealed recording says of itself, in `segments/seal.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from elixirscope import __version__
from elixirscope.recording.coverage import Uncovered, uncovered
from elixirscope.recording.derived import LAYOUT, READABLE
from elixirscope.recording.durable import write_file
from elixirscope.recording.format import Flag
from elixirscope.recording.frames import raw_paths
from elixirscope.recording.log import Log
from elixirscope.recording.schema import SCHEMA_VERSION, TABLES

SEGMENTS: Final = "segments"
VALUES: Final = "values.zst"
_SEAL: Final = "seal.json"


class Seal(msgspec.Struct, frozen=True):
    """What a sealed recording is, and of which raw bytes: written last, so it stands for the whole."""

    schema_version: int
    elixirscope_version: str
    raw: dict[str, int]  # the raw files it was made of, and their sizes
    events: int
    lost: int
    truncated: int
    duration_ns: int
    started_unix_ns: int
    bytes: int
    complete: bool
    coverage: list[Uncovered]
    rows: dict[str, int]  # of each table
    engines: list[str] = []  # how events left the VMs: portable, native
    layout: int = 1  # of these files


def sealed(recording_dir: Path) -> Seal | None:
    """The seal of a recording whose segments are whole and of its present raw files; else None."""
    segments = recording_dir / SEGMENTS
    try:
        found = msgspec.json.decode((segments / _SEAL).read_bytes(), type=Seal)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        return None
    made = (found.schema_version, found.elixirscope_version)
    current = made == (SCHEMA_VERSION, __version__) and found.layout in READABLE
    whole = all((segments / name).is_file() for name in (VALUES, *(f"{table}.parquet" for table in TABLES)))
    return found if current and whole and found.raw == raw_sizes(recording_dir) else None


def raw_sizes(recording_dir: Path) -> dict[str, int]:
    """The raw files, and how large they are."""
    return {path.name: path.stat().st_size for path in raw_paths(recording_dir / "raw")}


def truncated_in(log: Log) -> int:
    """How many of its values were cut."""
    return int(((log.rows["flags"] & Flag.TRUNCATED) != 0).sum())


def facts_of(log: Log, raw: dict[str, int], *, truncated: int, rows: dict[str, int]) -> Seal:
    """What is sealed. `log`: the last slice; `truncated`, `rows`: of all."""
    return Seal(
        schema_version=SCHEMA_VERSION,
        elixirscope_version=__version__,
        raw=raw,
        events=rows["events"],
        lost=log.lost,
        truncated=truncated,
        duration_ns=log.duration_ns,
        started_unix_ns=log.start_unix_ns,
        bytes=log.bytes,
        complete=log.complete,
        coverage=uncovered(log),
        engines=sorted({str(meta["engine"]) for meta in log.metas if "engine" in meta}),
        rows=rows,
        layout=LAYOUT,
    )


def identity(seal: Seal) -> dict[str, Any]:
    """What columns and indexes are made of: those of another identity are not this recording's."""
    return {"raw": seal.raw, "elixirscope_version": seal.elixirscope_version, "rows": seal.rows}


def write_seal(segments: Path, facts: Seal) -> None:
    """Say what is in the folder `segments`. Raises `OSError`."""
    encoded = msgspec.json.format(msgspec.json.encode(facts), indent=1)
    write_file(segments / _SEAL, lambda file: file.write(encoded))
