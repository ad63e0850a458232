"""The critical path: stretches that fill a frame's span, through whatever processes it waited for."""

from __future__ import annotations

import pytest

from elixirscope.errors import NotFoundError
from elixirscope.film import Film
from elixirscope.recording.format import Kind
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def told(film: Drawn, call: int) -> list[tuple[object, ...]]:
    """(from, to in µs since the first event, kind, function)."""
    path = film.dags.performance.path(call)
    return [(s.start // 1_000, s.end // 1_000, s.kind, s.label.split(".")[-1]) for s in path.segments]


def test_a_request_is_followed_into_the_server_and_back(sale: Drawn) -> None:
    buy = sale.event("client", Kind.CALL)
    assert told(sale, buy) == [
        (9, 11, "self", "buy/2"),
        (11, 13, "travel", "handle_call/3"),
        (13, 15, "mailbox", "handle_call/3"),
        (15, 19, "self", "handle_call/3"),
        (19, 23, "self", "enter/2"),
        (23, 26, "self", "handle_call/3"),
        (26, 29, "reply", "handle_call/3"),
        (29, 32, "self", "buy/2"),
    ]
    path = sale.dags.performance.path(buy, limit=2, offset=1)
    assert [s.kind for s in path.segments] == ["travel", "mailbox"]
    assert path.total == 8
    assert [(s.kind, s.ns, s.segments) for s in path.shares[:2]] == [("self", 7_000, 2), ("self", 5_000, 2)]


def test_of_a_stretch_of_time_only_what_lies_in_it_is_told(sale: Drawn) -> None:
    buy = sale.event("client", Kind.CALL)
    path = sale.dags.performance.path(buy, within=(14_000, 20_000))
    assert [(s.start, s.end, s.kind) for s in path.segments] == [
        (14_000, 15_000, "mailbox"),
        (15_000, 19_000, "self"),
        (19_000, 20_000, "self"),
    ]
    assert (path.start, path.end) == (14_000, 20_000)
    assert sum(share.ns for share in path.shares) == path.end - path.start
    assert sale.dags.performance.path(buy, within=(0, 2_000)).segments == []


def test_a_request_in_a_mailbox_is_behind_what_the_server_runs_first(drawn: Draw) -> None:
    film = drawn("""
        processes: server, client, first, second
         1 first -> server cast :slow
         2 server callback Server.handle_cast(:slow)
         3 second -> server cast :quick arrives 4
         5 client call Client.ask()
         6 client -> server call :ask as q arrives 7
         8 server return {:noreply, nil}
         9 server callback Server.handle_cast(:quick)
        10 server return {:noreply, nil}
        11 server callback Server.handle_call(:ask, {client, #q})
        12 server return {:reply, 1, nil}
        13 server -> client reply 1 to q arrives 14
        15 client return 1
    """)
    (waiting,) = [s for s in film.dags.performance.path(film.event("client", Kind.CALL)).segments if s.behind]
    assert (waiting.kind, waiting.end - waiting.start, waiting.behind) == ("mailbox", 4_000, 2)


def test_a_request_sent_by_a_tail_call_is_waited_for_by_the_caller(drawn: Draw) -> None:
    film = drawn("""
        processes: client, server
         1 client call Client.run()
         2 client call Client.ask()
         3 client tail GenServer.call/2
         4 client -> server call :ask as q arrives 5
         6 server callback Server.handle_call(:ask, {client, #q})
         8 server return {:reply, 1, nil}
         9 server -> client reply 1 to q arrives 10
        12 client return 1
    """)
    run = film.event("client", Kind.CALL)
    assert [step[2:] for step in told(film, run)] == [
        ("self", "run/0"),
        ("self", "ask/0"),
        ("self", "run/0"),
        ("travel", "handle_call/3"),
        ("mailbox", "handle_call/3"),
        ("self", "handle_call/3"),
        ("reply", "handle_call/3"),
        ("self", "run/0"),
    ]
    spent = film.dags.performance.spent(run)
    assert (spent.self_ns, spent.wait_reply_ns) == (4_000, 6_000)


def test_of_two_tasks_the_one_that_came_last_decided(drawn: Draw) -> None:
    film = drawn("""
        processes: top, fast, slow
         1 top call Top.run()
         2 top spawns fast running Top.fast/0
         3 top spawns slow running Top.slow/0
         4 fast call Top.fast()
         5 slow call Top.slow()
         6 fast return 1
         7 fast -> top {:done, 1}
        10 slow return 2
        11 slow -> top {:done, 2}
        13 top return :ok
    """)
    path = film.dags.performance.path(film.event("top", Kind.CALL))
    assert [(s.kind, s.label, s.certain) for s in path.segments] == [
        ("self", "Top.run/0", True),
        ("travel", "Top.slow/0", False),
        ("self", "Top.slow/0", True),
        ("reply", "Top.slow/0", False),
        ("self", "Top.run/0", True),
    ]


def test_an_unanswered_request_waits_to_the_end(drawn: Draw) -> None:
    film = drawn("""
        processes: client, server
         1 client call Client.ask()
         2 client -> server call :ask as q arrives 3
         9 client exits :timeout
    """)
    assert told(film, film.event("client", Kind.CALL))[-1][2:] == ("reply", "ask/0")


def test_no_frame_no_path(sale: Drawn) -> None:
    with pytest.raises(NotFoundError, match="is not a function call"):
        sale.dags.performance.path(sale.event("client", Kind.BIND))


@pytest.mark.beam
def test_real_tests_are_filled_without_gap(example_recording: str) -> None:
    film = Film.open(example_recording)
    tests = film.query.rows("select call from raw.tests where call is not null")
    assert tests
    kinds = set()
    for test in tests:
        path = film.dags.performance.path(test["call"])
        ends = [path.start, *(segment.end for segment in path.segments)]
        assert [segment.start for segment in path.segments] == ends[:-1]
        assert ends[-1] == path.end
        assert sum(share.ns for share in path.shares) == path.end - path.start
        kinds |= {segment.kind for segment in path.segments}
    assert {"self", "travel", "mailbox", "reply"} <= kinds
