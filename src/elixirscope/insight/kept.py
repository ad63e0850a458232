"""Findings of a large recording are made once and kept with its indexes, as long as the detectives are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from elixirscope.insight.findings import Finding
from elixirscope.recording.arrays import Arrays


def keep(arrays: Arrays, find: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings that were kept; else those that `find` gives, kept from now on where that is possible."""
    (encoded,) = arrays.get(_name(), lambda _: (np.frombuffer(msgspec.json.encode(find()), np.uint8),))
    return msgspec.json.decode(encoded.tobytes(), type=list[Finding])


def are_kept(arrays: Arrays) -> bool:
    """Whether they need not be looked for."""
    return arrays.has(_name())


@cache
def _name() -> str:
    """Other detectives find something else: a digest of their code is part of the name."""
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return f"findings-{hashlib.sha256(code).hexdigest()[:12]}"
