"""Drawn recordings, and what the detectives say of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.dags import Dags
from elixirscope.insight import Finding, investigate
from elixirscope.insight.history import History
from elixirscope.pictures import record
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.recording import Recording

Investigate = Callable[[str], list[Finding]]


def dags_of(picture: str, folder: Path) -> Dags:
    """The seven DAGs of a drawn recording."""
    recording = Recording.open(record(picture, folder), correlate=EventCorrelator)
    return Dags(QueryCoordinator(recording))


@pytest.fixture
def found(tmp_path: Path) -> Investigate:
    """Picture → findings."""
    return lambda picture: investigate(dags_of(picture, tmp_path / "picture.scope"))


@pytest.fixture
def history(tmp_path: Path) -> Callable[[str], History]:
    """Picture → what the detectives ask of it."""
    return lambda picture: History(dags_of(picture, tmp_path / "picture.scope"))
