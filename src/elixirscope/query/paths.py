"""Places inside a value as a person writes them: `.seats["A1"]`, `.queue[0]`, `{1}`."""

from __future__ import annotations

from typing import Any

from elixirscope.recording.terms import Atom, inspect


def key_path(key: Any) -> str:
    """The step of a path that a map key makes."""
    if isinstance(key, Atom) and key.isidentifier():
        return f".{key}"
    return f"[{inspect(key, limit=60)}]"
