"""The DAGs of a real program: the example's test run, recorded on a real VM."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import elixirscope
from elixirscope.film import Film
from elixirscope.moment import Moment

pytestmark = pytest.mark.beam


@pytest.fixture(scope="module")
def film(example_recording: Path) -> Film:
    """The example, open."""
    return elixirscope.open(example_recording)


def test_every_edge_joins_nodes_and_inferred_ones_give_a_reason(film: Film) -> None:
    for dag in film.dags.all:
        nodes, edges = dag.nodes(), dag.edges()
        assert nodes.num_rows
        assert edges.num_rows
        known = set(nodes.column("node").to_pylist())
        for edge in edges.to_pylist():
            assert {edge["source"], edge["target"]} <= known, (dag.name, edge)
            assert edge["certain"] or edge["reason"], (dag.name, edge)


def test_causes_come_before_their_effects(film: Film) -> None:
    for edge in film.dags.causality.edges().to_pylist():
        assert edge["source"] < edge["target"], edge


def test_every_hundredth_moment_has_a_picture(film: Film) -> None:
    for event in range(0, film.query.event_count, 100):
        picture = film.dags.frame_at(Moment(at=0, event=event))
        assert msgspec.json.encode(picture)
        assert picture.event is not None
        if picture.stack and not picture.stack[0].remote:
            assert picture.stack[0].process == picture.event.process


def test_every_slice_is_what_its_steps_say(film: Film) -> None:
    last = film.query.event_count - 1
    for event in range(last // 4, last, last // 4):
        steps = film.dags.causality.backward(event)
        assert {step.event for step in steps} == set(film.dags.causality.slice(event).tolist())


def test_a_callback_that_returned_a_state_ran_once(film: Film) -> None:
    returned = film.query.rows(
        "select site, hits, count(*) as times from raw.sites join raw.events using (site)"
        " where sites.kind = 'return' and events.kind = 2 group by site, hits"
    )
    assert returned
    assert [row for row in returned if row["hits"] != row["times"]] == []


def test_the_crash_is_followed_from_the_exit_to_the_test(film: Film) -> None:
    (crash,) = film.query.rows("select event from exceptions where type = 'ArithmeticError' and not caught limit 1")
    steps = film.dags.causality.why(crash["event"])
    assert steps[0].label == "calls TicketOffice.Till.discount/2"
    assert any("test a checkout" in step.process_label for step in steps)


def test_the_bad_value_is_followed_to_where_it_was_parsed(film: Film) -> None:
    (call,) = film.query.rows("select max(call) as call from calls where function = 'discount' and outcome = 'raised'")
    flow = film.dags.dataflow.flow(call["call"], "percent")
    assert len({hop.process for hop in flow.hops}) == 3
    assert "TicketOffice.PromoCode" in flow.terminator
    assert "promo_code.ex" in flow.terminator
