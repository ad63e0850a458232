"""The seven DAGs of a recording, and the synchronised picture of all of them at a moment."""

from __future__ import annotations

from elixirscope.dags.base import Dag, SqlDag, Step
from elixirscope.dags.causality import CausalityDag
from elixirscope.dags.code import CodeDag
from elixirscope.dags.dataflow import DataflowDag
from elixirscope.dags.frame import frame_at
from elixirscope.dags.interaction import InteractionDag
from elixirscope.dags.performance import PerformanceDag
from elixirscope.dags.picture import Picture
from elixirscope.dags.state import StateDag
from elixirscope.dags.temporal import TemporalDag
from elixirscope.moment import Moment
from elixirscope.query.coordinator import QueryCoordinator

__all__ = ["Dag", "Dags", "Picture", "SqlDag", "Step"]


class Dags:
    """All seven, over one recording; as SQL they are the views `dag_nodes` and `dag_edges`."""

    def __init__(self, query: QueryCoordinator) -> None:
        self.query = query
        self.temporal = TemporalDag(query)
        self.interaction = InteractionDag(query)
        self.state = StateDag(query)
        self.code = CodeDag(query)
        self.dataflow = DataflowDag(query)
        self.performance = PerformanceDag(query)
        self.causality = CausalityDag(query)
        query.register_views(
            {
                "dag_nodes": " union all ".join(f"({dag.NODES})" for dag in self.all),
                "dag_edges": " union all ".join(f"({dag.EDGES})" for dag in self.all),
            }
        )

    @property
    def all(self) -> list[SqlDag]:
        """The seven, in the order of the design."""
        return [
            self.temporal,
            self.interaction,
            self.state,
            self.code,
            self.dataflow,
            self.performance,
            self.causality,
        ]

    def frame_at(self, moment: Moment, *, graph: bool = True) -> Picture:
        """What all seven show at a moment, the graph of all processes if wanted.

        Raises `NotFoundError` for an event or process that does not exist.
        """
        return frame_at(self, moment, graph=graph)
