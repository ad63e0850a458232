"""Flame graphs: merged, in time, inverted, of one function; and the sums against a plain walk over all frames."""

from __future__ import annotations

from collections import Counter

import pytest

from elixirscope.errors import NotFoundError, QueryError, UsageError
from elixirscope.film import Film
from elixirscope.query.cancellation import Cancellation
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.flame import Flame, Node, flame
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def shown(answer: Flame, nodes: list[Node] | None = None) -> list[tuple[object, ...]]:
    """(depth, function, total, self, wait) in µs."""
    return [
        (
            n.depth,
            answer.functions[n.function].label.rsplit(".", 1)[1],
            *(t // 1_000 for t in (n.total_ns, n.self_ns, n.wait_ns)),
        )
        for n in (answer.nodes if nodes is None else nodes)
    ]


LOOP = """
    processes: box
     1 box call Box.run()
     2 box call Box.step(1)
     3 box call Box.deep(1)
     5 box return 1
     6 box return 1
     7 box call Box.step(2)
     9 box return 2
    10 box call Box.step(3)
    11 box call Box.step(4)
    14 box return 4
    15 box return 3
    16 box return :ok
"""


def test_callers_stand_above_callees_the_longest_first(sale: Drawn) -> None:
    answer = flame(sale.query)
    assert shown(answer) == [
        (0, "buy/2", 23, 23, 18),
        (0, "look/0", 21, 21, 0),
        (0, "handle_call/3", 11, 7, 0),
        (1, "enter/2", 4, 4, 0),
        (0, "init/1", 2, 2, 0),
    ]
    assert answer.total_ns == 57_000
    starts = [node.start // 1_000 for node in answer.nodes]
    assert starts == [0, 23, 44, 44, 55]


def test_frames_are_cut_to_the_window_and_chosen_by_process(sale: Drawn) -> None:
    answer = flame(sale.query, 18_000, 22_000, [sale.process("seats")])
    assert shown(answer) == [(0, "handle_call/3", 4, 1, 0), (1, "enter/2", 3, 3, 0)]
    waits = flame(sale.query, 18_000, 22_000, [sale.process("client")])
    assert shown(waits) == [(0, "buy/2", 4, 4, 4)]
    assert flame(sale.query, 18_000, 22_000, []).nodes == []


def test_equal_stacks_are_one_node(drawn: Draw) -> None:
    film = drawn(LOOP)
    assert shown(flame(film.query)) == [
        (0, "run/0", 15, 4, 0),
        (1, "step/1", 11, 6, 0),
        (2, "step/1", 3, 3, 0),
        (2, "deep/1", 2, 2, 0),
    ]
    step = next(f for f in flame(film.query).functions if f.label == "Box.step/1")
    assert (step.calls, step.self_ns, step.total_ns) == (4, 9_000, 11_000)  # the recursive call counts once


def test_in_time_neighbours_that_are_alike_join(drawn: Draw) -> None:
    film = drawn(LOOP)
    box = film.process("box")
    fine = flame(film.query, view="time", processes=[box], width=100_000)
    assert [(n.depth, n.start // 1_000, n.total_ns // 1_000) for n in fine.nodes] == [
        (0, 0, 15),
        (1, 1, 4),
        (2, 2, 2),
        (1, 6, 2),
        (1, 9, 5),
        (2, 10, 3),
    ]
    coarse = flame(film.query, view="time", processes=[box], width=15)
    assert [(n.depth, n.start // 1_000, n.total_ns // 1_000, n.calls) for n in coarse.nodes] == [
        (0, 0, 15, 1),
        (1, 1, 11, 3),
        (2, 2, 2, 1),
        (2, 10, 3, 1),
    ]


def test_inverted_begins_with_who_spent_the_time(drawn: Draw) -> None:
    film = drawn(LOOP)
    assert shown(flame(film.query, view="inverted"))[:4] == [
        (0, "step/1", 9, 0, 0),
        (1, "run/0", 6, 6, 0),
        (1, "step/1", 3, 0, 0),
        (2, "run/0", 3, 3, 0),
    ]


def test_a_sandwich_has_callers_and_callees(drawn: Draw) -> None:
    film = drawn(LOOP)
    answer = flame(film.query, view="sandwich", function="Box.step/1")
    assert shown(answer) == [(0, "step/1", 11, 6, 0), (1, "step/1", 3, 3, 0), (1, "deep/1", 2, 2, 0)]
    assert shown(answer, answer.callers) == [(0, "step/1", 11, 0, 0), (1, "run/0", 11, 11, 0)]


def test_what_is_too_narrow_is_counted(sale: Drawn) -> None:
    answer = flame(sale.query, width=10)  # a pixel is 5.7 µs
    assert [label for _, label, *_ in shown(answer)] == ["buy/2", "look/0", "handle_call/3"]
    assert answer.hidden == 2


def test_wrong_questions(query: QueryCoordinator) -> None:
    for wrong in ({"view": "colour"}, {"view": "time"}, {"view": "sandwich"}):
        with pytest.raises(UsageError):
            flame(query, **wrong)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="did not run"):
        flame(query, view="sandwich", function="No.such/9")


@pytest.mark.beam
def test_a_real_recording_against_a_plain_walk(example_recording: str) -> None:
    query = Film.open(example_recording).query
    rows = {row["call"]: row for row in query.rows("select * from raw.calls")}
    duration = query.recording.info.duration_ns
    wanted: Counter[tuple[str, ...]] = Counter()
    for row in rows.values():
        stack, at = list[str](), row["call"]
        while at in rows:
            stack.append(f"{rows[at]['module']}.{rows[at]['function']}/{rows[at]['arity']}")
            at = rows[at]["parent"]
        wanted[tuple(reversed(stack))] += (duration if row["end"] is None else row["end"]) - row["start"]
    answer = flame(query, width=10**9)
    found: Counter[tuple[str, ...]] = Counter()
    stacks: list[tuple[str, ...]] = []
    for node in answer.nodes:
        above = stacks[node.parent] if node.parent is not None else ()
        stacks.append((*above, answer.functions[node.function].label))
        found[stacks[-1]] += node.total_ns
    assert answer.hidden == 0
    assert found == wanted
    assert sum(node.self_ns for node in answer.nodes) <= answer.total_ns
    assert flame(query, view="inverted").total_ns == sum(node.self_ns for node in answer.nodes)


def test_a_cancelled_graph_stops(sale: Drawn) -> None:
    stop = Cancellation()
    with stop.asking():
        stop.cancel()
        with pytest.raises(QueryError, match="cancelled"):
            flame(sale.query)
    assert flame(sale.query).total_ns == 57_000


def test_a_frame_that_reaches_into_the_window_is_cut_to_it(drawn: Draw) -> None:
    query = drawn(LOOP).query
    inside = flame(query, 3_000, 7_000)
    assert shown(inside) == [(0, "run/0", 4, 1, 0), (1, "step/1", 3, 2, 0), (2, "deep/1", 1, 1, 0)]
    assert flame(query, 3_000, 7_000, [0]) == inside
    assert flame(query, 3_000, 7_000, []).nodes == []
