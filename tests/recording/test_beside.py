"""A recording that is sealed while it is made is what sealing it anew gives."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import beside as module
from elixirscope.recording import sealer
from elixirscope.recording.beside import WAITS, Beside
from elixirscope.recording.format import FRAME_MAGIC, META_SHARD, NONE32, FrameType
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.log import Log, Site
from elixirscope.recording.recording import Recording
from elixirscope.recording.records import EVENT
from elixirscope.recording.schema import TABLES
from elixirscope.recording.terms import Atom, Term
from tests.correlate.test_slices import NODE, PIDS, SITES, recording
from tests.recording.samples import QUICK, START, make_recording, pid, write_events, writer_of

ANEW = "it has not begun"
SHARDS = 3


def untold(_text: str) -> None:
    """Nobody wants to know."""


def described(site: Site) -> Term:
    detail: dict[Atom, Term] = {}
    if site.callee is not None:
        name = site.callee.module.removeprefix(":") if site.callee.module[0] == ":" else f"Elixir.{site.callee.module}"
        detail[Atom("callee")] = (Atom(name), Atom(site.callee.function), site.callee.arity)
    if site.behaviour is not None:
        detail[Atom("behaviour")] = Atom(f"Elixir.{site.behaviour}")
    if site.callback is not None:
        detail[Atom("callback")] = site.callback.encode()
    if site.test:
        detail[Atom("test")] = Atom("true")
    names = [name.encode() for name in site.vars]
    return (1000 - site.id, Atom(site.kind), Atom(site.function), site.arity, site.line or 0, names, detail)


class Program:
    """What happens is written as agents do: by several files, a process' events by one of them."""

    def __init__(self, folder: Path, log: Log) -> None:
        raw = folder / "raw"
        raw.mkdir(parents=True)
        self.log = log
        self.meta = writer_of(raw, "meta", META_SHARD)
        self.meta.term(FrameType.META, {Atom("what"): Atom("hello"), Atom("node"): Atom(NODE)})
        self.writers = [writer_of(raw, str(shard), shard) for shard in range(SHARDS)]
        for writer in self.writers:
            writer.term(FrameType.PROCESSES, list(enumerate(PIDS)))
        self.modules = sorted({site.module for site in SITES.values()})
        self.raw = raw
        self.done = 0
        self.written = [0] * SHARDS
        self.held = set[int]()
        self.others = dict[str, FrameWriter]()

    def describe(self, count: int) -> None:
        """The next modules are loaded."""
        for name in self.modules[:count]:
            sites = [described(site) for site in SITES.values() if site.module == name]
            self.meta.term(FrameType.SITES, (Atom(f"Elixir.{name}"), {}, sites))
        self.modules = self.modules[count:]
        self.meta.flush()

    def go_on(self, until: int) -> None:
        """Up to this event."""
        for shard, writer in enumerate(self.writers):
            first = self.written[shard]
            if shard in self.held or until <= first:
                continue
            rows = self.log.rows[first:until]
            self.written[shard] = until
            chosen = np.flatnonzero(rows["process"] % SHARDS == shard)
            events = np.zeros(len(chosen), EVENT)
            events["ts"], events["pid"] = rows["at"][chosen], rows["process"][chosen]
            events["peer"] = np.where(rows["peer"][chosen] < 0, NONE32, rows["peer"][chosen])
            for field in ("kind", "flags", "frame", "ref", "aux"):
                events[field] = rows[field][chosen]
            events["site"] = np.where(rows["site"][chosen] == 0, 0, 1000 - rows["site"][chosen])
            values = b""
            for event, value in zip(events, rows["value"][chosen].tolist(), strict=True):
                content = b"" if value < 0 else self.log.values.bytes(value)
                event["value_offset"], event["value_length"] = len(values), len(content)
                values += content
            if len(events):
                writer.events(events, values)
            writer.flush()
        self.done = max(self.done, until)
        self.held = set()

    def hold_back(self, shard: int) -> None:
        """Have a file not written with the next events."""
        self.held = {shard}

    def leave_out(self, number: int) -> None:
        """Calls of a function were only counted for a while."""
        site = SITES[1]
        since = START + int(self.log.rows["at"][number])
        subject = (Atom(f"Elixir.{site.module}"), Atom("function"), Atom(site.function), site.arity, 0)
        about = {
            "what": Atom("counted"),
            "until_unix_ns": since + 5,
            "calls_per_second": 1,
            "calls": [(subject, 3, since)],
        }
        self.meta.term(FrameType.META, {Atom(key): value for key, value in about.items()})
        self.meta.flush()

    def also_run(self, vm: str) -> None:
        """Another VM starts, and does nothing more."""
        if vm not in self.others:
            self.others[vm] = writer_of(self.raw, "0", vm=vm)
            self.others[vm].term(FrameType.PROCESSES, [(0, PIDS[0])])
            self.others[vm].flush()

    @property
    def now(self) -> int:
        """Unix time when all events so far, and no other, are older than is waited for."""
        at = self.log.rows["at"]
        last = int(at[min(self.done, len(at)) - 1]) if self.done else 0
        return START + last + WAITS

    def lose(self, process: int) -> None:
        """An event."""
        writer = self.writers[process % SHARDS]
        writer.term(FrameType.LOSS, [(PIDS[process], 1, Atom("overload"))])
        writer.flush()

    def end(self) -> None:
        for writer in [*self.writers, *self.others.values(), self.meta]:
            writer.end()


