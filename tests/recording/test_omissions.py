"""When less was recorded, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from elixirscope.correlate.omissions import omissions_table
from elixirscope.recording import etf
from elixirscope.recording.format import META_SHARD, FrameType
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.log import Log, Loss, ProcessKey, Rows, read_log
from elixirscope.recording.omissions import Omission, omissions
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom, Pid, Term

MS = 1_000_000


def told(log: Log, what: str, vm: int = 0, **meta: Term) -> None:
    log.metas.append({"what": Atom(what), "vm": vm, **meta})


def test_steps_and_limits_are_spans_of_the_vm_that_took_them() -> None:
    log = Log(Rows.empty(0), [], {}, start_unix_ns=1_000)
    for at, to, vm in ((1_010, "calls", 0), (1_012, "calls", 1), (1_015, "messages", 0), (1_030, "values", 0)):
        told(log, "step", vm, to=Atom(to), reason=to.encode(), unix_ns=at)
    told(log, "limit", of=Atom("code"), on=Atom("true"), reason=b"full", unix_ns=1_011)
    told(log, "limit", of=Atom("messages"), on=Atom("true"), reason=b"flood", unix_ns=1_013)
    told(log, "limit", of=Atom("code"), on=Atom("false"), reason=b"", unix_ns=1_014)
    assert omissions(log) == [
        Omission("step", 10, 15, "values of instrumented code", "calls", 0, level="calls"),
        Omission("limit", 11, 14, "all events of instrumented code", "full", 0),
        Omission("step", 12, None, "values of instrumented code", "calls", 1, level="calls"),
        Omission("limit", 13, None, "messages", "flood", 0),
        Omission("step", 15, 30, "calls, values and states of instrumented code", "messages", 0, level="messages"),
    ]


def test_losses_that_touch_are_one_and_calls_have_their_seconds() -> None:
    log = Log(Rows.empty(0), [ProcessKey("n", "#PID<0.1.0>", 0)] * 2, {})
    log.losses = [
        Loss(0, 0, 2, "overload", at=20, since=10),
        Loss(0, 1, 4, "overload", at=20, since=10),
        Loss(0, 0, 3, "overload", at=30, since=20),
        Loss(0, 0, 5, "overload", at=90, since=80),
        Loss(0, None, 7, "?"),
        Loss(0, None, 0, "nothing"),
    ]
    calls = [((Atom("Elixir.Shop"), Atom("function"), Atom("price"), 1, 3), 50, 40)]
    told(log, "counted", until_unix_ns=60, calls_per_second=9, calls=calls)
    assert [(one.kind, one.at, one.until, one.process, one.count) for one in omissions(log)] == [
        ("loss", None, None, None, 7),
        ("loss", 10, 30, 0, 5),
        ("loss", 10, 20, 1, 4),
        ("calls", 40, 60, None, 50),
        ("loss", 80, 90, 0, 5),
    ]
    assert omissions(log)[3].function == "Shop.price/1"


def test_a_loss_that_was_told_before_the_event_it_followed_does_not_end_before_it_begins() -> None:
    log = Log(Rows.empty(0), [ProcessKey("n", "#PID<0.1.0>", 0)], {})
    log.losses = [Loss(0, 0, 2, "overload", at=20, since=30), Loss(0, 0, 1, "overload", at=25, since=22)]
    assert [(one.at, one.until, one.count) for one in omissions(log)] == [(20, 30, 3)]


def test_a_loss_lies_between_the_events_before_it_and_when_it_was_told(tmp_path: Path) -> None:
    pid = Pid("nonode@nohost", 1, 0, 0)
    events = np.zeros(2, EVENT)
    events["ts"], events["kind"] = [5 * MS, 8 * MS], 41
    with FrameWriter(tmp_path / "nonode@nohost.7-0.frames", os_pid=7) as out:
        out.term(FrameType.PROCESSES, [(0, pid)], at=4 * MS)
        out.events(events)
        out.term(FrameType.PROCESSES, [], at=50 * MS)
        out.term(FrameType.LOSS, [(pid, 6, Atom("overload"))], at=50 * MS)
    with FrameWriter(tmp_path / "nonode@nohost.7-meta.frames", os_pid=7, shard=META_SHARD) as meta:
        hello = {Atom("what"): Atom("hello"), Atom("node"): Atom("nonode@nohost")}
        meta.term(FrameType.META, etf.decode(etf.encode(hello)), at=MS)
        step = {Atom("what"): Atom("step"), Atom("to"): Atom("calls"), Atom("reason"): b"busy"}
        meta.term(FrameType.META, {**step, Atom("unix_ns"): 2**80}, at=60 * MS)
    (loss, step_row) = omissions_table(read_log(tmp_path)).to_pylist()
    assert (loss["kind"], loss["at"], loss["until"], loss["count"], loss["process"]) == ("loss", 3 * MS, 45 * MS, 6, 0)
    assert (step_row["level"], step_row["node"], step_row["at"]) == ("calls", "nonode@nohost", 2**62 - 1)  # damaged
