"""The detectives: what went wrong in a recording, and which line is to blame."""

from __future__ import annotations

from elixirscope.insight.findings import Evidence, Finding, Location
from elixirscope.insight.ranking import investigate

__all__ = ["Evidence", "Finding", "Location", "investigate"]
