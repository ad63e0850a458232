"""ElixirScope: an execution cinema for Elixir. `elixirscope.open("x.scope")` is the way in for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

__version__ = "0.1.0"

if TYPE_CHECKING:
    from elixirscope.growing import Growing
    from elixirscope.recorded import Recorded


@overload
def open(path: str | Path, *, live: Literal[False] = False) -> Recorded: ...
@overload
def open(path: str | Path, *, live: Literal[True]) -> Growing: ...


def open(path: str | Path, *, live: bool = False) -> Recorded:
    """Open the recording at `path` (a `.scope` folder) with everything that can be asked of it.

    `live`: while it is being made, as far as it goes; see `elixirscope.growing.Growing`.

    Raises `RecordingError` when it is missing, empty, of a newer format, or not a recording.
    """
    if live:
        from elixirscope.growing import Growing

        return Growing.follow(path)
    from elixirscope.capture.stale import bring_home

    bring_home(Path(path))
    from elixirscope.recorded import Recorded  # numpy and Arrow load only when a recording is opened

    return Recorded.open(path)
