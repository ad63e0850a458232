"""`manifest.json`: what was recorded, by what, and whether the recorder came to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from elixirscope.errors import EnvironmentProblem, RecordingError
from elixirscope.recording.durable import write_file
from elixirscope.recording.version import FORMAT_VERSION

_NAME: Final = "manifest.json"


class Manifest(msgspec.Struct, frozen=True):
    """The recorder's word about a recording."""

    format_version: int
    elixirscope_version: str
    command: list[str]
    cwd: str
    created_unix_ns: int
    exit_status: int | None = None
    state: Literal["recording", "finished"] = "recording"

    def save(self, recording: Path) -> None:
        """Write it into the folder `recording`, all or nothing. Raises `OSError`."""
        encoded = msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
        write_file(recording / _NAME, lambda file: file.write(encoded))

    @classmethod
    def load(cls, recording: Path) -> Manifest | None:
        """The manifest in the folder `recording`; None when there is none.

        One of a newer format is read no further than its version. Raises `RecordingError` for one
        that is damaged, `EnvironmentProblem` for one that may not be read.
        """
        path = recording / _NAME
        try:
            encoded = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot read {path}: {error.strerror or error}",
                "give yourself permission to read the recording's files",
            ) from error
        try:
            return msgspec.json.decode(encoded, type=cls)
        except (UnicodeDecodeError, msgspec.MsgspecError) as error:
            version = _version(encoded)
            if version is not None:
                return cls(version, "?", [], "", 0)
            raise RecordingError(
                f"{path} is damaged: {error}", "remove it: the recording opens without it, from raw/"
            ) from error


class _Versioned(msgspec.Struct):
    format_version: int


def _version(encoded: bytes) -> int | None:
    """The format version of a manifest that is otherwise not as ours are, if it is newer than ours."""
    try:
        version = msgspec.json.decode(encoded, type=_Versioned).format_version
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return None
    return version if version > FORMAT_VERSION else None
