"""The version of the recording format: by itself, for the recorder names it before it has loaded NumPy."""

from __future__ import annotations

from typing import Final

FORMAT_VERSION: Final = 1
