"""The causes of one event that a person would name, one level at a time. `CausalityDag.why` follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from elixirscope.dags.code import CodeDag
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.row import Row
from elixirscope.recording.format import Kind

_TELLING = [k.value for k in (Kind.CALL, Kind.RETURN, Kind.RAISE, Kind.CAUGHT, Kind.RECEIVE, Kind.SPAWNED, Kind.EXIT)]
_AT_ONCE = 256  # events that are looked at together


class Cause(NamedTuple):
    """An earlier event, and how it led to the later one."""

    event: int
    edge: str
    certain: bool = True
    reason: str | None = None


class Salient:
    """Direct causes: the event in the other process, the exception, the frame around, the message handled, the
    caller."""

    def __init__(self, query: QueryCoordinator, edge_of: Callable[[int | None], str]) -> None:
        self._query = query
        self._edge_of = edge_of
        self._code = CodeDag(query)

    def causes(self, event: int) -> list[Cause]:
        """The direct causes of `event`, without duplicates."""
        row = self._query.event(event)
        found = self._crossing(event, row)
        match Kind(row["kind"]):
            case Kind.CALL:
                found += self._of_frame(event, bool(found))
            case Kind.EXIT | Kind.CAUGHT:
                found += self._of_failure(event, row) if not found else []
            case Kind.RECEIVE | Kind.SPAWNED:
                pass
            case _:
                found += self._around(event)
        if not found:
            found = self._before(event, row)
        unique = {cause.event: cause for cause in reversed(found) if cause.event != event}
        return list(unique.values())

    def _crossing(self, event: int, row: Row) -> list[Cause]:
        """What happened in another process, without which this could not have happened."""
        cause = row["cause"]
        message = self._query.find("messages", "receive_event", event) if row["kind"] == Kind.RECEIVE else None
        certain, reason = (message["certain"], message["reason"]) if message else (True, None)
        if cause is None and message is not None and message["send_event"] is not None:
            cause = message["send_event"]
        return [] if cause is None else [Cause(cause, self._edge_of(cause), certain, reason)]

    def _of_frame(self, call: int, crossed: bool) -> list[Cause]:
        """Why a function was called: the message it handles, its caller, or who asked from another process."""
        frame = self._query.find("calls", "call", call)
        if frame is None:
            return []
        found = list[Cause]()
        message = self._query.find("messages", "message", frame["message"])
        if message is not None:
            arrival = message["receive_event"] if message["receive_event"] is not None else message["send_event"]
            if arrival is not None and arrival != call:
                found.append(Cause(arrival, "handles", message["certain"], message["reason"]))
            found += self._met_state(frame)
        if frame["tail_of"] is not None:
            found.append(Cause(frame["tail_of"], "tail call of"))
        elif frame["parent"] is not None:
            found.append(Cause(frame["parent"], "called by"))
        elif not found and not crossed and frame["remote_parent"] is not None:
            found.append(Cause(frame["remote_parent"], "asked by"))
        return found

    def _met_state(self, frame: Row) -> list[Cause]:
        """The state that a callback met: the last version made before it."""
        before = self._query.find_before("states", "process", frame["process"], "state", frame["call"])
        return [Cause(row["state"], "state") for row in before]

    def _of_failure(self, event: int, row: Row) -> list[Cause]:
        """The exception behind an exit or a rescue, and the frame that raised it."""
        column = "exit_event" if row["kind"] == Kind.EXIT else "caught_event"
        shown = self._query.find("exceptions", column, event)
        if shown is not None and shown["event"] != event:
            return [Cause(shown["event"], "raised")]
        shown = shown or self._query.find("exceptions", "event", event)
        if shown is not None and shown["call"] is not None:
            return [Cause(shown["call"], "raised in")]
        unwound = [r["call"] for r in self._query.find_all("calls", "end_event", event) if r["outcome"] == "raised"]
        if unwound:
            innermost = max(unwound)
            raised = [r["event"] for r in self._query.find_all("exceptions", "call", innermost) if not r["caught"]]
            if raised and max(raised) < event:
                return [Cause(max(raised), "raised", False, "the last exception of the innermost open frame")]
            return [Cause(innermost, "raised in", False, "the innermost frame that was open")]
        return self._around(event) if row["kind"] == Kind.CAUGHT else []

    def _around(self, event: int) -> list[Cause]:
        """The frame in which it happened."""
        frame = self._code.innermost(event)
        return [Cause(frame["call"], "in")] if frame is not None and frame["call"] < event else []

    def _before(self, event: int, row: Row) -> list[Cause]:
        """For want of anything better: what the process last did that tells something."""
        mine = self._query.indexes.events_of(row["process"])
        earlier = mine[: int(np.searchsorted(mine, np.asarray(event, mine.dtype)))]
        kinds = self._query.column("events", "kind")
        if row["kind"] == Kind.EXIT:
            for end in range(len(earlier), 0, -_AT_ONCE):
                near = earlier[max(0, end - _AT_ONCE) : end]
                telling = near[np.isin(kinds[near], _TELLING)]
                if len(telling):
                    return [Cause(int(telling[-1]), "after")]
        begun = earlier[:_AT_ONCE]  # a process is spawned before it does anything else
        begun = begun[kinds[begun] == Kind.SPAWNED]
        return [Cause(int(begun[0]), "begun by")] if len(begun) else []
