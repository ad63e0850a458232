"""Timeouts and deadlocks: what kept a server from answering, through every process that waited."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.dags import Dags
from elixirscope.insight import Finding, investigate
from elixirscope.pictures import record
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.recording import Recording
from tests.insight.conftest import Investigate

SERVERS = """
processes: main, a, b, c
main starts a running Shop.A.init/1 as Shop.A
main starts b running Shop.B.init/1 as Shop.B
main starts c running Shop.C.init/1 as Shop.C
"""

GIVES_UP = """
100ms main receives :timeout
main raise :exit, {:timeout, {GenServer, :call, [Shop.A, :go, 100]}}
"""

ASKS = """
main call Shop.run() @ lib/shop.ex:3
main -> a call :go as q
a callback Shop.A.handle_call(:go, main) @ lib/a.ex:10
"""


def only(findings: list[Finding]) -> Finding:
    (finding,) = [f for f in findings if f.kind in ("timeout", "deadlock")]
    return finding


def place(finding: Finding) -> tuple[str, int]:
    assert finding.location is not None
    return finding.location.file, finding.location.line


def test_two_servers_that_ask_each_other(found: Investigate) -> None:
    finding = only(
        found(
            SERVERS
            + ASKS
            + """
            a -> b call :price as p
            b callback Shop.B.handle_call(:price, a) @ lib/b.ex:20
            b -> a call :level as l
            100ms a receives :timeout
            a raise :exit, {:timeout, {GenServer, :call, [Shop.B, :price, 100]}}
            a exits {:timeout, {GenServer, :call, [Shop.B, :price, 100]}}
            """
        )
    )
    assert finding.kind == "deadlock"
    assert finding.title == "Deadlock: A and B wait for each other"
    assert place(finding) == ("lib/b.ex", 20)
    assert any("A died of it" in step.text for step in finding.evidence)


def test_three_in_a_circle_that_never_time_out(found: Investigate) -> None:
    finding = only(
        found(
            SERVERS
            + ASKS
            + """
            a -> b call :x as x
            b callback Shop.B.handle_call(:x, a) @ lib/b.ex:20
            b -> c call :y as y
            c callback Shop.C.handle_call(:y, b) @ lib/c.ex:30
            c -> a call :z as z
            900ms main mark "much later"
            """
        )
    )
    assert finding.title.startswith("Deadlock: A, B and C wait for one another in a circle (A → B → C → A)")
    assert "still waiting" in finding.explanation


def test_a_slow_function_deep_in_another_server(found: Investigate) -> None:
    finding = only(
        found(
            SERVERS
            + ASKS
            + """
            a -> b call :work as w
            b callback Shop.B.handle_call(:work, a) @ lib/b.ex:20
            b call Shop.B.quick() @ lib/b.ex:30
            b return :ok
            b call Shop.B.slow(1) @ lib/b.ex:40
            """
            + GIVES_UP
            + """
            150ms b return :done
            b return {:reply, :done}
            """
        )
    )
    assert place(finding) == ("lib/b.ex", 40)
    assert "Shop.B.slow/1 took 150 ms" in finding.title
    assert "A waits for B (:work)" in finding.explanation


@pytest.mark.parametrize(("lossy", "sure"), [("", 0.9), ("c loses 3", 0.9), ("b loses 3", 0.36)])
def test_where_events_were_lost_meanwhile_the_cause_may_be_another(found: Investigate, lossy: str, sure: float) -> None:
    work = f"""
    a -> b call :work as w
    b callback Shop.B.handle_call(:work, a) @ lib/b.ex:20
    {lossy}
    b call Shop.B.slow(1) @ lib/b.ex:40
    """
    finding = only(found(SERVERS + ASKS + work + GIVES_UP))
    assert finding.confidence == sure
    assert ("3 events of theirs were lost meanwhile" in finding.explanation) == (sure < 0.5)


def test_a_request_that_nobody_answers(found: Investigate) -> None:
    finding = only(found(SERVERS + ASKS + "a return {:noreply, %{}}\n" + GIVES_UP))
    assert finding.title == "Timeout: A never answered :go"
    assert place(finding) == ("lib/a.ex", 10)


def test_a_turn_that_goes_on_by_a_tail_call_is_not_over(found: Investigate) -> None:
    finding = only(found(SERVERS + ASKS + "a tail Shop.A.work/0\na call Shop.A.work() @ lib/a.ex:50\n" + GIVES_UP))
    assert place(finding) == ("lib/a.ex", 50)
    assert "had not returned" in finding.title


def test_a_full_mailbox(found: Investigate) -> None:
    waiting = "\n".join(f"main -> a cast {{:job, {n}}}" for n in range(20))
    jobs = "\n".join(
        f"{n * 4 + 1}ms a callback Shop.A.handle_cast({{:job, {n}}}) @ lib/a.ex:12\n"
        f"{n * 4 + 4}ms a return {{:noreply, %{{}}}}"
        for n in range(20)
    )
    finding = only(
        found(f"{SERVERS}{waiting}\nmain call Shop.run() @ lib/shop.ex:3\nmain -> a call :go as q\n{jobs}{GIVES_UP}")
    )
    assert finding.title == "Timeout: A had 20 other messages to handle first"
    assert place(finding) == ("lib/a.ex", 12)


def test_a_server_whose_code_was_not_recorded(found: Investigate) -> None:
    finding = only(found(f"{SERVERS}main call Shop.run() @ lib/shop.ex:3\nmain -> a call :go as q\n{GIVES_UP}"))
    assert "not recorded" in finding.explanation
    assert finding.confidence == 0.5


_SLEPT = """
20ms main receives :timeout
21ms main call Shop.next() @ lib/shop.ex:9
"""


def test_while_it_is_recorded_an_answer_that_nobody_would_have_seen_may_be_to_come(tmp_path: Path) -> None:
    asks = f"{SERVERS}main call Shop.run() @ lib/shop.ex:3\nmain -> a call :go as q\n"
    for name, picture, ended, kinds in (
        ("slept", _SLEPT, False, []),
        ("ended", _SLEPT, True, ["timeout"]),
        ("raised", GIVES_UP, False, ["timeout"]),
    ):
        folder = record(asks + picture, tmp_path / f"{name}.scope")
        manifest = Manifest.load(folder)
        assert manifest is not None
        msgspec.structs.replace(manifest, state="finished" if ended else "recording").save(folder)
        dags = Dags(QueryCoordinator(Recording.open(folder, correlate=EventCorrelator)))
        assert [f.kind for f in investigate(dags)] == kinds, name


def test_an_answer_that_was_sent_was_not_waited_for_in_vain(found: Investigate) -> None:
    answered = "a return {:reply, :ok}\na -> main reply :ok to q lost"
    assert found(SERVERS + ASKS + answered + _SLEPT) == []


@pytest.mark.parametrize(
    "answer",
    ["a return {:reply, :ok}\na -> main reply :ok to q\nmain return :ok\n", "a exits :boom\nmain return :ok\n"],
    ids=["answered", "the server died"],
)
def test_no_timeout(found: Investigate, answer: str) -> None:
    assert [f.kind for f in found(SERVERS + ASKS + answer) if f.kind in ("timeout", "deadlock")] == []


def test_a_circle_that_was_left_in_time_is_no_deadlock(found: Investigate) -> None:
    picture = (
        SERVERS
        + ASKS
        + """
        a -> b call :price as p
        b callback Shop.B.handle_call(:price, a) @ lib/b.ex:20
        b return {:reply, 3}
        b -> a reply 3 to p
        b callback Shop.B.handle_info(:tick) @ lib/b.ex:25
        b -> a call :level as l
        """
        + GIVES_UP
    )
    assert only(found(picture)).kind == "timeout"


def test_a_supervisor_that_gave_up_belongs_to_the_cause(found: Investigate) -> None:
    findings = found(
        """
        processes: main, sup, a, b, b2
        main starts sup supervising Shop.Sup as Shop.Sup
        sup starts a running Shop.A.init/1 as Shop.A
        sup starts b running Shop.B.init/1 as Shop.B
        b callback Shop.B.handle_info(:tick) @ lib/b.ex:4
        b raise :error, {:badmatch, nil}
        b exits {{:badmatch, nil}, []}
        a exits :shutdown
        sup exits :shutdown
        """
    )
    (crash,) = [f for f in findings if f.kind == "crash"]
    assert any("had restarted it too often and gave up" in step.text for step in crash.evidence)


def test_a_function_that_ended_in_unrecorded_code_took_the_time_until_its_caller_went_on(found: Investigate) -> None:
    finding = only(
        found(
            SERVERS
            + ASKS
            + """
            a call Shop.A.compact([1]) @ lib/a.ex:20
            a tail Process.sleep/1
            """
            + GIVES_UP
        )
    )
    assert place(finding) == ("lib/a.ex", 20)
    assert "Shop.A.compact/1 took 100 ms" in finding.title
    assert "ended by calling Process.sleep/1 (not recorded)" in finding.explanation


def test_many_short_calls_of_one_function_are_blamed_together(found: Investigate) -> None:
    calls = "".join(
        f"{10 * n + 1}ms a fn Shop.A.each({n}) @ lib/a.ex:21\n{10 * n + 9}ms a return :ok\n" for n in range(9)
    )
    finding = only(found(SERVERS + ASKS + calls + GIVES_UP))
    assert place(finding) == ("lib/a.ex", 21)
    assert "an anonymous function in Shop.A.each took 72 ms in 9 calls" in finding.title
    assert any("together with 8 other calls of it" in step.text for step in finding.evidence)
