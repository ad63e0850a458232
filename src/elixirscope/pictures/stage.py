"""What a picture puts on stage: processes, references, places in code, frames, and the events of all of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elixirscope.pictures.literals import PictureError
from elixirscope.recording import etf
from elixirscope.recording.format import META_SHARD, NONE32, FrameType, Kind
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom, Pid, Ref, Term

NODE = Atom("picture@drawn")
CLOCK = 1_000_000_000  # what the VM's monotonic clock shows at time 0 of a picture
UNIX = 1_700_000_000_000_000_000
_FIRST_PID = 100
_FIRST_REF = 1_000


@dataclass
class Frame:
    """An open call of a process."""

    id: int
    module: Atom
    function: Atom
    arity: int
    label: str | None = None


@dataclass
class Stage:
    """Collects events in the order of their times, one ns apart where a picture gives none."""

    names: list[str]
    now: int = -1_000  # ns of the latest event
    stacks: dict[str, list[Frame]] = field(default_factory=dict)
    ancestry: dict[str, list[Term]] = field(default_factory=dict)
    registered: dict[str, Atom] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _events: list[tuple[int, dict[str, int], Term]] = field(default_factory=list)
    _refs: dict[str, Ref] = field(default_factory=dict)
    _sites: dict[tuple[Any, ...], tuple[int, Atom, tuple[Term, ...]]] = field(default_factory=dict)
    _files: dict[Atom, str] = field(default_factory=dict)
    _losses: list[tuple[int, str, int]] = field(default_factory=list)

    def pid(self, name: str) -> Pid:
        """The pid of a declared process."""
        if name not in self.names:
            raise PictureError(f"no process {name!r} in the picture", f"there are {', '.join(self.names)}")
        return Pid(NODE, _FIRST_PID + self.names.index(name), 0, 1)

    def ref(self, name: str) -> Ref:
        """The reference `#name`, the same for the same name."""
        return self._refs.setdefault(name, Ref(NODE, (_FIRST_REF + len(self._refs), 1, 2), 1))

    def open_frame(self, process: str, label: str | None) -> Frame:
        """The innermost open frame of a process, or the one of that label; deeper ones are gone then."""
        stack = self.stacks.get(process, [])
        while stack and label is not None and stack[-1].label != label:
            stack.pop()
        if not stack:
            raise PictureError(
                f"{process} has no open call{f' {label!r}' if label else ''}", "call something before it returns"
            )
        return stack[-1]

    def site(self, kind: str, module: Atom, function: Atom, arity: int, **about: Any) -> int:
        """The id of a place in the code; `about`: file, line, vars, and the details of docs/format.md."""
        if about.get("file"):
            self._files[module] = about["file"]
        line, names = about.get("line") or 0, about.get("vars", [])
        detail = {Atom(key): value for key, value in about.items() if key not in ("file", "line", "vars")}
        key = (kind, module, function, arity, line, tuple(names), repr(detail))
        if key not in self._sites:
            number = len(self._sites) + 1
            parts = (number, Atom(kind), function, arity, line, [name.encode() for name in names], detail)
            self._sites[key] = number, module, parts
        return self._sites[key][0]

    def tick(self, at: int | None) -> None:
        """Move to time `at`, in ns of the picture."""
        if at is not None and at < self.now:
            raise PictureError(f"time runs backwards at {at} ns", "give later lines later times")
        self.now = self.now + 1_000 if at is None else max(at, self.now)

    def emit(self, kind: Kind, process: str, value: Term = None, *, later: int | None = None, **fields: Any) -> int:
        """Adds an event and returns its time as captured. Python's None: no value."""
        at = self.now if later is None else max(later, self.now)
        while at in self._taken:
            at += 1
        self._taken.add(at)
        if later is None:
            self.now = at
        peer = fields.pop("peer", None)
        fields["pid"] = self.names.index(process)
        fields["peer"] = NONE32 if peer is None else self.names.index(peer)
        if kind == Kind.CALL:
            fields["frame"] = CLOCK + at
        self._events.append((at, {"kind": int(kind), **fields}, value))
        return CLOCK + at

    def lose(self, process: str, count: int) -> None:
        """Events of the process dropped by the recorder now."""
        self._losses.append((self.now, process, count))

    def write(self, folder: Path, *, complete: bool = True) -> None:
        """The raw files of the picture, in `folder`."""
        clock = {"monotonic_ns": CLOCK, "unix_ns": UNIX}
        modules: dict[Atom, list[Term]] = {}
        for _, module, described in self._sites.values():
            modules.setdefault(module, []).append(described)
        with FrameWriter(folder / f"{NODE}.1-meta.frames", shard=META_SHARD, **clock) as meta:
            meta.term(FrameType.META, {Atom("what"): Atom("hello"), Atom("node"): NODE}, at=CLOCK)
            for module, sites in modules.items():
                file = self._files.get(module)
                info: dict[Term, Term] = {Atom("behaviours"): []} | ({Atom("file"): file.encode()} if file else {})
                meta.term(FrameType.SITES, (module, info, sites), at=CLOCK)
            meta.end()
        with FrameWriter(folder / f"{NODE}.1-0.frames", **clock) as out:
            pids = [(index, self.pid(name)) for index, name in enumerate(self.names)]
            out.term(FrameType.PROCESSES, pids, count=len(pids), at=CLOCK)
            out.events(*self._columns(), loss=sum(count for _, _, count in self._losses))
            for at, process, count in self._losses:
                out.term(FrameType.LOSS, [(self.pid(process), count, Atom("drawn"))], at=CLOCK + at)
            if complete:
                out.end()

    def _columns(self) -> tuple[np.ndarray, bytes]:
        events = sorted(self._events, key=lambda event: event[0])
        rows = np.zeros(len(events), dtype=EVENT)
        values = bytearray()
        for row, (at, fields, value) in zip(rows, events, strict=True):
            row["ts"] = CLOCK + at
            for name, number in fields.items():
                row[name] = number
            if value is not None:
                encoded = etf.encode(value)
                row["value_offset"], row["value_length"] = len(values), len(encoded)
                values += encoded
        return rows, bytes(values)


def message_hash(message: Term) -> int:
    """What a send and its receive have in common."""
    return zlib.crc32(etf.encode(message)) + 1
