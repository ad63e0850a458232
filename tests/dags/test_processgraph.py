"""The graph found by index is the one that plain SQL over all rows finds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

from elixirscope.dags.processgraph import mailboxes, process_graph
from elixirscope.film import Film
from elixirscope.recording.format import Kind

_WAITING = """
    select message, to_process from raw.messages m where m.received_at <= ?
    and (m.handled_at > ? or (m.handled_at is null and m.kind in ('call', 'cast'))) order by message"""

_EDGES = f"""
    select supervisor as source, process as target, 'supervises' as kind, 1 as count, true as certain
    from raw.processes where supervisor is not null
    union all
    select process, peer, kind::varchar, 1, certain from raw.links
    where at <= $at and (until is null or until > $at) and process is not null and peer is not null
    union all
    select parent, process, 'spawn', 1, true from raw.processes where parent is not null and start > $since
    and start <= $at
    union all
    select from_process, to_process, 'message', count(*), bool_and(certain) from raw.messages
    where coalesce(sent_at, received_at) > $since and coalesce(sent_at, received_at) <= $at
      and from_process is not null and to_process is not null group by all
    union all
    select c.process, e.process, 'exit', 1, true from raw.events e join raw.events c on e.cause = c.event
    where e.kind = {Kind.EXIT.value} and c.kind = {Kind.EXIT.value} and e.at > $since and e.at <= $at"""


def test_at_any_moment(example_recording: Path) -> None:
    film, random = Film.open(example_recording), Random(5)
    query, duration = film.query, film.info.duration_ns
    messages = query.recording.table("messages")
    for _ in range(25):
        since, at = sorted(random.randint(0, duration) for _ in range(2))
        graph = process_graph(query, at, since)
        waiting = query.rows(_WAITING, [at, at])
        found = messages.take(mailboxes(query, at)).column("message").to_pylist()
        assert found == [row["message"] for row in waiting]
        queued = Counter(row["to_process"] for row in waiting)
        nodes = {node.process for node in graph.nodes}
        assert {n.process: n.mailbox for n in graph.nodes} == {process: queued[process] for process in nodes}
        sql = _EDGES.replace("$at", str(at)).replace("$since", str(since))
        plain = [
            (row["source"], row["target"], row["kind"], row["count"], row["certain"])
            for row in query.rows(sql)
            if row["source"] in nodes and row["target"] in nodes
        ]
        assert sorted((e.source, e.target, e.kind, e.count, e.certain) for e in graph.edges) == sorted(plain)
        assert all(edge.certain == (edge.reason is None) for edge in graph.edges if edge.kind == "message")


def test_of_a_stretch_of_time_that_the_moment_is_not_in(example_recording: Path) -> None:
    film = Film.open(example_recording)
    ends = sorted(row["end"] for row in film.query.processes if row["end"] is not None)
    since, until, at = ends[0] - 1, ends[len(ends) // 2], film.info.duration_ns
    early, late = process_graph(film.query, at, since, until=until), process_graph(film.query, at, at)
    plain = film.query.rows(
        "select count(*) as n from raw.messages where coalesce(sent_at, received_at) > ?"
        " and coalesce(sent_at, received_at) <= ? and from_process is not null and to_process is not null",
        [since, until],
    )
    assert sum(edge.count for edge in early.edges if edge.kind == "message") == plain[0]["n"] > 0
    lives = {node.process: (node.alive, node.mailbox) for node in early.nodes}
    assert {node.process: (node.alive, node.mailbox) for node in late.nodes}.items() <= lives.items()
    gone = {row["process"] for row in film.query.processes if row["end"] is not None and since < row["end"] <= until}
    assert len(gone) > 1
    assert all(lives[process][0] is False for process in gone)


def test_of_many_pairs_the_busiest_and_those_of_one_process(example_recording: Path) -> None:
    film = Film.open(example_recording)
    at = film.info.duration_ns
    every = [edge for edge in process_graph(film.query, at, 0).edges if edge.kind == "message"]
    one = min(every, key=lambda edge: edge.count).source
    some = process_graph(film.query, at, 0, process=one, most=3)
    shown = [edge for edge in some.edges if edge.kind == "message"]
    assert some.pairs >= len(every) > len(shown)
    assert [edge for edge in every if one in (edge.source, edge.target)] == [
        edge for edge in shown if one in (edge.source, edge.target)
    ]
    others = sorted((edge.count for edge in shown if one not in (edge.source, edge.target)), reverse=True)
    assert len(others) <= 3
    assert all(edge in every for edge in shown)
    left = [edge.count for edge in every if edge not in shown]
    assert not others or max(left) <= min(others)
