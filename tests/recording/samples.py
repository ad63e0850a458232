"""Small recordings whose every event is known: event `n` has ref `n` and the value `{:n, n, "…"}`."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from elixirscope.recording import etf
from elixirscope.recording.changes import Changes
from elixirscope.recording.format import META_SHARD, NONE32, VM_SHARD, FrameType, Kind
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.log import EVENT_ROW, Log
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.records import EVENT
from elixirscope.recording.schema import TABLES
from elixirscope.recording.terms import Atom, Pid, Term, make_map

START = 1_700_000_000_000_000_000
NODE = "nonode@nohost"
_SHARED = Path("/dev/shm")
QUICK = str(_SHARED) if _SHARED.is_dir() and shutil.disk_usage(_SHARED).free > 1 << 30 else None
"""A folder for what has hundreds of files again and again; None: that for temporary ones."""


def pid(number: int, node: str = NODE) -> Pid:
    return Pid(node, number, 0, 0)


def value_of(number: int) -> Term:
    return (Atom("n"), number, b"the value of event %d" % number)


def write_events(
    writer: FrameWriter, numbers: list[int], *, process: int = 0, kind: Kind = Kind.CALL, site: int = 0, loss: int = 0
) -> None:
    """One EVENTS frame: event `n` happens at monotonic time `1000 * n`."""
    events = np.zeros(len(numbers), EVENT)
    values = b""
    for row, number in zip(events, numbers, strict=True):
        encoded = etf.encode(value_of(number))
        row["ts"], row["ref"], row["pid"], row["peer"] = 1000 * number, number, process, NONE32
        row["kind"], row["site"] = kind, site
        row["value_offset"], row["value_length"] = len(values), len(encoded)
        values += encoded
    writer.events(events, values, loss)


def make_recording(folder: Path, frames: int = 6, per_frame: int = 4, *, state: str = "finished") -> Path:
    """Two collectors and a meta file; events 1 … frames * per_frame, dealt frame by frame."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    _manifest(state).save(folder)
    with writer_of(raw, "meta", META_SHARD) as meta:
        meta.term(FrameType.META, {Atom("what"): Atom("hello"), Atom("node"): Atom(NODE)})
        sites = [(7, Atom("function"), Atom("put"), 2, 10, [b"seat", b"who"], {Atom("end_line"): 12})]
        meta.term(FrameType.SITES, (Atom("Elixir.Seats"), {Atom("file"): b"/app/lib/seats.ex"}, sites))
        meta.end()
    for shard in range(2):
        with writer_of(raw, str(shard), shard) as writer:
            writer.term(FrameType.PROCESSES, [(0, pid(100 + shard))])
            for frame in range(shard, frames, 2):
                write_events(writer, list(range(frame * per_frame + 1, (frame + 1) * per_frame + 1)), site=7)
            writer.end()
    return folder


def writer_of(raw: Path, name: str, shard: int = 0, vm: str = f"{NODE}.77", unix_ns: int = START) -> FrameWriter:
    return FrameWriter(raw / f"{vm}-{name}.frames", os_pid=77, monotonic_ns=0, unix_ns=unix_ns, shard=shard)


def make_shop(folder: Path, events: int, *, processes: int, state_bytes: int) -> Path:
    """A recording as the benchmarks generate it."""
    generator = importlib.import_module("benchmarks.generate")
    generator.generate(folder, events, processes=processes, state_bytes=state_bytes)
    return folder


def vm_writer(raw: Path) -> FrameWriter:
    return writer_of(raw, "vm", VM_SHARD)


def _manifest(state: str) -> Manifest:
    manifest = Manifest(1, "0.1.0", ["mix", "test"], "/app", START)
    return msgspec.structs.replace(manifest, exit_status=0, state="finished") if state == "finished" else manifest


class correlate:
    """The events table without frames and causes, and all others empty."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}  # event of each process

    def relate(self, slices: Iterable[Log]) -> Iterator[Changes]:
        return map(self.take, slices)

    def take(self, log: Log) -> Changes:
        previous = list[int | None]()
        for event, process in log.rows.at(slice(None), "event", "process"):
            previous.append(self._last.get(process))
            self._last[process] = event
        place = TABLES["events"].get_field_index("previous")
        return Changes({"events": _events(log).set_column(place, "previous", pa.array(previous, pa.int64()))}, [])

    def outdated(self, log: Log) -> str | None:
        return None

    def finish(self, log: Log) -> Changes:
        return Changes({}, [])

    def news(self, log: Log) -> Changes:
        return Changes({}, [])

    def rest(self, log: Log) -> dict[str, pa.Table]:
        return {}


def _events(log: Log) -> pa.Table:
    kept = set(EVENT_ROW.names or ())
    columns = [
        pa.array(log.rows[field.name].copy()).cast(field.type)
        if field.name in kept
        else pa.nulls(len(log.rows), field.type)
        for field in TABLES["events"]
    ]
    return pa.table(columns, schema=TABLES["events"])


atoms = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(Atom)
scalars = st.one_of(
    atoms,
    st.integers(),
    st.integers(min_value=2**62, max_value=2**200),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(max_size=20),
    st.text(max_size=10).map(str.encode),
)


def _containers(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    pairs = st.lists(st.tuples(inner, inner), max_size=4, unique_by=lambda pair: etf.encode(pair[0]))
    return st.one_of(st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple), pairs.map(make_map))


terms = st.recursive(scalars, _containers, max_leaves=10)
