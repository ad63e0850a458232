"""Why not: each way in which something does not happen, drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from elixirscope.errors import NotFoundError
from elixirscope.film import Film
from elixirscope.insight import whynot
from elixirscope.insight.whynot import WhyNot, why_not_call, why_not_function, why_not_message, why_not_sent
from tests.dags.drawn import SALE, Drawn, open_picture

Draw = Callable[[str], Drawn]


@pytest.fixture
def drawn(tmp_path: Path) -> Draw:
    """Draws a situation of the test's own."""
    return lambda picture: open_picture(picture, tmp_path / "drawn.scope")


def asked(film: Drawn, tag: str) -> WhyNot:
    """The answer about the message of a tag."""
    (row,) = film.query.rows("select message from raw.messages where tag = ? and kind <> 'reply'", [tag])
    answer = why_not_message(film.dags, row["message"])
    for step in answer.evidence:
        assert step.moment.event is not None
        assert film.query.event(step.moment.event)["at"] == step.moment.at
    return answer


BUSY = """
    processes: server, client, other
     1 other -> server cast :slow
     2 server callback Server.handle_cast(:slow) @ lib/server.ex:9
     3 other -> server cast {:second, 2}
     4 client call Client.ask() @ lib/client.ex:1
     5 client -> server call :ask as q arrives 6
    20 other mark "still waiting"
"""


def test_queued_behind_others_while_one_is_still_running(drawn: Draw) -> None:
    film = drawn(BUSY)
    answer = asked(film, ":ask")
    assert (answer.verdict, answer.behind) == ("queued", 1)
    assert [step.text for step in answer.evidence] == [
        f"Client.ask/0 sends call :ask to {film.dags.state.labels.process(film.process('server'))}",
        f"it enters the mailbox of {film.dags.state.labels.process(film.process('server'))}",
        "Server.handle_cast/2 is still running",
    ]
    assert asked(film, ":slow").verdict == "still_running"
    assert asked(film, "{:second, _}").verdict == "still_running"


def test_a_call_waits_for_what_its_request_waits_for(drawn: Draw) -> None:
    film = drawn(BUSY)
    (frame,) = film.query.rows("select call from raw.calls where function = 'ask'")
    answer = why_not_call(film.dags, frame["call"])
    assert answer.verdict == "still_running"
    assert "waits for an answer" in answer.text
    assert "behind 1 other message" in answer.text
    assert answer.behind == 1


def test_dead_before_it_was_sent(drawn: Draw) -> None:
    film = drawn("""
        processes: top, server, client
         1 top spawns server running Server.init/1
         2 server call Server.run()
         3 server exits :shutdown
         5 client -> server {:hello, 1} lost
    """)
    answer = asked(film, "{:hello, _}")
    assert answer.verdict == "dead"
    assert "ends: :shutdown" in answer.evidence[0].text


def test_nobody_has_the_name(drawn: Draw) -> None:
    film = drawn("""
        processes: client
         1 client sends {:hello, 1} to :nobody
    """)
    assert asked(film, "{:hello, _}").verdict == "nobody"


def test_no_clause(drawn: Draw) -> None:
    film = drawn("""
        processes: server, client
         1 server callback Server.init([])
         2 server state 0
         3 server return {:ok, 0}
         4 client -> server call {:odd, 1} as q arrives 5
         6 server exits {:function_clause, [{Server, :handle_call, [{:odd, 1}, 1, 0], [line: 4]}]}
    """)
    answer = asked(film, "{:odd, _}")
    assert answer.verdict == "no_clause"
    assert "Server.handle_call/3" in answer.text


def test_crashed_while_handling_and_before(drawn: Draw) -> None:
    film = drawn("""
        processes: server, client, other
         1 client -> server call {:boom, 1} as q arrives 2
         3 other -> server cast {:later, 1} arrives 4
         5 server callback Server.handle_call({:boom, 1}, {client, #q}) @ lib/server.ex:3
         6 server raise :error, :badarith @ :4
         7 server exits {:badarith, []}
    """)
    boom, later = asked(film, "{:boom, _}"), asked(film, "{:later, _}")
    assert boom.verdict == "crashed"
    assert "Server.handle_call/3" in boom.text
    assert later.verdict == "crashed"
    assert "ended before it took it" in later.text


