"""The manifest and the moment: small words that must read back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.errors import RecordingError, UsageError
from elixirscope.moment import UNKNOWN_TIME, Moment
from elixirscope.recording.coverage import Uncovered, uncovered
from elixirscope.recording.frames import Gap
from elixirscope.recording.log import Log, Loss, ProcessKey, Rows
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.terms import Atom


def test_a_manifest_reads_back(tmp_path: Path) -> None:
    manifest = Manifest(1, "0.1.0", ["mix", "test", "--seed=0"], "/app", 5)
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    done = msgspec.structs.replace(manifest, exit_status=2, state="finished")
    done.save(tmp_path)
    assert Manifest.load(tmp_path) == done
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_no_manifest_is_none_and_a_damaged_one_an_error(tmp_path: Path) -> None:
    assert Manifest.load(tmp_path) is None
    (tmp_path / "manifest.json").write_text('{"format_version": 1}')
    with pytest.raises(RecordingError, match="damaged"):
        Manifest.load(tmp_path)


def test_a_newer_manifest_is_read_as_far_as_its_version(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format_version": 7, "command": {"not": "a list"}}')
    loaded = Manifest.load(tmp_path)
    assert loaded is not None
    assert loaded.format_version == 7


@given(st.integers(0, 2**53), st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 2**53))
def test_a_moments_text_names_it(at: int, process: int | None, event: int | None) -> None:
    moment = Moment(at=at, process=process, event=event)
    parsed = Moment.parse(moment.text)
    if event is not None:
        assert parsed == Moment(at=UNKNOWN_TIME, event=event)
    else:
        assert parsed == moment


@pytest.mark.parametrize("text", ["", "e", "e-1", "12", "5ns@", "5ns@x", "e1 ", "ns", "٣ns"])
def test_what_names_no_moment(text: str) -> None:
    with pytest.raises(UsageError, match="names no moment"):
        Moment.parse(text)


def test_coverage_puts_equal_reasons_together_and_says_what_it_leaves_out() -> None:
    modules = [Atom(f"Elixir.M{number}") for number in range(5)]
    skipped = [{"what": "module_skipped", "module": module, "reason": Atom("on_load")} for module in modules]
    told = {"what": "coverage", "subject": b"tracer", "reason": b"another tool holds it"}
    log = Log(
        rows=Rows.empty(0),
        processes=[ProcessKey("n", "#PID<0.1.0>", 0)],
        sites={},
        losses=[Loss(0, 0, 2, "overload"), Loss(0, 0, 3, "overload"), Loss(0, None, 1, "?")],
        metas=[told, told, {"what": "armed"}, *skipped],
        gaps=[Gap("f", number, number + 1) for number in range(60)],
        unfinished=["a.1-0.frames", "a.1-1.frames"],
    )
    rows = uncovered(log)
    assert rows[:2] == [Uncovered("#PID<0.1.0>", "5 events lost: overload"), Uncovered("events", "1 events lost: ?")]
    assert rows[52].subject == "10 more like “raw/f, bytes 59 to 60”"
    assert rows[53:] == [
        Uncovered("the end of VM 1 (a)", "2 of its files were not closed: it was killed, or is still running"),
        Uncovered("tracer", "another tool holds it"),
        Uncovered("M0, M1, M2 and 2 more modules", "on_load"),
    ]


def test_coverage_says_from_when_to_when_less_was_recorded() -> None:
    second = 1_000_000_000
    log = Log(Rows.empty(0), [], {}, start_unix_ns=5 * second)
    for at, to, reason in (
        (7, "calls", b"busy"),
        (8, "messages", b"busier"),
        (20, "calls", b"calm"),
        (30, "values", b"calm"),
    ):
        log.metas.append({"what": Atom("step"), "to": Atom(to), "reason": reason, "unix_ns": at * second})
    assert uncovered(log) == [
        Uncovered("values of instrumented code, from 2.000 s to 3.000 s", "busy"),
        Uncovered("calls, values and states of instrumented code, from 3.000 s to 15.000 s", "busier"),
        Uncovered("values of instrumented code, from 15.000 s to 25.000 s", "calm"),
    ]
    del log.metas[1:]
    assert [row.subject for row in uncovered(log)] == ["values of instrumented code, from 2.000 s to the end"]


def test_coverage_says_whose_calls_were_only_counted() -> None:
    def subject(kind: str, function: str, line: int) -> tuple[Atom, Atom, Atom, int, int]:
        return Atom("Elixir.Shop"), Atom(kind), Atom(function), 1, line

    log = Log(Rows.empty(0), [], {})
    for calls in (
        [(subject("function", "price", 3), 1_000, 5), (subject("fn", "all", 9), 30_000, 6)],
        [(subject("function", "price", 3), 9_000, 7), ("not like this", 1, 1)],
    ):
        told = {"what": Atom("counted"), "until_unix_ns": 8, "calls_per_second": 5_000, "calls": calls}
        log.metas.append(told)
    reason = "were only counted: its calls cost more than 5,000 small ones a second"
    assert uncovered(log) == [
        Uncovered("calls of a function in Shop.all/1, line 9", f"30,000 {reason}", None, 30_000),
        Uncovered("calls of Shop.price/1", f"10,000 {reason}", "Shop.price/1", 10_000),
    ]
