"""Raw files joined: order, clocks, numbers, values, losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.errors import NotFoundError, RecordingError
from elixirscope.recording import etf
from elixirscope.recording.format import FILE_HEADER, META_SHARD, FrameType, Kind
from elixirscope.recording.frames import vm_of
from elixirscope.recording.log import Callee, ProcessKey, Site, read_log
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom
from tests.recording.samples import NODE, START, make_recording, pid, value_of, vm_writer, write_events, writer_of


def test_all_files_make_one_time_line(tmp_path: Path) -> None:
    log = read_log(make_recording(tmp_path / "r") / "raw")
    assert log.rows["ref"].tolist() == list(range(1, 25))
    assert log.rows["event"].tolist() == list(range(24))
    assert log.rows["at"].tolist() == [1000 * number for number in range(24)]
    assert log.start_unix_ns == START + 1000
    assert log.duration_ns == 23_000
    assert log.complete
    assert [log.values.term(row) for row in log.rows["value"].tolist()] == [value_of(n) for n in range(1, 25)]


def test_processes_are_numbered_as_they_appear(tmp_path: Path) -> None:
    with vm_writer(tmp_path) as writer:
        writer.term(FrameType.PROCESSES, [(5, pid(50)), (6, pid(60)), (7, pid(70)), (8, pid(80))])
        events = np.zeros(2, EVENT)
        events["ts"], events["pid"], events["peer"] = (10, 20), (7, 5), (6, 0xFFFFFFFF)
        writer.events(events)
        writer.end()
    log = read_log(tmp_path)
    assert log.processes[:3] == [ProcessKey(NODE, f"#PID<0.{number}.0>", 0) for number in (70, 60, 50)]
    assert log.rows["process"].tolist() == [0, 2]
    assert log.rows["peer"].tolist() == [1, -1]


def test_one_process_in_two_files_is_one_process(tmp_path: Path) -> None:
    for name, number in (("0", 3), ("vm", 9)):
        with writer_of(tmp_path, name) as writer:
            writer.term(FrameType.PROCESSES, [(number, pid(100))])
            write_events(writer, [number], process=number)
            writer.end()
    log = read_log(tmp_path)
    assert len(log.processes) == 1
    assert log.rows["process"].tolist() == [0, 0]


def test_a_writer_that_was_started_again_is_of_the_same_vm(tmp_path: Path) -> None:
    raw = make_recording(tmp_path / "r") / "raw"
    with writer_of(raw, "1-1", 1) as again:
        again.term(FrameType.PROCESSES, [(0, pid(101))])
        write_events(again, [25], site=7)
        again.end()
    log = read_log(raw)
    assert {key.vm for key in log.processes} == {0}
    assert len(log.processes) == 2
    last = log.sites[int(log.rows["site"][24])]
    assert (last.function, log.rows["ref"][24]) == ("put", 25)


@pytest.mark.parametrize(
    ("name", "vm"),
    [
        ("nonode@nohost.13430-0.frames", "nonode@nohost.13430"),
        ("nonode@nohost.13430-vm-1.frames", "nonode@nohost.13430"),
        ("my-app@ho-st.9+1-meta-12.frames", "my-app@ho-st.9+1"),
        ("my-1.2@h.77-256.frames", "my-1.2@h.77"),
        ("x-0.frames", "x"),
    ],
)
def test_the_name_of_a_file_tells_its_vm(name: str, vm: str) -> None:
    assert vm_of(name) == vm


def test_the_same_pid_in_two_vms_is_two_processes_unless_nodes_have_names(tmp_path: Path) -> None:
    for vm, node in (("x.1", NODE), ("y.2", NODE), ("a@h.3", "a@h"), ("b@h.4", "b@h")):
        with writer_of(tmp_path, "meta", META_SHARD, vm) as meta:
            meta.term(FrameType.META, {Atom("what"): Atom("hello"), Atom("node"): Atom(node)})
            meta.end()
    for vm, seen in (("x.1", pid(1)), ("y.2", pid(1)), ("a@h.3", pid(1, "a@h")), ("b@h.4", pid(1, "a@h"))):
        with writer_of(tmp_path, "0", vm=vm) as writer:
            writer.term(FrameType.PROCESSES, [(0, seen)])
            write_events(writer, [1])
            writer.end()
    log = read_log(tmp_path)
    assert len(log.processes) == 3
    assert sorted(key.node for key in log.processes) == ["a@h", NODE, NODE]


def test_clocks_of_two_vms_are_aligned_by_their_anchors(tmp_path: Path) -> None:
    for vm, unix_ns, number in (("a@h.1", START, 5), ("b@h.2", START - 3000, 6)):
        with writer_of(tmp_path, "0", vm=vm, unix_ns=unix_ns) as writer:
            writer.term(FrameType.PROCESSES, [(0, pid(1, vm.split(".")[0]))])
            write_events(writer, [number])
            writer.end()
    log = read_log(tmp_path)
    assert log.rows["ref"].tolist() == [6, 5]  # 6 µs on b, 3 µs behind a
    assert log.rows["at"].tolist() == [0, 2000]


def test_a_system_clock_that_is_set_meanwhile_reorders_nothing(tmp_path: Path) -> None:
    hour = 3_600_000_000_000
    for shard, unix_ns in enumerate((START, START + hour, START - hour, START)):
        with writer_of(tmp_path, str(shard), shard, unix_ns=unix_ns) as writer:
            writer.term(FrameType.PROCESSES, [(0, pid(100))])
            write_events(writer, list(range(shard + 1, 13, 4)))
    log = read_log(tmp_path)
    assert log.rows["ref"].tolist() == list(range(1, 13))
    assert log.rows["at"].tolist() == [1000 * number for number in range(12)]


@settings(max_examples=60)
@given(
    jumps=st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=5),
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10**10)), max_size=40),
)
def test_however_the_system_clock_jumps_times_are_as_far_apart_as_the_machine_counted(
    tmp_path_factory: pytest.TempPathFactory, jumps: list[int], steps: list[tuple[int, int]]
) -> None:
    """Each file is opened after a jump of the clock. Steps are (file, ns since the one before)."""
    raw, times = tmp_path_factory.mktemp("raw"), np.cumsum([apart for _, apart in steps])
    for shard, jump in enumerate(jumps):
        mine = [number for number, (file, _) in enumerate(steps) if file % len(jumps) == shard]
        with writer_of(raw, str(shard), shard, unix_ns=START + jump) as writer:
            writer.term(FrameType.PROCESSES, [(0, pid(100 + shard))])
            events = np.zeros(len(mine), EVENT)
            events["ts"], events["ref"] = times[mine], mine
            for first in range(0, len(mine), 7):
                writer.events(events[first : first + 7])
            writer.end()
    log = read_log(raw)
    assert log.rows["at"].tolist() == [int(time - times[0]) for time in times]
    assert [int(times[number]) for number in log.rows["ref"]] == times.tolist()
    for process in range(len(log.processes)):
        assert (np.diff(log.rows["ref"][log.rows["process"] == process]) > 0).all()


def test_within_one_time_a_process_keeps_the_order_of_its_file(tmp_path: Path) -> None:
    with writer_of(tmp_path, "0") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(1)), (1, pid(2))])
        events = np.zeros(6, EVENT)
        events["ts"], events["ref"], events["pid"] = 5, range(6), (1, 0, 1, 0, 1, 0)
        writer.events(events)
        writer.end()
    log = read_log(tmp_path)
    by_process = [log.rows["ref"][log.rows["process"] == process].tolist() for process in (0, 1)]
    assert sorted(by_process) == [[0, 2, 4], [1, 3, 5]]
    assert log.rows["process"].tolist() == [0, 0, 0, 1, 1, 1]


def test_equal_values_have_one_id(tmp_path: Path) -> None:
    with writer_of(tmp_path, "0") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(1))])
        values = [etf.encode(Atom(name)) for name in ("a", "b", "a", "b", "a")]
        events = np.zeros(6, EVENT)
        events["ts"] = range(1, 7)
        events["value_length"][:5] = [len(value) for value in values]
        events["value_offset"][1:5] = np.cumsum([len(value) for value in values])[:4]
        writer.events(events, b"".join(values))
        writer.end()
    log = read_log(tmp_path)
    assert log.rows["value"].tolist() == [0, 1, 0, 1, 0, -1]
    assert [log.values.term(0), log.values.term(1), len(log.values)] == [Atom("a"), Atom("b"), 2]
    with pytest.raises(NotFoundError, match="no value 2"):
        log.values.term(2)


def test_a_value_outside_its_frame_is_dropped_and_told(tmp_path: Path) -> None:
    with writer_of(tmp_path, "0") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(1))])
        events = np.zeros(1, EVENT)
        events["value_length"] = 100
        writer.events(events, b"short")
        writer.end()
    log = read_log(tmp_path)
    assert log.rows["value"].tolist() == [-1]
    assert "1 values" in log.losses[0].reason


def test_sites_are_numbered_over_all_vms_and_events_follow(tmp_path: Path) -> None:
    for vm, module in (("a@h.1", "Elixir.A"), ("b@h.2", "Elixir.B")):
        with writer_of(tmp_path, "meta", META_SHARD, vm) as meta:
            detail = {
                Atom("behaviour"): Atom("Elixir.GenServer"),
                Atom("callback"): Atom("handle_call"),
                Atom("state_arg"): 3,
                Atom("end_line"): 9,
            }
            callee = {Atom("callee"): (Atom("ets"), Atom("lookup"), 2)}
            sites = [
                (4, Atom("function"), Atom("handle_call"), 3, 5, [b"request", b""], detail),
                (9, Atom("external"), Atom("go"), 0, 7, [], callee),
            ]
            meta.term(FrameType.SITES, (Atom(module), {Atom("file"): b"/x.ex"}, sites))
            meta.end()
        with writer_of(tmp_path, "0", vm=vm) as writer:
            writer.term(FrameType.PROCESSES, [(0, pid(1, vm.split(".")[0]))])
            write_events(writer, [1], site=9)
            write_events(writer, [2], site=4)
            write_events(writer, [3], site=1000)
            writer.end()
    log = read_log(tmp_path)
    named = [(log.sites[site].module, log.sites[site].kind) for site in log.rows["site"].tolist()]
    assert named == [
        ("A", "external"),
        ("B", "external"),
        ("A", "function"),
        ("B", "function"),
        ("?", "unknown"),
        ("?", "unknown"),
    ]
    assert all(number == site.id for number, site in log.sites.items())
    assert log.sites[1] == Site(
        1,
        "function",
        "A",
        "handle_call",
        3,
        "/x.ex",
        5,
        9,
        ("request", ""),
        None,
        "GenServer",
        "handle_call/3",
        3,
    )
    assert log.sites[2].callee == Callee(":ets", "lookup", 2)
    assert str(log.sites[2].callee) == ":ets.lookup/2"


def test_losses_name_who_lost_and_are_counted_once(tmp_path: Path) -> None:
    with writer_of(tmp_path, "0") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(1))])
        write_events(writer, [1])
        writer.term(FrameType.LOSS, [(pid(1), 7, Atom("overload")), (Atom("nil"), 2, b"no room")], at=5000)
        write_events(writer, [9], loss=9)
        writer.term(FrameType.LOSS, [(pid(2), 1, Atom("overload"))])  # one that lost all it did
        writer.end()
    log = read_log(tmp_path)
    assert log.lost == 10
    assert [(loss.process, loss.count, loss.reason, loss.at) for loss in log.losses] == [
        (0, 7, "overload", 4000),
        (None, 2, "no room", 4000),
        (1, 1, "overload", None),
    ]
    assert [key.pid_text for key in log.processes] == ["#PID<0.1.0>", "#PID<0.2.0>"]


def test_a_loss_whose_record_is_damaged_is_still_counted(tmp_path: Path) -> None:
    with writer_of(tmp_path, "0") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(1))])
        write_events(writer, [1], loss=9)
        writer.end()
    log = read_log(tmp_path)
    assert (log.lost, log.losses[0].process) == (9, None)


def test_a_process_whose_declaration_is_lost_keeps_its_events(tmp_path: Path) -> None:
    with writer_of(tmp_path, "0") as writer:
        write_events(writer, [1, 2], process=3)
        writer.end()
    log = read_log(tmp_path)
    assert log.rows["process"].tolist() == [0, 0]
    assert log.processes[0].pid_text.startswith("#PID<?.3.")


def test_nothing_recorded_is_an_empty_log(tmp_path: Path) -> None:
    log = read_log(tmp_path)
    assert (len(log.rows), len(log.processes), log.complete, log.duration_ns) == (0, 0, False, 0)


def test_metas_carry_their_vm(tmp_path: Path) -> None:
    with writer_of(tmp_path, "meta", META_SHARD) as meta:
        meta.term(FrameType.META, {Atom("what"): Atom("armed"), Atom("modules"): 3})
        meta.end()
    assert read_log(tmp_path).metas == [{"what": "armed", "modules": 3, "vm": 0}]


def test_a_newer_format_is_named_with_both_versions(tmp_path: Path) -> None:
    header = FILE_HEADER.pack(b"ELXSCOPE", 3, 1, 64, 1, 0, 0, 0, 0, 0)
    (tmp_path / "a.1-0.frames").write_bytes(header)
    with pytest.raises(RecordingError, match=r"format 3.* format 1"):
        read_log(tmp_path)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2)), max_size=40))
def test_joining_is_sorting(tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, int]]) -> None:
    """Events (file, time, process) dealt to files in any way come back in (time, process, file order)."""
    raw = tmp_path_factory.mktemp("raw")
    for file in range(4):
        own = sorted((time, number) for number, (where, time, _) in enumerate(drawn) if where == file)
        with writer_of(raw, str(file)) as writer:
            writer.term(FrameType.PROCESSES, [(index, pid(index)) for index in range(3)])
            events = np.zeros(len(own), EVENT)
            events["kind"] = Kind.MARK
            events["ts"] = [time for time, _ in own]
            events["ref"] = [number for _, number in own]
            events["pid"] = [drawn[number][2] for _, number in own]
            events["peer"] = 0xFFFFFFFF
            writer.events(events)
            writer.end()
    log = read_log(raw)
    pids = [log.processes[process].pid_text for process in log.rows["process"].tolist()]
    assert [f"#PID<0.{drawn[number][2]}.0>" for number in log.rows["ref"].tolist()] == pids
    keys = list(zip(log.rows["at"].tolist(), log.rows["process"].tolist(), strict=True))
    assert keys == sorted(keys)
    assert sorted(log.rows["ref"].tolist()) == list(range(len(drawn)))
    for process in set(log.rows["process"].tolist()):
        refs = log.rows["ref"][log.rows["process"] == process].tolist()
        expected = sorted(refs, key=lambda number: (drawn[number][1], drawn[number][0], number))
        assert refs == expected
