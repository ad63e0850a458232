"""A program whose processes come and go, as a web server's do: written as it would be, a moment at a time.

A request is a task: a connection asks a supervisor, which starts it; it works, answers, and ends. One in `CRASHES` ends
by a crash instead, and the supervisor starts another in its place. `Crowd.play` writes what happens next.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.recording import etf
from elixirscope.recording.format import META_SHARD, NONE32, VM_SHARD, FrameType, Kind
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom, Pid, Ref

EVENTS: Final = 11
"""Of a request."""
CRASHES: Final = 50
_NODE: Final = "nonode@nohost"
_CONNECTIONS: Final = 50
_SUPERVISORS: Final = 4
_FIRST_PID: Final = 100
_WORK: Final = (Atom("Elixir.Task.Supervised"), Atom("reply"), 4)
_SITE: Final = 7
_STEP_NS: Final = 200


class _Step(NamedTuple):
    """One event: of the connection (c), the supervisor (s) or the task (t), about whom, showing what."""

    who: str
    kind: Kind
    peer: str = ""
    value: str = ""
    ref: int = 0


_REQUEST: Final = (
    _Step("c", Kind.SEND, "s", "ask", 1),
    _Step("s", Kind.RECEIVE, "", "ask", 1),
    _Step("s", Kind.SPAWN, "t", "origin"),
    _Step("t", Kind.SPAWNED, "s", "origin"),
    _Step("s", Kind.LINK, "t"),
    _Step("t", Kind.CALL, "", "args"),
    _Step("t", Kind.RETURN, "", "args"),
    _Step("t", Kind.SEND, "c", "answer", 2),
    _Step("c", Kind.RECEIVE, "", "answer", 2),
    _Step("t", Kind.EXIT, "", "normal"),
    _Step("s", Kind.RECEIVE, "", "ended", 0),
)


class Crowd:
    """Writes the raw files of such a program into `folder`, which must not exist."""

    def __init__(self, folder: Path, *, started_unix_ns: int | None = None) -> None:
        self.raw = folder / "raw"
        self.raw.mkdir(parents=True)
        self.started = time.time_ns() if started_unix_ns is None else started_unix_ns
        self.requests = 0

        def writer(name: str, shard: int) -> FrameWriter:
            path = self.raw / f"{_NODE}.4242-{name}.frames"
            return FrameWriter(path, os_pid=4242, unix_ns=self.started, shard=shard)

        self._code, self._vm, self._meta = writer("0", 0), writer("vm", VM_SHARD), writer("meta", META_SHARD)
        self._meta.term(FrameType.META, {Atom("what"): Atom("hello"), Atom("node"): Atom(_NODE)})
        work: Any = [(_SITE, Atom("function"), Atom("work"), 1, 3, [b"request"], {})]
        self._meta.term(FrameType.SITES, (Atom("Elixir.Web.Page"), {Atom("file"): b"/web/lib/page.ex"}, work))
        self._meta.flush()
        self._declare(range(_CONNECTIONS + _SUPERVISORS))
        self._begin()

    @property
    def processes(self) -> int:
        """How many there were so far."""
        return _CONNECTIONS + _SUPERVISORS + self.requests

    def play(self, requests: int, at: int, until: int) -> int:
        """Have so many requests between two times (ns since the start), and make them visible. Gives how many events
        that were."""
        numbers = np.arange(self.requests, self.requests + requests)
        self.requests += requests
        tasks = _CONNECTIONS + _SUPERVISORS + numbers
        self._declare(tasks.tolist())
        who = {"c": numbers % _CONNECTIONS, "s": _CONNECTIONS + numbers % _SUPERVISORS, "t": tasks}
        begins = at + (until - at - EVENTS * _STEP_NS) * np.arange(requests) // max(requests, 1)
        events = np.zeros((requests, EVENTS), EVENT)
        values = np.full((requests, EVENTS), "", dtype=object)
        for place, step in enumerate(_REQUEST):
            column = events[:, place]
            column["ts"], column["kind"], column["pid"] = begins + _STEP_NS * place, step.kind, who[step.who]
            column["peer"] = who[step.peer] if step.peer else NONE32
            column["ref"] = (numbers + 1) * 4 + step.ref if step.ref else 0
            if step.kind in (Kind.CALL, Kind.RETURN):
                column["site"], column["frame"] = _SITE, begins + _STEP_NS * 5
            values[:, place] = step.value
        crashes = numbers % CRASHES == CRASHES - 1
        values[crashes, EVENTS - 2] = "crash"
        after = np.flatnonzero(crashes) + _SUPERVISORS  # the next task that this supervisor starts
        after = after[after < requests]
        values[after, 0] = values[after, 1] = ""  # nobody asked for it
        events["kind"][after, 0] = events["kind"][after, 1] = Kind.MARK
        flat, shown = events.ravel(), values.ravel()
        order = np.argsort(flat["ts"], kind="stable")
        code = np.isin(flat["kind"], (Kind.CALL, Kind.RETURN))
        for writer, mine in ((self._code, order[code[order]]), (self._vm, order[~code[order]])):
            for part in np.array_split(mine, max(len(mine) // 4096, 1)):
                batch = flat[part]
                data = self._values(batch, shown[part], tasks[part // EVENTS])
                writer.events(batch, data)
        self.flush()
        return len(flat)

    def end(self) -> None:
        """The program ends."""
        for writer in (self._code, self._vm, self._meta):
            writer.end()

    def flush(self) -> None:
        """Make what was written visible."""
        for writer in (self._code, self._vm):
            writer.flush()

    def _declare(self, processes: Any) -> None:
        pids = [(number, _pid(number)) for number in processes]
        for writer in (self._code, self._vm):
            writer.term(FrameType.PROCESSES, pids)

    def _begin(self) -> None:
        """Supervisors and connections are spawned, and supervisors say who they are."""
        rows = np.zeros(_CONNECTIONS + _SUPERVISORS, EVENT)
        rows["ts"] = 10 + np.arange(len(rows))
        rows["kind"], rows["pid"], rows["peer"] = Kind.SPAWNED, np.arange(len(rows)), 0
        supervisor = etf.encode({Atom("initial"): (Atom("Elixir.DynamicSupervisor"), Atom("init"), 1)})
        rows["value_length"][_CONNECTIONS:] = len(supervisor)
        self._vm.events(rows, supervisor)
        self._vm.flush()

    def _values(self, batch: npt.NDArray[np.void], names: npt.NDArray[Any], tasks: npt.NDArray[np.int64]) -> bytes:
        """The values of a frame; sets where each event's is."""
        parts, places, size = list[bytes](), dict[tuple[str, int], tuple[int, int]](), 0
        for place, (name, task) in enumerate(zip(names.tolist(), tasks.tolist(), strict=True)):
            if not name:
                continue
            key = (name, task if name in ("ask", "answer", "ended") else task % _CONNECTIONS)
            if key not in places:
                data = etf.encode(_value(name, task))
                places[key] = (size, len(data))
                parts.append(data)
                size += len(data)
            batch["value_offset"][place], batch["value_length"][place] = places[key]
        return b"".join(parts)


def _pid(number: int) -> Pid:
    number += _FIRST_PID
    return Pid(_NODE, number % (1 << 20), number >> 20, 0)


def _value(name: str, task: int) -> Any:
    request = task - _CONNECTIONS - _SUPERVISORS
    connection, supervisor = request % _CONNECTIONS, _CONNECTIONS + request % _SUPERVISORS
    ref = Ref(_NODE, (task, 1, 7), 3)
    crashed: Any = (Atom("badarg"), [(Atom("Elixir.Web.Page"), Atom("work"), 1, [])])
    ended = crashed if request % CRASHES == CRASHES - 1 else Atom("normal")
    return {
        "ask": (Atom("$gen_call"), (_pid(connection), ref), (Atom("start_task"), [])),
        "origin": {
            Atom("mfa"): _WORK,
            Atom("ancestors"): [_pid(supervisor), _pid(connection)],
            Atom("name"): Atom("nil"),
        },
        "args": (connection,),
        "answer": (ref, Atom("done")),
        "normal": Atom("normal"),
        "crash": crashed,
        "ended": (Atom("EXIT"), _pid(task), ended),
    }[name]
