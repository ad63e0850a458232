"""State versions."""

from __future__ import annotations

from tests.correlate.drawn import Drawn


def test_versions_follow_each_other() -> None:
    drawn = Drawn("""
        client                        seats
        |                             callback Seats.init(0)
        |                             state %{a: 1}
        |                             return {:ok, 1}
        |--cast {:put, 2}------------>|
        |                             callback Seats.handle_cast({:put, 2})
        |                             state before %{a: 1}
        |                             state %{a: 2}
        |                             return {:noreply, 2}
        |                             callback Seats.handle_info(:noop)
        |                             state unchanged
        |                             return {:noreply, 2}
        |                             callback Seats.handle_info(:back)
        |                             state %{a: 1}
        |                             return {:noreply, 1}
    """)
    rows = drawn.rows("states")
    assert [(row["version"], drawn.text(row["value"]), row["callback"]) for row in rows] == [
        (0, "%{a: 1}", "init/1"),
        (1, "%{a: 2}", "handle_cast/2"),
        (2, "%{a: 1}", "handle_info/2"),
    ]
    assert [row["until"] for row in rows] == [rows[1]["at"], rows[2]["at"], None]
    assert [row["previous"] for row in rows] == [None, rows[0]["state"], rows[1]["state"]]
    assert rows[1]["message"] == drawn.rows("messages")[0]["message"]
    assert drawn.frame(rows[1]["call"]) == "handle_cast/2"
    assert rows[1]["module"] == "Seats"


def test_a_state_that_was_cut_may_differ_even_when_it_looks_the_same() -> None:
    drawn = Drawn("""
        seats
        callback Seats.handle_info(1)
        state %{a: 1} truncated
        state %{a: 1} truncated
    """)
    assert [row["version"] for row in drawn.rows("states")] == [0, 1]


def test_a_state_seen_by_the_tracer_belongs_to_no_callback() -> None:
    drawn = Drawn("""
        app       sup
        starts sup supervising App.Sup
        |         state %{children: []} discontinuity
    """)
    (row,) = drawn.rows("states")
    assert (row["callback"], row["call"], row["module"], row["discontinuity"]) == (None, None, "App.Sup", True)


def test_each_process_has_its_own_versions() -> None:
    drawn = Drawn("""
        a                             b
        state 1                       |
        |                             state 1
        state 2                       |
    """)
    assert [(drawn.who(row["process"]), row["version"]) for row in drawn.rows("states")] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
    ]