def test_handled_without_an_answer_and_answered(drawn: Draw) -> None:
    film = drawn("""
        processes: server, client
         1 client -> server call {:first, 1} as q arrives 2
         3 server callback Server.handle_call({:first, 1}, {client, #q})
         4 server return {:noreply, 0}
         5 client -> server call {:second, 1} as r arrives 6
         7 server callback Server.handle_call({:second, 1}, {client, #r})
         8 server return {:reply, 1, 0}
         9 server -> client reply 1 to r arrives 10
    """)
    first = asked(film, "{:first, _}")
    assert first.verdict == "no_reply"
    assert first.evidence[-1].text == "Server.handle_call/3 returns {:noreply, 0}"
    assert asked(film, "{:second, _}").verdict == "happened"


def test_received_and_not_taken(drawn: Draw) -> None:
    film = drawn("""
        processes: server, client
         1 server callback Server.init([])
         2 server return {:ok, 0}
         3 client -> server {:ignored, 1}
         5 client mark "end"
    """)
    assert asked(film, "{:ignored, _}").verdict == "not_taken"


def test_on_its_way_and_not_recorded(drawn: Draw) -> None:
    film = drawn("""
        processes: server, client, dark
         1 client -> server {:seen, 1}
         2 client -> server {:late, 1} lost
         3 client -> dark {:unseen, 1} lost
         4 client -> server {:more, 1}
    """)
    assert asked(film, "{:late, _}").verdict == "on_its_way"
    assert asked(film, "{:unseen, _}").verdict == "not_recorded"
    assert asked(film, "{:seen, _}").verdict == "not_recorded"  # the server's code shows nothing


def test_functions_and_messages_that_never_came(drawn: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    sale = drawn(SALE)
    assert why_not_function(sale.dags, "TicketOffice.Ledger.enter/2").verdict == "happened"
    gone = why_not_function(sale.dags, "TicketOffice.Ledger.cancel/2")
    assert gone.verdict == "not_recorded"
    assert "enter/2" in gone.text
    seats, client = sale.process("seats"), sale.process("client")
    assert why_not_sent(sale.dags, "{:cancel, _}", seats).verdict == "never_sent"
    other = why_not_sent(sale.dags, "{:reserve, _, _}", client)
    assert (other.verdict, len(other.evidence)) == ("never_sent", 1)
    assert why_not_sent(sale.dags, "{:reserve, _, _}", seats).verdict == "happened"
    assert why_not_sent(sale.dags, "{:reserve, _, _}").verdict == "happened"
    nobody = why_not_sent(sale.dags, "{:cancel, _}")
    assert (nobody.verdict, nobody.text) == ("never_sent", "nothing like {:cancel, _} was sent to anybody")
    monkeypatch.setattr(whynot, "SECONDS", -1.0)
    assert why_not_sent(sale.dags, "{:cancel, _}").verdict == "never_sent", "it was searched already"
    by_its_end = why_not_function(sale.dags, "Ledger.enter/2")
    assert (by_its_end.verdict, by_its_end.text) == ("happened", "TicketOffice.Ledger.enter/2 was called")
    with pytest.raises(NotFoundError):
        why_not_message(sale.dags, 0)
    with pytest.raises(NotFoundError):
        why_not_call(sale.dags, 10**9)


@pytest.mark.beam
def test_every_message_and_frame_of_a_real_recording_has_an_answer(example_recording: Path) -> None:
    film = Film.open(example_recording)
    rows = film.query.rows("select message, kind, reply from raw.messages where message % 7 = 0 or kind = 'call'")
    verdicts = set()
    for row in rows:
        answer = why_not_message(film.dags, row["message"])
        verdicts.add(answer.verdict)
        if row["reply"] is not None:
            assert answer.verdict == "happened"
    assert "happened" in verdicts
    for row in film.query.rows("select call from raw.calls where outcome in ('raised', 'open')"):
        assert why_not_call(film.dags, row["call"]).verdict in ("crashed", "no_clause", "still_running")
