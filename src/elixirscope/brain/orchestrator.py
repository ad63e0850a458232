"""The life cycle of analyses and plans."""

from __future__ import annotations

from pathlib import Path

from elixirscope.brain.levels import Intent
from elixirscope.brain.plan import Plan


def plan_for(directory: Path, intent: Intent) -> Plan:
    """The plan `record` uses when its user gives none."""
    return Plan.of_intent(intent)
