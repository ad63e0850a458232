"""ElixirScope: an execution cinema for Elixir. `elixirscope.open("x.scope")` is the way in for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from elixirscope.film import Film


def open(path: str | Path) -> Film:
    """Open the recording at `path` (a `.scope` folder) with everything that can be asked of it.

    Raises `RecordingError` when it is missing, empty, of a newer format, or not a recording.
    """
    from elixirscope.film import Film  # numpy, Arrow and DuckDB load only when a recording is opened

    return Film.open(path)
