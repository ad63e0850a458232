"""The drawn sale, for questions."""

from __future__ import annotations

import pytest

from elixirscope.query.coordinator import QueryCoordinator
from tests.dags.drawn import SALE, Drawn, open_picture


@pytest.fixture(scope="session")
def sale(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """`SALE`, shared: reading changes nothing."""
    return open_picture(SALE, tmp_path_factory.mktemp("sale") / "sale.scope")


@pytest.fixture(scope="session")
def query(sale: Drawn) -> QueryCoordinator:
    """Its coordinator, with the views of the DAGs registered."""
    return sale.query
