"""What the detectives ask of a recording: rows by what they refer to, decoded values, and how to name a thing.

Rows are dictionaries with the columns of `recording.schema`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elixirscope.dags import Dags
from elixirscope.errors import RecordingError
from elixirscope.insight.clauses import clause_line
from elixirscope.insight.findings import Evidence, Location
from elixirscope.insight.values import incomplete, short
from elixirscope.moment import Moment
from elixirscope.query.names import mfa, spoken
from elixirscope.query.row import Row
from elixirscope.recording.format import Kind
from elixirscope.recording.terms import Term, Truncated

DEPTH = 1_000
"""Frames up from the innermost that are looked at."""


class History:
    """A recording as the detectives see it."""

    def __init__(self, dags: Dags) -> None:
        self.dags = dags
        self.query = dags.query
        self.recording = dags.query.recording

    @cached_property
    def processes(self) -> dict[int, Row]:
        """All processes by number."""
        return {row["process"]: row for row in self.query.processes}

    @cached_property
    def tests(self) -> list[Row]:
        """All tests, in order; `end_event` is the event that told the result."""
        return [
            {**test, "end_event": test["event"] if test["end"] is None else self.query.event_at(test["end"])}
            for test in self.query.rows("select * from raw.tests order by event")
        ]

    def term(self, value: int | None) -> Term:
        """The decoded value; a marker that equals nothing where it was not recorded or cannot be read."""
        if value is None:
            return Truncated("unrecorded", None, None)
        try:
            return self.recording.term(value)
        except RecordingError:
            return Truncated("unreadable", None, None)

    def call(self, call: int | None) -> Row | None:
        """The frame with this number."""
        return self.query.find("calls", "call", call)

    def children(self, call: int) -> Sequence[Row]:
        """The frames that a frame called in its process, in order."""
        return self.query.find_all("calls", "parent", call)

    def message(self, message: int | None) -> Row | None:
        """The message with this number."""
        return self.query.find("messages", "message", message)

    def event(self, event: int | None) -> Row | None:
        """The event with this number."""
        return self.query.find("events", "event", event)

    def site(self, site: int | None) -> Row | None:
        """The place in the source that an event or a frame comes from."""
        return self.query.find("sites", "site", site)

    @cached_property
    def _frames(self) -> tuple[NDArray[Any], ...]:
        return tuple(self.query.column("calls", name) for name in ("call", "parent", "tail_of", "site"))

    def enclosing(self, call: int | None) -> list[int]:
        """The frame and those that called it in the same process, the innermost first.

        Those that called it in tail position are gone by then, but are part of what the code says. A function that
        goes on in itself is counted once: its turns have nothing to do with each other.
        """
        calls, parents, tails, sites = self._frames
        frames: list[int] = []
        gone_on: set[int] = set()  # sites of the frames that went on in each other
        while call is not None and call >= 0 and len(frames) < DEPTH:
            position = int(np.searchsorted(calls, call))  # calls are in event order
            if position == len(calls) or calls[position] != call:
                break
            site, caller = int(sites[position]), int(tails[position])
            again = site in gone_on
            if not again:
                frames.append(call)
            if caller < 0 or again:
                gone_on, caller = set(), int(parents[position])
            else:
                gone_on.add(site)
            call = caller
        return frames

    def ancestors(self, process: int | None) -> list[int]:
        """The process and those that spawned it, the nearest first."""
        line: list[int] = []
        while process is not None and process not in line:
            line.append(process)
            row = self.processes.get(process)
            process = row["parent"] if row else None
        return line

    def label(self, process: int | None) -> str:
        """What a person calls the process."""
        row = self.processes.get(process) if process is not None else None
        return str(row["label"] or row["pid"]) if row else "an unknown process"

    def states_before(self, process: int, event: int) -> Iterator[Row]:
        """The states of a process that were known before `event`, the last first, restarts included."""
        state = next(iter(self.query.find_before("states", "process", process, "state", event)), None)
        while state is not None:
            yield state
            state = self.query.find("states", "state", state["previous"])

    def returned_before(self, process: int, event: int, most: int) -> Sequence[Row]:
        """The last `most` frames of recorded code that a process returned from before an event, newest first."""
        return self.query.rows(
            "select * from raw.calls where process = ? and end_event < ? and outcome = 'returned' and not external"
            " order by end_event desc limit ?",
            [process, event, most],
        )

    def place(self, frame: Row, line: int | None = None) -> Location:
        """Where a frame's function is, at `line` or at its head."""
        site = self.site(frame["site"])
        around = self._around(site) if site and site["kind"] == "fn" else None
        return Location(
            module=frame["module"] or "",
            function=frame["function"] or "",
            arity=(around or frame)["arity"] or 0,
            file=(site or {}).get("file") or "",
            line=line or (site or {}).get("line") or 0,
        )

    def _around(self, fn: Row) -> Row | None:
        """The site of the function that an anonymous one is written in, its latest clause before it."""
        named = "select * from raw.sites where kind = 'function' and module = ? and function = ? and line <= ?"
        order = " order by line desc limit 1"
        return next(iter(self.query.rows(named + order, [fn["module"], fn["function"], fn["line"]])), None)

    def clause(self, frame: Row) -> Location:
        """Where the clause of a function begins that a frame ran: its first variables are bound there; where it has
        none, its head in the source takes what the frame was given."""
        mine = self.query.events_of(frame["process"])
        first = int(np.searchsorted(mine, frame["call"]))
        for event in mine[first + 1 : first + 4].tolist():
            row = self.event(event)
            if row is not None and row["kind"] == Kind.BIND and row["call"] == frame["call"]:
                return self.place(frame, self.event_line(event))
        site, given = self.site(frame["site"]), self.term(frame["args"])
        lines = self.recording.source(site["file"]) if site and site["file"] and site["kind"] == "function" else None
        if site is None or lines is None or not site["line"] or not isinstance(given, tuple) or incomplete(given):
            return self.place(frame)
        return self.place(frame, clause_line(lines, site["line"], frame["function"], given))

    def written(self, frame: Row) -> bool:
        """Whether a person wrote the function of a frame, as far as its recorded source tells: what a macro defines has
        the place of the macro, where nothing is defined by its name."""
        site = self.site(frame["site"])
        lines = self.recording.source(site["file"]) if site and site["file"] else None
        if site is None or lines is None or not 0 < (site["line"] or 0) <= len(lines):
            return True
        line = lines[site["line"] - 1]
        return "fn" in line or "&" in line if site["kind"] == "fn" else defines(line, frame["function"] or "")

    def goes_on_in(self, frame: Row) -> str | None:
        """The unrecorded function that a frame ended in by a tail call: `Process.sleep/1`."""
        if frame["outcome"] != "tail" or self.query.find("calls", "tail_of", frame["call"]) is not None:
            return None
        event = self.event(frame["end_event"])
        return (self.site(event["site"]) or {}).get("callee") if event else None

    def event_line(self, event: int | None) -> int | None:
        """The source line of the site of an event."""
        row = self.event(event)
        site = self.site(row["site"]) if row else None
        return site["line"] if site else None

    def call_line(self, caller: Row, callee: Row) -> int | None:
        """The line in `caller` on which it calls `callee`, read from the recorded source.

        The events only know where functions begin, so this looks for the name within the caller's lines; None
        when the source was not kept or names it nowhere.
        """
        site = self.site(caller["site"])
        lines = self.recording.source(site["file"]) if site and site["file"] else None
        if site is None or lines is None or not site["line"]:
            return None
        last = min(site["end_line"] or site["line"] + 60, len(lines))
        name = re.escape(callee["function"])
        call = re.compile(rf"(?<![\w?!]){name}\s?\(|&(?:[\w.]+\.)?{name}/")
        first = site["line"] + (callee["function"] == caller["function"])  # the head calls nothing of its own name
        for number in range(first, last + 1):
            if call.search(lines[number - 1].split("#")[0]):
                return int(number)
        return None

    def spot(self, place: Location) -> str:
        """A place in a sentence: `seats.ex:12`."""
        return f"{PurePosixPath(place.file).name}:{place.line}" if place.file else "an unknown place"

    def is_fn(self, frame: Row) -> bool:
        """Whether a frame is that of an anonymous function; its `function` is the one that it is written in."""
        return (self.site(frame["site"]) or {}).get("kind") == "fn"

    def name(self, frame: Row) -> str:
        """What a person calls the function of a frame: `TicketOffice.Seats.put/2`, `an anonymous function in …`."""
        if self.is_fn(frame):
            return f"an anonymous function in {spoken(frame['module'], frame['function'])}"
        return mfa(frame)

    def shown(self, frame: Row) -> str:
        """A frame as one writes a call: `Seats.free?("A1")`."""
        name = spoken(frame["module"], frame["function"])
        if name.endswith(")") or name.startswith("setup"):
            return name  # a test or its setup: the context that it is given says nothing
        arguments = self.term(frame["args"]) if frame["args"] is not None else ()
        inner = ", ".join(short(argument, 40) for argument in arguments) if isinstance(arguments, tuple) else "…"
        return f"fn({inner}) in {name}" if self.is_fn(frame) else f"{name}({inner})"

    def evidence(self, event: int | None, text: str, *, call: int | None = None) -> Evidence:
        """A step of proof at an event."""
        row = self.event(event)
        moment = Moment(at=row["at"] if row else 0, process=row["process"] if row else None, event=event, call=call)
        return Evidence(moment, text)


def defines(line: str, function: str) -> bool:
    """Whether a line of Elixir or Erlang begins a clause of `function`; taken for granted of tests and operators."""
    if " " in function or not function[:1].isidentifier():
        return True
    return re.search(rf"(?:\bdef\w*\s+|^){re.escape(function)}(?!\w)", line) is not None
