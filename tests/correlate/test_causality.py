"""Causes across processes, and links."""

from __future__ import annotations

from elixirscope.recording.format import Kind
from tests.correlate.drawn import Drawn


def causes(drawn: Drawn) -> list[str]:
    """Every cause: `a send → b receive`."""
    rows = drawn.rows("events")

    def name(event: int) -> str:
        return f"{drawn.who(rows[event]['process'])} {Kind(rows[event]['kind']).name}"

    return [f"{name(row['cause'])} → {name(row['event'])}" for row in rows if row["cause"] is not None]


def test_program_order() -> None:
    drawn = Drawn("""
        a                       b
        mark "1"                |
        |                       mark "2"
        mark "3"                |
        |                       mark "4"
    """)
    assert [row["previous"] for row in drawn.rows("events")] == [None, None, 0, 1]


def test_sends_spawns_and_links() -> None:
    drawn = Drawn("""
        a                       b
        starts b running App.B  |
        |--:hello-------------->|
        |                       unlinks a
    """)
    assert causes(drawn) == [
        "a SPAWN → b SPAWNED",
        "a LINK → b GETTING_LINKED",
        "a SEND → b RECEIVE",
        "b UNLINK → a GETTING_UNLINKED",
    ]


def test_a_crash_goes_along_links_and_reaches_those_who_listen() -> None:
    drawn = Drawn("""
        till                    checkout                 sup              watcher
        |                       links till               |                |
        |                       |                        links checkout   |
        exits :boom             |                        |                |
        |                       exits :boom              |                |
        |                       |                        receives {:EXIT, checkout, :boom}
        |                       |                        |                receives {:DOWN, #m, :process, till, :boom}
    """)
    assert causes(drawn)[2:] == [
        "till EXIT → checkout EXIT",
        "checkout EXIT → sup RECEIVE",
        "till EXIT → watcher RECEIVE",
    ]


def test_an_unlinked_or_differently_ended_process_was_not_killed_by_its_partner() -> None:
    drawn = Drawn("""
        a                       b                        c
        links b                 |                        |
        unlinks b               |                        |
        links c                 |                        |
        exits :boom             |                        |
        |                       exits :boom              |
        |                       |                        exits :bang
    """)
    assert not [cause for cause in causes(drawn) if "EXIT" in cause]


def test_a_bare_spawn_causes_the_first_event_of_its_child() -> None:
    drawn = Drawn("""
        a                       b
        spawns b                |
        |                       call App.run()
    """)
    assert causes(drawn) == ["a SPAWN → b SPAWNED"]
    assert drawn.rows("calls")[0]["remote_parent"] is None

    drawn = Drawn("""
        a                       b
        call App.main()         |
        spawns b                |
        |                       call App.run()
        |                       return 1
        |                       call App.again()
    """)
    parents = [drawn.frame(row["remote_parent"]) for row in drawn.rows("calls")]
    assert parents == [None, "main/0", "main/0"]


def test_links_last_until_they_are_cut_or_a_side_ends() -> None:
    drawn = Drawn("""
        a                       b                        c
   1    links b                 |                        |
   2    links c                 |                        |
   3    |                       unlinks a                |
   4    |                       |                        exits :normal
    """)
    rows = [row for row in drawn.rows("links") if row["kind"] == "link"]
    assert [(drawn.who(row["process"]), drawn.who(row["peer"]), row["until"] // 1000) for row in rows] == [
        ("a", "b", 2),
        ("a", "c", 3),
    ]
    assert all(row["certain"] for row in rows)


def test_calls_and_downs_give_monitors_away() -> None:
    drawn = Drawn("""
        a                       b
        |--call :get as q------>|
        |<--reply 1 to q--------|
        |                       exits :boom
        receives {:DOWN, #m, :process, b, :boom}
    """)
    call, down = (row for row in drawn.rows("links") if row["kind"] == "monitor")
    assert call["until"] > call["at"]
    assert drawn.who(down["peer"]) == "b"
    assert not call["certain"]
    assert not down["certain"]
