"""Tests: when each ran, how it ended, and in which process and frame."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, table
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log
from elixirscope.recording.terms import Atom, Term, inspect


def tests_table(log: Log, calls: Calls) -> pa.Table:
    """One row per TEST_START, joined with its end and with the test function's frame."""
    rows = log.rows
    columns: dict[str, list[object]] = {
        name: []
        for name in ["event", "module", "name", "file", "line", "start", "end", "result", "process", "call", "text"]
    }
    frames = _frames(log, calls)
    ends: dict[tuple[Term, Term], list[int]] = {}
    for event in np.flatnonzero(rows["kind"] == Kind.TEST_END).tolist():
        ends.setdefault(_key(_fields(log, event)), []).append(event)
    for event in np.flatnonzero(rows["kind"] == Kind.TEST_START).tolist():
        about = _fields(log, event)
        key = _key(about)
        end = next((e for e in ends.get(key, ()) if e > event), None)
        outcome = _fields(log, end) if end is not None else {}
        limit = end if end is not None else len(rows)
        frame = next((f for f in frames.get(key, ()) if event < calls.event[f] < limit), None)
        row = {
            "event": event,
            "module": _text(about.get("module")),
            "name": _text(about.get("name")),
            "file": _text(about.get("file")),
            "line": about.get("line") if isinstance(about.get("line"), int) else None,
            "start": int(rows["at"][event]),
            "end": int(rows["at"][end]) if end is not None else None,
            "result": _text(outcome.get("result")),
            "process": int(calls.process[frame]) if frame is not None else None,
            "call": int(calls.event[frame]) if frame is not None else None,
            "text": _text(outcome.get("message")),
        }
        for name, value in row.items():
            columns[name].append(value)
    return table("tests", **columns)


def _frames(log: Log, calls: Calls) -> dict[tuple[Term, Term], list[int]]:
    """(module as printed, function) of tests → their frames."""
    tests = {number: site for number, site in log.sites.items() if site.test}
    frames: dict[tuple[Term, Term], list[int]] = {}
    for frame in np.flatnonzero(np.isin(calls.site, list(tests))).tolist():
        site = tests[int(calls.site[frame])]
        frames.setdefault((site.module, site.function), []).append(frame)
    return frames


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
