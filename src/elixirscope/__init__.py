"""ElixirScope: an execution cinema for Elixir. `elixirscope.open("x.scope")` is the way in for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from elixirscope.recorded import Recorded


def open(path: str | Path) -> Recorded:
    """Open the recording at `path` (a `.scope` folder) with everything that can be asked of it.

    Raises `RecordingError` when it is missing, empty, of a newer format, or not a recording.
    """
    from elixirscope.recorded import Recorded  # numpy, Arrow and DuckDB load only when a recording is opened

    return Recorded.open(path)
