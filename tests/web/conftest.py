"""A real server on a real port, for the example's recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from elixirscope.film import Film
from elixirscope.web.server import Server, serving


@pytest.fixture(scope="session")
def film(example_recording: Path) -> Film:
    """The example's recording, opened."""
    return Film.open(example_recording)


@pytest.fixture(scope="session")
def server(film: Film) -> Iterator[Server]:
    """The Cinema, serving."""
    with serving(film) as server:
        yield server


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    """A script that carries the token."""
    headers = {"authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=30) as client:
        yield client
