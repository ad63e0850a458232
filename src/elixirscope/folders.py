"""Where what belongs to a user is kept, by the XDG rules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from elixirscope.errors import EnvironmentProblem

_DEFAULTS: Final = {"XDG_CACHE_HOME": ".cache", "XDG_DATA_HOME": ".local/share", "XDG_STATE_HOME": ".local/state"}


def user_folder(variable: Literal["XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"]) -> Path:
    """Our folder below `variable`, or below its default in the user's home; not created here.

    Raises `EnvironmentProblem` where neither is known: a container may run as a user that its system does not have.
    """
    root = os.environ.get(variable, "")
    if root.startswith("/"):  # the rules say to ignore others
        return Path(root) / "elixirscope"
    try:
        return Path.home() / _DEFAULTS[variable] / "elixirscope"
    except RuntimeError as error:
        raise EnvironmentProblem(
            f"user {os.getuid()} has no home folder here, and neither HOME nor {variable} is set",
            f"set {variable} to a folder that can be written",
        ) from error