def content(folder: Path) -> dict[str, Any]:
    """All that can be asked of a recording."""
    opened = Recording.open(folder, correlate=EventCorrelator)
    found: dict[str, Any] = {name: opened.table(name).to_pylist() for name in TABLES}
    found |= {name: getattr(opened.info, name) for name in opened.info.__struct_fields__ if name != "path"}
    found["values"] = [opened.values.bytes(number) for number in range(len(opened.values))]
    return found | {name: (folder / "segments" / name).read_bytes() for name in ("values.zst", "events.parquet")}


def anew(folder: Path) -> dict[str, Any]:
    """The same of a copy that nobody has sealed."""
    with tempfile.TemporaryDirectory(dir=QUICK) as other, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealer, "LARGE", 1)
        copy = Path(other) / "copy.scope"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("segments", "columns", "index"))
        return content(copy)


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.fixture(autouse=True, scope="module")
def any_disk() -> Iterator[None]:
    """Waiting for the disk takes most of the time, and is not what is tested here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _file: None)
        yield


SEEDS = st.integers(0, 2**32)
STEPS = st.lists(st.integers(1, 119), min_size=1, max_size=5).map(sorted)


@settings(max_examples=12)
@given(SEEDS, STEPS)
def test_it_is_what_sealing_anew_gives(seed: int, steps: list[int]) -> None:
    log, random = recording(seed), Random(seed)
    with tempfile.TemporaryDirectory(dir=QUICK) as name, pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "SLICE", random.choice([25, 60, 1000]))
        folder = Path(name) / "r.scope"
        program = Program(folder, log)
        program.describe(99)
        for loss in log.losses:
            program.lose(loss.process or 0)
        with Beside(folder, correlate=EventCorrelator, now=lambda: program.now, enough=1, spare=0) as sealing:
            for step in steps:
                program.go_on(step)
                sealing.look()
            program.go_on(len(log.rows))
            program.end()
            assert sealing.finish(untold) is None
        assert not left_over(folder)
        assert content(folder) == anew(folder)


@settings(max_examples=16)
@given(SEEDS, STEPS)
def test_nor_does_what_becomes_known_too_late_make_it_another(seed: int, steps: list[int]) -> None:
    """Modules, losses, calls that were only counted, files and events come when they like."""
    log, random = recording(seed), Random(seed)
    with tempfile.TemporaryDirectory(dir=QUICK) as name, pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "SLICE", random.choice([25, 60, 1000]))
        folder = Path(name) / "r.scope"
        program = Program(folder, log)
        with Beside(folder, correlate=EventCorrelator, now=lambda: program.now, enough=1, spare=0) as sealing:
            for step in steps:
                act: Callable[[], None] = random.choice([
                    lambda: program.describe(random.randint(1, 3)),
                    lambda: program.lose(random.randrange(len(PIDS))),
                    lambda: program.leave_out(random.randrange(len(log.rows))),
                    lambda: program.also_run(random.choice(["a@h.1", "z@h.1"])),
                    lambda: program.hold_back(random.randrange(SHARDS)),
                    lambda: None,
                ])  # fmt: skip
                act()
                program.go_on(step)
                sealing.look()
            program.go_on(len(log.rows))
            program.end()
            sealing.finish(untold)
        patched.setattr(sealer, "LARGE", 1)
        assert content(folder) == anew(folder)
        assert not left_over(folder)


class Grown:
    """A recording of `make_recording` that goes on: files are kept open."""

    def __init__(self, folder: Path) -> None:
        raw = folder / "raw"
        raw.mkdir(parents=True)
        self.folder, self.raw = folder, raw
        self.meta = writer_of(raw, "meta", META_SHARD)
        self.describe(7)
        self.writers = [writer_of(raw, str(shard), shard) for shard in range(2)]
        for shard, writer in enumerate(self.writers):
            writer.term(FrameType.PROCESSES, [(0, pid(100 + shard))])
            writer.flush()
        self.now = START
        self.write(1, 2, 3)
        self.sealing = Beside(folder, correlate=EventCorrelator, now=lambda: self.now, enough=1, spare=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sealing.__exit__()
        for writer in [*self.writers, self.meta]:
            writer.close()

    def describe(self, site: int, module: str = "Seats") -> None:
        about: Term = [(site, Atom("function"), Atom("put"), 2, 10, [], {})]
        self.meta.term(FrameType.SITES, (Atom(f"Elixir.{module}"), {}, about))
        self.meta.flush()

    def write(self, *numbers: int, shard: int = 0, site: int = 7) -> None:
        write_events(self.writers[shard], list(numbers), site=site)
        self.writers[shard].flush()
        self.now = max(self.now, START + 1000 * max(numbers) + WAITS)

    def end(self) -> None:
        for writer in [*self.writers, self.meta]:
            writer.end()


def late_event(grown: Grown) -> None:
    grown.write(1, shard=1)


def late_loss(grown: Grown) -> None:
    grown.writers[0].term(FrameType.LOSS, [(pid(100), 3, Atom("overload"))])


def late_count(grown: Grown) -> None:
    subject = (Atom("Elixir.Seats"), Atom("function"), Atom("put"), 2, 10)
    calls: Term = [(subject, 3, START + 1500)]
    about = {"what": Atom("counted"), "until_unix_ns": START + 2500, "calls_per_second": 1, "calls": calls}
    grown.meta.term(FrameType.META, {Atom(key): value for key, value in about.items()})
    grown.meta.flush()


def late_description(grown: Grown) -> None:
    grown.write(5, site=9)
    grown.write(6)
    grown.sealing.look()
    grown.describe(9)


def earlier_vm(grown: Grown) -> None:
    with writer_of(grown.raw, "0", vm="aaa.1") as writer:
        writer.term(FrameType.PROCESSES, [(0, pid(300))])
        writer.end()


@pytest.mark.parametrize("act", [late_event, late_loss, late_count, late_description, earlier_vm])
def test_what_is_known_too_late_has_it_begin_anew(tmp_path: Path, act: Callable[[Grown], None]) -> None:
    with Grown(tmp_path / "r.scope") as grown:
        grown.sealing.look()
        act(grown)
        grown.write(8, 9)
        grown.sealing.look()
        grown.write(10, 11)
        grown.sealing.look()
        grown.end()
        assert grown.sealing.finish(untold) is None
        assert grown.sealing.attempts == 2
    assert not left_over(grown.folder)
    assert content(grown.folder) == anew(grown.folder)


def cut_short(path: Path) -> None:
    with path.open("ab") as file:
        file.write(path.read_bytes()[64:90])


def written_anew(path: Path) -> None:
    """As when the rings of a VM that was killed are brought home."""
    data = bytearray(path.read_bytes())
    data[data.rindex(FRAME_MAGIC) + 4] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(("act", "why"), [(cut_short, "not whole"), (written_anew, "written anew")])
def test_what_is_known_in_the_end_leaves_it_to_who_opens_it(
    tmp_path: Path, act: Callable[[Path], None], why: str
) -> None:
    with Grown(tmp_path / "r.scope") as grown:
        grown.sealing.look()
        grown.write(8, 9)
        grown.end()
        grown.sealing.look()
        act(grown.raw / "nonode@nohost.77-0.frames")
        assert why in str(grown.sealing.finish(untold))
        assert not left_over(grown.folder)
    assert not (grown.folder / "segments").exists()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealer, "LARGE", 1)
        assert content(grown.folder) == anew(grown.folder)


def test_a_disk_that_is_full_has_it_give_up_its_folder_at_once(tmp_path: Path) -> None:
    with Grown(tmp_path / "r.scope") as grown, pytest.MonkeyPatch.context() as patched:
        grown.sealing.look()
        assert left_over(grown.folder)

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patched.setattr(os, "pwrite", full)
        grown.write(8, 9)
        grown.sealing.look()
        assert not left_over(grown.folder)
        grown.sealing.look()
        grown.end()
        assert "No space left on device" in str(grown.sealing.finish(untold))
        assert grown.sealing.attempts == 1


def test_a_disk_that_is_nearly_full_is_left_to_the_recording(tmp_path: Path) -> None:
    with Beside(make_recording(tmp_path / "r.scope"), correlate=EventCorrelator, spare=2**62) as sealing:
        sealing.look()
        assert not left_over(tmp_path / "r.scope")
        assert "No space left on device" in str(sealing.finish(untold))


def test_who_seals_meanwhile_does_not_wait_and_leaves_it_its_folder(tmp_path: Path) -> None:
    with Grown(tmp_path / "r.scope") as grown:
        grown.sealing.look()
        (folder,) = left_over(grown.folder)
        (grown.folder / ".seal.1").mkdir()  # of one that was killed
        assert Recording.open(grown.folder, correlate=EventCorrelator).info.events == 3
        assert left_over(grown.folder) == [folder]
        grown.write(8, 9)
        grown.end()
        assert grown.sealing.finish(untold) is None
    assert not left_over(grown.folder)
    assert content(grown.folder) == anew(grown.folder)
