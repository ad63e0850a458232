"""Tests: when each ran, how it ended, and in which process and frame."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, table
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log
from elixirscope.recording.terms import Atom, Term, inspect


class _Told(NamedTuple):
    """What a TEST_START or TEST_END says."""

    event: int
    at: int
    about: dict[str, Term]


class TestRuns:
    """Gathers tests slice by slice."""

    def __init__(self) -> None:
        self._starts: list[_Told] = []
        self._ends: dict[tuple[Term, Term], list[_Told]] = {}
        self._frames: dict[tuple[Term, Term], list[tuple[int, int]]] = {}  # function of a test → CALL event, process

    def take(self, log: Log, calls: Calls) -> None:
        """Tests that begin or end in the next slice."""
        kind = log.column("kind")
        for place in log.places(Kind.TEST_START, Kind.TEST_END).tolist():
            told = _Told(place + log.first, int(log.column("at")[place]), _fields(log, place))
            if kind[place] == Kind.TEST_START:
                self._starts.append(told)
            else:
                self._ends.setdefault(_key(told.about), []).append(told)
        tests = {number: site for number, site in log.sites.items() if site.test}
        if not tests:
            return
        for frame in np.flatnonzero(np.isin(calls.site, list(tests))).tolist():
            if frame >= calls.older:
                site = tests[int(calls.site[frame])]
                found = self._frames.setdefault((site.module, site.function), [])
                found.append((int(calls.event[frame]), int(calls.process[frame])))

    def table(self) -> pa.Table:
        """One row per TEST_START, joined with its end and with the test function's frame."""
        names = ["event", "module", "name", "file", "line", "start", "end", "result", "process", "call", "text"]
        columns: dict[str, list[object]] = {name: [] for name in names}
        for start in self._starts:
            about, key = start.about, _key(start.about)
            end = next((e for e in self._ends.get(key, ()) if e.event > start.event), None)
            outcome = end.about if end is not None else {}
            limit = end.event if end is not None else math.inf
            frame = next((f for f in self._frames.get(key, ()) if start.event < f[0] < limit), None)
            row = {
                "event": start.event,
                "module": _text(about.get("module")),
                "name": _text(about.get("name")),
                "file": _text(about.get("file")),
                "line": about.get("line") if isinstance(about.get("line"), int) else None,
                "start": start.at,
                "end": end.at if end is not None else None,
                "result": _text(outcome.get("result")),
                "process": frame[1] if frame is not None else None,
                "call": frame[0] if frame is not None else None,
                "text": _text(outcome.get("message")),
            }
            for name, value in row.items():
                columns[name].append(value)
        return table("tests", **columns)


def _fields(log: Log, event: int) -> dict[str, Term]:
    value = int(log.rows["value"][event])
    term = log.values.term(value) if value != NONE else None
    return {str(key): part for key, part in term.items()} if isinstance(term, dict) else {}


def _key(about: dict[str, Term]) -> tuple[Term, Term]:
    return _text(about.get("module")), _text(about.get("name"))


def _text(term: Term) -> str | None:
    """Text of a binary, a module as printed, any other atom bare."""
    if isinstance(term, bytes):
        return term.decode("utf-8", "replace")
    if isinstance(term, Atom):
        return None if term == "nil" else inspect(term) if term.startswith("Elixir.") else str(term)
    return None
