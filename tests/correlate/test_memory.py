"""The memory of processes over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from elixirscope.film import Film
from elixirscope.recording.format import META_SHARD, NONE32, FrameType, Kind
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.records import EVENT, SAMPLE
from elixirscope.recording.terms import Pid

MS = 1_000_000


def test_samples_have_times_and_what_came_before_a_process_is_told_at_its_start(tmp_path: Path) -> None:
    raw = tmp_path / "r.scope" / "raw"
    raw.mkdir(parents=True)
    first, second, unseen = (Pid("nonode@nohost", number, 0) for number in (100, 101, 999))
    events = np.zeros(3, EVENT)
    events["ts"], events["pid"], events["kind"], events["peer"] = (
        [10 * MS, 20 * MS, 40 * MS],
        [0, 1, 0],
        Kind.MARK,
        NONE32,
    )
    with FrameWriter(raw / "nonode@nohost.7-0.frames", os_pid=7) as out:
        out.term(FrameType.PROCESSES, [(0, first), (1, second)], at=MS)
        out.events(events)
        out.end()
    with FrameWriter(raw / "nonode@nohost.7-meta.frames", os_pid=7, shard=META_SHARD) as meta:
        # Numbered in an order of its own.
        meta.term(FrameType.PROCESSES, [(0, second), (1, first), (2, unseen)], at=MS)
        for at, rows in (
            (5, [(1, 10), (0, 100), (2, 1)]),
            (8, [(1, 20)]),
            (15, [(1, 30), (7, 1)]),
            (30, [(0, 2**63)]),
        ):
            meta.samples(np.array(rows, SAMPLE), at=at * MS)
        meta.end()
    film = Film.open(raw.parent)
    found = [(row["at"] // MS, row["process"], row["bytes"]) for row in film.table("memory").to_pylist()]
    assert found == [(0, 0, 20), (0, 1, 100), (5, 0, 30), (20, 1, 2**62 - 1)]  # the first event is at 0
    assert film.query.sql("select label, bytes from memory where at = 5000000").rows[0][1] == 30
    graph = film.dags.interaction.graph(15 * MS)
    assert {node.process: node.memory for node in graph.nodes} == {0: 30, 1: 100}
