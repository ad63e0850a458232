"""The drawn sale, for questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from elixirscope.query.coordinator import QueryCoordinator
from tests.dags.drawn import SALE, Drawn, open_picture


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[[str], Drawn]:
    """Draws a situation of the test's own."""
    return lambda picture: open_picture(picture, tmp_path / "drawn.scope")


@pytest.fixture(scope="session")
def sale(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """`SALE`, shared: reading changes nothing."""
    return open_picture(SALE, tmp_path_factory.mktemp("sale") / "sale.scope")


@pytest.fixture(scope="session")
def query(sale: Drawn) -> QueryCoordinator:
    """Its coordinator, with the views of the DAGs registered."""
    return sale.query
