"""The port and the token at which a recording is served: kept for the user, so that a page that is still open finds a
server that was started again."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import msgspec

from elixirscope.folders import user_folder


class Address(msgspec.Struct, frozen=True):
    """Where one recording is served on 127.0.0.1, and the secret that its page carries."""

    port: int
    token: str

    @classmethod
    def new(cls) -> Address:
        """A free port, and a fresh secret."""
        return cls(0, new_token())

    @classmethod
    def of(cls, recording: Path) -> Address:
        """The one that the recording was served at last, else a new one."""
        try:
            file = _file(recording)
            if file.stat().st_mode & 0o077 or file.stat().st_uid != os.getuid():
                return cls.new()  # others could have read, or written it
            return msgspec.json.decode(file.read_bytes(), type=cls)
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
            return cls.new()

    def keep(self, recording: Path) -> None:
        """Remember it for the next time; where that is not possible, a page is opened anew after a restart."""
        file = _file(recording)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                os.fchmod(descriptor, 0o600)
                opened.write(msgspec.json.encode(self))
        except OSError:
            return


def new_token() -> str:
    """A fresh secret for one server."""
    return secrets.token_urlsafe(24)


def _file(recording: Path) -> Path:
    name = hashlib.sha256(str(recording.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return user_folder("XDG_STATE_HOME") / "addresses" / f"{name}.json"
